"""F-32 and pain 21: a container that cannot be removed. The engine's refusals are a stand-in's; all else is real."""

from __future__ import annotations

import asyncio

import pytest

from reconciler.apply.patience import REMOVAL
from reconciler.apply.ports import Interrupt, Observer
from reconciler.cli.clock import SystemClock
from reconciler.cli.doors import RealDoors
from reconciler.cli.ground import lay_ground, question_of
from reconciler.passes import Answer, Passed, Setting, apply_pass
from reconciler.plan import Selection
from tests.e2e.driver import Driver
from tests.e2e.sights import IDLE, condition, expect_settled, name_of, settle
from tests.integration.faults.relay import Answer as Said
from tests.integration.faults.relay import Meddling, Request, relay
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab

IN_PROGRESS = (409, "removal of container x is already in progress")
BUSY = (500, 'driver \\"overlay2\\" failed to remove root filesystem: device or resource busy')


class Stuck:
    """Stand in for an engine that does not get one container removed, as in moby#22260 and moby#27381."""

    def __init__(self, full_id: str, *, status: int, words: str) -> None:
        self.asked = 0
        self.until = 1_000
        self._path = f"/containers/{full_id}"
        self._said = Said(status=status, body=f'{{"message": "{words}"}}')

    def __call__(self, request: Request) -> Meddling | None:
        is_it = request.method == "DELETE" and request.path.partition("?")[0] == self._path
        if not is_it or self.asked >= self.until:
            return None
        self.asked += 1
        return self._said


class Hasty(SystemClock):
    """Be a clock on which every pause is over at once; the pauses that were asked for are kept."""

    def __init__(self) -> None:
        self.pauses_s: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses_s.append(seconds)
        await super().sleep(0)


async def apply_hastily(driver: Driver, clock: SystemClock) -> Passed:
    """Apply everything without asking, on a clock of the test's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(driver.home / ".cache"))
        ground = lay_ground(driver.specs, driver.status)
    setting = Setting(
        store=ground.store,
        doors=RealDoors(ground.desired, secrets={}, now=clock.now),
        clock=clock,
        owner="a test",
        lock_timeout_s=20,
        agree=lambda planned: Answer.NO if planned.plan.empty else Answer.YES,
        observer=Observer(),
        interrupt=Interrupt(),
    )
    return await apply_pass(question_of(ground, Selection()), setting)


@pytest.mark.parametrize(("status", "words"), [IN_PROGRESS, BUSY])
def test_f32_a_container_that_cannot_be_removed_is_tried_in_bounds_and_stops_nobody_else(
    fleet: Driver, alpha: LabHost, status: int, words: str
) -> None:
    fleet.drop("Host", "beta")
    fleet.declare_fleet(limits={"removalsPerPlan": "100%"})
    for name in ("stuck", "fine", "stays"):
        fleet.declare_sandbox(name, host="alpha", observability="off", containers={"main": IDLE})
    settle(fleet)
    full_id = fleet.containers(alpha)[name_of(fleet, "stuck")]
    for name in ("stuck", "fine"):
        fleet.drop("Sandbox", name)
    engine = Stuck(full_id, status=status, words=words)
    path = alpha.docker_socket.with_name("stuck.sock")
    clock = Hasty()
    with relay(path, alpha.docker_socket, meddle=engine):
        fleet.declare_host(alpha, dockerSocket=str(path))
        passed = asyncio.run(apply_hastily(fleet, clock))
        assert passed.ended is not None
        ends = {item.id: (item.end, item.code) for item in passed.ended.actions}
        assert ends == {"alpha/fine": ("done", ""), "alpha/stuck": ("failed", "E_STUCK")}
        assert engine.asked == REMOVAL.tries, "in bounds"
        waits_s = iter(clock.pauses_s)
        pauses_s = [REMOVAL.pause_s(tried) for tried in range(1, REMOVAL.tries)]
        assert pauses_s == [1, 2, 4, 8, 15]
        assert all(span_s in waits_s for span_s in pauses_s), "with longer and longer pauses"
        assert condition(fleet, "stuck", "Reconciling") == "True/Stuck"
        assert set(fleet.containers(alpha)) == {name_of(fleet, "stuck"), name_of(fleet, "stays")}
        assert fleet.containers(alpha)[name_of(fleet, "stuck")] == full_id, "nothing was forced"
        engine.until = engine.asked + 1
        asyncio.run(apply_hastily(fleet, clock))
        assert engine.asked == REMOVAL.tries + 1, "the next pass goes on, and needs no help once the engine lets go"
    fleet.declare_host(alpha)
    assert set(fleet.containers(alpha)) == {name_of(fleet, "stays")}
    expect_settled(fleet)
