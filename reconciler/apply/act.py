"""Walk the steps of one action, strictly in order, and say how it ended."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime
from typing import Literal, assert_never

from reconciler.apply.lane import Lane
from reconciler.apply.made import MadeContainers
from reconciler.apply.measure import build_delta
from reconciler.apply.perform import Means, Performed, perform
from reconciler.apply.ready import NotReady, Stopped, wait_ready
from reconciler.apply.sampler import Window
from reconciler.apply.weighing import Weighing
from reconciler.errors import HostError
from reconciler.model.delta import ProvisionDelta
from reconciler.model.effect import (
    Done,
    Effect,
    Existing,
    NotDone,
    Outcome,
    PullImage,
    RemoveContainer,
    RenameContainer,
    StopContainer,
    Unknown,
)
from reconciler.model.names import name_in_docker
from reconciler.model.outcome import ActionEnded, Instance, StepEnded
from reconciler.model.plan import Action, Apply, Await, Measure, Note, Step, Verb
from reconciler.model.probe import ProbePassed

End = Literal["done", "failed", "unknown", "skipped", "interrupted"]

# Enough to see why a program ended, and little enough for a status file.
LOG_LINES = 50
INTERRUPTED = "E_INTERRUPTED"


class ActionRun:
    """Run one action on its host's lane, which it enters only while it has effects to send.

    A waiting for readiness gives the place in the lane to the next action, but for a replacement: those go at most so
    many at a time, so that a bad one is noticed before all others have begun.
    """

    def __init__(self, action: Action, *, lane: Lane | None, means: Means) -> None:
        self.action = action
        self.started_s: float | None = None
        self.ended_s: float | None = None
        self._lane = lane
        self._means = means
        self._inside = False
        self._made = MadeContainers(action.uid)
        self._steps: list[StepEnded] = []
        self._warnings: list[str] = []
        self._logs: tuple[str, ...] = ()
        self._switched = False
        self._waiting_since_s: float | None = None
        self._gates_left = sum(isinstance(step.do, Await) and step.do.gating for step in action.steps)
        self._passed_at: datetime | None = None
        self._asked_of: dict[str, datetime | None] = {}
        self._before: Window | None = None
        self._after: Window | None = None
        self._own: Weighing | None = None

    @property
    def needs_host(self) -> bool:
        """Tell whether any step talks to the host; records alone can be changed without it."""
        return any(isinstance(step.do, Apply | Await) for step in self.action.steps)

    @property
    def has_effects(self) -> bool:
        """Tell whether any step changes the host."""
        return any(isinstance(step.do, Apply) for step in self.action.steps)

    async def enter(self) -> None:
        """Wait for a place to act in, where the action has effects."""
        if self._lane is not None and not self._inside:
            await self._lane.enter()
            self._inside = True

    def leave(self) -> None:
        """Give the place away; safe to call twice."""
        if self._lane is not None and self._inside:
            self._inside = False
            self._lane.leave()

    async def run(self) -> ActionEnded:
        """Walk the steps. A cancellation by the interrupt ends it at once, with what is known by then."""
        self.started_s = self._means.clock.monotonic()
        self._means.observer.action_started(self.action)
        try:
            ended = await self._run()
        except asyncio.CancelledError:
            if not self._means.interrupt.cancelling:
                raise
            ended = self.end("interrupted", NotDone(INTERRUPTED, "stopped at once; the next pass looks what is there"))
        finally:
            self.leave()
            self.ended_s = self._means.clock.monotonic()
        return ended

    async def _run(self) -> ActionEnded:
        failure = await self._begin()
        if failure is None:
            failure = await self._walk()
        end = self._judge(failure)
        message = ""
        if failure is not None:
            message = self._message(failure) + await self._settle_new(end)
        instances = await self._read_back(end)
        return self.end(end, failure, message=message, instances=instances)

    async def _begin(self) -> Outcome | None:
        """Take the host's lock, where there is something to send."""
        if self._lane is None:
            return self._no_way() if self.needs_host else None
        if not self.has_effects:
            return None
        self._own = self._lane.sampler.scales.weigh_going(self.action)
        shut = await self._lane.take()
        return None if shut is None else NotDone(shut.code, shut.message, shut.hint)

    async def _walk(self) -> Outcome | None:
        """Do step after step; give the outcome of the one that ended the action, or None when all went well."""
        for step in self.action.steps:
            if self._means.interrupt.stopping:
                return stop_reason(self._means)
            failure = await self._step(step)
            if failure is not None:
                return failure
        return None

    async def _step(self, step: Step) -> NotDone | Unknown | None:
        """Do one step; give its outcome when the action cannot go on after it."""
        means = self._means
        means.observer.step_started(self.action, step)
        started_at = means.clock.now()
        performed = Performed(Unknown("it was left where it was"), 1)
        try:
            performed = await self._do(step)
        finally:
            ended = StepEnded(
                step=step.id,
                title=step.title,
                result=performed.outcome,
                tries=performed.tries,
                started_at=started_at,
                finished_at=means.clock.now(),
            )
            self._steps.append(ended)
            means.observer.step_ended(self.action, ended)
        if isinstance(performed.outcome, Done):
            if performed.outcome.warning:
                self._warnings.append(f"{step.title}: {performed.outcome.warning}")
            return None
        if isinstance(step.do, Await) and not step.do.gating and not means.interrupt.stopping:
            self._warnings.append(f"{step.title}: {_words(performed.outcome)}")
            return None
        return performed.outcome

    def _no_way(self) -> NotDone:
        return NotDone("E_HOST_UNKNOWN", f"there is no way to host {self.action.host}")

    async def _do(self, step: Step) -> Performed:
        lane = self._lane
        if lane is None:
            asks_host = isinstance(step.do, Apply | Await)
            return Performed(self._no_way(), 0) if asks_host else Performed(Done(), 1)
        match step.do:
            case Apply(effect=effect):
                return await self._apply(step, effect, lane)
            case Await() as do:
                return await self._await(do, lane)
            case Measure(when="before"):
                self._before = lane.sampler.before()
                return Performed(Done(), 1)
            case Measure():
                self._own = self._own or lane.sampler.scales.weigh_made(self.action, fleet=self._means.fleet)
                self._after = lane.sampler.after()
                return Performed(Done(), 1)
            case Note():
                return Performed(Done(), 1)
            case _:
                assert_never(step.do)

    async def _apply(self, step: Step, effect: Effect, lane: Lane) -> Performed:
        resolved = self._made.resolve(effect)
        if isinstance(resolved, NotDone):
            return Performed(resolved, 0)
        await self.enter()
        if self._before is not None and not isinstance(effect, PullImage):
            self._before.cut()
        self._waiting_since_s = None
        performed = await perform(
            resolved,
            step=step,
            lane=lane,
            means=self._means,
            progress=lambda line: self._means.observer.progressed(self.action, step, line),
            fresh=self._made.is_fresh(resolved),
        )
        if isinstance(performed.outcome, Done):
            self._made.learn(resolved, performed.outcome)
        if not isinstance(performed.outcome, NotDone) and _touches_old(effect):
            self._switched = True
        return performed

    async def _await(self, do: Await, lane: Lane) -> Performed:
        if self.action.verb is not Verb.REPLACE:
            self.leave()
        clock = self._means.clock
        if self._waiting_since_s is None:
            self._waiting_since_s = clock.monotonic()
        await self._note_start(lane, do.name)
        waited = await wait_ready(
            do,
            host=lane.host,
            since_s=self._waiting_since_s,
            clock=clock,
            interrupt=self._means.interrupt,
        )
        match waited.answer:
            case ProbePassed():
                self._gates_left -= do.gating
                self._passed_at = clock.now()
                return Performed(Done(changed=False), waited.asked)
            case Stopped():
                return Performed(stop_reason(self._means), waited.asked)
            case NotReady(why=why, told=told):
                self._logs = self._logs or await self._read_logs(lane, do.name)
                hint = f"see the last lines of its output, or give the probe `{do.probe.name}` a longer timeout"
                outcome = NotDone("E_NOT_READY", why, hint) if told else Unknown(why)
                return Performed(outcome, waited.asked)
            case _:
                assert_never(waited.answer)

    async def _note_start(self, lane: Lane, name: str) -> None:
        """Note which start of a container its probes are asked about: one that lands meanwhile has passed none."""
        key = self._made.id_of(name) or name
        if key not in self._asked_of:
            self._asked_of[key] = None
            with contextlib.suppress(HostError):
                found = await lane.host.find(name)
                self._asked_of[key] = None if found is None else found.live.started_at

    async def _read_logs(self, lane: Lane, name: str) -> tuple[str, ...]:
        try:
            full_id = self._made.id_of(name)
            if full_id is None:
                found = await lane.host.find(name)
                full_id = None if found is None else found.full_id
            return () if full_id is None else await lane.host.logs(full_id, lines=LOG_LINES)
        except HostError as error:
            self._warnings.append(f"the output of {name} could not be read: {error.message}")
            return ()

    def _judge(self, failure: Outcome | None) -> End:
        match failure:
            case None | Done():
                return "done"
            case Unknown():
                return "unknown"
            case NotDone(code="E_LOCKED") if not self._steps:
                return "skipped"
            case NotDone() if failure.code == INTERRUPTED or (failure.transient and self._means.interrupt.stopping):
                return "interrupted"
            case _:
                return "failed"

    async def _settle_new(self, end: End) -> str:
        """After a failure, take back what was to replace a container that still runs, or say what was left."""
        new = self._made.all
        if not new:
            return ""
        names = ", ".join(item.target.name for item in new)
        left = f"; {names} {'is' if len(new) == 1 else 'are'} left for the next pass to go on from"
        starts_first = self.action.verb is Verb.REPLACE and self.action.strategy == "start-first"
        if not starts_first or self._switched or end not in {"failed", "unknown"} or self._means.interrupt.stopping:
            return left
        steps: list[Step] = []
        for item in reversed(new):
            stop, drop = StopContainer(item.target, item.grace_s), RemoveContainer(item.target)
            for word, effect in (("stop", stop), ("remove", drop)):
                id_ = f"{self.action.id}/undo-{len(steps) + 1}"
                steps.append(Step(id=id_, do=Apply(effect), title=f"{word} {item.target.name} again"))
        for step in steps:
            failure = await self._step(step)
            if failure is not None:
                return f"{left}, since it could not be removed again ({_words(failure)}); the old one was not touched"
        return f"; {names} {'was' if len(new) == 1 else 'were'} removed again, and the old one was not touched"

    async def _read_back(self, end: End) -> tuple[Instance, ...] | None:
        """Read which containers make up the sandbox now; None when that was not, or could not be, read."""
        action = self.action
        if action.removes or action.verb.ends:
            return () if end == "done" else None
        if self._lane is None or not self._steps:
            return None
        found: list[Instance] = []
        try:
            for key in action.keys:
                name = name_in_docker(self._means.fleet, action.sandbox, key)
                seen = await self._lane.host.find(name) if name is not None else None
                if name is not None and seen is not None:
                    started_at = self._asked_of.get(name, seen.live.started_at)
                    started_at = self._asked_of.get(seen.full_id, started_at)
                    found.append(Instance(resource=key, name=name, full_id=seen.full_id, started_at=started_at))
        except HostError:
            return None
        return tuple(found)

    def _message(self, failure: Outcome) -> str:
        last = self._steps[-1] if self._steps else None
        return f"{last.title}: {_words(failure)}" if last is not None and last.result == failure else _words(failure)

    def end(
        self,
        end: End,
        why: Outcome | None = None,
        *,
        message: str | None = None,
        instances: tuple[Instance, ...] | None = None,
    ) -> ActionEnded:
        """Sum the action up, also when it never ran, and show it to the observer. The delta comes later."""
        code, hint = "", None
        if isinstance(why, NotDone):
            code, hint = why.code, why.hint
        elif isinstance(why, Unknown):
            code, hint = "E_OUTCOME_UNKNOWN", "the next pass looks what is there and goes on from it"
        ended = ActionEnded(
            id=self.action.id,
            end=end,
            code=code,
            message=_words(why) if message is None else message,
            hint=hint,
            logs=self._logs,
            steps=tuple(self._steps),
            instances=instances,
            ready_at=self._passed_at if self._gates_left == 0 else None,
            warnings=tuple(self._warnings),
        )
        self._means.observer.action_ended(self.action, ended)
        return ended

    @property
    def is_measured(self) -> bool:
        """Tell whether samples of the host were asked for."""
        return self._before is not None or self._after is not None

    def measured(self, also: tuple[str, ...]) -> ProvisionDelta:
        """Give what the action did to its host; `also` names the others that ran there meanwhile."""
        never = "the action ended before it was measured"
        return build_delta(
            verb=self.action.verb,
            before=never if self._before is None else self._before.reading,
            after=never if self._after is None else self._after.reading,
            own=never if self._own is None else self._own.result,
            also=also,
        )

    def overlaps(self, other: ActionRun) -> bool:
        """Tell whether `other` ran in the interval over which this one was measured."""
        if self.started_s is None or self.ended_s is None or other.started_s is None or other.ended_s is None:
            return False
        windows = [window for window in (self._before, self._after) if window is not None]
        from_s = min([self.started_s, *(window.from_s for window in windows)])
        until_s = max([self.ended_s, *(window.until_s for window in windows)])
        return other.started_s < until_s and other.ended_s > from_s


def stop_reason(means: Means) -> NotDone:
    """Say why no new step starts: a journal that cannot be kept, or a person's wish."""
    if means.faults:
        fault = means.faults[0]
        return NotDone(fault.code, f"nothing more is changed without a journal: {fault.message}", fault.hint)
    return NotDone(INTERRUPTED, "stopped before it was over; the next pass goes on from there")


def _touches_old(effect: Effect) -> bool:
    """Tell whether an effect takes a container that was there before out of service."""
    return isinstance(effect, StopContainer | RenameContainer | RemoveContainer) and isinstance(effect.target, Existing)


def _words(outcome: Outcome | None) -> str:
    match outcome:
        case NotDone(message=message):
            return message
        case Unknown(why=why):
            return f"nobody can tell whether it happened: {why}"
        case _:
            return ""
