"""Run one pass as the command wires it, with what only a test may bring: moments to die at, and locks that are broken.

Moments are the product's own points (`apply.create_container.before_send`), and around them `walk.…` for what an
observer sees, `pass.…` and `status.…` for what the order of a pass is made of.
"""
# ruff: noqa: ARG002  # the observer's shape

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

import pytest

from reconciler.apply.ports import Interrupt, Observer
from reconciler.cli.doors import RealDoors
from reconciler.cli.ground import lay_ground, question_of
from reconciler.host import lock
from reconciler.model.observed import SeenLock
from reconciler.model.outcome import ActionEnded, StepEnded
from reconciler.model.plan import Action, Step
from reconciler.model.status import Statuses
from reconciler.observe import Sighting
from reconciler.passes import Answer, Passed, Planned, Setting, apply_pass
from reconciler.plan import Selection
from reconciler.record.store import StatusStore
from tests.e2e.driver import Driver

Reached = Callable[[str, str], None]
"""Called with the name of a moment, and the host it is about or ""."""


def nothing(_moment: str, _host: str) -> None:
    """Do nothing at any moment."""


BROKE = 70
"""The exit status of a forked pass that raised: never one that a test expects."""


class Moments(Observer):
    """Tell of every moment of a walk."""

    def __init__(self, reached: Reached) -> None:
        self._reached = reached

    def point(self, name: str, *, host: str, step: str) -> None:
        self._reached(name, host)

    def action_started(self, action: Action) -> None:
        self._reached("walk.action_started", action.host)

    def step_started(self, action: Action, step: Step) -> None:
        self._reached("walk.step_started", action.host)

    def step_ended(self, action: Action, ended: StepEnded) -> None:
        self._reached("walk.step_ended", action.host)

    def action_ended(self, action: Action, ended: ActionEnded) -> None:
        self._reached("walk.action_ended", action.host)


class _Store(StatusStore):
    """Tell of the moments around the writing of status files."""

    reached: Reached

    def save(self, statuses: Statuses) -> None:
        self.reached("status.before_save", "")
        super().save(statuses)
        self.reached("status.after_save", "")


async def apply_watched(
    driver: Driver,
    reached: Reached = nothing,
    *,
    lock_timeout_s: float = 20,
    owner: str = "a test",
    interrupt: Interrupt | None = None,
) -> Passed:
    """Apply everything without asking, and tell of each moment. Waits for a lock whose holder was just killed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(driver.home / ".cache"))
        ground = lay_ground(driver.specs, driver.status)
    question = question_of(ground, Selection())
    store = _Store(driver.status, fleet=ground.desired.fleet)
    store.reached = reached

    def agree(planned: Planned) -> Answer:
        reached("pass.planned", "")
        assert not planned.plan.refused, planned.plan.refused
        return Answer.NO if planned.plan.empty else Answer.YES

    setting = Setting(
        store=store,
        doors=RealDoors(ground.desired, secrets=question.request.secrets, now=ground.clock.now),
        clock=ground.clock,
        owner=owner,
        lock_timeout_s=lock_timeout_s,
        agree=agree,
        observer=Moments(reached),
        interrupt=interrupt or Interrupt(),
    )
    passed = await apply_pass(question, setting)
    reached("pass.ended", "")
    return passed


class Pass:
    """Hold a pass that runs in a process of its own, forked from this one: the modules are loaded already."""

    def __init__(self, driver: Driver, reached: Reached = nothing, *, owner: str = "a test") -> None:
        self.pid = os.fork()
        if self.pid == 0:
            _become(driver, reached, owner=owner)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Wait for its end: 0, or minus the signal that it died of. What it raised is an assertion of the caller."""
        _, ended = os.waitpid(self.pid, 0)
        status = os.waitstatus_to_exitcode(ended)
        assert status in (0, -signal.SIGKILL), f"the pass broke by itself, with {status}"
        return status


def _become(driver: Driver, reached: Reached, *, owner: str) -> NoReturn:
    status = BROKE
    try:
        asyncio.run(apply_watched(driver, reached, owner=owner))
        status = 0
    except BaseException:  # noqa: BLE001  # the last words of a process, as the interpreter would write them
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


Target = tuple[str, int]
"""A moment, or the beginning of its name, and at which of its occurrences to die."""


def killed_at(driver: Driver, moment: str, *, occurrence: int = 1) -> bool:
    """Run a pass that kills itself with SIGKILL when it comes to `moment` for the n-th time; tell whether it did."""
    return killed_at_first(driver, [(moment, occurrence)]) is not None


def killed_at_first(driver: Driver, targets: Sequence[Target]) -> Target | None:
    """Run a pass that kills itself with SIGKILL at the first of some moments; give the one at which it did."""
    left = [occurrence for _, occurrence in targets]
    reading, writing = os.pipe()

    def reached(name: str, _: str) -> None:
        for number, (moment, _occurrence) in enumerate(targets):
            left[number] -= name.startswith(moment)
            if left[number] == 0:
                os.write(writing, bytes([number]))
                os.kill(os.getpid(), signal.SIGKILL)

    with os.fdopen(reading, "rb") as said:
        died = Pass(driver, reached).wait() == -signal.SIGKILL
        os.close(writing)
        number = said.read()
    assert died == bool(number)
    return targets[number[0]] if died else None


class _Granted(lock.HostLease):
    """Stand in for the lease of a lock that is broken: it was granted to somebody else as well, and is never lost."""

    def __init__(self) -> None:
        """Hold nothing."""
        self.line = self.before = ""

    @property
    def lost(self) -> bool:
        return False

    async def release(self) -> None:
        return


@contextlib.contextmanager
def broken_host_locks() -> Iterator[None]:
    """Grant every host's lock to everybody, in this process and those that are forked meanwhile.

    Nobody sees either who had it since: all take turns that never were.
    """

    async def grant(*_: object, **__: object) -> lock.HostLease:
        return _Granted()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lock, "hold", grant)
        patch.setattr(Sighting, "locks", property(lambda _: defaultdict(SeenLock)))
        yield
