"""Stand in for a State Hub on loopback: a real HTTP server that answers, refuses, hangs, drops and redirects as told.

It is no State Hub. It knows nothing of one but the request that we assume one takes, and keeps what it was sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from reconciler.sink import HubSink

Mood = str | Callable[["Request"], bytes]
OK = "ok"


@dataclass
class Request:
    """Hold one request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class StandIn:
    """Answer requests by `moods`, one each, and by `after` once these are used up.

    Moods: `ok`, a status such as `503`, `hang`, `drop`, `redirect`, `half 200` and `half 400` (the body never
    ends), or a function that gives the whole answer.
    """

    moods: list[Mood] = field(default_factory=list)
    after: Mood = OK
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    tls: ssl.SSLContext | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    @property
    def ids(self) -> list[str]:
        """Give the ids of what came, in order, repeats and all."""
        return [request.headers["idempotency-key"] for request in self.requests]

    async def got(self, count: int) -> None:
        """Wait until so many requests came."""
        while len(self.requests) < count:
            self._news.clear()
            await asyncio.wait_for(self._news.wait(), 30)

    async def idle(self) -> None:
        """End every connection, and wait until it is gone."""
        while self._open:
            for task in self._open:
                task.cancel()
            await asyncio.wait(self._open)

    def config(self, **over: Any) -> HubSink:
        return HubSink(**{"url": self.url, "workstream_id": "ws-7", "name": "hub", **over})

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[StandIn]:
        """Listen on a free port while the block runs."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self.tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await self.idle()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.connections += 1
        try:
            while await self._serve_one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            writer.transport.abort()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *rest = head.strip().split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        request = Request(method, path, headers, body)
        self.requests.append(request)
        self._news.set()
        mood = self.moods.pop(0) if self.moods else self.after
        match mood:
            case "hang":
                await asyncio.Event().wait()
            case "drop":
                return False
            case "half 200" | "half 400":
                writer.write(f"HTTP/1.1 {mood[5:]} As Told\r\nContent-Length: 1000\r\n\r\nhalf an".encode())
                await writer.drain()
                await asyncio.Event().wait()
            case "redirect":
                writer.write(answer(302, b"", f"Location: {self.url}/elsewhere\r\n"))
            case str():
                writer.write(answer(200 if mood == OK else int(mood), b'{"said": "so"}'))
            case _:
                writer.write(mood(request))
        await writer.drain()
        return True


def answer(status: int, body: bytes, more: str = "") -> bytes:
    """Write an answer with its length."""
    return f"HTTP/1.1 {status} As Told\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body
