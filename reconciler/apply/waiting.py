"""Wait by the walk's own clock: for a while unless a person stops the pass, or for an answer that must come in time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from reconciler.apply.ports import Clock, Interrupt

T = TypeVar("T")


async def pause(clock: Clock, seconds: float, interrupt: Interrupt) -> None:
    """Let `seconds` pass, or fewer when somebody interrupts."""
    await _race(clock.sleep(seconds), interrupt.stopped())


async def within(clock: Clock, seconds: float, answer: Coroutine[Any, Any, T]) -> T:
    """Give what `answer` gives. Raises `TimeoutError` after `seconds`; then `answer` is cancelled."""
    work = asyncio.ensure_future(answer)
    await _race(work, clock.sleep(seconds))
    if work.cancelled():
        raise TimeoutError
    return work.result()


async def unless_cancelled(interrupt: Interrupt, answer: Coroutine[Any, Any, T], *, otherwise: T) -> T:
    """Give what `answer` gives, or `otherwise` once somebody has asked twice to stop; then `answer` is cancelled."""
    work = asyncio.ensure_future(answer)
    await _race(work, interrupt.cancelled())
    return otherwise if work.cancelled() else work.result()


async def until(clock: Clock, event: asyncio.Event, *, limit_s: float) -> None:
    """Wait for an event, at most for so long."""
    await _race(clock.sleep(limit_s), event.wait())


async def _race(*runners: Coroutine[Any, Any, Any] | asyncio.Future[Any]) -> None:
    tasks = [asyncio.ensure_future(runner) for runner in runners]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end_tasks(tasks)


async def end_tasks(tasks: Sequence[asyncio.Future[Any]]) -> None:
    """Cancel what still runs and wait until all of it has ended, so that nothing is left behind."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
