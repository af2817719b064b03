"""Lay text out in lines of styled pieces, so that one layout serves plain text and colour alike."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Literal
from unicodedata import combining, east_asian_width

import msgspec

if TYPE_CHECKING:  # rich costs a tenth of a second that plain text need not pay
    from rich.text import Text

Style = Literal["", "heading", "add", "change", "remove", "adopt", "held", "quiet", "bad", "good"]

_RICH_STYLES: dict[Style, str] = {
    "": "",
    "heading": "bold",
    "add": "green",
    "change": "yellow",
    "remove": "red",
    "adopt": "cyan",
    "held": "magenta",
    "quiet": "dim",
    "bad": "bold red",
    "good": "bold green",
}


_WIDE = ("W", "F")
_INDENT_LEAST = 2
_WORDS = re.compile(r" +|[^ ]+ ?")
_START = re.compile(r"(?: {2,}(?:[^ ]{1,3} +)?)?")
"""What a line begins with before its text: an indentation, and perhaps a sign."""


class Span(msgspec.Struct, frozen=True):
    """Hold a piece of one line; its text is already safe to show."""

    text: str
    style: Style = ""


Line = tuple[Span, ...]
Page = list[Line]


def line(*pieces: Span | str) -> Line:
    """Make a line; bare text has no style."""
    return tuple(piece if isinstance(piece, Span) else Span(piece) for piece in pieces)


def plain(page: Page) -> str:
    """Write a page without styles, each line ended and nothing trailing on it."""
    return "".join("".join(span.text for span in spans).rstrip() + "\n" for spans in page)


def coloured(page: Page) -> Text:
    """Give the same page for a terminal, as one rich text."""
    from rich.text import Text  # noqa: PLC0415 - rich is loaded only where colour is wanted

    text = Text(no_wrap=False)
    for spans in page:
        for span in spans:
            text.append(span.text, _RICH_STYLES[span.style])
        text.append("\n")
    return text


def wrapped(page: Page, *, width: int) -> Page:
    """Break lines that are longer than a terminal is wide between words, and set what follows below its line's text."""
    return [piece for spans in page for piece in _broken(spans, width)]


def table(
    head: tuple[str, ...],
    rows: list[tuple[Span | str, ...]],
    *,
    width: int | None = None,
    spare: tuple[str, ...] = (),
) -> Page:
    """Lay rows out under their heads in columns, two spaces apart.

    Args:
        head: names of the columns.
        rows: a cell for each column.
        width: columns of the screen, or None for one without end. The last cell of a row is cut to fit.
        spare: columns that go first, in this order, where the screen is too narrow for all.
    """
    cells = [line(*row) for row in rows]
    widths = {name: max(len(name), *(len(row[at].text) for row in cells), 0) for at, name in enumerate(head)}
    shown = _fitting(widths, width=width, spare=spare)
    names = "  ".join(name.ljust(widths[name]) for name in shown).rstrip()
    page: Page = [line(Span(names if width is None else cut(names, width), "heading"))]
    for row in cells:
        spans: list[Span] = []
        for at, name in enumerate(head):
            if name in shown:
                spans += [row[at], Span(" " * (widths[name] - len(row[at].text) + 2))]
        page.append(_cut(spans[:-1], width))
    return page


def cut(text: str, width: int) -> str:
    """Cut a text to so many columns of a terminal, and show that it was."""
    if columns(text) <= width:
        return text
    kept = ""
    for char in text:
        if columns(kept + char) >= width:
            break
        kept += char
    return kept + "…" if width > 0 else ""


def columns(text: str) -> int:
    """Tell how many columns of a terminal a text takes: Chinese characters take two, accents of their own none."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(char) else 2 if east_asian_width(char) in _WIDE else 1 for char in text)


def _broken(spans: Line, width: int) -> Page:
    text = "".join(span.text for span in spans)
    indent = max(_INDENT_LEAST, start.end() if (start := _START.match(text)) is not None else 0)
    if columns(text) <= width or indent >= width // 2:
        return [spans]
    ends: list[int] = []
    room = width
    for found in _WORDS.finditer(text):
        word = found[0]
        if columns(word.rstrip(" ")) > room and room < width - indent:
            ends.append(found.start())
            room = width - indent
        room -= columns(word)
    first, *rest = [_slice(spans, begin, end) for begin, end in pairwise((0, *ends, len(text)))]
    return [first, *((Span(" " * indent), *piece) for piece in rest)]


def _slice(spans: Line, begin: int, end: int) -> Line:
    """Give the part of a line from one character to before another, in the styles that it has there."""
    pieces: list[Span] = []
    at = 0
    for span in spans:
        text = span.text[max(0, begin - at) : max(0, end - at)]
        at += len(span.text)
        if text:
            pieces.append(Span(text, span.style))
    return tuple(pieces)


def _fitting(widths: dict[str, int], *, width: int | None, spare: tuple[str, ...]) -> list[str]:
    """Give the columns that there is room for; the last may run over, and is cut."""
    shown = list(widths)
    for name in spare:
        if width is None or sum(widths[one] + 2 for one in shown) - 2 <= width:
            break
        shown.remove(name)
    return shown


def _cut(spans: list[Span], width: int | None) -> Line:
    if width is None:
        return tuple(spans)
    kept: list[Span] = []
    room = width
    for span in spans:
        kept.append(Span(cut(span.text, room), span.style))
        room -= columns(kept[-1].text)
    return tuple(kept)
