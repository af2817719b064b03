from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from reconciler.errors import StatusFolderError
from reconciler.model.effect import Done, NotDone, PullImage, Unknown
from reconciler.model.outcome import PassEnded
from reconciler.record.journal import PASSES_KEPT, RESERVE_BYTES, Journal, pass_ids, read_lines
from tests import builders as b

ROOT = Path(__file__).parents[3]
STEP = b.a_step(PullImage(b.IMAGE))
P1 = "p-00000001"


def now() -> datetime:
    return b.T0


def begun(folder: Path, pass_id: str = P1) -> Journal:
    return Journal.begin(folder, b.a_plan(b.an_action(STEP), pass_id=pass_id), now=now)


def test_each_effect_has_a_line_before_and_after(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    journal.before(STEP, "h1")
    assert [line.moment for line in read_lines(tmp_path, P1)] == ["before"]
    journal.after(STEP, "h1", Done("x" * 64))
    journal.after(STEP, "h1", NotDone("E_NO", "no"))
    journal.after(STEP, "h1", Unknown("lost"))
    journal.finish(PassEnded(pass_id=P1, started_at=b.T0, finished_at=b.T0))
    journal.close()
    journal.close()
    lines = list(read_lines(tmp_path, P1))
    assert [line.outcome for line in lines] == [None, "done", "not_done", "unknown"]
    assert (lines[1].value, lines[2].code, lines[3].message) == ("x" * 64, "E_NO", "lost")
    folder = tmp_path / "passes" / P1
    assert sorted(path.name for path in folder.iterdir()) == ["events.jsonl", "outcomes.json", "plan.json"]
    assert json.loads((folder / "plan.json").read_bytes())["pass_id"] == P1
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_room_is_held_back_while_a_pass_runs(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    held = (tmp_path / ".reserve").stat()
    assert held.st_size == RESERVE_BYTES
    assert held.st_blocks * 512 >= RESERVE_BYTES
    journal.close()
    assert not (tmp_path / ".reserve").exists()


def test_a_line_cut_short_hides_no_other(tmp_path: Path) -> None:
    journal = begun(tmp_path)
    journal.before(STEP, "h1")
    journal.close()
    with (tmp_path / "passes" / P1 / "events.jsonl").open("ab") as file:
        file.write(b'{"at":"2025-')
    assert [line.moment for line in read_lines(tmp_path, P1)] == ["before"]


def test_the_newest_fifty_passes_are_kept(tmp_path: Path) -> None:
    for at in range(PASSES_KEPT + 5):
        begun(tmp_path, f"p-{at:03}").close()
        os.utime(tmp_path / "passes" / f"p-{at:03}", ns=(at, at))
    kept = pass_ids(tmp_path)
    assert len(kept) == PASSES_KEPT
    assert (kept[0], kept[-1]) == (f"p-{PASSES_KEPT + 4:03}", "p-005")


@pytest.mark.parametrize("pass_id", ["", "..", "a/b", ".hidden", "x" * 81, "a\n"])
def test_a_pass_cannot_be_named_like_a_path(tmp_path: Path, pass_id: str) -> None:
    with pytest.raises(StatusFolderError, match="cannot name a pass"):
        begun(tmp_path, pass_id)


def test_a_pass_that_cannot_be_written_down_does_not_begin(tmp_path: Path) -> None:
    (tmp_path / "passes").write_text("in the way")
    with pytest.raises(StatusFolderError, match="nothing was changed"):
        begun(tmp_path)
    assert not (tmp_path / ".reserve").exists()


FULL = """
import sys
from pathlib import Path
from reconciler.errors import StatusFolderError
from reconciler.model.effect import Done
from tests.unit.record.test_journal import STEP, begun
folder = Path(sys.argv[1])
mode = sys.argv[2]
try:
    journal = begun(folder)
    filler = open(folder / "filler", "wb", buffering=0)
    if mode == "running":
        try:
            while True:
                filler.write(b"x" * 65536)
        except OSError:
            pass
        try:
            while True:
                filler.write(b"x")
        except OSError:
            pass
        for _ in range(200):
            journal.after(STEP, "h1", Done("y" * 64))
    print("no error")
except StatusFolderError as error:
    print(error.code, (folder / ".reserve").exists(), (folder / "passes").exists())
"""


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={request.param},mode=0700", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    assert mounted.returncode == 0, "this test needs a real full disk: run it as root, where tmpfs can be mounted"
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.lab
@pytest.mark.parametrize(("small_disk", "mode"), [("1m", "starting"), ("12m", "running")], indirect=["small_disk"])
def test_a_full_disk_stops_a_pass_with_its_own_code(small_disk: Path, mode: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(small_disk), mode], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["E_DISK_CTRL", "False", "True"]
    if mode == "running":
        lines = list(read_lines(small_disk, P1))
        assert lines[-1].value == "y" * 64
        assert len({line.moment for line in lines}) == 1


SAVE = """
import sys
from pathlib import Path
from msgspec.structs import replace
from reconciler.errors import StatusFolderError
from reconciler.record.store import StatusStore
from tests import builders as b
from tests.unit.record.test_store import files_of, some
folder = Path(sys.argv[1])
store = StatusStore(folder, fleet=b.FLEET)
store.open()
with store.lock("a test", now=b.T0):
    store.save(some())
    with open(folder / "filler", "wb", buffering=0) as filler:
        try:
            while True:
                filler.write(b"x" * 4096)
        except OSError:
            pass
    before = files_of(folder)
    one = some().sandboxes["web-1"]
    try:
        store.save(replace(some(), sandboxes={"web-1": replace(one, stale=True)}))
        print("no error")
    except StatusFolderError as error:
        print(error.code, files_of(folder) == before)
"""


@pytest.mark.lab
@pytest.mark.parametrize("small_disk", ["1m"], indirect=True)
def test_a_full_disk_leaves_every_status_file_as_it_was(small_disk: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SAVE, str(small_disk)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["E_DISK_CTRL", "True"]
