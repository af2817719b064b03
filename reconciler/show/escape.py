"""Make text from elsewhere safe to show: what would move a cursor or turn the text round is written out."""

from __future__ import annotations

import re
import unicodedata

_SUSPECT = re.compile(r"[^\x20-\x7e]")
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
_SHORT = {"\n": r"\n", "\t": r"\t", "\r": r"\r"}


def shown(text: str) -> str:
    r"""Write control, bidirectional and invisible characters as `\x1b`, `\u202e`, …; the rest stays as it is."""
    return _SUSPECT.sub(_written, text)


def _written(found: re.Match[str]) -> str:
    char = found[0]
    if unicodedata.category(char) not in _HIDDEN:
        return char
    if char in _SHORT:
        return _SHORT[char]
    code = ord(char)
    if code <= 0xFF:  # noqa: PLR2004 - the last code that two hex digits can write
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - likewise, four
