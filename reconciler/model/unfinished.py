"""Hold what is known of the newest pass where it has not come to its end: it runs, or it was cut short."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from reconciler.model.plan import Verb, address_of

PassState = Literal["running", "cut", "unknown"]
ActionState = Literal["done", "not_done", "begun", "unknown"]


class UnfinishedAction(msgspec.Struct, frozen=True, kw_only=True):
    """Say how far an action came.

    Attributes:
        state: `done`: every change of it was made, and nobody knows whether it was ready then; `not_done`: nothing
            of it was done; `begun`: a part, and that is all of it; `unknown`: something may have happened or not.
        changes: how many it has; `changes_done`, how many are known to have been made.
        unknown: titles of those of which nobody knows whether they were.
    """

    sandbox: str
    host: str
    verb: Verb
    state: ActionState
    changes: int
    changes_done: int
    unknown: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """Give the sandbox's address."""
        return address_of(self.sandbox)


class UnfinishedPass(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one pass.

    Attributes:
        state: `unknown` where nobody can tell whether it still runs.
        began_at: when it began to change something, by this machine's clock.
        by: who ran it, or empty where that is not known any more.
        fleet: whose it is, or None where its plan cannot be read.
        unreadable: one sentence for each thing of it that cannot be read: what is said of its actions is less then.
    """

    id: str
    state: PassState
    began_at: datetime
    by: str = ""
    fleet: str | None = None
    actions: tuple[UnfinishedAction, ...] = ()
    unreadable: tuple[str, ...] = ()

    def in_state(self, state: ActionState) -> list[UnfinishedAction]:
        """Give its actions that came as far as that."""
        return [one for one in self.actions if one.state == state]
