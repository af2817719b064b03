"""Show an apply while it runs: the events go in, the view comes out. Nothing here looks at a clock or a terminal."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, assert_never

import msgspec

from reconciler.model.plan import Action
from reconciler.show.escape import shown
from reconciler.show.page import Page, Span, coloured, line
from reconciler.show.symbols import symbol_of
from reconciler.show.words import span

if TYPE_CHECKING:
    from rich.text import Text

ROWS_MAX = 12
"""More rows than this would scroll a small terminal; the rest is counted."""


class Began(msgspec.Struct, frozen=True):
    """Say that an action began."""

    action: Action
    at: datetime


class Stepped(msgspec.Struct, frozen=True):
    """Say what an action is doing now: a step's title, or a line of progress."""

    id: str
    text: str


class Ended(msgspec.Struct, frozen=True):
    """Say that an action ended, and how."""

    id: str
    end: str


Event = Began | Stepped | Ended


class Running(msgspec.Struct, frozen=True):
    """Hold one action that is under way."""

    action: Action
    since: datetime
    text: str = ""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Hold how far an apply is: what runs, by action id in the order of beginning, and how many ended how."""

    total: int
    running: dict[str, Running] = {}
    ended: dict[str, int] = {}


def advance(progress: Progress, event: Event) -> Progress:
    """Take one event in."""
    running = progress.running
    match event:
        case Began(action=action, at=at):
            return msgspec.structs.replace(progress, running={**running, action.id: Running(action, at)})
        case Stepped(id=name, text=text):
            if name not in running:
                return progress
            moved = msgspec.structs.replace(running[name], text=text)
            return msgspec.structs.replace(progress, running={**running, name: moved})
        case Ended(id=name, end=end):
            left = {key: one for key, one in running.items() if key != name}
            ended = {**progress.ended, end: progress.ended.get(end, 0) + 1}
            return msgspec.structs.replace(progress, running=left, ended=ended)
        case _ as never:
            assert_never(never)


def live_page(progress: Progress, *, now: datetime, width: int) -> Page:
    """Lay out what runs, the longest first, and one line of counts. Long lines are cut: this view is passing."""
    page: Page = []
    rows = list(progress.running.values())
    for one in rows[:ROWS_MAX]:
        action = one.action
        age = span((now - one.since).total_seconds())
        head = f"{symbol_of(action):<3} {shown(action.address)} on {shown(action.host)}"
        page.append(line(Span(_cut(f"  {head}  {age:>6}  {shown(one.text)}", width), "change")))
    if len(rows) > ROWS_MAX:
        page.append(line(Span(f"  … and {len(rows) - ROWS_MAX} more", "quiet")))
    counts = ", ".join(f"{number} {end}" for end, number in sorted(progress.ended.items()))
    ended = sum(progress.ended.values())
    page.append(line(Span(f"{ended} of {progress.total} ended{f': {counts}' if counts else ''}", "heading")))
    return page


def live_rich(progress: Progress, *, now: datetime, width: int) -> Text:
    """Give the same for a terminal that redraws it."""
    return coloured(live_page(progress, now=now, width=width))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(1, width - 1)] + "…"
