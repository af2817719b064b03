"""F-33 and F-35: a controller that is told to stop, whose terminal goes, or that may have little of anything."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import random
import signal
from typing import Any

import pytest

from reconciler.apply.ports import Interrupt
from tests.e2e.driver import TRACEBACK, Driver, Ran, Running
from tests.e2e.sights import DEAF, IDLE, accepted, condition, expect_settled, inspect, name_of, settle, until
from tests.integration.faults.entry import apply_watched
from tests.integration.faults.reference import OTHER, Reference
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab

DESCRIPTORS = 64
NAMES = ("aa", "bb", "cc")
KINDS = ("put_marker", "put_file", "create_container", "stop_container", "remove_container", "start_container")


# F-33: told to stop --------------------------------------------------------------------------------------------------


def declare_slow_end(fleet: Driver, *, grace: str) -> None:
    """Settle a container that does not listen and another, and declare new ones in their place, one after the other."""
    deaf = {**DEAF, "stopGrace": grace}
    same = {"host": "alpha", "observability": "off"}
    fleet.declare_sandbox("deaf", **same, containers={"main": deaf})
    fleet.declare_sandbox("next", **same, containers={"main": {"image": "lab/web:1"}})
    settle(fleet)
    fleet.declare_sandbox("deaf", **same, containers={"main": {**deaf, "env": {"NEW": "1"}}})
    fleet.declare_sandbox(
        "next", **same, dependsOn=["deaf"], containers={"main": {"image": "lab/web:1", "env": {"NEW": "1"}}}
    )


def slow_end(fleet: Driver, *, grace: str) -> Running:
    """Start a pass that stops a container that does not listen, and come back while that is in flight."""
    declare_slow_end(fleet, grace=grace)
    running = fleet.start("apply", "--yes", "--json")
    running.until_progress("stop the old")
    return running


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_f33_asked_once_the_step_in_flight_is_finished_and_status_written(
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


def test_f33_asked_twice_it_stops_at_once_and_the_next_pass_converges(fleet: Driver, alpha: LabHost) -> None:
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


def test_f33_of_a_pass_that_was_killed_status_tells_what_nobody_knows_until_the_next_has_looked(
    fleet: Driver, alpha: LabHost
) -> None:
    running = slow_end(fleet, grace="60s")
    old = inspect(alpha, name_of(fleet, "deaf"))["Id"]

    def told() -> Any:
        return fleet.run("status", "-o", "json").expect(0).json["unfinished_pass"]

    until(lambda: "unknown" in {action["state"] for action in told()["actions"]}, what="the stop to be on its way")
    now = told()
    assert (now["state"], now["unreadable"]) == ("running", [])
    assert f"pid {running.process.pid}" in now["by"]
    assert "A pass is running" in fleet.run("status").expect(0).stdout
    running.signal(signal.SIGKILL)
    running.wait()

    cut = told()
    assert (cut["state"], cut["id"], cut["by"]) == ("cut", now["id"], now["by"])
    states = {action["address"]: action["state"] for action in cut["actions"]}
    assert states == {"sandbox/deaf": "unknown", "sandbox/next": "not_done"}
    page = fleet.run("status").expect(0).stdout
    assert page.startswith("A pass was cut short")
    assert "nobody knows whether this happened: stop the old" in page
    assert "run `reconcile apply` again: it looks first" in page

    # Docker goes on with a stop that it was told of; nobody waits for it here.
    alpha.docker("kill", old)
    settle(fleet)
    assert told() is None


def test_f33_a_question_is_answered_by_ctrl_c_too(fleet: Driver, alpha: LabHost) -> None:
    fleet.declare_sandbox("web", host="alpha", containers={"main": {"image": "lab/web:1"}})
    with fleet.dialog("apply") as dialog:
        dialog.read_until("[y/N]")
        dialog.process.send_signal(signal.SIGINT)
        # An answer that nobody gives: without the signal the command would wait for ever.
        assert dialog.wait(timeout_s=10) == 130
    assert fleet.containers(alpha) == {}
    assert fleet.run("apply").expect(5), "its locks are gone"


def test_f33_a_look_at_a_host_that_hangs_is_ended_at_once(fleet: Driver, alpha: LabHost) -> None:
    fleet.declare_sandbox("web", host="alpha", containers={"main": {"image": "lab/web:1"}})
    alpha.pause_dockerd()
    try:
        before = accepted(alpha)
        running = fleet.start("apply", "--yes")
        until(lambda: accepted(alpha) > before, what="the command to reach the host")
        running.signal(signal.SIGINT)
        ended = running.wait(timeout_s=20).expect(130)
        assert "before anything was changed" in ended.stderr
    finally:
        alpha.resume_dockerd()
    assert fleet.containers(alpha) == {}


def test_f33_a_terminal_that_is_closed_ends_a_pass_as_ctrl_c_does(fleet: Driver, alpha: LabHost) -> None:
    declare_slow_end(fleet, grace="2s")
    old = inspect(alpha, name_of(fleet, "deaf"))["Id"]
    with fleet.dialog("apply", "--yes", owned=True) as dialog:
        dialog.read_until("stop the old")
        dialog.hang_up()
        assert dialog.wait(timeout_s=60) == 130
    assert inspect(alpha, old)["State"]["Running"] is False, "the stop was finished"
    assert condition(fleet, "deaf", "Reconciling") == "True/Interrupted"
    settle(fleet)
    assert len(fleet.containers(alpha)) == 2


def test_f33_a_pass_whose_reader_goes_away_goes_on_to_its_end(fleet: Driver, alpha: LabHost) -> None:
    for name in NAMES:
        fleet.declare_sandbox(name, host="alpha", observability="off", containers={"main": IDLE})
    ran = fleet.run_in_shell('set -o pipefail; "$@" | head -1', "apply", "--yes", "--json").expect(0, 1)
    assert json.loads(ran.stdout)["type"] == "version"
    assert set(fleet.containers(alpha)) == {name_of(fleet, name) for name in NAMES}
    expect_settled(fleet)


def test_f33_asked_to_stop_at_any_kind_of_moment_the_next_pass_ends_where_an_unbroken_one_would(
    driver: Driver, stocked_hosts: tuple[LabHost, LabHost]
) -> None:
    fleet = Reference(driver, stocked_hosts)
    ends: dict[str, object] = {}
    for state in ("one", "two", "one"):
        fleet.declare(state)
        fleet.apply()
        end = fleet.end()
        assert ends.setdefault(state, end) == end
    dice = random.Random(1)  # noqa: S311  # a seeded choice, no secret
    for kind in KINDS:
        moment = f"apply.{kind}.{dice.choice(('before_send', 'after_effect', 'after_journal'))}"
        interrupt = Interrupt()

        def press(name: str, _: str, moment: str = moment, interrupt: Interrupt = interrupt) -> None:
            if name == moment:
                interrupt.press()

        fleet.declare(OTHER[fleet.state])
        fleet.forget_data()
        ended = asyncio.run(apply_watched(driver, press, interrupt=interrupt)).ended
        assert ended is not None
        assert ended.interrupted, kind
        fleet.apply()
        assert fleet.end() == ends[fleet.state], kind


# F-35: little of everything ------------------------------------------------------------------------------------------


def with_descriptors(driver: Driver, count: int, *words: str) -> Ran:
    """Run a command that may have so many open files."""
    return driver.run_in_shell(f'ulimit -n {count} && exec "$@"', *words)


def test_f35_with_few_descriptors_a_fleet_still_converges(fleet: Driver, alpha: LabHost, beta: LabHost) -> None:
    for number in range(16):
        name = "alpha" if number % 2 else "beta"
        fleet.declare_sandbox(f"s-{number}", host=name, observability="off", containers={"main": IDLE})
    with_descriptors(fleet, DESCRIPTORS, "apply", "--yes").expect(0)
    assert len(fleet.containers(alpha)) == len(fleet.containers(beta)) == 8
    expect_settled(fleet)


def test_f35_with_few_descriptors_many_hosts_that_do_not_answer_cost_nobody_else(fleet: Driver, alpha: LabHost) -> None:
    _declare_many(fleet, alpha, count=200)
    ran = with_descriptors(fleet, DESCRIPTORS, "apply", "--yes").expect(3)
    assert "200 hosts unknown" in ran.stdout
    assert set(fleet.containers(alpha)) == {name_of(fleet, "one")}


def test_f35_too_few_descriptors_for_anything_is_said_and_no_bug(fleet: Driver, alpha: LabHost) -> None:
    fleet.declare_sandbox("one", host="alpha", observability="off", containers={"main": IDLE})
    for count in (8, 12, 16, 24):
        ran = with_descriptors(fleet, count, "apply", "--yes")
        assert ran.exit in (0, 1, 3), ran
        assert TRACEBACK not in ran.stdout + ran.stderr, (count, ran.stderr)
        assert "this is a bug" not in ran.stderr, (count, ran.stderr)
    settle(fleet)


def _declare_many(fleet: Driver, alpha: LabHost, *, count: int) -> None:
    """Declare so many hosts at a port of this machine where nobody listens, and one sandbox on one that does answer."""
    fleet.drop("Host", "beta")
    for number in range(count):
        # A key of its own, as every machine has: its kind, and 32 bytes.
        kind = b"\0\0\0\x0bssh-ed25519\0\0\0 "
        key = base64.b64encode(kind + hashlib.sha256(str(number).encode()).digest()).decode()
        ssh = {
            "user": "ops",
            "port": number + 1,
            "hostKey": f"ssh-ed25519 {key}",
            "identityFile": str(alpha.identity_file),
        }
        fleet.declare("Host", f"dead-{number:03}", {"address": "127.0.0.1", "ssh": ssh, "baseDir": "/srv/none/base"})
    fleet.declare_sandbox("one", host="alpha", observability="off", containers={"main": IDLE})
