"""Remember what a pass that died may have made, from its journal alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.model.effect import Done, NotDone, Outcome, PullImage, Unknown
from reconciler.model.outcome import PassEnded
from reconciler.model.plan import Verb
from reconciler.model.status import Statuses
from reconciler.record.cut import remember_cut
from reconciler.record.fold import records_of
from reconciler.record.journal import Journal
from tests import builders as b

STEP = b.a_step(PullImage(b.IMAGE))


def run(folder: Path, pass_id: str, *outcomes: Outcome | None, verb: Verb = Verb.CREATE, ends: bool = False) -> None:
    """Keep a pass whose one effect was tried once for each outcome; None is a try that was cut."""
    folder.mkdir(exist_ok=True)
    plan = b.a_plan(b.an_action(STEP, verb=verb), pass_id=pass_id)
    journal = Journal.begin(folder, plan, now=lambda: b.T0)
    for outcome in outcomes:
        journal.before(STEP, b.HOST)
        if outcome is not None:
            journal.after(STEP, b.HOST, outcome)
    if ends:
        journal.finish(PassEnded(pass_id=pass_id, started_at=b.T0, finished_at=b.T0))
    journal.close()


def remembered(folder: Path, statuses: Statuses | None = None) -> list[tuple[str, str, bool]]:
    found = records_of(remember_cut(statuses or Statuses(), folder)).sandboxes
    return [(record.sandbox, record.host, record.complete) for record in found]


@pytest.mark.parametrize(
    ("outcomes", "may_be_there"),
    [
        ((), False),
        ((None,), True),
        ((Done(),), True),
        ((Unknown("lost"),), True),
        ((NotDone("E_NO", "no"),), False),
        ((NotDone("E_NO", "no"), None), True),
    ],
)
def test_what_may_be_there_is_remembered(
    tmp_path: Path, outcomes: tuple[Outcome | None, ...], *, may_be_there: bool
) -> None:
    run(tmp_path / "status", "p-1", *outcomes)
    assert remembered(tmp_path / "status") == ([(b.SANDBOX, b.HOST, False)] if may_be_there else [])


def test_the_status_that_it_begins_is_of_the_fleet_of_the_pass(tmp_path: Path) -> None:
    run(tmp_path / "status", "p-1", Done())
    found = remember_cut(Statuses(), tmp_path / "status").sandboxes[b.SANDBOX]
    assert (found.fleet, found.host) == (b.FLEET, b.HOST)


def test_a_pass_that_ended_is_told_by_the_status_files_alone(tmp_path: Path) -> None:
    run(tmp_path / "status", "p-1", Done(), ends=True)
    assert remembered(tmp_path / "status") == []


def test_every_pass_since_the_last_that_ended_counts(tmp_path: Path) -> None:
    run(tmp_path / "status", "p-1", Done())
    run(tmp_path / "status", "p-2")
    assert remembered(tmp_path / "status") == [(b.SANDBOX, b.HOST, False)]
    run(tmp_path / "status", "p-3", ends=True)
    assert remembered(tmp_path / "status") == []


def test_a_removal_begins_no_record(tmp_path: Path) -> None:
    run(tmp_path / "status", "p-1", Done(), verb=Verb.DESTROY)
    assert remembered(tmp_path / "status") == []


def test_a_record_that_is_kept_stays_as_it_is(tmp_path: Path) -> None:
    run(tmp_path / "status", "p-1", Done())
    once = remember_cut(Statuses(), tmp_path / "status")
    assert remember_cut(once, tmp_path / "status") == once


def test_a_damaged_plan_tells_nothing(tmp_path: Path) -> None:
    run(tmp_path / "status", "p-1", Done())
    (tmp_path / "status" / "passes" / "p-1" / "plan.json").write_text('{"format": "reconciler-plan/1", ')
    assert remembered(tmp_path / "status") == []


def test_nothing_was_ever_done(tmp_path: Path) -> None:
    assert remembered(tmp_path / "status") == []
