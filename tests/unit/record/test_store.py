from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import jsonschema
import msgspec
import pytest
from msgspec.structs import replace

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
FILES = ("fleet.json", "sandboxes/web-1.json", "hosts/h1.json")


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


def test_a_mere_reader_leaves_no_trace(tmp_path: Path) -> None:
    store_in(tmp_path / "status", some())
    lock = tmp_path / "status/.lock"
    lock.unlink()
    assert StatusStore(tmp_path / "status").load(now=b.T0).statuses == some()
    assert not lock.exists()


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
