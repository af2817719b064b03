"""Tell of the pass that has not come to its end: what of it is known, what nobody knows, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from reconciler.model.unfinished import UnfinishedAction, UnfinishedPass
from reconciler.show.escape import shown
from reconciler.show.page import Page, Span, line
from reconciler.show.words import ago, count, natural, on_host

_NAMED = 5
"""So many actions that are done, or not done, are named; a wide page has all."""

_HEADINGS = {"running": "A pass is running", "cut": "A pass was cut short", "unknown": "A pass has not ended"}
_ENDS = {"running": "is running", "cut": "never ended", "unknown": "has not ended"}
_AGAIN = "run `reconcile apply` again: it looks first"
_WAYS = {"running": "what is told below is from before it", "cut": _AGAIN, "unknown": _AGAIN}


def unfinished_page(found: UnfinishedPass, *, now: datetime, wide: bool) -> Page:
    """Lay it out; a wide page names every action."""
    is_running = found.state == "running"
    by = f" by {shown(found.by)}" if found.by else ""
    told = f"pass {shown(found.id)}, begun {ago(found.began_at, now=now)}{by}, {_ENDS[found.state]}"
    if is_running and found.actions:
        done = found.in_state("done")
        told += f": {len(done)} of {count(len(found.actions), 'action')} done so far"
    page = [
        line(Span(_HEADINGS[found.state], "heading")),
        (),
        line(Span("  ! ", "held" if is_running else "bad"), told),
        *(line(f"      {shown(why)}") for why in found.unreadable),
        *([] if is_running else _actions(found, wide=wide)),
        line(Span(f"      hint: {_WAYS[found.state]}", "quiet")),
        (),
    ]
    return list(page)


def unfinished_json(found: UnfinishedPass) -> dict[str, Any]:
    """Give it as scripts may rely on it."""
    return {
        "id": found.id,
        "state": found.state,
        "began_at": found.began_at.isoformat(),
        "by": found.by or None,
        "actions": [
            {
                "address": one.address,
                "host": one.host,
                "action": str(one.verb),
                "state": one.state,
                "changes": one.changes,
                "changes_done": one.changes_done,
                "changes_unknown": list(one.unknown),
            }
            for one in found.actions
        ],
        "unreadable": list(found.unreadable),
        "hint": _WAYS[found.state],
    }


def _actions(found: UnfinishedPass, *, wide: bool) -> Page:
    """Tell one by one of those that somebody may worry about, and name the others."""
    page: Page = []
    for one in _sorted(found.in_state("unknown")):
        known = f"{one.changes_done} of {count(one.changes, 'change')} known done"
        why = f"{one.verb}: {known}; nobody knows whether this happened: {', '.join(one.unknown)}"
        page.append(line(Span(f"      {on_host(one.address, one.host)}   ", "bad"), shown(why)))
    for one in _sorted(found.in_state("begun")):
        why = f"{one.verb}: begun, {one.changes_done} of {count(one.changes, 'change')} done"
        page.append(line(Span(f"      {on_host(one.address, one.host)}   ", "bad"), why))
    for words, those in (("not done", found.in_state("not_done")), ("done", found.in_state("done"))):
        if those:
            page.append(line(f"      {words}: {count(len(those), 'action')}: {_names(_sorted(those), wide=wide)}"))
    return page


def _names(actions: Sequence[UnfinishedAction], *, wide: bool) -> str:
    named = actions if wide else actions[:_NAMED]
    more = f" and {len(actions) - len(named)} more" if len(actions) > len(named) else ""
    return ", ".join(on_host(one.sandbox, one.host) for one in named) + more


def _sorted(actions: Sequence[UnfinishedAction]) -> list[UnfinishedAction]:
    return sorted(actions, key=lambda one: (natural(one.sandbox), natural(one.host)))
