"""Tell since when a container has done nothing, from counters that were read at different times."""

from __future__ import annotations

from datetime import datetime

import msgspec

from reconciler.model.snapshot import SandboxUse

QUIET_CPU_SHARE = 0.001
QUIET_CPU_S = 5.0
"""A container that uses less of one CPU than this share, and less than this in all, does nothing: a sleeping program,
or a probe now and then."""


class Activity(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Remember the counters of one container, and when they last rose.

    Attributes:
        seen_at: when they were read; busy_at: the latest look until which the container may have done something.
            The two are equal at the first look, which tells nothing of what was before it.
    """

    cpu_usage_ns: int
    network_bytes: int | None
    seen_at: datetime
    busy_at: datetime
    looks: int = 1

    @property
    def idle_s(self) -> float | None:
        """Give the seconds for which it did next to nothing; None before two looks."""
        return (self.seen_at - self.busy_at).total_seconds() if self.looks > 1 else None


def activity_after(before: Activity | None, use: SandboxUse, at: datetime) -> Activity | None:
    """Give what is known after another look, or what was known where that look told nothing."""
    if use.cpu_usage_ns is None:
        return before
    first = Activity(cpu_usage_ns=use.cpu_usage_ns, network_bytes=use.network_bytes, seen_at=at, busy_at=at)
    if before is None:
        return first
    rested = not _rose(before, use, elapsed_s=(at - before.seen_at).total_seconds())
    busy_at = before.busy_at if rested else at
    return msgspec.structs.replace(first, busy_at=busy_at, looks=before.looks + 1)


def _rose(before: Activity, use: SandboxUse, *, elapsed_s: float) -> bool:
    """Tell whether a counter rose; one that fell was begun anew, so its container was started since."""
    used_ns = (use.cpu_usage_ns or 0) - before.cpu_usage_ns
    sent = (use.network_bytes or 0) - (before.network_bytes or 0)
    return used_ns < 0 or sent != 0 or used_ns > min(elapsed_s * QUIET_CPU_SHARE, QUIET_CPU_S) * 1e9
