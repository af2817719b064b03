"""Protection that vanishes with the block of the spec that says it.

hashicorp/terraform#17599 #3468 #2159.
"""

from __future__ import annotations

import pytest

from tests import builders as b
from tests.laws.machines import Machines
from tests.laws.scenes import fleet, meddle
from tests.unit.plan.deciding import decide, remembered, standing, the_held, wanted

SAFE = b.a_sandbox(protected=True)


@pytest.mark.parametrize("deed", ["nothing", "status"])
def test_the_host_remembers_it_when_spec_and_status_are_gone(deed: str) -> None:
    machines = Machines("h1", "h2")
    machines.settle(fleet(SAFE))
    meddle(machines, deed, 0)
    made = machines.plan(fleet())
    assert made.actions == ()
    assert [held.reason for held in made.held] == ["Protected"]


def test_asking_for_it_by_name_is_not_enough() -> None:
    made = decide(wanted(SAFE), standing(SAFE), remembered(SAFE), destroying=frozenset({SAFE.name}))
    assert the_held(made).reason == "Protected"


def test_a_lost_marker_is_no_permission() -> None:
    assert the_held(decide(wanted(), standing(SAFE, markers=()), remembered(SAFE))).reason == "MarkerMissing"


def test_an_edit_that_lifts_it_must_be_applied_first() -> None:
    """The host's word counts until a spec that wants the sandbox has lifted it there."""
    machines = Machines("h1", "h2")
    machines.settle(fleet(SAFE))
    assert not machines.plan(fleet()).actions
    machines.settle(fleet(b.a_sandbox(protected=False)))
    assert [action.verb for action in machines.plan(fleet()).actions] == ["destroy"]
