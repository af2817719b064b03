"""Refuse a value with a stable code, what was wanted and a hint; the loader adds what may be shown of the value."""

from __future__ import annotations

import re
from typing import Final

from pydantic_core import PydanticCustomError

from reconciler.model.text import Late, Template
from reconciler.spec.scalar import Scalar, misreading

# A value that is bound later stands in a scalar's text between these two noncharacters, which no file may hold.
LATE_OPEN: Final = "\ufdd0"
LATE_CLOSE: Final = "\ufdd1"
_LATE: Final = re.compile(f"{LATE_OPEN}([^{LATE_CLOSE}]*){LATE_CLOSE}")


def refuse(code: str, message: str, *, got: object = None, hint: str | None = None) -> PydanticCustomError:
    """Make the error for one value.

    `message` may hold `{got}`, and `hint` may hold `{quoted}`; both are filled in by the loader, which knows whether
    the field's value may be shown. A scalar knows its place, which may be deep inside the field.
    """
    at = got.at if isinstance(got, Scalar) else None
    context = {"message": message, "hint": hint or "", "got": got.text if isinstance(got, Scalar) else str(got)}
    return PydanticCustomError("refused", "{code}", {"code": code, "at": at, **context})


def late_marker(name: str) -> str:
    """Give the text that stands for a value bound later, e.g. `run.id` or `secret:hub-token`."""
    return f"{LATE_OPEN}{name}{LATE_CLOSE}"


def readable(text: str) -> str:
    """Give back `${…}` where `text` holds marks of late values."""
    return _LATE.sub(r"${\1}", text)


def with_gaps(text: str) -> str | Template:
    """Turn text with marks of late values into a template; text without any stays text."""
    if LATE_OPEN not in text:
        return text
    pieces = _LATE.split(text)
    parts: list[str | Late] = []
    for index, piece in enumerate(pieces):
        if index % 2:
            parts.append(Late(piece))
        elif piece:
            parts.append(piece)
    return Template(tuple(parts))


def text_of(value: object, *, wanted: str = "text", late: bool = False) -> str:
    """Give the text of a scalar for a field that wants text, refusing what YAML 1.1 would read as something else.

    Late values are kept as marks when `late`, and refused otherwise.
    """
    if isinstance(value, str):
        return value
    if not isinstance(value, Scalar):
        raise refuse("E_TYPE", f"{wanted} is wanted here, not a {kind_of(value)}")
    if value.plain:
        reading = misreading(value.text)
        if reading is not None:
            message = f"without quotes {{got}} would be read as {reading}; {wanted} is wanted here"
            hint = "write {quoted}, or null for nothing" if reading == "nothing" else "write {quoted}"
            raise refuse("E_YAML_AMBIGUOUS", message, got=value, hint=hint)
    if not late and LATE_OPEN in value.text:
        name = readable(value.text)
        message = f"{name} is not known before a host was asked; {wanted} is wanted here"
        hint = "such values may stand in env, command, entrypoint, paths and contents of files"
        raise refuse("E_INTERPOLATION", message, hint=hint)
    return value.text


def kind_of(value: object) -> str:
    """Name a value's shape for people."""
    if isinstance(value, dict):
        return "mapping"
    if isinstance(value, (tuple, list)):
        return "list"
    return "single value" if isinstance(value, (Scalar, str)) else type(value).__name__
