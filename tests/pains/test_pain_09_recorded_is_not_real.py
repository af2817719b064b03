"""Recorded state says running, and reality says gone; and the reverse.

daytonaio/daytona#2695, e2b-dev/infra#2041, hashicorp/nomad#1859, actions/actions-runner-controller#4155.
"""

from __future__ import annotations

from reconciler.model.plan import Bucket, Verb
from tests import builders as b
from tests.laws.machines import Machines
from tests.laws.scenes import fleet, meddle
from tests.unit.plan.deciding import decide, exited, remembered, standing, the_action, wanted

ONE = b.a_sandbox()


def test_gone_behind_our_back_is_made_again() -> None:
    action = the_action(decide(wanted(ONE), b.a_view(), remembered(ONE)))
    assert (action.bucket, action.verb) == (Bucket.ZOMBIE_WANTED, Verb.CREATE)


def test_killed_for_memory_is_not_running() -> None:
    killed = exited(b.a_seen(), exit_code=137, oom_killed=True)
    assert the_action(decide(wanted(ONE), standing(ONE, containers=(killed,)), remembered(ONE))).verb is Verb.START


def test_running_and_forgotten_is_adopted_and_not_made_twice() -> None:
    machines = Machines("h1", "h2")
    desired = fleet(ONE)
    machines.settle(desired)
    before = dict(machines.worlds["h1"].containers)
    meddle(machines, "status", 0)
    assert [action.verb for action in machines.apply(desired).actions] == [Verb.ADOPT]
    assert machines.worlds["h1"].containers == before


def test_a_silent_host_makes_no_duplicate_elsewhere() -> None:
    machines = Machines("h1", "h2")
    desired = fleet(ONE)
    machines.settle(desired)
    machines.silent.add("h1")
    assert machines.apply(desired).actions == ()
    assert machines.worlds["h2"].containers == {}
