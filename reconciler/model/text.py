"""Hold text that is not fully known when the specs are read.

`${run.id}` is another value in each run, `${host.home}` is known once the host answered, and `${secret:NAME}` must not
stand in any plan, digest or status. Such text stays symbolic in what is desired and is bound at the last moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

SECRET_PREFIX = "secret:"  # noqa: S105 - the marker of a reference, not a secret
SECRET_SHOWN = "(secret)"  # noqa: S105 - what people see instead of one
CUT = "…"
"""Stands where a text was cut, so that half a secret beside it can be told."""
RUN_PREFIX = "run."
LATE_IN_SPECS = ("run.id", "run.startedAt", "host.home", "host.uid", "host.gid")
BASE_DIR = "host.baseDir"
"""Where relative paths lie; no spec may name it."""
LATE_NAMES = (*LATE_IN_SPECS, BASE_DIR)
"""Every name that is bound late, but those of secrets."""

T = TypeVar("T")


class Late(msgspec.Struct, frozen=True, tag="late", omit_defaults=True):
    """Stand for one value that is bound later: one of `LATE_NAMES`, or `secret:<name>`.

    `one_line` says that a line break in the value would mean something else where it stands, as in a file of variables.
    """

    name: str
    one_line: bool = False

    @property
    def is_secret(self) -> bool:
        """Tell whether the value must never be shown, stored or digested."""
        return self.name.startswith(SECRET_PREFIX)


class Template(msgspec.Struct, frozen=True, tag="template"):
    """Hold text with gaps: literal pieces and late values, in order."""

    parts: tuple[str | Late, ...]

    @property
    def is_secret(self) -> bool:
        """Tell whether any part of it is a secret."""
        return any(isinstance(part, Late) and part.is_secret for part in self.parts)

    def __str__(self) -> str:
        if self.is_secret:
            return SECRET_SHOWN
        return "".join(part if isinstance(part, str) else f"${{{part.name}}}" for part in self.parts)


Text = str | Template


class Unbound(ValueError):
    """Report that a value was still symbolic when it had to be sent; `name` is e.g. `secret:hub-token`."""

    def __init__(self, name: str) -> None:
        super().__init__(f"${{{name}}} has no value")
        self.name = name


_PLAIN = frozenset({str, int, float, bool, NoneType})
"""Types that never hold a late value; most fields of most nouns are of these."""

_NOTHING: frozenset[str] = frozenset()


@cache
def _late_fields(noun: type[msgspec.Struct]) -> tuple[str, ...]:
    """Name the fields that may hold a late value by their types, so that only these are walked, in every object."""
    return tuple(field for field, hint in get_type_hints(noun).items() if _may_be_late(hint, inside=(noun,)))


def _may_be_late(hint: Any, *, inside: tuple[type, ...]) -> bool:
    """Tell whether a value of this type may hold a late one; a noun inside itself tells nothing new."""
    if hint is Ellipsis or get_origin(hint) is Literal or hint in inside or hint in _PLAIN:
        return False
    if not isinstance(hint, type) or get_args(hint):
        parts = get_args(hint)
        return not parts or any(_may_be_late(part, inside=inside) for part in parts)
    if hint in (Template, Late):
        return True
    if issubclass(hint, msgspec.Struct):
        return any(_may_be_late(part, inside=(*inside, hint)) for part in get_type_hints(hint).values())
    return hint in (object, dict, tuple)


def late_names(value: object) -> frozenset[str]:
    """Collect the names of every late value anywhere inside a value."""
    if type(value) in _PLAIN:
        return _NOTHING
    if isinstance(value, Template):
        return frozenset(part.name for part in value.parts if isinstance(part, Late))
    if isinstance(value, msgspec.Struct):
        return _NOTHING.union(*(late_names(getattr(value, field)) for field in _late_fields(type(value))))
    if isinstance(value, Mapping):
        return _NOTHING.union(*(late_names(item) for item in value.values()))
    if isinstance(value, tuple):
        return _NOTHING.union(*(late_names(item) for item in value))
    return _NOTHING


def is_secret(value: object) -> bool:
    """Tell whether a value, or anything inside it, holds a secret."""
    return any(name.startswith(SECRET_PREFIX) for name in late_names(value))


def is_run_scoped(value: object) -> bool:
    """Tell whether a value, or anything inside it, is another in each run."""
    return type(value) not in _PLAIN and any(name.startswith(RUN_PREFIX) for name in late_names(value))


def bind(value: T, bindings: Mapping[str, str]) -> T:
    """Return `value` with every late value that `bindings` names filled in; the others stay symbolic.

    Walks structs, tuples and mappings. `bindings` maps `run.id`, `host.home`, `secret:NAME`, … to their text.
    """
    bound: Any = value if type(value) in _PLAIN else _bind(value, bindings)
    return bound  # type: ignore[no-any-return]  # the walk keeps the shape of what it is given


def _bind(value: Any, bindings: Mapping[str, str]) -> Any:
    if isinstance(value, Template):
        return _bind_template(value, bindings)
    if isinstance(value, msgspec.Struct):
        found = _late_in(((field, getattr(value, field)) for field in _late_fields(type(value))), bindings)
        return msgspec.structs.replace(value, **found) if found else value
    if isinstance(value, dict):
        found = _late_in(value.items(), bindings)
        return {**value, **found} if found else value
    if isinstance(value, tuple):
        found = _late_in(enumerate(value), bindings)
        return tuple([found.get(index, item) for index, item in enumerate(value)]) if found else value
    return value


def _late_in(parts: Iterable[tuple[Any, Any]], bindings: Mapping[str, str]) -> dict[Any, Any]:
    """Give the parts that binding changes, bound, each under its name."""
    return {name: new for name, old in parts if type(old) not in _PLAIN and (new := _bind(old, bindings)) is not old}


def _bind_template(template: Template, bindings: Mapping[str, str]) -> Text:
    parts: list[str | Late] = []
    for part in template.parts:
        known = bindings.get(part.name) if isinstance(part, Late) else part
        piece: str | Late = part if known is None else known
        if isinstance(piece, str) and parts and isinstance(parts[-1], str):
            parts[-1] += piece
        else:
            parts.append(piece)
    if not parts:
        return ""
    first = parts[0]
    return first if len(parts) == 1 and isinstance(first, str) else Template(tuple(parts))


def plain(text: Text) -> str:
    """Give bound text as it is sent, secrets and all. Raises `Unbound` when a late value is left."""
    if isinstance(text, Template):
        raise Unbound(next((part.name for part in text.parts if isinstance(part, Late)), "nothing"))
    return str(text)


def printable(text: str, *, kept: str = "") -> str:
    """Escape every control character but those of `kept`, so that no host writes to anybody's terminal."""
    return "".join(char if char.isprintable() or char in kept else f"\\x{ord(char):02x}" for char in text)


def head_of(text: str, length: int) -> str:
    """Give the beginning of a text that may be long, and show where it was cut."""
    return text if len(text) <= length else text[:length] + CUT


def tail_of(text: str, length: int) -> str:
    """Give the end of a text that may be long, and show where it was cut."""
    return text if len(text) <= length else CUT + text[-length:]
