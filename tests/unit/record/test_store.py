from __future__ import annotations

import json
import os
import random
import signal
import stat
import subprocess
import sys
from pathlib import Path

import jsonschema
import msgspec
import pytest
from msgspec.structs import replace

from reconciler.errors import StatusFolderError
from reconciler.model.observed import Observed
from reconciler.model.plan import Bucket, Matched
from reconciler.model.status import Statuses
from reconciler.record.fold import fold, records_of
from reconciler.record.schema import schemas
from reconciler.record.store import StatusStore
from tests import builders as b
from tests.lab.packages import tools
from tests.unit.record.test_fold import made

ROOT = Path(__file__).parents[3]
SAMPLE_SEED = 20250601
_ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


def some() -> Statuses:
    looked = Observed(hosts={"h1": b.a_reachable(b.a_settled_view(b.a_sandbox()), snapshot=b.a_snapshot())})
    match = Matched(sandbox="web-1", host="h1", bucket=Bucket.MATCHING, generation=1, run=b.RUN)
    return fold(made(), b.a_plan(matched=(match,)), looked, None, b.T0)


def store_in(folder: Path, statuses: Statuses | None = None, *, fleet: str | None = b.FLEET) -> StatusStore:
    store = StatusStore(folder, fleet=fleet)
    store.open()
    if statuses is not None:
        with store.lock("a test", now=b.T0):
            store.save(statuses)
    return store


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def entries(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    store_in(tmp_path / "status", some())
    loaded = StatusStore(tmp_path / "status", fleet=b.FLEET).load(now=b.T0)
    assert loaded.statuses == some()
    assert loaded.warnings == ()
    assert len(records_of(loaded.statuses).sandboxes) == 1


def test_no_folder_is_no_status(tmp_path: Path) -> None:
    assert StatusStore(tmp_path / "none").load(now=b.T0).statuses == Statuses()
    assert not (tmp_path / "none").exists()


def test_files_are_laid_out_for_people(tmp_path: Path) -> None:
    store_in(tmp_path / "status", some())
    files = files_of(tmp_path / "status")
    assert sorted(files) == ["fleet.json", "hosts/h1.json", "sandboxes/web-1.json"]
    for raw in files.values():
        pretty = json.dumps(json.loads(raw), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        assert raw.decode() == pretty


def test_files_are_valid_against_their_schemas(tmp_path: Path) -> None:
    store_in(tmp_path / "status", some())
    known = {name: json.loads(raw) for name, raw in schemas().items()}
    schema_of = {"fleet.json": "status-fleet.json", "hosts/h1.json": "status-host.json"}
    for name, raw in files_of(tmp_path / "status").items():
        jsonschema.validate(json.loads(raw), known[schema_of.get(name, "status-sandbox.json")])
    plan = json.loads(msgspec.json.encode(b.a_plan(b.an_action())))
    jsonschema.validate(plan, known["plan.json"])


def test_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store_in(tmp_path / "status", some())
    finally:
        os.umask(before)
    for path in [tmp_path / "status", *(tmp_path / "status").rglob("*")]:
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.lstat().st_mode) == wanted, path


def test_unchanged_files_are_not_written_again(tmp_path: Path) -> None:
    store = store_in(tmp_path / "status", some())
    before = {name: (tmp_path / "status" / name).stat().st_ino for name in files_of(tmp_path / "status")}
    with store.lock("a test", now=b.T0):
        statuses = store.load(now=b.T0).statuses
        assert statuses.fleet is not None
        store.save(replace(statuses, fleet=replace(statuses.fleet, updated_at=b.later(hours=1))))
    after = {name: (tmp_path / "status" / name).stat().st_ino for name in before}
    assert {name for name in before if before[name] != after[name]} == {"fleet.json"}


def test_files_go_with_what_they_were_about_and_others_stay(tmp_path: Path) -> None:
    store = store_in(tmp_path / "status", some())
    (tmp_path / "status/sandboxes/notes.txt").write_text("mine")
    with store.lock("a test", now=b.T0):
        store.save(replace(store.load(now=b.T0).statuses, sandboxes={}))
    assert sorted(files_of(tmp_path / "status")) == ["fleet.json", "hosts/h1.json", "sandboxes/notes.txt"]


def test_leftovers_of_a_killed_writer_are_swept(tmp_path: Path) -> None:
    store = store_in(tmp_path / "status", some())
    (tmp_path / "status/sandboxes/.new-0123456789abcdef").write_text("half")
    with store.lock("a test", now=b.T0):
        assert "sandboxes/.new-0123456789abcdef" not in files_of(tmp_path / "status")


def test_a_symlinked_file_is_neither_followed_nor_written_through(tmp_path: Path) -> None:
    store = store_in(tmp_path / "status", some())
    target = tmp_path / "precious.json"
    path = tmp_path / "status/sandboxes/web-1.json"
    path.rename(target)
    path.symlink_to(target)
    kept = target.read_bytes()
    with store.lock("a test", now=b.T0):
        loaded = store.load(now=b.T0)
        assert loaded.statuses.sandboxes == {}
        assert "no regular file" in loaded.warnings[0]
        store.save(some())
    assert target.read_bytes() == kept
    assert not path.is_symlink()


@pytest.mark.parametrize("kind", ["symlink", "file", "group", "world", "fifo"])
def test_a_folder_that_cannot_be_trusted_is_refused(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "status"
    if kind == "symlink":
        (tmp_path / "real").mkdir()
        folder.symlink_to(tmp_path / "real")
    elif kind == "file":
        folder.write_text("")
    elif kind == "fifo":
        os.mkfifo(folder)
    else:
        folder.mkdir()
        folder.chmod(0o770 if kind == "group" else 0o707)
    with pytest.raises(StatusFolderError) as refused:
        StatusStore(folder).open()
    assert refused.value.hint
    assert refused.value.exit_status == 1


@pytest.mark.parametrize("path", ["/", "//", "/.", "/etc/.."])
def test_the_root_of_the_file_system_is_refused(path: str) -> None:
    with pytest.raises(StatusFolderError, match="root of the file system"):
        StatusStore(Path(path)).open()


@_ROOT_ONLY
def test_somebody_elses_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "status").mkdir(mode=0o700)
    os.chown(tmp_path / "status", 12345, 12345)
    with pytest.raises(StatusFolderError, match="belongs to uid 12345"):
        StatusStore(tmp_path / "status").open()


def test_a_missing_parent_is_said(tmp_path: Path) -> None:
    with pytest.raises(StatusFolderError, match="cannot be used"):
        StatusStore(tmp_path / "a" / "b").open()


def test_another_fleets_folder_is_refused(tmp_path: Path) -> None:
    store_in(tmp_path / "status", some())
    other = StatusStore(tmp_path / "status", fleet="other")
    for refused in (other.open, lambda: other.load(now=b.T0)):
        with pytest.raises(StatusFolderError, match="belongs to fleet lab") as error:
            refused()
        assert error.value.code == "E_STATUS_FLEET"
        assert "--status" in (error.value.hint or "")


FILES = ("fleet.json", "sandboxes/web-1.json", "hosts/h1.json")


def refused_untouched(folder: Path, *, fleet: str | None, code: str) -> None:
    """Check that nobody takes the folder, with its lock or without, and that nothing in it is another for that."""
    kept = files_of(folder)
    store = StatusStore(folder, fleet=fleet)
    with pytest.raises(StatusFolderError) as unlocked:
        store.load(now=b.T0)
    with store.lock("a test", now=b.T0), pytest.raises(StatusFolderError) as locked:
        store.load(now=b.T0)
    assert unlocked.value.code == locked.value.code == code
    assert files_of(folder) == kept


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("fleet", [b.FLEET, None])
def test_one_file_of_another_fleet_is_enough_to_touch_none(tmp_path: Path, name: str, fleet: str | None) -> None:
    folder = tmp_path / "status"
    store_in(folder, some())
    said = json.loads((folder / name).read_bytes())
    (folder / name).write_text(json.dumps({**said, "fleet": "other"}))
    # What comes first is damaged besides, and stays where it is all the same.
    (folder / "sandboxes/a-1.json").write_text("{")
    refused_untouched(folder, fleet=fleet, code="E_STATUS_FLEET")


def test_without_its_summary_another_fleets_folder_is_still_refused(tmp_path: Path) -> None:
    folder = tmp_path / "status"
    store_in(folder, some())
    (folder / "fleet.json").write_text("{")
    refused_untouched(folder, fleet="other", code="E_STATUS_FLEET")


@pytest.mark.parametrize("name", FILES)
def test_a_newer_format_is_refused_and_left_as_it_is(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "status"
    store_in(folder, some())
    (folder / name).write_bytes((folder / name).read_bytes().replace(b"-status/1", b"-status/2"))
    (folder / "sandboxes/a-1.json").write_text("{")
    refused_untouched(folder, fleet=b.FLEET, code="E_STATUS_NEWER")


def test_whose_folder_it_is_is_known_without_its_summary(tmp_path: Path) -> None:
    store_in(tmp_path / "status", some())
    (tmp_path / "status/fleet.json").unlink()
    assert StatusStore(tmp_path / "status").load(now=b.T0).fleet == b.FLEET


@pytest.mark.parametrize("kind", ["file", "symlink", "dangling"])
def test_what_is_no_folder_is_not_taken_for_an_empty_one(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "status"
    if kind == "file":
        folder.write_text("")
    else:
        folder.symlink_to(tmp_path / ("none" if kind == "dangling" else "."))
    with pytest.raises(StatusFolderError, match="cannot be opened"):
        StatusStore(folder).load(now=b.T0)


def test_five_hundred_damaged_files_are_moved_aside_or_read_whole(tmp_path: Path) -> None:
    dice = random.Random(SAMPLE_SEED)  # noqa: S311 - a seeded sample of damage, no secret
    store = store_in(tmp_path / "status", some())
    whole = files_of(tmp_path / "status")
    moved = 0
    with store.lock("a test", now=b.T0):
        for at in range(500):
            name = dice.choice(sorted(whole))
            path = tmp_path / "status" / name
            path.write_bytes(damaged(whole[name], dice))
            try:
                loaded = store.load(now=b.later(seconds=at))
            except StatusFolderError as refused:
                assert "fleet" in refused.message or "newer" in refused.message  # noqa: PT017 - either is right here
            else:
                moved += len(loaded.warnings)
                assert path.exists() != bool(loaded.warnings), name
                store.save(loaded.statuses)
            for aside in (tmp_path / "status").rglob("*.corrupt-*"):
                aside.unlink()
            path.write_bytes(whole[name])
            store.save(store.load(now=b.T0).statuses)
    assert moved > 400
    assert store.load(now=b.T0).statuses == some()


def damaged(raw: bytes, dice: random.Random) -> bytes:
    broken = bytearray(raw)
    match dice.randrange(4):
        case 0:
            for _ in range(dice.randint(1, 40)):
                at = dice.randrange(len(broken))
                broken[at] ^= 1 << dice.randrange(8)
        case 1:
            del broken[dice.randrange(len(broken) - 2) :]
        case 2:
            start = dice.randrange(len(broken))
            broken[start : start + 64] = b"\0" * len(broken[start : start + 64])
        case _:
            broken = bytearray(dice.choice([b"", b"[]", b"null", b"{}", b'"x"', b"\xff\xfe", b"[" * 100_000]))
    return bytes(broken)


def test_a_reader_without_the_lock_moves_nothing(tmp_path: Path) -> None:
    store = store_in(tmp_path / "status", some())
    path = tmp_path / "status/sandboxes/web-1.json"
    path.write_bytes(b"{")
    with store.lock("a pass", now=b.T0):
        loaded = StatusStore(tmp_path / "status").load(now=b.T0)
    assert "left out" in loaded.warnings[0]
    assert path.exists()


def test_a_mere_reader_leaves_no_trace(tmp_path: Path) -> None:
    store_in(tmp_path / "status", some())
    lock = tmp_path / "status/.lock"
    lock.unlink()
    assert StatusStore(tmp_path / "status").load(now=b.T0).statuses == some()
    assert not lock.exists()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["cut", "link", "folder", pytest.param("somebody else's", marks=_ROOT_ONLY), "none"])
def test_only_a_pass_moves_damage_aside(tmp_path: Path, name: str, damage: str) -> None:
    store = store_in(tmp_path / "status", some())
    path = tmp_path / "status" / name
    whole = path.read_bytes()
    match damage:
        case "cut":
            path.write_bytes(whole[:40])
        case "link":
            path.rename(tmp_path / "precious.json")
            path.symlink_to(tmp_path / "precious.json")
        case "folder":
            path.unlink()
            path.mkdir()
        case "somebody else's":
            os.chown(path, 12345, 12345)
        case _:
            path.write_bytes(b"{}")
    before = entries(tmp_path / "status")
    loaded = StatusStore(tmp_path / "status").load(now=b.T0)
    assert "left out" in loaded.warnings[0]
    assert entries(tmp_path / "status") == before

    with store.lock("a test", now=b.T0):
        moved = store.load(now=b.T0)
    aside = f"{path.name}.corrupt-20250601T120000"
    assert f"moved to {aside}" in moved.warnings[0]
    assert entries(tmp_path / "status") == before - {name} | {str(Path(name).with_name(aside))}
    assert StatusStore(tmp_path / "status").load(now=b.T0).warnings == ()


def test_nothing_is_written_without_the_lock(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="without its lock"):
        store_in(tmp_path / "status").save(some())


WRITER = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from msgspec.structs import replace
from reconciler.record.store import StatusStore
store = StatusStore(Path(sys.argv[1]))
now = datetime(2025, 6, 1, 12, tzinfo=UTC)
with store.lock("a writer", now=now):
    statuses = store.load(now=now).statuses
    print("writing", flush=True)
    for turn in range(1, 1_000_000):
        stamp = now + timedelta(seconds=turn)
        store.save(replace(
            statuses,
            fleet=replace(statuses.fleet, updated_at=stamp),
            sandboxes={name: replace(one, observed_at=stamp) for name, one in statuses.sandboxes.items()},
        ))
        print(turn, flush=True)
"""


def test_a_writer_that_is_killed_leaves_every_file_whole(tmp_path: Path) -> None:
    folder = tmp_path / "status"
    statuses = some()
    one = statuses.sandboxes["web-1"]
    many = {
        f"web-{at}": replace(one, name=f"web-{at}", records=tuple(replace(r, sandbox=f"web-{at}") for r in one.records))
        for at in range(8)
    }
    store = store_in(folder, replace(statuses, sandboxes=many))
    for turn in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            for _ in range(2 + turn):
                assert writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
        with store.lock("a test", now=b.T0):
            loaded = store.load(now=b.T0)
        assert loaded.warnings == ()
        assert set(loaded.statuses.sandboxes) == set(many)
        assert not list(folder.rglob(".new-*"))


STRACE = ("-f", "-qq", "-e", "trace=fsync", "-e", "inject=fsync:error=EIO", "-o", "/dev/null")
FLUSHER = """
import sys
from pathlib import Path
from msgspec.structs import replace
from reconciler.errors import StatusFolderError
from reconciler.record.store import StatusStore
from tests import builders as b
store = StatusStore(Path(sys.argv[1]), fleet=b.FLEET)
with store.lock("a test", now=b.T0):
    statuses = store.load(now=b.T0).statuses
    changed = {name: replace(one, stale=True) for name, one in statuses.sandboxes.items()}
    try:
        store.save(replace(statuses, sandboxes=changed))
        print("saved")
    except StatusFolderError as error:
        print(error.code)
"""


@pytest.mark.lab
def test_a_flush_that_fails_is_an_error_and_the_old_file_stays(tmp_path: Path) -> None:
    store_in(tmp_path / "status", some())
    before = files_of(tmp_path / "status")
    done = subprocess.run(
        [tools().find("strace"), *STRACE, sys.executable, "-c", FLUSHER, str(tmp_path / "status")],
        cwd=ROOT,
        env={**os.environ, **tools().env, "PATH": tools().path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["E_STATUS_WRITE"]
    assert files_of(tmp_path / "status") == before
