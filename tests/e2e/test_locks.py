"""Let one pass at a time change a status folder, and one a host; say who is at it, since when."""

import shutil
import signal
from pathlib import Path

import pytest

from tests.e2e.driver import Driver, Running
from tests.e2e.sights import inspect, name_of, settle, until, web_sandbox
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab


def waiting_pass(fleet: Driver, host: LabHost) -> Running:
    """Start a pass over `slow` on `alpha`, and come back when it waits for `allow`, holding all its locks."""
    probe = {"allowed": {"exec": {"container": "main", "command": ["test", "-e", "/tmp/go"]}, "timeout": "60s"}}
    web_sandbox(fleet, "slow", "alpha", readiness=probe)
    running = fleet.start("apply", "--yes")
    slow = name_of(fleet, "slow")
    until(lambda: slow in fleet.containers(host) and inspect(host, slow)["State"]["Running"], what="the slow one")
    return running


def allow(fleet: Driver, host: LabHost) -> None:
    """Let a waiting pass go on."""
    host.docker("exec", name_of(fleet, "slow"), "touch", "/tmp/go")


def another_desk(fleet: Driver, folder: Path) -> Driver:
    """Give a colleague's copy of the same fleet: own status folder, same hosts."""
    other = Driver(folder, fleet=fleet.fleet)
    shutil.copytree(fleet.specs, other.specs, dirs_exist_ok=True)
    return other


def test_a_second_pass_is_told_who_holds_the_status_folder_or_waits(fleet: Driver, alpha: LabHost) -> None:
    first = waiting_pass(fleet, alpha)
    try:
        refused = fleet.run("apply", "--yes").expect(6)
        assert f"pid {first.process.pid}" in refused.stderr
        assert "since 20" in refused.stderr
        fleet.run("plan").expect(0)
        patient = fleet.start("apply", "--yes", "--lock-timeout", "60")
    finally:
        allow(fleet, alpha)
    first.wait().expect(0)
    patient.wait().expect(0)


def test_a_second_desk_is_told_who_holds_the_host_and_other_hosts_go_on(
    fleet: Driver, alpha: LabHost, tmp_path: Path
) -> None:
    first = waiting_pass(fleet, alpha)
    try:
        other = another_desk(fleet, tmp_path / "other")
        web_sandbox(other, "mine", "alpha")
        refused = other.run("apply", "mine", "--yes").expect(6)
        assert f"pid {first.process.pid}" in refused.stdout + refused.stderr
        web_sandbox(other, "yours", "beta")
        other.run("apply", "mine", "yours", "--yes").expect(3)
        assert name_of(fleet, "mine") not in fleet.containers(alpha)
    finally:
        allow(fleet, alpha)
    first.wait().expect(0)
    settle(other)


@pytest.mark.parametrize("desk", ["same", "other"])
def test_locks_die_with_a_killed_pass(fleet: Driver, alpha: LabHost, tmp_path: Path, desk: str) -> None:
    killed = waiting_pass(fleet, alpha)
    killed.signal(signal.SIGKILL)
    assert killed.wait().exit == -signal.SIGKILL
    allow(fleet, alpha)
    next_one = fleet if desk == "same" else another_desk(fleet, tmp_path / "other")
    settle(next_one, "--lock-timeout", "10")
