"""Sample one host for all of its actions at once, beside the effects and never in their way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from reconciler.apply.measure import read_samples
from reconciler.apply.ports import Clock
from reconciler.apply.waiting import end_tasks, until, within
from reconciler.apply.weighing import Scales
from reconciler.errors import HostError
from reconciler.host.interface import Reader
from reconciler.model.delta import Reading
from reconciler.model.snapshot import HostSnapshot

# Three make a median that one outlier does not move. As many may be under way at once, for a host that is slow.
SAMPLES = 3
# From the start of one sample to the start of the next. One takes about 200 ms for its rates, so that they overlap.
SPACING_S = 0.1
# While actions still change the host there is no rest to measure, and sampling would only take from their share.
BUSY_SPACING_S = 0.9
# A host that was sampled so lately need not be sampled again for a "before".
FRESH_S = 1.0
# A look at the counters takes milliseconds; a host that needs seconds for it is not worth waiting for.
SAMPLE_LIMIT_S = 5.0


class Sampled(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one sample, and from when to when it was taken."""

    from_s: float
    until_s: float
    snapshot: HostSnapshot


class Window:
    """Collect the samples around one moment, which reach from `from_s` to `until_s` by the clock's `monotonic`."""

    def __init__(self, *, opened_s: float) -> None:
        self.from_s = opened_s
        self.until_s = opened_s
        self.samples: list[HostSnapshot] = []
        self._fault = ""
        self._coming = 0
        self._cut = False

    def cut(self) -> None:
        """Want no more than what is there, or than one sample under way: from now on the host changes."""
        self._cut = True

    def expect(self) -> None:
        """Know that a sample under way counts for it."""
        self._coming += 1

    def add(self, taken: Sampled) -> None:
        """Take a sample."""
        self.from_s, self.until_s = min(self.from_s, taken.from_s), max(self.until_s, taken.until_s)
        self.samples.append(taken.snapshot)

    def receive(self, taken: Sampled | str) -> None:
        """Take what a sample under way came to. After a fault it wants no more."""
        self._coming -= 1
        if isinstance(taken, Sampled):
            self.add(taken)
        else:
            self._fault = taken

    @property
    def is_full(self) -> bool:
        """Tell whether it wants no more samples than are there or under way."""
        return bool(self._fault) or len(self.samples) + self._coming >= (1 if self._cut else SAMPLES)

    @property
    def reading(self) -> Reading | str:
        """Sum the samples up, or say why there are none."""
        return read_samples(tuple(self.samples)) if self.samples else self._fault or "it was not measured in time"


class Sampler:
    """Sample one host while any window wants it; every sample counts for all of them.

    Attributes:
        scales: weigh single sandboxes on the same host, as long as the sampler is open.
    """

    def __init__(self, host: Reader, clock: Clock, *, is_busy: Callable[[], bool]) -> None:
        self.scales = Scales(host, clock)
        self._host = host
        self._clock = clock
        self._is_busy = is_busy
        self._hurried = asyncio.Event()
        self._last: Sampled | None = None
        self._began_s: float | None = None
        self._open: list[Window] = []
        self._under_way: dict[asyncio.Task[None], list[Window]] = {}
        self._task: asyncio.Task[None] | None = None

    def before(self) -> Window:
        """Open a window on the host as it is now; a sample under way counts, and so does one just taken."""
        now_s = self._clock.monotonic()
        window = Window(opened_s=now_s)
        if self._last is not None and now_s - self._last.until_s <= FRESH_S:
            window.add(self._last)
        for takers in self._under_way.values():
            if not window.is_full:
                window.expect()
                takers.append(window)
        return self._watch(window)

    def after(self) -> Window:
        """Open a window on what comes from now on."""
        return self._watch(Window(opened_s=self._clock.monotonic()))

    def _watch(self, window: Window) -> Window:
        self._open.append(window)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._sample_on())
        return window

    async def _sample_on(self) -> None:
        """Begin samples for as long as a window wants more of them."""
        while self._wanting():
            await self._rest()
            takers = self._wanting()
            if takers:
                self._began_s = self._clock.monotonic()
                for window in takers:
                    window.expect()
                task = asyncio.create_task(self._take(takers, from_s=self._began_s))
                self._under_way[task] = takers
                task.add_done_callback(self._land)

    def _land(self, task: asyncio.Task[None]) -> None:
        """Let go of a sample; one that a bug broke stays, for `finish` to raise it."""
        if not task.cancelled() and task.exception() is None:
            del self._under_way[task]

    def _wanting(self) -> list[Window]:
        self._open = [window for window in self._open if not window.is_full]
        return list(self._open)

    async def _rest(self) -> None:
        """Wait before the next sample: longer while the host is changed, but for as long as nobody hurries."""
        if len(self._under_way) >= SAMPLES:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
        since_s = self._clock.monotonic() - self._began_s if self._began_s is not None else BUSY_SPACING_S
        if self._is_busy() and not self._hurried.is_set():
            await until(self._clock, self._hurried, limit_s=max(0.0, BUSY_SPACING_S - since_s))
        else:
            await self._clock.sleep(max(0.0, SPACING_S - since_s))

    async def _take(self, takers: list[Window], *, from_s: float) -> None:
        snapshot = await self._sample()
        taken: Sampled | str
        if isinstance(snapshot, str):
            taken = snapshot
        else:
            taken = self._last = Sampled(from_s=from_s, until_s=self._clock.monotonic(), snapshot=snapshot)
        for window in takers:
            window.receive(taken)

    async def _sample(self) -> HostSnapshot | str:
        try:
            return await within(self._clock, SAMPLE_LIMIT_S, self._host.facts((), now=self._clock.now, with_gpus=False))
        except HostError as error:
            return error.message
        except TimeoutError:
            return f"the host's counters did not come within {SAMPLE_LIMIT_S:g} s"

    async def finish(self, *, limit_s: float) -> None:
        """Wait until every window is complete and all is weighed, at most `limit_s`, and end."""
        self._hurried.set()
        try:
            await within(self._clock, limit_s, self._until_done())
        except TimeoutError:
            return  # windows without samples say that they were not measured in time

    async def _until_done(self) -> None:
        if self._task is not None:
            await asyncio.shield(self._task)
        while self._under_way:
            done, _ = await asyncio.wait(self._under_way)
            for task in done:
                task.result()
        await self.scales.finish()

    async def close(self) -> None:
        """End at once."""
        await self.scales.close()
        await end_tasks([*([] if self._task is None else [self._task]), *self._under_way])
