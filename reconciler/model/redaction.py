"""Take the values of secrets out of text that comes from outside, in whatever common form they come back.

A program prints its environment, an engine repeats a refused value in its error: such text is shown, logged and kept.
What is searched for is each value and each line of one with several, as it is and as JSON, JSON inside JSON, URLs,
base64, shells and our own escapes write it. Other disguises (another encryption or encoding, a value printed in pieces)
are not found.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus

import msgspec

from reconciler.model.text import CUT, SECRET_SHOWN, printable

LENGTH_MIN = 6
"""A shorter value is hidden only where it is all there is: searched for in prose, `1234` or `prod` would shred it."""

_FRAGMENT_MIN, _FRAGMENT_MAX = 3, 512
"""Where a text was cut, so much of a value beside the cut is hidden as well; no text of ours is cut behind more."""

_PERCENT = re.compile(r"%[0-9A-F]{2}")
_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}

T = TypeVar("T")


class Redactor:
    """Hide known values in text.

    Args:
        values: of the secrets, as they are.
    """

    def __init__(self, values: Iterable[str]) -> None:
        whole = [str(value) for value in values if value.strip()]
        self._whole = frozenset(value.strip() for value in whole)
        pieces = {piece.strip() for value in whole for piece in (value, *value.splitlines())}
        needles = {form for piece in pieces if len(piece) >= LENGTH_MIN for form in _forms(piece)}
        self._needles = tuple(sorted(needles, key=lambda form: (-len(form), form)))

    def text(self, text: str) -> str:
        """Give the text with every known value in it replaced by `(secret)`; values that overlap become one."""
        if text.strip() in self._whole:
            return SECRET_SHOWN
        found = sorted(span for needle in self._needles for span in (*_spans(needle, text), *_cut_spans(needle, text)))
        kept: list[str] = []
        end = 0
        for start, stop in found:
            if start >= end:
                kept += [text[end:start], SECRET_SHOWN]
            end = max(end, stop)
        return "".join([*kept, text[end:]]) if found else text

    def walk(self, value: T, *, but: frozenset[str] = frozenset()) -> T:
        """Give `value` with every text in it redacted: structs, tuples and mappings are walked, keys are left.

        `but` names fields that programs read, such as codes and ids: they are left as they are.
        """
        redacted: Any = self._walk(value, but)
        return redacted  # type: ignore[no-any-return]  # the walk keeps the shape of what it is given

    def _walk(self, value: Any, but: frozenset[str]) -> Any:
        match value:
            case str():
                return self.text(value)
            case msgspec.Struct():
                fields = (field for field in value.__struct_fields__ if field not in but)
                return msgspec.structs.replace(value, **{at: self._walk(getattr(value, at), but) for at in fields})
            case tuple():
                return tuple(self._walk(item, but) for item in value)
            case Mapping():
                return {name: self._walk(item, but) for name, item in value.items()}
            case _:
                return value


@lru_cache(maxsize=4)
def redactor_of(values: tuple[str, ...]) -> Redactor:
    """Give the redactor of these values, made once: a plan asks for the same one again and again."""
    return Redactor(values)


def _spans(needle: str, text: str) -> Iterable[tuple[int, int]]:
    at = text.find(needle)
    while at >= 0:
        yield at, at + len(needle)
        at = text.find(needle, at + 1)


def _cut_spans(needle: str, text: str) -> Iterable[tuple[int, int]]:
    """Find the beginning of a value right before a cut of the text, and the end of one right after it."""
    at = text.find(CUT)
    while at >= 0:
        after = at + len(CUT)
        for length in range(min(len(needle) - 1, _FRAGMENT_MAX), _FRAGMENT_MIN - 1, -1):
            if text.endswith(needle[:length], 0, at):
                yield at - length, at
            if text.startswith(needle[-length:], after):
                yield after, after + length
        at = text.find(CUT, after)


def _forms(piece: str) -> set[str]:
    """Write one value in every way in which it is looked for."""
    in_json = _in_json({piece})
    in_urls = [quote(piece), quote(piece, safe=""), quote_plus(piece)]
    in_small = [_PERCENT.sub(lambda found: found[0].lower(), text) for text in in_urls]
    escaped = [printable(piece), printable(piece, kept="\t"), ascii(piece)[1:-1], repr(piece)[1:-1]]
    in_shells = [piece.replace("'", "'\\''"), piece.replace("'", "'\"'\"'")]
    written = [*in_json, *_in_json(in_json), *in_urls, *in_small, *in_shells, *escaped, *_in_base64(piece.encode())]
    forms = {piece, " ".join(piece.split()), *written}
    return {form for form in forms if len(form) >= LENGTH_MIN}


def _in_json(texts: set[str]) -> set[str]:
    """Write texts as they stand inside the quotes of JSON: with ASCII alone or not, and as Go writes it, for HTML."""
    written = {json.dumps(text, ensure_ascii=ascii_alone)[1:-1] for text in texts for ascii_alone in (True, False)}
    return written | {"".join(_HTML.get(char, char) for char in text) for text in written}


def _in_base64(data: bytes) -> Iterable[str]:
    """Give what stands in base64 wherever the data do: alone, or after one or two bytes that shift every digit.

    The digits at each end that depend on what stands beside the data are left out.
    """
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + data).decode()
        first, last = (before * 8 + 5) // 6, (before + len(data)) * 8 // 6
        digits = encoded[first:last]
        yield digits
        yield digits.translate(str.maketrans("+/", "-_"))
