"""Speak HTTP with one Docker engine: bounded, framed, never repeated, and read-only where that was promised.

Requests go over our own aiohttp session and not through a client library's methods: only so has each reply a limit, and
only so is a request that was never sent told from one whose reply was lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
from yarl import URL

from reconciler.errors import HostError, ReadFailed
from reconciler.host.foreign import DockerRefused, http_failure, reply_refused, session_failure

if TYPE_CHECKING:
    from types import SimpleNamespace

OLDEST_API = "1.41"
REPLY_LIMIT_BYTES = 64 * 1024 * 1024
CONNECTIONS = 32
"""Channels to one engine at once; they do not count as sshd sessions."""

_ERROR_LIMIT_BYTES = 64 * 1024
_READ_METHODS = frozenset({"GET", "HEAD"})


class ReadOnlyViolation(RuntimeError):
    """Report a bug: something that promised to read only tried to send another request. Nothing was sent."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one whole reply of a 2xx or 304 status."""

    status: int
    body: bytes


class _Progress:
    """Note how far a request got; aiohttp passes it to the trace below."""

    def __init__(self) -> None:
        self.sent = False


class Wire:
    """Hold one HTTP session with one engine.

    Args:
        connector: how connections to the engine's socket are made; stays the caller's.
        host: the host's name, for messages.
        path: the engine's socket, for messages.
        read_only: refuse every method but GET and HEAD before anything is sent.
        api: the version that requests ask for.
    """

    def __init__(
        self,
        connector: aiohttp.BaseConnector,
        *,
        host: str,
        path: str,
        read_only: bool,
        api: str = OLDEST_API,
    ) -> None:
        self.host = host
        self.path = path
        self.api = api
        self.session = open_session(connector, read_only=read_only)

    async def read_json(
        self,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        deadline_s: float,
        versioned: bool = True,
    ) -> Any:
        """GET one JSON document.

        Raises:
            ReadFailed: cut, late, too large, or not JSON.
            DockerRefused: the engine answered with an error.
            ConnectFailed: no connection to the engine.
        """
        reply = await self.call("GET", path, params=params, headers=headers, deadline_s=deadline_s, versioned=versioned)
        return self.decode(f"GET {path}", reply.body)

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        deadline_s: float,
        versioned: bool = True,
    ) -> Reply:
        """Send one request and take its whole reply.

        Raises:
            OutcomeUnknown: a mutating request that was sent and not answered.
            ReadFailed: a read that was cut, late or too large.
            DockerRefused: the engine answered with an error.
            ConnectFailed: nothing was sent.
        """
        async with self.stream(
            method,
            path,
            params=params,
            body=body,
            headers=headers,
            deadline_s=deadline_s,
            versioned=versioned,
            framed=True,
        ) as response:
            data = await self._take(response, f"{method} {path}", REPLY_LIMIT_BYTES)
            return Reply(status=response.status, body=data)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        deadline_s: float | None,
        versioned: bool = True,
        framed: bool,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send one request and give the open reply, to be read within the deadline. Raises as `call`.

        `framed` refuses a reply whose end cannot be told from a cut: neither a length nor chunks.
        """
        call = f"{method} {path}"
        progress = _Progress()
        if self.session.closed:
            # Whoever first saw that the line was lost closed what hung on it, also for those who still hold this.
            raise session_failure(ConnectionError(f"{call}: it was lost"), self.host)
        try:
            async with (
                asyncio.timeout(deadline_s),
                self.session.request(
                    method,
                    self._url(path, params, versioned=versioned),
                    data=None if body is None else msgspec.json.encode(body),
                    headers={**({"Content-Type": "application/json"} if body is not None else {}), **(headers or {})},
                    trace_request_ctx=progress,
                    allow_redirects=False,
                ) as response,
            ):
                if response.status >= HTTPStatus.BAD_REQUEST:
                    raise await self._refusal(response, call)
                if framed:
                    self._check_framing(response, call)
                yield response
        except (HostError, ReadOnlyViolation):
            raise
        except (aiohttp.ClientError, OSError) as error:
            raise http_failure(
                error,
                host=self.host,
                call=call,
                sent=progress.sent,
                mutating=method not in _READ_METHODS,
                path=self.path,
            ) from error

    def decode(self, call: str, body: bytes) -> Any:
        """Decode a JSON document; depth is bounded by the decoder. Raises `ReadFailed`."""
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            why = "nested too deep" if isinstance(error, RecursionError) else f"not JSON ({error})"
            raise reply_refused(self.host, call, why) from error

    async def close(self) -> None:
        """Close the session; the connector stays its owner's."""
        await self.session.close()

    def _url(self, path: str, params: Mapping[str, Any] | None, *, versioned: bool) -> URL:
        query = f"?{urlencode(params)}" if params else ""
        return URL(f"http://docker{f'/v{self.api}' if versioned else ''}{path}{query}", encoded=True)

    def _check_framing(self, response: aiohttp.ClientResponse, call: str) -> None:
        if response.status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED) or response.method == "HEAD":
            return
        encoding = response.headers.get("Transfer-Encoding", "").lower()
        if response.content_length is None and "chunked" not in encoding:
            raise reply_refused(self.host, call, "it has neither a length nor chunks, so a cut could not be seen")
        if (response.content_length or 0) > REPLY_LIMIT_BYTES:
            raise reply_refused(self.host, call, f"larger than {REPLY_LIMIT_BYTES} bytes")

    async def _take(self, response: aiohttp.ClientResponse, call: str, limit_bytes: int) -> bytes:
        parts, size_bytes = [], 0
        async for part in response.content.iter_any():
            size_bytes += len(part)
            if size_bytes > limit_bytes:
                raise reply_refused(self.host, call, f"larger than {limit_bytes} bytes")
            parts.append(part)
        return b"".join(parts)

    async def _refusal(self, response: aiohttp.ClientResponse, call: str) -> DockerRefused:
        try:
            body = await self._take(response, call, _ERROR_LIMIT_BYTES)
            words = msgspec.json.decode(body, type=dict[str, Any]).get("message", "")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ReadFailed):
            words = ""
        text = str(words) or HTTPStatus(response.status).phrase
        return DockerRefused(f"host {self.host}: {call}: {text}", status=response.status)


def open_session(connector: aiohttp.BaseConnector, *, read_only: bool) -> aiohttp.ClientSession:
    """Open an aiohttp session that never sends a request twice. The one place that reaches into aiohttp's session."""
    trace = aiohttp.TraceConfig()
    # From the moment a connection is at hand, the request may be on its way: counted as sent from there.
    trace.on_connection_create_end.append(_mark_sent)
    trace.on_connection_reuseconn.append(_mark_sent)
    session = aiohttp.ClientSession(
        connector=connector,
        connector_owner=False,
        timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_read=None, sock_connect=None),
        trace_configs=[trace],
        middlewares=(_refuse_changes,) if read_only else (),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"Accept-Encoding": "identity", "User-Agent": "reconciler"},
    )
    # aiohttp silently sends GET, PUT and DELETE a second time after a dropped connection.
    session._retry_connection = False  # noqa: SLF001  # there is no public switch; a test counts the requests
    return session


def quoted(name: str) -> str:
    """Quote one name for the path of a request; a reference keeps its slashes and colons."""
    return quote(name, safe="/:@")


async def _mark_sent(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: Any) -> None:
    if isinstance(context.trace_request_ctx, _Progress):
        context.trace_request_ctx.sent = True


async def _refuse_changes(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    if request.method not in _READ_METHODS:
        raise ReadOnlyViolation(f"{request.method} {request.url.path} on a connection that only reads")
    return await handler(request)
