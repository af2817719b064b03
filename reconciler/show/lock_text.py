"""Say which hosts another pass was changing while they were looked at: what it did since is in no plan."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.model.observed import Observed, Reachable, SeenLock
from reconciler.show.escape import shown
from reconciler.show.page import Page, Span, line
from reconciler.show.words import natural


def being_changed(observed: Observed) -> dict[str, str]:
    """Give, for each host whose lock was held during the look, who held it since when, as the host keeps it."""
    looks = {name: look for name, look in sorted(observed.hosts.items()) if isinstance(look, Reachable)}
    return {name: holder_of(look.view.lock) for name, look in looks.items() if look.view.lock.is_held}


def left_locked(observed: Observed) -> dict[str, str]:
    """Give, for each host whose last holder ended without giving its lock back, who that was since when."""
    looks = {name: look for name, look in sorted(observed.hosts.items()) if isinstance(look, Reachable)}
    return {name: holder_of(look.view.lock) for name, look in looks.items() if look.view.lock.is_left}


def holder_of(lock: SeenLock) -> str:
    """Say `ann@desk pid 12 since 2026-11-22T09:30:00+00:00`, of a lock that is or was held."""
    since, _, holder = lock.line.partition(" ")
    return f"{holder or 'another pass'} since {since}" if since else "another pass"


def changing_lines(changing: Mapping[str, str]) -> Page:
    """Draw one line for each host that is being changed."""
    return [
        line(Span("  ! ", "held"), f"host/{shown(name)} is being changed just now, by {shown(by)}: plan again after it")
        for name, by in sorted(changing.items(), key=lambda item: natural(item[0]))
    ]


def left_lines(left: Mapping[str, str]) -> Page:
    """Draw one line for each host that the plan changes and that somebody else has left in the middle of a change."""
    return [
        line(
            Span("  ! ", "held"),
            f"host/{shown(name)} was left by {shown(by)} without giving its lock back: "
            "a stop that it sent may still go on",
        )
        for name, by in sorted(left.items(), key=lambda item: natural(item[0]))
    ]
