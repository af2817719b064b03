"""Weigh the containers of a sandbox once, beside the effects: what it takes by itself, whoever its neighbours are."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import UnionType
from typing import Any

from reconciler.apply.measure import Weighed
from reconciler.apply.ports import Clock
from reconciler.apply.waiting import end_tasks, within
from reconciler.errors import HostError
from reconciler.host.interface import Reader
from reconciler.model.effect import Effect, Existing, StopContainer
from reconciler.model.names import name_in_docker
from reconciler.model.plan import Action, Apply, Measure

# Control groups take milliseconds, and an engine is asked for its sizes for 2 s.
WEIGH_LIMIT_S = 5.0


class Weighing:
    """Hold a weighing under way; `result` is why there is none until there is one."""

    def __init__(self, containers: tuple[str, ...], *, stopping: tuple[str, ...] = ()) -> None:
        self.containers = containers
        self.stopping = frozenset(stopping)
        self.result: Weighed | str = "it was not measured in time" if containers else "it has no containers"


class Scales:
    """Weigh on one host: what goes is weighed at once, what is done together with what was done meanwhile."""

    def __init__(self, host: Reader, clock: Clock) -> None:
        self._host = host
        self._clock = clock
        self._going: list[Weighing] = []
        self._waiting: list[Weighing] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn: asyncio.Task[None] | None = None

    def weigh_going(self, action: Action) -> Weighing | None:
        """Weigh what an action will take away, as early as can be: what ends at once has no control group any more.

        None for an action that takes nothing away, or that is not to be measured.
        """
        if not action.verb.ends or not any(isinstance(step.do, Measure) for step in action.steps):
            return None
        weighing = Weighing(_targets(action, Effect), stopping=_targets(action, StopContainer))
        if weighing.containers:
            self._going.append(weighing)
            self._start(self._weigh_all_going())
        return weighing

    def weigh_made(self, action: Action, *, fleet: str) -> Weighing:
        """Weigh what an action has made, under the names that it has now."""
        weighing = Weighing(_left_by(action, fleet=fleet))
        if weighing.containers:
            self._waiting.append(weighing)
            if self._turn is None or self._turn.done():
                self._turn = self._start(self._weigh_on())
        return weighing

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        return task

    async def _weigh_all_going(self) -> None:
        """Weigh at once whatever goes by now: one look costs a host as much as several."""
        batch, self._going = self._going, []
        if batch:
            await self._weigh(batch)

    async def _weigh_on(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            await self._weigh(batch)

    async def _weigh(self, batch: list[Weighing]) -> None:
        asked = tuple(dict.fromkeys(one for weighing in batch for one in weighing.containers))
        try:
            weights = await within(self._clock, WEIGH_LIMIT_S, self._host.weigh(asked))
        except HostError as error:
            self._give_up(batch, error.message)
        except TimeoutError:
            self._give_up(batch, f"the host did not tell it within {WEIGH_LIMIT_S:g} s")
        else:
            at = self._clock.now()
            for weighing in batch:
                found = {one: weights[one] for one in weighing.containers if one in weights}
                weighing.result = Weighed(at=at, asked=weighing.containers, weights=found, stopping=weighing.stopping)

    def _give_up(self, batch: list[Weighing], why: str) -> None:
        for weighing in batch:
            weighing.result = why

    async def finish(self) -> None:
        """Wait until all is weighed; what a bug broke is raised."""
        while self._tasks:
            done, _ = await asyncio.wait(self._tasks)
            self._tasks -= done
            for task in done:
                task.result()

    async def close(self) -> None:
        """End at once."""
        await end_tasks([*self._tasks])


def _targets(action: Action, kind: type[StopContainer] | UnionType) -> tuple[str, ...]:
    """Give the ids of the containers at which an action aims effects of this kind."""
    effects = (step.do.effect for step in action.steps if isinstance(step.do, Apply))
    targets = (getattr(effect, "target", None) for effect in effects if isinstance(effect, kind))
    return tuple(dict.fromkeys(target.full_id for target in targets if isinstance(target, Existing)))


def _left_by(action: Action, *, fleet: str) -> tuple[str, ...]:
    names = (name_in_docker(fleet, action.sandbox, key) for key in action.keys)
    return tuple(name for name in names if name is not None)
