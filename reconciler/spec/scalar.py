"""Keep what a YAML scalar said until the field it is for decides its type."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from reconciler.model.source import SourceRef


class Scalar(msgspec.Struct, frozen=True):
    """Hold one scalar as written.

    Attributes:
        text: the characters, after YAML's own unescaping.
        plain: written without quotes and not as a block, so that YAML 1.1 might read it as something else.
        at: where it stands.
    """

    text: str
    plain: bool
    at: SourceRef


# What YAML 1.1 reads as something other than text (yaml.org/type): bool, int, float, timestamp, merge, value.
_READINGS: Final = (
    ("a boolean", re.compile(r"y|Y|n|N|yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF")),
    ("nothing", re.compile(r"~|null|Null|NULL|")),
    ("a number in base 60", re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")),
    ("an octal number", re.compile(r"[-+]?0[0-7_]+|0o[0-7]+")),
    ("a number", re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)")),
    ("a number", re.compile(r"[-+]?([0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?")),
    ("a number", re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")),
    ("a date", re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?", re.DOTALL)),
    ("an operator", re.compile(r"<<|=")),
)
# Only these can begin one of the readings above; most scalars are let go after one look.
_SUSPECT: Final = frozenset("yYnNtTfFoO~+-.0123456789<=")


def misreading(text: str) -> str | None:
    """Say what YAML 1.1 would take the unquoted `text` for, or None when it is text to every reader."""
    if text and text[0] not in _SUSPECT:
        return None
    for reading, pattern in _READINGS:
        if pattern.fullmatch(text):
            return reading
    return None


def quoted(text: str) -> str:
    """Give the double-quoted YAML form of `text`, for hints."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
