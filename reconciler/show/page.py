"""Lay text out in lines of styled pieces, so that one layout serves plain text and colour alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

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


def table(head: tuple[str, ...], rows: list[tuple[Span | str, ...]]) -> Page:
    """Lay rows out under their heads in columns, two spaces apart."""
    cells = [line(*row) for row in rows]
    widths = [max(len(name), *(len(row[at].text) for row in cells), 0) for at, name in enumerate(head)]
    page: Page = [line(Span(_row(head, widths), "heading"))]
    for row in cells:
        last = len(row) - 1
        spans: list[Span] = []
        for at, span in enumerate(row):
            pad = "" if at == last else " " * (widths[at] - len(span.text) + 2)
            spans += [span, Span(pad)]
        page.append(tuple(spans))
    return page


def _row(head: tuple[str, ...], widths: list[int]) -> str:
    return "  ".join(name.ljust(width) for name, width in zip(head, widths, strict=True)).rstrip()
