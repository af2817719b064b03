"""Run tasks in virtual time: when everybody waits, the clock jumps to the next timer; nobody ever sleeps for real."""

from __future__ import annotations

import asyncio
import contextvars
import random
import weakref
from asyncio import base_events
from collections import deque
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

SHUFFLED = 0.3
"""How often something else than the first in the queue runs first."""


class Deadlock(Exception):
    """Everybody waits, and nothing will ever happen."""


class _Jump:
    """Be a selector without files, which lets time jump instead of waiting."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Deadlock("everybody waits, and nothing will ever happen")
        self.now_s += timeout
        return []

    def close(self) -> None:
        """Hold nothing open."""


class _Queue(deque[Any]):
    """Hold what is ready, and now and then let something else than the first one go first."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self._dice = dice

    def popleft(self) -> Any:
        if len(self) > 1 and self._dice.random() < SHUFFLED:
            self.rotate(-self._dice.randrange(len(self)))
        return super().popleft()


class VirtualLoop(base_events.BaseEventLoop):
    """Run callbacks in an order that the dice choose, at times that jump. It has no files, signals or threads."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self._jump = _Jump()
        self._selector = self._jump
        self._clock_resolution = 1e-6
        self._ready = _Queue(dice)
        self.owners: weakref.WeakKeyDictionary[asyncio.Task[Any], object] = weakref.WeakKeyDictionary()

    def time(self) -> float:
        """Give the virtual time, in seconds since the loop was made."""
        return self._jump.now_s

    def remember_owners(self, owner: contextvars.ContextVar[Any]) -> None:
        """Note of every task from now on for whom it runs: what `owner` says when it is made."""

        def make(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **given: Any) -> Any:
            task = asyncio.Task(coroutine, loop=loop, **given)
            self.owners[task] = owner.get()
            return task

        self.set_task_factory(make)  # type: ignore[arg-type]  # typeshed wants a factory without keywords

    def _process_events(self, event_list: list[Any]) -> None:
        """There are no files, so nothing happens to them."""

    def _write_to_self(self) -> None:
        """Nobody has to be woken from another thread."""


def run_virtually(scene: Coroutine[Any, Any, T], *, dice: random.Random, owner: contextvars.ContextVar[Any]) -> T:
    """Run one scene to its end in virtual time; `owner` tells for whom a task is made.

    Raises:
        Deadlock: everybody waits for somebody else.
    """
    loop = VirtualLoop(dice)
    loop.remember_owners(owner)
    loop.set_exception_handler(lambda _loop, _context: None)
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(scene)
    finally:
        _end_everything(loop)
        asyncio.set_event_loop(None)
        loop.close()


def _end_everything(loop: VirtualLoop) -> None:
    """Cancel what still runs, so that a failed scene leaves nothing behind in the process."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
