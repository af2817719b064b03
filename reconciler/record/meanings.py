"""Tell what a noun and its fields mean, from its docstring; the unit of a field is the end of its name. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import cleandoc
from typing import Any, get_args

import msgspec

_ATTRIBUTES = "\nAttributes:\n"
_ENTRY = re.compile(r"^ {4}(?! )", re.MULTILINE)
_NAMED = re.compile(r"(?:^|; )(\w+(?:, \w+)*): ")
_NONE = re.compile(r"\bNone\b")

# The first that fits is taken.
_UNITS = (
    ("_epoch_s", "seconds since 1970-01-01 UTC"),
    ("_bytes", "bytes"),
    ("_percent", "percent"),
    ("_ns", "nanoseconds"),
    ("_s", "seconds"),
)


class Meaning(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what a field means and what it is counted in; either is empty where nothing says it."""

    text: str
    unit: str


def nouns_in(hint: Any) -> tuple[type[msgspec.Struct], ...]:
    """Give the nouns that a type names, and those in their fields, each once, whoever holds it first."""
    found: list[type[msgspec.Struct]] = []
    waiting = [hint]
    while waiting:
        for noun in _named_by(waiting.pop(0)):
            if noun not in found:
                found.append(noun)
                waiting += [field.type for field in msgspec.structs.fields(noun)]
    return tuple(found)


def summary_of(noun: type[msgspec.Struct]) -> str:
    """Say what a noun is: its docstring without what that says of single fields."""
    return _for_json(cleandoc(noun.__doc__ or "").partition(_ATTRIBUTES)[0])


def meanings_of(noun: type[msgspec.Struct]) -> dict[str, Meaning]:
    """Say what each field means, by its name in Python and in their order."""
    names = [field.name for field in msgspec.structs.fields(noun)]
    said = _said(noun, frozenset(names))
    return {name: Meaning(text=said.get(name, ""), unit=_unit(name)) for name in names}


def _said(noun: type[msgspec.Struct], names: frozenset[str]) -> dict[str, str]:
    """Read the docstring's `Attributes`: `name: text`, or `name, name: text`, or several of these with `; ` between."""
    found: dict[str, str] = {}
    for entry in _ENTRY.split(cleandoc(noun.__doc__ or "").partition(_ATTRIBUTES)[2]):
        line = _for_json(entry)
        starts = [one for one in _NAMED.finditer(line) if names.issuperset(one[1].split(", "))]
        ends = [*(one.start() for one in starts), len(line)][1:]
        for start, end in zip(starts, ends, strict=True):
            found |= dict.fromkeys(start[1].split(", "), _sentence(line[start.end() : end].strip()))
    return found


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _for_json(text: str) -> str:
    """Put a text on one line, in the words of those who read JSON."""
    return _NONE.sub("null", " ".join(text.split()))


def _unit(name: str) -> str:
    return next((unit for ending, unit in _UNITS if name.endswith(ending)), "")


def _named_by(hint: Any) -> Iterator[type[msgspec.Struct]]:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint
    for argument in get_args(hint):
        yield from _named_by(argument)
