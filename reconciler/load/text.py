"""Check a spec file's bytes before any YAML reader sees them."""

from __future__ import annotations

import re
from typing import Final

from reconciler.model.problem import Problem
from reconciler.model.source import SourceRef

# One spec file: a thousand generated sandboxes fit; a log file or a disk image given by mistake does not.
MAX_FILE_BYTES: Final = 1024 * 1024

# Controls, line breaks that only some readers honour, and characters that make text look like other text.
# U+FDD0..FDEF are noncharacters: ours, to mark what is bound late.
_FORBIDDEN: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufdd0-\ufdef\ufffe\uffff]"
    "|\r(?!\n)"
)
_CONFLICT: Final = re.compile(r"^(<{7}|>{7}|\|{7})( |$)", re.MULTILINE)


def checked_text(data: bytes, file: str) -> str | tuple[Problem, ...]:
    """Decode a spec file strictly, or say everything that forbids reading it."""
    if len(data) > MAX_FILE_BYTES:
        return (_whole(file, "E_SPEC_SIZE", "this file is larger than 1 MiB", "split it into several files"),)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return (_whole(file, "E_ENCODING", "this file is UTF-16; UTF-8 is wanted", "save it as UTF-8"),)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line, col = _place(data[: error.start].decode("utf-8", "replace"))
        at = SourceRef(file, line, col)
        bad = f"byte 0x{data[error.start]:02x}"
        return (Problem("E_ENCODING", at, f"{bad} is not valid UTF-8", hint="save the file as UTF-8"),)
    text = text.removeprefix("\ufeff")
    return _forbidden(text, file) or _conflicts(text, file) or text


def shown(text: str, limit: int = 60) -> str:
    """Give `text` as ASCII that cannot fool a terminal or an eye, cut to `limit` characters."""
    cut = text if len(text) <= limit else text[:limit]
    safe = cut.encode("unicode_escape").decode("ascii").replace("\\\\", "\\")
    return safe if cut is text else f"{safe}… ({len(text)} characters)"


def unreadable_character(text: str) -> str | None:
    """Name a character that an escape brought in and that no value may hold, or None."""
    for char in text:
        code = ord(char)
        if code == 0 or 0xD800 <= code <= 0xDFFF or 0xFDD0 <= code <= 0xFDEF:  # noqa: PLR2004 - Unicode ranges
            return f"\\u{code:04x}"
    return None


def _forbidden(text: str, file: str) -> tuple[Problem, ...]:
    found = []
    for match in _FORBIDDEN.finditer(text):
        line, col = _place(text[: match.start()])
        name = f"\\u{ord(match.group()[0]):04x}"
        message = f"the character {name} is invisible or a control character and is not allowed here"
        hint = 'remove it, or write it as an escape inside double quotes ("\\…")'
        found.append(Problem("E_ENCODING", SourceRef(file, line, col), message, hint=hint))
        if len(found) == 20:  # noqa: PLR2004 - a binary file need not be listed in full
            break
    return tuple(found)


def _conflicts(text: str, file: str) -> tuple[Problem, ...]:
    match = _CONFLICT.search(text)
    if match is None:
        return ()
    at = SourceRef(file, _place(text[: match.start()])[0], 1)
    return (Problem("E_SPEC_CONFLICT", at, "unresolved merge conflict", hint="resolve it and save the file"),)


def _place(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _whole(file: str, code: str, message: str, hint: str) -> Problem:
    return Problem(code, SourceRef(file, 0, 0), message, hint=hint)
