"""Read the controller's clock: the only place that does."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """Tell the time of this machine."""

    def now(self) -> datetime:
        """Give the time of day in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - cli is where the clock is read

    def monotonic(self) -> float:
        """Give seconds that only ever grow."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Let this many seconds pass."""
        import asyncio

        await asyncio.sleep(seconds)
