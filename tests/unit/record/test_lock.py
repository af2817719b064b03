"""One process at a time writes a status folder, and its lock ends with it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.cli.clock import SystemClock
from reconciler.errors import Locked, StatusFolderError
from reconciler.passes import hold_status
from tests import builders as b
from tests.unit.record.test_store import ROOT, some, store_in

HOLDER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from reconciler.record.store import StatusStore
store = StatusStore(Path(sys.argv[1]))
with store.lock("anna@desk", now=datetime(2025, 6, 1, 12, tzinfo=UTC)):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_two_processes_cannot_hold_it_and_the_second_learns_who_does(tmp_path: Path) -> None:
    store = store_in(tmp_path / "status", some())
    with holder(tmp_path / "status") as first:
        with pytest.raises(Locked) as refused, store.lock("me", now=b.T0):
            pass
        assert refused.value.holder == "anna@desk"
        assert "2025-06-01 12:00:00" in refused.value.since
        assert refused.value.exit_status == 6
        first.kill()
        first.wait()
    with store.lock("me", now=b.T0):
        pass


async def test_a_waiter_gets_the_lock_when_the_holder_dies(tmp_path: Path) -> None:
    store = store_in(tmp_path / "status", some())
    with holder(tmp_path / "status") as first, contextlib.ExitStack() as stack:
        first.send_signal(signal.SIGKILL)
        await hold_status(stack, store, owner="me", timeout_s=30, clock=SystemClock())
        assert first.wait() == -signal.SIGKILL


def test_a_symlinked_lock_file_is_refused(tmp_path: Path) -> None:
    store = store_in(tmp_path / "status")
    (tmp_path / "status/.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StatusFolderError) as refused, store.lock("me", now=b.T0):
        pass
    assert refused.value.code == "E_LOCK_FILE"
    assert not (tmp_path / "elsewhere").exists()
