"""Say, beside each field of a resource, what it takes to change it on a host.

Compare, show, digest and JSON are one generic loop over these rules: a new field is one line, and nothing else.
"""

from __future__ import annotations

import enum
import functools
from typing import get_type_hints

import msgspec


class Remedy(enum.StrEnum):
    """Rank what a change forces, from nothing to a new object."""

    NOTHING = "nothing"
    IN_PLACE = "in place"
    START = "start"
    RESTART = "restart"
    REPLACE = "replace"

    @property
    def strength(self) -> int:
        """Give the rank: a stronger remedy does what a weaker one would."""
        return _RANKS[self]


_RANKS = {remedy: rank for rank, remedy in enumerate(Remedy)}


def strongest(remedies: list[Remedy]) -> Remedy:
    """Pick the remedy that covers all of `remedies`; nothing when there are none."""
    return max(remedies, key=lambda remedy: remedy.strength, default=Remedy.NOTHING)


class Rule(msgspec.Struct, frozen=True):
    """Rule one field.

    Attributes:
        remedy: what a change of the field forces.
        clearing: what removing its value forces, where that differs (Docker ignores an update to "no limit").
        path: where an operator writes it, when that is not the field's own name.
    """

    remedy: Remedy
    clearing: Remedy | None = None
    path: str | None = None

    def at(self, path: str) -> Rule:
        """Give the same rule for a field that operators write elsewhere."""
        return msgspec.structs.replace(self, path=path)

    def remedy_for(self, new: object) -> Remedy:
        """Tell what a change to `new` forces."""
        return self.clearing if new is None and self.clearing is not None else self.remedy


IN_PLACE = Rule(Remedy.IN_PLACE)
REPLACE = Rule(Remedy.REPLACE)
LIMIT = Rule(Remedy.IN_PLACE, clearing=Remedy.REPLACE)


@functools.cache
def rules(noun: type[msgspec.Struct]) -> dict[str, Rule]:
    """Collect the rules of a resource's fields, in the order in which they are declared."""
    found: dict[str, Rule] = {}
    for field, hint in get_type_hints(noun, include_extras=True).items():
        for extra in getattr(hint, "__metadata__", ()):
            if isinstance(extra, Rule):
                found[field] = extra
    return found
