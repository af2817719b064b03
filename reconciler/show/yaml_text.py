"""Write plain values as YAML, for `-o yaml`.

Strings are written the JSON way wherever YAML could take them for anything else: JSON is YAML, so that is never wrong.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_/-]*(?: [A-Za-z0-9_/-]+)*")
_UNUSUAL = re.compile(r"[^\x20-\x7e]")
_RESERVED = {"true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf"}


def yaml_text(value: Any) -> str:
    """Write dicts, lists, strings, numbers, booleans and None in block style."""
    return "".join(f"{line}\n" for line in _lines(value))


def _lines(value: Any) -> list[str]:
    if isinstance(value, dict) and value:
        lines: list[str] = []
        for name, item in value.items():
            inner = _lines(item)
            if isinstance(item, dict | list) and item:
                lines += [f"{_scalar(name)}:", *(f"  {line}" for line in inner)]
            else:
                lines.append(f"{_scalar(name)}: {inner[0]}")
        return lines
    if isinstance(value, list) and value:
        lines = []
        for item in value:
            first, *rest = _lines(item)
            lines += [f"- {first}", *(f"  {line}" for line in rest)]
        return lines
    return [_scalar(value)]


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _RESERVED:
        return value
    return _UNUSUAL.sub(_written, msgspec.json.encode(value).decode())


def _written(found: re.Match[str]) -> str:
    """Write a character the YAML way, since readers refuse some of them as they are."""
    code = ord(found[0])
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - the last with four hex digits
