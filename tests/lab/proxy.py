"""Stand between a client and a TCP port, and disturb what flows: delay it, cut it, or let it vanish.

It stands in for a bad network where a host shares this machine's own; a real cable that can be cut is
`HostOptions(own_network=True)`.
"""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self

Direction = Literal["up", "down"]  # up: from the client to the host

_CHUNK_BYTES = 16384


class Proxy:
    """Forward connections from `listen:port` to a target, as long as nobody tells it otherwise.

    An async context manager; every connection is cut at its end. `passed_bytes` counts both directions over all
    connections; `delay_s` holds back each piece, each way.
    """

    def __init__(self, address: str, port: int, *, delay_s: float = 0, listen: str = "127.0.0.1") -> None:
        self.listen = listen
        self.port = 0
        self.delay_s = delay_s
        self.passed_bytes: dict[Direction, int] = {"up": 0, "down": 0}
        self._target = (address, port)
        self._left_bytes: dict[Direction, int | None] = {"up": None, "down": None}
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self.listen, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        await self.cut()

    async def cut(self) -> None:
        """Cut every connection now, both ends see a reset; new ones are taken."""
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    def cut_after(self, count_bytes: int, *, direction: Direction) -> None:
        """Cut the connection that brings the next so many bytes in a direction, after exactly these bytes."""
        self._left_bytes[direction] = count_bytes

    def halt(self) -> None:
        """Forward nothing from now on, and keep connections open: a half-open link."""
        self._flowing.clear()

    def go_on(self) -> None:
        """Forward again, beginning with what was held back."""
        self._flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        writers = [writer]
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            writers.append(far_writer)
            flows = {
                asyncio.create_task(self._flow("up", reader, far_writer)),
                asyncio.create_task(self._flow("down", far_reader, writer)),
            }
            try:
                await asyncio.wait(flows, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for flow in flows:
                    flow.cancel()
                await asyncio.gather(*flows, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass  # a target that refuses, or `cut`: the client sees its connection end
        finally:
            for each in writers:
                each.transport.abort()
            self._links.discard(task)

    async def _flow(self, direction: Direction, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await source.read(_CHUNK_BYTES):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                await self._flowing.wait()
                left = self._left_bytes[direction]
                sink.write(piece if left is None else piece[:left])
                await sink.drain()
                self.passed_bytes[direction] += len(piece) if left is None else min(left, len(piece))
                if left is not None:
                    self._left_bytes[direction] = None if left <= len(piece) else left - len(piece)
                    if left <= len(piece):
                        return
