"""Tell of what a command made, when no spec says what it was to be."""

from __future__ import annotations

from reconciler.model.plan import Bucket, Matched
from reconciler.model.status import SandboxStatus, Statuses
from reconciler.record.fold import fold
from tests import builders as b


def test_what_a_cut_command_left_is_not_called_as_wanted() -> None:
    left = Matched(sandbox="web-1", host="h1", bucket=Bucket.AD_HOC, generation=1, run=b.RUN)
    seen = b.an_observed({"h1": b.a_reachable(b.a_settled_view(b.a_sandbox(), containers=()))})
    # As a look into the journal of a pass that was cut leaves it.
    old = SandboxStatus(
        fleet=b.FLEET,
        name="web-1",
        host="h1",
        sync="Unknown",
        health="Unknown",
        generation=1,
        observed_generation=0,
        last_attempted_revision="none",
        last_applied_revision="",
        conditions=(),
        records=(b.a_record(b.a_sandbox(), complete=False),),
    )
    statuses = Statuses(sandboxes={"web-1": old})
    for hours in (1, 2):
        statuses = fold(statuses, b.a_plan(matched=(left,)), seen, None, b.later(hours=hours))
        told = statuses.sandboxes["web-1"]
        assert (told.sync, told.health, told.is_ready) == ("Unknown", "Unknown", False)
