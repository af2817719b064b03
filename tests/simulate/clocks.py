"""Tell the time of controllers and hosts: one virtual time, from which each clock may be off, and jump."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

EPOCH_S = 1_800_000_000.0


def virtual_s() -> float:
    """Give the virtual time, which is 0 before anything runs."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return 0.0


class SimClock:
    """Be the clock of one machine: `off_s` is how far its time of day is from the others'; it may jump."""

    def __init__(self) -> None:
        self.off_s = 0.0

    def __call__(self) -> float:
        """Give the time of day in seconds since 1970."""
        return EPOCH_S + self.monotonic() + self.off_s

    def now(self) -> datetime:
        """Give the time of day."""
        return datetime.fromtimestamp(self(), UTC)

    def monotonic(self) -> float:
        """Give the virtual time, which no jump moves."""
        return virtual_s()

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)
