"""Take apart the engine's stream of a container's standard output and standard error."""

from __future__ import annotations

import struct
from typing import Literal

import msgspec

from reconciler.errors import ReadFailed

_HEADER = struct.Struct(">BxxxL")
_STREAMS: dict[int, Literal["stdout", "stderr"]] = {0: "stdout", 1: "stdout", 2: "stderr"}
FRAME_LIMIT_BYTES = 16 * 1024 * 1024


class Chunk(msgspec.Struct, frozen=True):
    """Hold some bytes that a container wrote, and where to."""

    stream: Literal["stdout", "stderr"]
    data: bytes


class Demultiplexer:
    """Turn the bytes of one multiplexed reply into chunks, whatever pieces they arrive in.

    Each frame is one byte for the stream, three unused, four for the length (big end first), then the data.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Chunk]:
        """Take more bytes and give every chunk that is whole. Raises `ReadFailed` for what is no such stream."""
        self._buffer += data
        chunks = []
        while len(self._buffer) >= _HEADER.size:
            stream, length = _HEADER.unpack_from(self._buffer)
            if stream not in _STREAMS or length > FRAME_LIMIT_BYTES:
                raise ReadFailed(f"host {self._host}: a container's output is not framed", code="E_HOST_REPLY")
            end = _HEADER.size + length
            if len(self._buffer) < end:
                break
            chunks.append(Chunk(_STREAMS[stream], bytes(self._buffer[_HEADER.size : end])))
            del self._buffer[:end]
        return chunks

    def finish(self) -> None:
        """Check that the stream ended between two frames. Raises `ReadFailed` when it was cut."""
        if self._buffer:
            raise ReadFailed(
                f"host {self._host}: a container's output was cut short", code="E_DOCKER_CUT", transient=True
            )
