"""A failed or partial read taken as "nothing is there", or "nothing is wanted", and everything deleted.

argoproj/argo-cd#18480 #18212 #9227 #18780.
"""

from __future__ import annotations

import pytest

from reconciler.errors import HostError, ReadFailed
from reconciler.host.memory.faults import ReadFault
from reconciler.model.observed import Unreachable
from reconciler.model.plan import Bucket
from tests import builders as b
from tests.laws.machines import Machines
from tests.laws.scenes import fleet
from tests.unit.plan.deciding import decide, remembered, second_host, standing, wanted

ONE = b.a_sandbox()


@pytest.mark.parametrize("wants", [True, False])
def test_a_host_that_did_not_answer_is_left_as_it_is(wants: bool) -> None:  # noqa: FBT001 - a test's case
    made = decide(wanted(*([ONE] if wants else [])), b.an_unreachable(), remembered(ONE))
    assert made.actions == ()
    assert [held.bucket for held in made.held] == [Bucket.UNKNOWN]
    assert made.summary.unknown == 1


def test_one_dead_host_stops_nobody_else() -> None:
    far = b.a_sandbox("far", host="h2")
    made = decide(wanted(ONE, far), {"h1": b.an_unreachable(), "h2": second_host()})
    assert [action.id for action in made.actions] == ["h2/far"]


@pytest.mark.parametrize("error", [ReadFailed("the list ended early", code="E_CUT")])
def test_a_read_that_ends_early_is_silence_and_never_an_empty_host(error: HostError) -> None:
    machines = Machines("h1", "h2")
    desired = fleet(ONE)
    machines.settle(desired)
    machines.faults["h1"] = (ReadFault(error=error),)
    made = machines.plan(fleet())
    assert isinstance(machines.seen.hosts["h1"], Unreachable)
    assert made.actions == ()


def test_an_empty_answer_of_a_machine_that_lost_its_proof_is_not_believed() -> None:
    blank = b.a_view(identity=b.an_identity(host_id=None))
    made = decide(wanted(), blank, remembered(ONE))
    assert made.actions == ()
    assert [held.reason for held in made.held] == ["HostIdentity"]


def test_an_empty_spec_folder_is_refused() -> None:
    assert decide(wanted(), standing(ONE), remembered(ONE)).refused
