"""Stop a pass by Ctrl-C or SIGTERM: what is in flight is finished, status is written, the next pass goes on."""

import json
import os
import pty
import signal
import subprocess

import pytest

from tests.e2e.driver import Driver, Running, command
from tests.e2e.sights import accepted, condition, inspect, name_of, settle, until
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab

DEAF = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]


def slow_end(fleet: Driver, *, grace: str) -> Running:
    """Start a pass that stops a container that does not listen, and come back while that is in flight."""
    deaf = {"image": "lab/busybox:1", "command": DEAF, "stopGrace": grace, "init": False}
    same = {"host": "alpha", "observability": "off"}
    fleet.declare_sandbox("deaf", **same, containers={"main": deaf})
    fleet.declare_sandbox("next", **same, containers={"main": {"image": "lab/web:1"}})
    settle(fleet)
    fleet.declare_sandbox("deaf", **same, containers={"main": {**deaf, "env": {"NEW": "1"}}})
    fleet.declare_sandbox(
        "next", **same, dependsOn=["deaf"], containers={"main": {"image": "lab/web:1", "env": {"NEW": "1"}}}
    )
    running = fleet.start("apply", "--yes", "--json")
    assert running.process.stdout is not None
    for line in running.process.stdout:
        said = json.loads(line)
        if said["type"] == "apply_progress" and said["@message"].startswith("stop the old"):
            return running
    raise AssertionError(f"it never stopped the old one: {running.wait()}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_once_the_step_in_flight_is_finished_and_status_written(
    fleet: Driver, alpha: LabHost, number: signal.Signals
) -> None:
    running = slow_end(fleet, grace="2s")
    old = inspect(alpha, name_of(fleet, "deaf"))["Id"]
    running.signal(number)
    ended = running.wait().expect(130)
    assert "stopping" in ended.stderr
    assert inspect(alpha, old)["State"]["Running"] is False, "the stop was finished"
    assert [line["end"] for line in ended.lines if line["type"] == "apply_errored"] == ["interrupted", "interrupted"]
    assert ended.lines[-1]["type"] == "status_written"
    assert condition(fleet, "deaf", "Reconciling") == "True/Interrupted"
    settle(fleet)
    assert len(fleet.containers(alpha)) == 2


def test_asked_twice_it_stops_at_once_and_the_next_pass_converges(fleet: Driver, alpha: LabHost) -> None:
    running = slow_end(fleet, grace="60s")
    old = inspect(alpha, name_of(fleet, "deaf"))["Id"]
    running.signal(signal.SIGINT)
    assert running.process.stderr is not None
    assert "stopping" in running.process.stderr.readline()
    running.signal(signal.SIGINT)
    running.wait(timeout_s=20).expect(130)
    # Docker goes on with a stop that it was told of; nobody waits for it here.
    alpha.docker("kill", old)
    settle(fleet)
    assert len(fleet.containers(alpha)) == 2


def test_a_question_is_answered_by_ctrl_c_too(fleet: Driver, alpha: LabHost) -> None:
    fleet.declare_sandbox("web", host="alpha", containers={"main": {"image": "lab/web:1"}})
    asked, shown = pty.openpty()
    process = subprocess.Popen(
        [*command(), "apply"], cwd=fleet.folder, env=fleet.env(), stdin=shown, stdout=shown, stderr=shown
    )
    os.close(shown)
    said = b""
    while b"[y/N]" not in said:
        said += os.read(asked, 4096)
    process.send_signal(signal.SIGINT)
    # An answer that nobody gives: without the signal the command would wait for ever.
    assert process.wait(timeout=10) == 130
    os.close(asked)
    assert fleet.containers(alpha) == {}
    assert fleet.run("apply").expect(5), "its locks are gone"


def test_a_look_at_a_host_that_hangs_is_ended_at_once(fleet: Driver, alpha: LabHost) -> None:
    fleet.declare_sandbox("web", host="alpha", containers={"main": {"image": "lab/web:1"}})
    alpha.pause_dockerd()
    try:
        before = accepted(alpha)
        running = fleet.start("apply", "--yes")
        until(lambda: accepted(alpha) > before, what="the command to reach the host")
        running.signal(signal.SIGINT)
        ended = running.wait(timeout_s=10).expect(130)
        assert "before anything was changed" in ended.stderr
    finally:
        alpha.resume_dockerd()
    assert fleet.containers(alpha) == {}
