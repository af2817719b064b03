"""Name what a walk is given from outside: a clock, a journal, somebody who watches, and a way to stop it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Protocol

from reconciler.model.delta import ProvisionDelta
from reconciler.model.effect import Outcome
from reconciler.model.outcome import ActionEnded, StepEnded
from reconciler.model.plan import Action, Step


class Clock(Protocol):
    """Tell the time, and let it pass."""

    def now(self) -> datetime:
        """Give the controller's time of day, with its zone."""

    def monotonic(self) -> float:
        """Give seconds that only ever grow; their zero means nothing."""

    async def sleep(self, seconds: float) -> None:
        """Let this many seconds pass."""


class Journal(Protocol):
    """Keep one durable line before and after each try of an effect.

    A line `before` without its `after` names an outcome that nobody knows. Convergence never depends on it. Both raise
    `ReconcilerError` when the line cannot be made durable: then nothing further is sent to any host.
    """

    def before(self, step: Step, host: str) -> None:
        """Write that the effect of `step` is about to be sent."""

    def after(self, step: Step, host: str, outcome: Outcome) -> None:
        """Write what became of it."""


class Observer:
    """Watch a walk. This one does nothing; override what is to be seen. No method may block.

    `point` is called at `apply.<effect kind>.<moment>`, with the moments `before_send` (the journal's line is
    durable), `after_effect` (the host answered), `after_reply` (the answer is understood, after looking where it had
    to be) and `after_journal`. What it raises ends the walk there, as a crash would.
    """

    def point(self, name: str, *, host: str, step: str) -> None:
        """Pass a named point of one try of one effect."""

    def action_started(self, action: Action) -> None:
        """See an action begin."""

    def step_started(self, action: Action, step: Step) -> None:
        """See a step begin."""

    def progressed(self, action: Action, step: Step, line: str) -> None:
        """See one short line about a step that takes a while."""

    def step_ended(self, action: Action, ended: StepEnded) -> None:
        """See a step end."""

    def action_ended(self, action: Action, ended: ActionEnded) -> None:
        """See an action end; its delta follows, when it was measured."""

    def measured(self, action: Action, delta: ProvisionDelta) -> None:
        """See what an action did to its host, at the end of the pass."""


class Interrupt:
    """Carry a person's wish to stop: once lets the steps in flight finish, twice stops at once."""

    def __init__(self) -> None:
        self._stopping = asyncio.Event()
        self._cancelling = asyncio.Event()

    def press(self) -> None:
        """Ask to stop; asked again, ask to stop at once."""
        (self._cancelling if self._stopping.is_set() else self._stopping).set()

    @property
    def stopping(self) -> bool:
        """Tell whether no new step may start."""
        return self._stopping.is_set()

    @property
    def cancelling(self) -> bool:
        """Tell whether even steps in flight are to be left where they are."""
        return self._cancelling.is_set()

    async def stopped(self) -> None:
        """Wait until it was asked once."""
        await self._stopping.wait()

    async def cancelled(self) -> None:
        """Wait until it was asked twice."""
        await self._cancelling.wait()
