"""Wait until a probe passes, cannot pass any more, or its time is up."""

from __future__ import annotations

import msgspec

from reconciler.apply.ports import Clock, Interrupt
from reconciler.apply.waiting import pause, within
from reconciler.errors import HostError
from reconciler.host.interface import Reader
from reconciler.model.plan import Await
from reconciler.model.probe import ProbeFailed, ProbePassed, ProbeResult

# The first asks come quickly, since most things are ready at once; then the pauses grow to the probe's own interval.
FIRST_PAUSE_S = 0.02
# What is left of a deadline when it counts as over: below it, pausing no longer moves a clock made of floats.
CLOSE_S = 0.001
# A probe that is asked just before its deadline still gets its answer, within this.
ASK_LIMIT_S = 10.0


class NotReady(msgspec.Struct, frozen=True):
    """Say why a probe did not pass. `told` is False when the host could not be asked, so that nobody knows."""

    why: str
    told: bool = True


class Stopped(msgspec.Struct, frozen=True):
    """Say that a person ended the waiting."""


class Waited(msgspec.Struct, frozen=True):
    """Say how a waiting ended, and how often the probe was asked."""

    answer: ProbePassed | NotReady | Stopped
    asked: int


async def wait_ready(do: Await, *, host: Reader, since_s: float, clock: Clock, interrupt: Interrupt) -> Waited:
    """Ask `do.probe` until the answer is final.

    Args:
        do: whom to ask what; asked at least once, and in time counted from `since_s`.
        host: where to ask.
        since_s: when the waiting of the sandbox began, by the clock's `monotonic`.
        clock: the walk's.
        interrupt: ends the waiting between two asks.
    """
    deadline_s = since_s + do.probe.timeout_s
    pause_s = min(FIRST_PAUSE_S, do.probe.interval_s)
    asked = 0
    while not interrupt.stopping:
        asked += 1
        answer = await _ask(do, host, clock)
        if isinstance(answer, ProbePassed):
            return Waited(answer, asked)
        if isinstance(answer, ProbeFailed):
            return Waited(NotReady(answer.why), asked)
        left_s = deadline_s - clock.monotonic()
        if left_s < CLOSE_S:
            late = f"not ready after {do.probe.timeout_s:g} s: "
            if isinstance(answer, HostError):
                return Waited(NotReady(late + answer.message, told=False), asked)
            return Waited(NotReady(late + answer.why), asked)
        await pause(clock, min(pause_s, left_s), interrupt)
        pause_s = min(pause_s * 2, do.probe.interval_s)
    return Waited(Stopped(), asked)


async def _ask(do: Await, host: Reader, clock: Clock) -> ProbeResult | HostError:
    try:
        return await within(clock, ASK_LIMIT_S, host.probe(do.probe, do.name))
    except HostError as error:
        return error
    except TimeoutError:
        return HostError(f"host {host.name} did not answer within {ASK_LIMIT_S:g} s", code="E_HOST_TIMEOUT")
