"""F-09 and F-27: engines that die and come back, and one that holds a name for nobody."""

from __future__ import annotations

import asyncio
import threading

import pytest

from reconciler.model.plan import Verb
from tests.e2e.driver import Driver
from tests.e2e.inside import plan_inside
from tests.e2e.sights import IDLE, condition, expect_settled, inspect, name_of, run_of, settle, status_of
from tests.integration.faults.entry import apply_watched
from tests.integration.faults.relay import Answer, Meddling, Request, relay
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab

NAMES = ("aa", "bb", "cc")


@pytest.fixture
def three(fleet: Driver) -> Driver:
    """Give a fleet of three sandboxes on `alpha`, settled."""
    fleet.drop("Host", "beta")
    for name in NAMES:
        fleet.declare_sandbox(name, host="alpha", observability="off", containers={"main": IDLE})
    settle(fleet)
    return fleet


def _change(fleet: Driver, *names: str) -> None:
    for name in names:
        new = {**IDLE, "env": {"NEW": "1"}}
        fleet.declare_sandbox(name, host="alpha", observability="off", containers={"main": new})


@pytest.mark.parametrize("moment", ["create_container", "stop_container", "start_container"])
async def test_f09_an_engine_killed_and_started_again_inside_a_pass_ends_where_it_should(
    three: Driver, alpha: LabHost, moment: str
) -> None:
    _change(three, *NAMES[:2])
    starting: list[threading.Thread] = []

    def reached(name: str, _: str) -> None:
        if name == f"apply.{moment}.before_send" and not starting:
            alpha.kill_dockerd()
            starting.append(threading.Thread(target=alpha.start_dockerd))
            starting[0].start()

    try:
        async with asyncio.timeout(120):
            await apply_watched(three, reached)
    finally:
        for thread in starting:
            await asyncio.to_thread(thread.join)
    assert starting
    await asyncio.to_thread(settle, three)
    assert set(three.containers(alpha)) == {name_of(three, name) for name in NAMES}
    for name in NAMES:
        assert inspect(alpha, name_of(three, name))["State"]["Running"] is True
        assert condition(three, name, "Ready") == "True/ProbesPassed"


def test_f09_an_engine_that_is_down_has_lost_nothing_and_what_it_ended_is_started_again(
    three: Driver, alpha: LabHost
) -> None:
    known = status_of(three, NAMES[0])
    alpha.kill_dockerd()
    try:
        planned = three.run("plan", "-o", "json").expect(3).json
        assert planned["actions"] == []
        assert {item["reason"] for item in planned["held_back"]} == {"HostUnreachable"}
        refused = three.run("apply", "--yes").expect(3)
        assert "does not answer" in refused.stdout
        assert condition(three, NAMES[0], "Ready") == "Unknown/HostUnreachable"
        told = status_of(three, NAMES[0])
        assert (told["stale"], told["sync"], told["instances"]) == (True, known["sync"], known["instances"])
    finally:
        alpha.start_dockerd()
    before = three.containers(alpha)
    assert set(before) == {name_of(three, name) for name in NAMES}
    verbs = {action.verb for action in asyncio.run(plan_inside(three)).actions}
    assert verbs <= {Verb.START}, "nothing is made anew"
    settle(three)
    assert three.containers(alpha) == before
    assert {inspect(alpha, full_id)["State"]["Running"] for full_id in before.values()} == {True}
    assert status_of(three, NAMES[0])["stale"] is False


def test_f09_an_upgrade_of_the_engine_touches_what_runs_no_more_than_its_restart_does(
    three: Driver, alpha: LabHost
) -> None:
    alpha.restart_dockerd()
    before = run_of(three, alpha)
    settle(three)
    assert {name: full_id for name, (full_id, _) in run_of(three, alpha).items()} == {
        name: full_id for name, (full_id, _) in before.items()
    }
    expect_settled(three)


class Phantom:
    """Stand in for an engine that has reserved a name and shows no container of it (moby#34270)."""

    def __init__(self) -> None:
        self.asked = 0
        self.until = 1_000

    def __call__(self, request: Request) -> Meddling | None:
        if request.kind != "POST /containers/create" or self.asked >= self.until:
            return None
        self.asked += 1
        said = 'Conflict. The container name \\"/x\\" is already in use by container \\"deadbeef\\".'
        return Answer(status=409, body=f'{{"message": "{said}"}}')


def test_f27_a_name_that_is_reserved_for_nobody_is_tried_a_few_times_and_then_said(
    fleet: Driver, alpha: LabHost
) -> None:
    fleet.drop("Host", "beta")
    phantom = Phantom()
    path = alpha.docker_socket.with_name("phantom.sock")
    with relay(path, alpha.docker_socket, meddle=phantom):
        fleet.declare_host(alpha, dockerSocket=str(path))
        fleet.declare_sandbox("one", host="alpha", observability="off", containers={"main": IDLE})
        failed = fleet.run("apply", "--yes", "--json").expect(1)
        (error,) = [line for line in failed.lines if line["type"] == "apply_errored"]
        assert error["code"] == "E_NAME_PHANTOM"
        assert "restart the engine" in error["hint"]
        assert phantom.asked == 3, "bounded"
        assert fleet.containers(alpha) == {}
        phantom.until = phantom.asked + 1
        fleet.run("apply", "--yes").expect(0)
        assert phantom.asked == 4, "a name that is let go in time is taken"
    fleet.declare_host(alpha)
    settle(fleet)
