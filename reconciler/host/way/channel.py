"""Give aiohttp a socket that lives on another machine: a streamlocal channel of an SSH connection, in memory.

No listener and no socket file exists on this side, so nobody else here can use the tunnel. aiohttp has no public way
to bring one's own dialling, so its private `_create_connection` is overridden in this one class; a contract test
notices when another version behaves otherwise.
"""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING, Any

import aiohttp
import asyncssh

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler


class ChannelConnector(aiohttp.UnixConnector):
    """Connect to one socket of a host through its SSH connection."""

    def __init__(self, connection: asyncssh.SSHClientConnection, path: str, *, limit: int) -> None:
        super().__init__(path, limit=limit)
        self._connection = connection

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> ResponseHandler:  # noqa: ARG002, ASYNC109  # aiohttp's signature
        protocol = self._factory()
        try:
            await self._connection.create_unix_connection(lambda: _ChannelSession(protocol), self.path, encoding=None)
        except asyncssh.Error as error:
            # sshd says `open failed` for a missing socket, a closed one and a refusal alike.
            raise aiohttp.ClientConnectionError(error.reason) from error
        return protocol


class _ChannelSession(asyncssh.SSHUNIXSession[bytes]):
    """Pass what arrives on a channel to an asyncio protocol."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol
        self._ended = False

    def connection_made(self, chan: asyncssh.SSHUNIXChannel[bytes]) -> None:
        self._protocol.connection_made(_ChannelTransport(chan))

    def data_received(self, data: bytes, datatype: int | None) -> None:  # noqa: ARG002  # asyncssh's signature
        self._protocol.data_received(data)

    def eof_received(self) -> bool:
        # The engine has closed its side: for HTTP that is the end of the connection, cut body or not.
        self._end(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        # aiohttp hands on what it is given; its callers expect what a socket of the system would raise.
        self._end(None if exc is None else ConnectionResetError(errno.ECONNRESET, str(exc)))

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    def _end(self, exc: Exception | None) -> None:
        if not self._ended:
            self._ended = True
            self._protocol.connection_lost(exc)


class _ChannelTransport(asyncio.Transport):
    """Speak asyncio's transport over an SSH channel."""

    def __init__(self, channel: asyncssh.SSHUNIXChannel[bytes]) -> None:
        super().__init__()
        self._channel = channel

    def write(self, data: Any) -> None:
        if not self._channel.is_closing():
            self._channel.write(bytes(data))

    def is_closing(self) -> bool:
        return bool(self._channel.is_closing())

    def close(self) -> None:
        self._channel.close()

    def abort(self) -> None:
        self._channel.abort()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self._channel.write_eof()

    def pause_reading(self) -> None:
        self._channel.pause_reading()

    def resume_reading(self) -> None:
        self._channel.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._channel.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return int(self._channel.get_write_buffer_size())
