"""Send envelopes to a hub, and die by SIGKILL once one of them was taken, before it is forgotten.

Run as a program: URL, spool, then how many are taken before the end.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from reconciler.model.telemetry import Envelope
from reconciler.sink import HubSink, Sink, open_sinks, send
from tests import builders as b
from tests.unit.sink.envelopes import a_provision


class Deadly:
    """Hand on to a real sink; what was taken last is never said to be."""

    def __init__(self, sink: Sink, *, after: int) -> None:
        self.name = sink.name
        self._sink = sink
        self._left = after

    async def deliver(self, envelope: Envelope) -> None:
        await self._sink.deliver(envelope)
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    async def close(self) -> None:
        await self._sink.close()


if __name__ == "__main__":
    url, spool, after = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    (hub,) = open_sinks([HubSink(url=url, workstream_id="ws-7", name="hub")])
    batch = [a_provision(number) for number in range(1, 6)]
    asyncio.run(send(batch, [Deadly(hub, after=after)], spool=spool, now=b.T0))
