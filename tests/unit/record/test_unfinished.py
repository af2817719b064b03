"""Tell what is known of a pass that was killed or that runs, and nothing once a later one has ended."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from reconciler.disk.whole import open_folder
from reconciler.errors import StatusFolderError
from reconciler.model.effect import Done, NotDone, Outcome, PullImage, Unknown
from reconciler.model.outcome import PassEnded
from reconciler.model.plan import Measure, Step
from reconciler.model.unfinished import ActionState, UnfinishedPass
from reconciler.record.journal import Journal
from reconciler.record.lock import hold
from reconciler.record.unfinished import find_unfinished
from tests import builders as b
from tests.unit.record.test_store import ROOT

ONE, TWO = (b.a_step(PullImage(b.IMAGE), id=f"{b.HOST}/{b.SANDBOX}#0{n}", title=f"change {n}") for n in (1, 2))
UNDO = b.a_step(PullImage(b.IMAGE), id=f"{b.HOST}/{b.SANDBOX}/undo-1", title="take it back")
MEASURING = Step(id=f"{b.HOST}/{b.SANDBOX}#00", do=Measure("before"), title="measure")
ENDED = PassEnded(pass_id="p-1", started_at=b.T0, finished_at=b.T0)
Try = tuple[Step, Outcome | None]


def begun(folder: Path, pass_id: str = "p-1") -> Journal:
    """Begin a pass of one action with two changes."""
    plan = b.a_plan(b.an_action(MEASURING, ONE, TWO), pass_id=pass_id)
    return Journal.begin(folder, plan, now=lambda: b.T0)


def cut(folder: Path, *tries: Try, pass_id: str = "p-1") -> Path:
    """Keep a pass that made these tries and was cut; a try without an outcome was never answered."""
    journal = begun(folder, pass_id)
    for step, outcome in tries:
        journal.before(step, b.HOST)
        if outcome is not None:
            journal.after(step, b.HOST, outcome)
    journal.close()
    return folder / "passes" / pass_id


def found(folder: Path, *, looked_at: datetime | None = None) -> UnfinishedPass:
    one = find_unfinished(folder, looked_at=looked_at)
    assert one is not None
    return one


@pytest.mark.parametrize(
    ("tries", "state", "done", "unknown"),
    [
        ((), "not_done", 0, ()),
        (((ONE, NotDone("E_NO", "no")),), "not_done", 0, ()),
        (((ONE, Done()), (TWO, Done())), "done", 2, ()),
        (((ONE, Unknown("lost")), (ONE, Done()), (TWO, Done())), "done", 2, ()),
        (((ONE, Done()),), "begun", 1, ()),
        (((ONE, Done()), (TWO, NotDone("E_NO", "no"))), "begun", 1, ()),
        (((ONE, Done()), (TWO, Done()), (UNDO, Done())), "begun", 2, ()),
        (((ONE, Done()), (TWO, None)), "unknown", 1, ("change 2",)),
        (((ONE, Unknown("lost")),), "unknown", 0, ("change 1",)),
        (((ONE, None), (ONE, NotDone("E_NO", "no"))), "unknown", 0, ("change 1",)),
        (((ONE, Done()), (UNDO, None)), "unknown", 1, ("take it back",)),
    ],
)
def test_how_far_an_action_came(
    tmp_path: Path, tries: tuple[Try, ...], state: ActionState, done: int, unknown: tuple[str, ...]
) -> None:
    cut(tmp_path, *tries)
    one = found(tmp_path)
    assert (one.state, one.id, one.fleet, one.unreadable) == ("cut", "p-1", b.FLEET, ())
    (action,) = one.actions
    assert (action.state, action.changes, action.changes_done, action.unknown) == (state, 2, done, unknown)


def test_a_pass_that_ended_is_not_told_of(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    journal.finish(ENDED)
    journal.close()
    assert find_unfinished(tmp_path, looked_at=None) is None
    assert find_unfinished(tmp_path / "none", looked_at=None) is None


def test_a_later_pass_says_more(tmp_path: Path) -> None:
    cut(tmp_path, (ONE, Done()))
    began = found(tmp_path).began_at
    assert find_unfinished(tmp_path, looked_at=began - timedelta(days=1)) is not None
    assert find_unfinished(tmp_path, looked_at=began + timedelta(seconds=1)) is None, "one that found nothing to do"
    journal = begun(tmp_path, "p-2")
    journal.finish(ENDED)
    journal.close()
    assert find_unfinished(tmp_path, looked_at=None) is None


def test_a_saved_plan_that_is_applied_again_is_told_of_again(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    journal.finish(ENDED)
    journal.close()
    cut(tmp_path, (ONE, None))
    assert found(tmp_path).actions[0].state == "unknown"


def test_a_pass_that_was_not_yet_written_down_did_nothing(tmp_path: Path) -> None:
    cut(tmp_path, (ONE, Done()))
    (tmp_path / "passes/p-2").mkdir()
    assert found(tmp_path).id == "p-1"


RUNNING = """
import os, sys
from pathlib import Path
from tests.unit.record.test_unfinished import ONE, begun
journal = begun(Path(sys.argv[1]))
journal.before(ONE, "h1")
print("begun", flush=True)
sys.stdin.read()
"""


def test_one_that_runs_is_told_from_one_that_was_killed(tmp_path: Path) -> None:
    words = [sys.executable, "-c", RUNNING, str(tmp_path)]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        assert [found(tmp_path).state for _ in range(2)] == ["running", "running"]
        process.kill()
        process.wait()
    assert found(tmp_path).state == "cut"


def test_who_ran_it_is_said_unless_somebody_came_since(tmp_path: Path) -> None:
    root = open_folder(str(tmp_path))
    with hold(root, owner="anna@desk pid 7", now=b.T0, name="status"):
        cut(tmp_path)
    assert found(tmp_path).by == "anna@desk pid 7"
    later = found(tmp_path).began_at + timedelta(seconds=1)
    with hold(root, owner="ben@desk pid 8", now=later, name="status"):
        assert found(tmp_path).by == ""


def _gone(path: Path) -> None:
    path.unlink()


def _linked(path: Path) -> None:
    path.rename(path.with_name("aside"))
    path.symlink_to("aside")


def _damaged(path: Path) -> None:
    path.write_bytes(b'{"half\n' + path.read_bytes())


@pytest.mark.parametrize("spoil", [_gone, _linked, _damaged])
def test_a_journal_that_cannot_be_read_is_said_and_says_nothing_of_what_was_done(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(cut(tmp_path, (ONE, Done()), (TWO, Done())) / "events.jsonl")
    one = found(tmp_path)
    assert any("its journal " in why for why in one.unreadable)
    assert [action.state for action in one.actions] == ["unknown"]
    assert one.actions[0].unknown == ("change 1", "change 2")


@pytest.mark.parametrize("spoil", [_gone, _linked, _damaged])
def test_a_plan_that_cannot_be_read_is_said(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    spoil(cut(tmp_path, (ONE, Done())) / "plan.json")
    one = found(tmp_path)
    assert (one.state, one.fleet, one.actions) == ("cut", None, ())
    assert "its plan cannot be read" in one.unreadable[0]


def test_whether_one_runs_is_not_guessed(tmp_path: Path) -> None:
    events = cut(tmp_path) / "events.jsonl"
    _linked(events)
    assert found(tmp_path).state == "unknown"


def test_a_line_that_was_cut_short_was_never_acted_upon(tmp_path: Path) -> None:
    events = cut(tmp_path, (ONE, Done())) / "events.jsonl"
    with events.open("ab") as file:
        file.write(b'{"at":"2025-')
    one = found(tmp_path)
    assert (one.unreadable, one.actions[0].state) == ((), "begun")


def test_a_folder_of_passes_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    cut(tmp_path)
    (tmp_path / "passes").rename(tmp_path / "elsewhere")
    (tmp_path / "passes").symlink_to("elsewhere")
    with pytest.raises(StatusFolderError, match="cannot be read"):
        find_unfinished(tmp_path, looked_at=None)
