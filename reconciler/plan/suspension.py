"""Say whether a suspension holds: until somebody takes it away, or until the moment that it names."""

from __future__ import annotations

from datetime import UTC, datetime

from reconciler.model.desired import Suspend
from reconciler.plan.assessment import Trouble


def suspension(of: Suspend | None, whom: str, *, now: datetime) -> Trouble | None:
    """Give the reason to leave `whom` alone, or None. A moment that cannot be read never comes."""
    if of is None:
        return None
    ends = _moment(of.until)
    if ends is not None and ends <= now:
        return None
    by = f" by {of.by}" if of.by else ""
    until = f" until {of.until}" if of.until else ""
    return Trouble("Suspended", f"{whom} is suspended{by}{until}: {of.reason}", "remove spec.suspend to go on")


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
