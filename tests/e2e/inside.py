"""Run passes inside this process, wired as the command wires them, with an observer of the test's own.

The way to die at a named point, to see every point, and to cut a line while an effect is on its way.
"""

import asyncio
import os
import signal
from collections.abc import Callable

import pytest

from reconciler.apply.ports import Interrupt, Observer
from reconciler.cli.doors import RealDoors
from reconciler.cli.ground import Ground, lay_ground, question_of
from reconciler.model.plan import Plan
from reconciler.passes import Answer, PassAsked, Passed, Planned, Setting, apply_pass, plan_pass
from reconciler.plan import Selection
from tests.e2e.driver import Driver


class Points(Observer):
    """Call `reached` at each named point of each effect."""

    def __init__(self, reached: Callable[[str], None]) -> None:
        self._reached = reached

    def point(self, name: str, *, host: str, step: str) -> None:  # noqa: ARG002 - the observer's shape
        """Pass the point's name on."""
        self._reached(name)


async def apply_inside(driver: Driver, observer: Observer | None = None) -> Passed:
    """Apply everything without asking."""
    ground, question = _ask(driver)
    return await apply_pass(question, _setting(ground, question, observer or Observer()))


async def plan_inside(driver: Driver) -> Plan:
    """Plan, and give the plan."""
    ground, question = _ask(driver)
    doors = RealDoors(ground.desired, secrets=question.request.secrets, now=ground.clock.now)
    return (await plan_pass(question, store=ground.store, doors=doors, clock=ground.clock)).plan


def die_inside(driver: Driver, point: str) -> bool:
    """Apply in a process that kills itself with SIGKILL at the first `point`; tell whether it came to that."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            asyncio.run(apply_inside(driver, Points(lambda name: _die() if name == point else None)))
            status = 0
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    assert ended in (0, signal.SIGKILL), f"the pass broke by itself on the way to {point}"
    return ended == signal.SIGKILL


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _ask(driver: Driver) -> tuple[Ground, PassAsked]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(driver.home / ".cache"))
        ground = lay_ground(driver.specs, driver.status)
    return ground, question_of(ground, Selection())


def _setting(ground: Ground, question: PassAsked, observer: Observer) -> Setting:
    def agree(planned: Planned) -> Answer:
        assert not planned.plan.refused
        return Answer.NO if planned.plan.empty else Answer.YES

    return Setting(
        store=ground.store,
        doors=RealDoors(ground.desired, secrets=question.request.secrets, now=ground.clock.now),
        clock=ground.clock,
        owner="a test",
        lock_timeout_s=10,
        agree=agree,
        observer=observer,
        interrupt=Interrupt(),
    )
