"""Sample one host for all of its actions at once, beside the effects and never in their way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from reconciler.apply.measure import read_samples
from reconciler.apply.ports import Clock
from reconciler.apply.waiting import end_tasks, until, within
from reconciler.errors import HostError
from reconciler.host.interface import Reader
from reconciler.model.delta import Reading
from reconciler.model.snapshot import HostSnapshot

# Three make a median that one outlier does not move.
SAMPLES = 3
# From the start of one sample to the start of the next; a sample itself takes about 200 ms for its rates.
SPACING_S = 0.15
# While actions still change the host there is no rest to measure, and sampling would only take from their share.
BUSY_SPACING_S = 0.7
# A host that was sampled so lately need not be sampled again for a "before".
FRESH_S = 1.0
# A look at the counters takes milliseconds; a host that needs seconds for it is not worth waiting for.
SAMPLE_LIMIT_S = 5.0


class Window:
    """Collect the samples around one moment, which reach from `from_s` to `until_s` by the clock's `monotonic`."""

    def __init__(self, *, opened_s: float, joins: bool) -> None:
        self.from_s = opened_s
        self.until_s = opened_s
        self.joins = joins
        self.samples: list[HostSnapshot] = []
        self.fault = "it was not measured in time"
        self._cut = False

    def cut(self) -> None:
        """Want no more than what is there, or than the one sample under way: from now on the host changes."""
        self._cut = True

    @property
    def is_full(self) -> bool:
        """Tell whether it wants no more samples."""
        return len(self.samples) >= (1 if self._cut else SAMPLES)

    @property
    def reading(self) -> Reading | str:
        """Sum the samples up, or say why there are none."""
        return read_samples(tuple(self.samples)) if self.samples else self.fault


class Sampler:
    """Sample one host while any window is open; every sample counts for all of them."""

    def __init__(self, host: Reader, clock: Clock, *, is_busy: Callable[[], bool]) -> None:
        self._host = host
        self._clock = clock
        self._is_busy = is_busy
        self._hurried = asyncio.Event()
        self._last: tuple[float, float, HostSnapshot] | None = None
        self._open: list[Window] = []
        self._task: asyncio.Task[None] | None = None

    def before(self) -> Window:
        """Open a window on the host as it is now; a sample under way counts, and so does one just taken."""
        now_s = self._clock.monotonic()
        window = Window(opened_s=now_s, joins=True)
        if self._last is not None and now_s - self._last[1] <= FRESH_S:
            window.from_s, _, taken = self._last
            window.samples.append(taken)
        return self._watch(window)

    def after(self) -> Window:
        """Open a window on what comes from now on."""
        return self._watch(Window(opened_s=self._clock.monotonic(), joins=False))

    def _watch(self, window: Window) -> Window:
        self._open.append(window)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._sample_on())
        return window

    async def _sample_on(self) -> None:
        while self._close_full():
            started_s = self._clock.monotonic()
            known = tuple(self._open)
            taken = await self._sample()
            ended_s = self._clock.monotonic()
            if not isinstance(taken, str):
                self._last = (started_s, ended_s, taken)
            for window in tuple(self._open):
                if window.joins or window in known:
                    window.from_s = min(window.from_s, started_s)
                    window.until_s = ended_s
                    self._give(window, taken)
            if self._close_full():
                await self._rest(started_s + SPACING_S - ended_s)

    async def _rest(self, spacing_s: float) -> None:
        """Wait before the next sample: longer while the host is changed, but for as long as nobody hurries."""
        if self._is_busy():
            await until(self._clock, self._hurried, limit_s=BUSY_SPACING_S)
        else:
            await self._clock.sleep(max(0.0, spacing_s))

    async def _sample(self) -> HostSnapshot | str:
        try:
            return await within(self._clock, SAMPLE_LIMIT_S, self._host.facts((), now=self._clock.now, with_gpus=False))
        except HostError as error:
            return error.message
        except TimeoutError:
            return f"the host's counters did not come within {SAMPLE_LIMIT_S:g} s"

    def _give(self, window: Window, taken: HostSnapshot | str) -> None:
        if isinstance(taken, str):
            window.fault = taken
            self._open.remove(window)
        else:
            window.samples.append(taken)

    def _close_full(self) -> bool:
        self._open = [window for window in self._open if not window.is_full]
        return bool(self._open)

    async def finish(self, *, limit_s: float) -> None:
        """Wait until every window is complete, at most `limit_s`, and end."""
        self._hurried.set()
        task = self._task
        if task is None:
            return
        try:
            await within(self._clock, limit_s, _until_done(task))
        except TimeoutError:
            return  # windows without samples say that they were not measured in time
        task.result()

    async def close(self) -> None:
        """End at once."""
        if self._task is not None:
            await end_tasks([self._task])


async def _until_done(task: asyncio.Task[None]) -> None:
    await asyncio.wait({task})
