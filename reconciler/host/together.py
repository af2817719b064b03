"""Run reads side by side, and turn what becomes of a failed group into the one error that callers know."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from reconciler.errors import HostError, ReadFailed
from reconciler.host.foreign import DockerRefused

T = TypeVar("T")
U = TypeVar("U")


def as_read_failure(refused: DockerRefused) -> ReadFailed:
    """Turn the engine's refusal to answer a read into a failed read."""
    return ReadFailed(refused.message, code=refused.code, hint=refused.hint, transient=refused.transient)


async def together(calls: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Run reads side by side; the first that fails ends the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except ExceptionGroup as failed:
        raise first_failure(failed) from failed
    return [task.result() for task in tasks]


async def both(one: Coroutine[Any, Any, T], other: Coroutine[Any, Any, U]) -> tuple[T, U]:
    """Run two reads side by side; the first that fails ends the other."""
    try:
        async with asyncio.TaskGroup() as group:
            first, second = group.create_task(one), group.create_task(other)
    except ExceptionGroup as failed:
        raise first_failure(failed) from failed
    return first.result(), second.result()


def first_failure(failed: ExceptionGroup[Exception]) -> Exception:
    """Pick what a group of failed reads comes to: a bug before all else, then whatever failed first."""
    flat: list[Exception] = []
    waiting: list[Exception] = list(failed.exceptions)
    while waiting:
        error = waiting.pop(0)
        if isinstance(error, ExceptionGroup):
            waiting = [*error.exceptions, *waiting]
        else:
            flat.append(error)
    chosen = next((error for error in flat if not isinstance(error, HostError)), flat[0])
    return as_read_failure(chosen) if isinstance(chosen, DockerRefused) else chosen
