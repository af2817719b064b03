"""Say how often, and for how long, a thing is tried again. Everything is bounded in tries and in time.

A try that certainly failed for good is never repeated; see `reconciler.model.effect.NotDone.transient`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_result

from reconciler.apply.ports import Clock, Interrupt
from reconciler.apply.waiting import pause
from reconciler.model.effect import Effect, PullImage, RemoveContainer, StageTree

T = TypeVar("T")

NO_REPLY = "E_NO_REPLY"


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """Bound the tries of one thing: how many, in how long, and the pauses, which double from first to longest."""

    tries: int
    total_s: float
    first_s: float
    longest_s: float

    def pause_s(self, tried: int) -> float:
        """Give the pause after the `tried`-th try."""
        return min(self.first_s * 2.0 ** (tried - 1), self.longest_s)


# Most transient failures are a full queue or a restarting engine, over within seconds.
USUAL = Patience(tries=5, total_s=60, first_s=0.5, longest_s=8)
# A host that does not answer is soon left to the next pass: others may wait for its actions.
CONNECTION = Patience(tries=4, total_s=45, first_s=1, longest_s=8)
# A host lets go of a session that fell silent after half a minute.
OWN_SESSION = Patience(tries=12, total_s=45, first_s=1, longest_s=5)
# A look that settles a doubt is worth more tries than the rest: without it an outcome stays unknown.
LOOKING = Patience(tries=6, total_s=60, first_s=0.5, longest_s=10)
# A pull may run 15 minutes by itself, and a registry that limits its rate wants long pauses.
PULL = Patience(tries=3, total_s=20 * 60, first_s=5, longest_s=30)
# "Removal in progress" ends by itself, at the speed of the host's disk.
REMOVAL = Patience(tries=6, total_s=60, first_s=1, longest_s=15)
# Docker may hold the name of a container that is gone; it lets go soon, or not until the engine restarts.
PHANTOM = Patience(tries=3, total_s=30, first_s=1, longest_s=4)
# A full disk empties by hand, if at all: one more try, and no loop of pulls that fill it again.
DISK_FULL = Patience(tries=2, total_s=30, first_s=5, longest_s=5)


BY_CODE: dict[str, Patience] = {
    "E_NAME_PHANTOM": PHANTOM,
    "E_HOST_DISK": DISK_FULL,
}
CONNECTION_CODES = (NO_REPLY, "E_SSH_", "E_HOST_REFUSED", "E_HOST_RESOLVE", "E_HOST_TIMEOUT", "E_HOST_UNREACHABLE")


def patience_for(effect: Effect, code: str) -> Patience:
    """Choose the bounds for one effect that failed for the moment with this code."""
    if code in BY_CODE:
        return BY_CODE[code]
    if isinstance(effect, PullImage | StageTree):
        return PULL
    if code.startswith(CONNECTION_CODES):
        return CONNECTION
    return REMOVAL if isinstance(effect, RemoveContainer) else USUAL


async def persist(
    attempt: Callable[[], Awaitable[T]],
    *,
    again: Callable[[T], Patience | None],
    clock: Clock,
    interrupt: Interrupt,
) -> T:
    """Try until `again` says None of what came, or its bounds are reached; give what came last.

    An interrupt ends the pauses, and with them the tries.
    """
    started_s = clock.monotonic()
    last: list[T] = []

    def is_over(state: RetryCallState) -> bool:
        patience = bounds()
        elapsed_s = clock.monotonic() - started_s
        out_of_time = elapsed_s + patience.pause_s(state.attempt_number) >= patience.total_s
        return interrupt.stopping or state.attempt_number >= patience.tries or out_of_time

    def bounds() -> Patience:
        return again(last[0]) or USUAL

    async def once() -> T:
        if not (last and interrupt.stopping):
            last[:] = [await attempt()]
        return last[0]

    retrying = AsyncRetrying(
        retry=retry_if_result(lambda came: again(came) is not None),
        stop=is_over,
        wait=lambda state: bounds().pause_s(state.attempt_number),
        sleep=lambda seconds: pause(clock, seconds, interrupt),
        retry_error_callback=lambda _: last[0],
    )
    return await retrying(once)
