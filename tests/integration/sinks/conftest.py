"""Give a stand-in of a State Hub, and a way to send."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from reconciler.model.telemetry import Envelope
from reconciler.sink import open_sinks, send
from reconciler.sink.opening import SinkConfig
from tests import builders as b
from tests.integration.sinks.stand_in import StandIn

Send = Callable[..., Awaitable[tuple[str, ...]]]


@pytest.fixture
async def hub() -> AsyncIterator[StandIn]:
    async with StandIn().serve() as served:
        yield served


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "status/spool"


@pytest.fixture
def to(spool: Path) -> Send:
    """Send envelopes to sinks as one pass does: opened, used and closed."""

    async def pass_of(*envelopes: Envelope, sinks: Sequence[SinkConfig], limit_s: float = 3.0) -> tuple[str, ...]:
        return await send(envelopes, open_sinks(sinks), spool=spool, now=b.T0, limit_s=limit_s)

    return pass_of
