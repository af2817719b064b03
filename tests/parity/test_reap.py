"""Rows 64 to 66 of the parity table: nothing goes without --apply, and what goes is ours, and old enough."""

from __future__ import annotations

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import IDLE, name_of, settle_kept_and_orphan_lost
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab


@pytest.fixture
def orphaned(fleet: Driver, alpha: LabHost) -> Driver:
    """Give a fleet whose sandbox `lost` no spec wants and no record knows, beside a wanted one and a stranger's."""
    fleet.declare_fleet(limits={"removalsPerPlan": "100%"})
    settle_kept_and_orphan_lost(fleet)
    assert alpha.docker("inspect", name_of(fleet, "lost"))
    return fleet


def test_row_64_and_65_without_apply_the_same_is_shown_and_nothing_goes(orphaned: Driver, alpha: LabHost) -> None:
    before = orphaned.containers(alpha)
    shown = orphaned.run("reap-stale", "--older-than", "0").expect(0).stdout
    again = orphaned.run("reap-stale", "--dry-run", "--older-than", "0").expect(0).stdout
    actions = [text for text in shown.splitlines() if " on alpha" in text or text.startswith("Plan:")]
    assert [text for text in again.splitlines() if text in actions] == actions
    assert "sandbox/lost on alpha" in shown
    assert "1 to reap" in shown
    assert orphaned.containers(alpha) == before


def test_row_66_the_old_go_in_two_steps_and_the_young_stay(orphaned: Driver, alpha: LabHost) -> None:
    young = orphaned.run("reap-stale", "--apply", "--yes").expect(0)
    assert "younger" in young.stdout
    assert name_of(orphaned, "lost") in orphaned.containers(alpha)
    orphaned.run("reap-stale", "--apply", "--older-than", "0", "--yes").expect(0)
    (tomb,) = [name for name in orphaned.containers(alpha) if "lost" in name]
    assert ".tomb-" in tomb
    assert alpha.docker("inspect", "--format", "{{.State.Running}}", tomb).strip() == "false"
    orphaned.run("reap-stale", "--apply", "--older-than", "0", "--grace", "0", "--yes").expect(0)
    assert [name for name in orphaned.containers(alpha) if "lost" in name] == []
    assert name_of(orphaned, "kept") in orphaned.containers(alpha)


def test_row_66_with_no_grace_an_orphan_goes_in_one_run(orphaned: Driver, alpha: LabHost) -> None:
    orphaned.run("reap-stale", "--apply", "--older-than", "0", "--grace", "0", "--yes").expect(0)
    assert [name for name in orphaned.containers(alpha) if "lost" in name] == []


def test_nothing_else_of_the_fleet_is_touched_by_reaping(orphaned: Driver, alpha: LabHost) -> None:
    orphaned.declare_sandbox("new", host="alpha", observability="off", containers={"main": IDLE})
    alpha.docker("stop", "--time", "1", name_of(orphaned, "kept"))
    orphaned.run("reap-stale", "--apply", "--older-than", "0", "--grace", "0", "--yes").expect(0)
    assert alpha.docker("inspect", "--format", "{{.State.Running}}", name_of(orphaned, "kept")).strip() == "false"
    assert [name for name in orphaned.containers(alpha) if "new" in name or "lost" in name] == []


def test_every_removal_leaves_a_record_that_can_be_checked_again_offline(orphaned: Driver, alpha: LabHost) -> None:
    full_id = alpha.docker("inspect", "--format", "{{.Id}}", name_of(orphaned, "lost")).strip()
    orphaned.run("reap-stale", "--apply", "--older-than", "0", "--grace", "0", "--yes").expect(0)
    buried, removed = sorted((orphaned.status / "removals").glob("*.lost.json"))
    for record in (buried, removed):
        told = orphaned.run("reap-stale", "--verify", record).expect(0).stdout
        assert told.startswith("holds: sandbox/lost on alpha")
        assert full_id in record.read_text()
        assert record.stat().st_mode & 0o077 == 0
    forged = removed.with_name("forged.json")
    forged.write_text(removed.read_text().replace(full_id, "0" * 64))
    assert "does not hold" in orphaned.run("reap-stale", "--verify", forged).expect(1).stdout


def test_with_no_grace_in_the_fleet_either_an_orphan_goes_in_one_run(orphaned: Driver, alpha: LabHost) -> None:
    orphaned.declare_fleet(limits={"removalsPerPlan": "100%"}, reap={"grace": "0s", "olderThan": "0s"})
    orphaned.run("reap-stale", "--apply", "--yes").expect(0)
    assert [name for name in orphaned.containers(alpha) if "lost" in name] == []
    assert orphaned.run("reap-stale", "--apply", "--yes").expect(0).stdout.count("No changes") == 1
