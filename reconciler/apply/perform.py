"""Do one effect on one host: journal, send, understand the answer, look where there was none, try again in bounds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from reconciler.apply.lane import Lane
from reconciler.apply.patience import LOOKING, NO_REPLY, Patience, patience_for, persist
from reconciler.apply.ports import Clock, Interrupt, Journal, Observer
from reconciler.apply.settle import Repeatable, Sight, look_again, settled, target_of
from reconciler.errors import HostError, ReconcilerError
from reconciler.model.effect import (
    CreateContainer,
    Done,
    Effect,
    Existing,
    NotDone,
    Outcome,
    RestartContainer,
    StartContainer,
    Unknown,
)
from reconciler.model.names import is_full_id
from reconciler.model.plan import Step

# The lock was lost between our taking it and the effect's arrival: it is taken again, and nothing was changed.
NO_LEASE = "E_NO_LEASE"


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what every effect of a pass is done with. `faults` collects what went wrong with the journal."""

    fleet: str
    secrets: dict[str, str]
    clock: Clock
    journal: Journal
    observer: Observer
    interrupt: Interrupt
    faults: list[ReconcilerError]


class Performed(msgspec.Struct, frozen=True):
    """Say how an effect ended, and after how many tries."""

    outcome: Outcome
    tries: int


async def perform(
    effect: Effect, *, step: Step, lane: Lane, means: Means, progress: Callable[[str], None], fresh: bool = False
) -> Performed:
    """Do `effect`, whose target is resolved, until it holds, certainly does not, or cannot be told.

    `fresh` says that its target was never started. When the journal fails, nothing more is sent by anybody: the walk
    is interrupted as if a person had asked, and what had been sent counts as it was answered.
    """
    one = _Tries(effect, step=step, lane=lane, means=means, progress=progress, fresh=fresh)
    outcome = await persist(one.attempt, again=one.worth_another, clock=means.clock, interrupt=means.interrupt)
    return Performed(one.without_hope(outcome), one.count)


class _Tries:
    """Carry from one try to the next whether an earlier one may have happened after all."""

    def __init__(
        self, effect: Effect, *, step: Step, lane: Lane, means: Means, progress: Callable[[str], None], fresh: bool
    ) -> None:
        self.count = 0
        self._effect = effect
        self._step = step
        self._lane = lane
        self._means = means
        self._progress = progress
        self._in_doubt = False
        # A start that nobody answered is told from an earlier one by another time of start.
        self._must_remember = isinstance(effect, RestartContainer) or (isinstance(effect, StartContainer) and not fresh)
        self._started_before: datetime | None = None

    def worth_another(self, outcome: Outcome) -> Patience | None:
        """Say how patiently to try again after `outcome`, or None when it stands."""
        if isinstance(outcome, NotDone) and (outcome.transient or outcome.code == NO_LEASE):
            return patience_for(self._effect, outcome.code)
        if isinstance(outcome, Unknown) and isinstance(self._effect, Repeatable):
            return patience_for(self._effect, NO_REPLY)
        return None

    def without_hope(self, outcome: Outcome) -> Outcome:
        """Take a last "no" for what it is worth where an earlier try was not answered: that one may have happened."""
        if self._in_doubt and isinstance(self._effect, Repeatable) and isinstance(outcome, NotDone):
            return Unknown(f"{outcome.message}; and an earlier try was not answered")
        return outcome

    async def attempt(self) -> Outcome:
        """Send the effect once. The journal gets what the answer means, after looking where that was needed."""
        shut = await self._lane.take()
        if shut is not None:
            return NotDone(shut.code, shut.message, shut.hint)
        if self._must_remember:
            try:
                await self._remember_start()
            except HostError as error:
                return NotDone(error.code, error.message, error.hint, transient=error.transient)
        self.count += 1
        host, step, means = self._lane.host, self._step, self._means
        try:
            means.journal.before(step, host.name)
        except ReconcilerError as error:
            return self._halt(error)
        self._pass_point("before_send")
        reply = await host.effect(self._effect, secrets=means.secrets, progress=self._progress)
        self._pass_point("after_effect")
        outcome = await self._understand(reply)
        self._pass_point("after_reply")
        try:
            means.journal.after(step, host.name, outcome)
        except ReconcilerError as error:
            self._halt(error)
        self._pass_point("after_journal")
        return outcome

    def _halt(self, error: ReconcilerError) -> NotDone:
        self._means.faults.append(error)
        if not self._means.interrupt.stopping:
            self._means.interrupt.press()
        return NotDone(error.code, error.message, error.hint)

    def _pass_point(self, moment: str) -> None:
        name = f"apply.{kind_of(self._effect)}.{moment}"
        self._means.observer.point(name, host=self._lane.host.name, step=self._step.id)

    async def _remember_start(self) -> None:
        target = target_of(self._effect)
        found = await self._lane.host.find(target.full_id) if isinstance(target, Existing) else None
        self._started_before = None if found is None else found.live.started_at
        self._must_remember = False

    async def _understand(self, reply: Outcome) -> Outcome:
        if isinstance(reply, Done) and isinstance(self._effect, CreateContainer) and not is_full_id(reply.value or ""):
            reply = Unknown("the host did not say which container it made")
        if isinstance(reply, Unknown):
            self._in_doubt = True
        # After a lost reply, "no" may well mean "not any more": an earlier try may have landed late.
        if isinstance(reply, Done) or not self._in_doubt or isinstance(self._effect, Repeatable):
            return reply
        sight = await self._look()
        if isinstance(sight, HostError):
            doubt = reply.why if isinstance(reply, Unknown) else reply.message
            return Unknown(f"{doubt}; looking again failed too: {sight.message}")
        held = settled(self._effect, sight)
        if held is not None:
            return held
        if isinstance(reply, NotDone):
            return reply
        return NotDone(NO_REPLY, f"{reply.why}; the host shows that it did not happen", transient=True)

    async def _look(self) -> Sight | HostError:
        means = self._means

        async def once() -> Sight | HostError:
            try:
                return await look_again(
                    self._effect,
                    host=self._lane.host,
                    fleet=means.fleet,
                    started_before=self._started_before,
                    now=means.clock.now,
                )
            except HostError as error:
                return error

        return await persist(once, again=_worth_looking, clock=means.clock, interrupt=means.interrupt)


def _worth_looking(sight: Sight | HostError) -> Patience | None:
    return LOOKING if isinstance(sight, HostError) and sight.transient else None


def kind_of(effect: Effect) -> str:
    """Give the kind of an effect as points and journals name it, e.g. `create_container`."""
    return str(effect.__struct_config__.tag)
