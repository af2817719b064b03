"""Show an apply while it runs: the events go in, the view comes out. Nothing here looks at a clock or a terminal."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, assert_never

import msgspec

from reconciler.model.plan import Action
from reconciler.show.escape import shown
from reconciler.show.page import Line, Page, Span, coloured, columns, cut, line
from reconciler.show.symbols import SIGNS, symbol_of

if TYPE_CHECKING:
    from rich.text import Text

ROWS_MAX = 12
"""More rows than this would hide what was said before; the rest is counted."""

_BESIDES = 4
"""Lines that the rows share the terminal with: two around them, the counts, and where the cursor is."""

_CLOCK_WIDTH = 7
_NAME_LEAST, _DOING_LEAST = 10, 24
"""So much room have a name and what is done, before the other is cut."""

_BEFORE_STEPS = "waiting for its turn"


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
    """Hold how far an apply is.

    Attributes:
        total: how many actions there are.
        began_at: when it began.
        running: what is under way, by action id, in the order of beginning.
        ended: how many ended how.
        name_width, host_width: the widest seen so far: columns only ever grow, so that nothing jumps to and fro.
    """

    total: int
    began_at: datetime
    running: dict[str, Running] = {}
    ended: dict[str, int] = {}
    name_width: int = 0
    host_width: int = 0


def advance(progress: Progress, event: Event) -> Progress:
    """Take one event in."""
    running = progress.running
    match event:
        case Began(action=action, at=at):
            return msgspec.structs.replace(
                progress,
                running={**running, action.id: Running(action, at)},
                name_width=max(progress.name_width, columns(shown(action.sandbox))),
                host_width=max(progress.host_width, columns(shown(action.host))),
            )
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


def live_page(progress: Progress, *, now: datetime, width: int, height: int) -> Page:
    """Lay out what is under way, the longest first, and one line of counts; each fits in one line of the terminal."""
    rows = list(progress.running.values())
    room = max(1, min(ROWS_MAX, height - _BESIDES))
    page: Page = [(), *(_row(one, progress, now=now, width=width) for one in rows[:room])]
    if len(rows) > room:
        page.append(line(Span(cut(f"  … and {len(rows) - room} more", width), "quiet")))
    page.append(line(Span(cut(_counts(progress, now=now), width), "heading")))
    return page


def live_rich(progress: Progress, *, now: datetime, width: int, height: int) -> Text:
    """Give the same for a terminal that redraws it."""
    return coloured(live_page(progress, now=now, width=width, height=height))


def _row(one: Running, progress: Progress, *, now: datetime, width: int) -> Line:
    """Draw one action: its sign, sandbox, host, since when, and what it does now, which has what room is left."""
    action = one.action
    start = f"  {symbol_of(action):<3} "
    host_width = min(progress.host_width, width // 5)
    besides = columns(start) + 2 + host_width + 2 + _CLOCK_WIDTH + 2
    name_width = min(progress.name_width, max(_NAME_LEAST, width - besides - _DOING_LEAST))
    name = _filled(_shortened(shown(action.sandbox), name_width), name_width)
    host = _filled(_shortened(shown(action.host), host_width), host_width)
    middle = f"{name}  {host}  {_clock((now - one.since).total_seconds()):>{_CLOCK_WIDTH}}  "
    left = width - columns(start) - columns(middle)
    if left < 1:
        return line(cut(start + middle, width))
    doing = cut(shown(one.text or _BEFORE_STEPS), left)
    return line(Span(start, SIGNS[action.verb].style), middle, Span(doing, "quiet"))


def _counts(progress: Progress, *, now: datetime) -> str:
    ended = sum(progress.ended.values())
    how = ", ".join(f"{number} {end}" for end, number in sorted(progress.ended.items()))
    to_come = max(0, progress.total - ended - len(progress.running))
    took = _clock((now - progress.began_at).total_seconds())
    said = f" ({how})" if how else ""
    return f"{took}  {ended} of {progress.total} ended{said}, {len(progress.running)} under way, {to_come} to come"


def _clock(past_s: float) -> str:
    """Say a time span as a clock does: `0:05`, `12:34`, `1:02:03`."""
    minutes, seconds = divmod(max(0, int(past_s)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _shortened(text: str, width: int) -> str:
    """Leave out the middle of a name: names of a kind differ at their ends."""
    if columns(text) <= width:
        return text
    kept = max(0, width - 1)
    return f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"


def _filled(text: str, width: int) -> str:
    return text + " " * (width - columns(text))
