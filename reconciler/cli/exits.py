"""Name the exit statuses, and say which wins when several things happened."""

from __future__ import annotations

from collections.abc import Iterable

FINE = 0
ERROR = 1
CHANGES = 2
PARTIAL = 3
STALE = 4
REFUSED = 5
LOCKED = 6
USAGE = 64
INTERRUPTED = 130

_ORDER = (INTERRUPTED, LOCKED, STALE, REFUSED, ERROR, PARTIAL, CHANGES, FINE)


def worst(statuses: Iterable[int]) -> int:
    """Pick the status that says most; fine when there is none."""
    found = set(statuses)
    return next((status for status in _ORDER if status in found), FINE)
