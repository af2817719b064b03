"""Questions on a terminal: ended by a signal without noise, and asked anew when what was shown has changed."""

import signal
from pathlib import Path

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import IDLE, name_of, settle, until
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab

NOISE = ("Unclosed", "Task was destroyed", "never retrieved", "Traceback", "Exception ignored")


def at_engine(host: LabHost) -> int:
    """Count the connections to a host's engine, also those that it has not taken yet."""
    return Path("/proc/net/unix").read_text().count(str(host.docker_socket))


@pytest.mark.parametrize("numbers", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGINT, signal.SIGINT]], ids=str)
def test_a_question_that_a_signal_ends_leaves_no_noise(
    fleet: Driver, alpha: LabHost, numbers: list[signal.Signals]
) -> None:
    fleet.declare_sandbox("web", host="alpha", containers={"main": IDLE})
    with fleet.dialog("apply") as dialog:
        dialog.read_until("[y/N]: ")
        for number in numbers:
            dialog.process.send_signal(number)
        after = dialog.rest()
        assert dialog.wait(timeout_s=10) == 130
    assert [word for word in NOISE if word in after] == []
    assert "stopped before anything was changed" in after
    assert fleet.containers(alpha) == {}


@pytest.mark.parametrize("words", [["plan"], ["apply", "--yes"]], ids=" ".join)
def test_a_look_that_is_interrupted_leaves_no_noise(
    fleet: Driver, alpha: LabHost, beta: LabHost, words: list[str]
) -> None:
    fleet.declare_sandbox("web", host="alpha", containers={"main": IDLE})
    alpha.pause_dockerd()
    try:
        before = [at_engine(host) for host in (alpha, beta)]
        running = fleet.start(*words)
        # One host hangs, and the other has been asked: its connections are kept for what may come.
        until(
            lambda: all(at_engine(host) > count for host, count in zip((alpha, beta), before, strict=True)),
            what="the command to reach both engines",
        )
        running.signal(signal.SIGINT)
        ended = running.wait(timeout_s=20).expect(130)
    finally:
        alpha.resume_dockerd()
    assert [word for word in NOISE if word in ended.stderr] == []
    assert len(ended.stderr.splitlines()) == 1


def test_a_plan_that_is_stale_when_it_is_agreed_to_was_not_saved(fleet: Driver, alpha: LabHost) -> None:
    fleet.declare_sandbox("web", host="alpha", containers={"main": IDLE})
    settle(fleet)
    fleet.declare_sandbox("web", host="alpha", containers={"main": {**IDLE, "env": {"NEW": "1"}}})
    with fleet.dialog("apply") as dialog:
        dialog.read_until("[y/N]: ")
        alpha.docker("rm", "-f", name_of(fleet, "web"))
        dialog.answer("y")
        after = dialog.rest()
        assert dialog.wait(timeout_s=60) == 4
    assert "[E_PLAN_STALE]" in after
    assert "saved" not in after
    assert "while it was read" in after
    assert "the new file" not in after


@pytest.mark.parametrize("words", [["apply", "--yes"], ["apply", "--yes", "--json"]], ids=" ".join)
def test_a_damaged_status_file_that_is_moved_aside_is_said(fleet: Driver, alpha: LabHost, words: list[str]) -> None:
    fleet.declare_sandbox("web", host="alpha", containers={"main": IDLE})
    settle(fleet)
    assert fleet.containers(alpha)
    (fleet.status / "sandboxes/web.json").write_text("{")
    ran = fleet.run(*words).expect(0)
    assert ran.stderr.count("is damaged and was moved to web.json.corrupt-") == 1
