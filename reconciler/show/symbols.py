"""Give each verb its sign, its style and its past participle."""

from __future__ import annotations

import msgspec

from reconciler.model.plan import Action, Verb
from reconciler.show.page import Style


class Sign(msgspec.Struct, frozen=True):
    """Hold how a verb is shown."""

    symbol: str
    style: Style
    done: str


SIGNS: dict[Verb, Sign] = {
    Verb.CREATE: Sign("+", "add", "created"),
    Verb.START: Sign("~", "change", "started"),
    Verb.RESTART: Sign("~", "change", "restarted"),
    Verb.UPDATE: Sign("~", "change", "updated"),
    Verb.REPLACE: Sign("-/+", "change", "replaced"),
    Verb.ADOPT: Sign(">", "adopt", "adopted"),
    Verb.FORGET: Sign(".", "quiet", "forgotten"),
    Verb.DESTROY: Sign("-", "remove", "destroyed"),
    Verb.REAP: Sign("x", "remove", "reaped"),
}
HELD_SYMBOL = "?"
START_FIRST_SYMBOL = "+/-"


def symbol_of(action: Action) -> str:
    """Give an action's sign; a replacement's tells which of the two goes first."""
    if action.verb is Verb.REPLACE and action.strategy == "start-first":
        return START_FIRST_SYMBOL
    return SIGNS[action.verb].symbol
