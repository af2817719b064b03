"""Stand between a host's sshd and its dockerd, and meddle: lose a request, cut or lose its reply, or answer instead.

Where it answers instead, it is a stand-in for an engine; all else comes from the real one behind it.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.between import standing_between

_REQUEST = re.compile(rb"([A-Z]+) (/[^ ]*) HTTP/1\.[01]\r\n")
_VERSION = re.compile(r"^/v[0-9.]+")
_ID = re.compile(r"[0-9a-f]{64}|sbx-[a-z0-9.-]+")


@dataclass(frozen=True, kw_only=True)
class Request:
    """Name one request: its method, its path without the version of the API, and of which kind it is."""

    method: str
    path: str

    @property
    def kind(self) -> str:
        """Give the request without what it is about, e.g. `POST /containers/*/start`."""
        return f"{self.method} {_ID.sub('*', self.path.partition('?')[0])}"

    @property
    def changes(self) -> bool:
        """Tell whether it may change something."""
        return self.method not in ("GET", "HEAD")


@dataclass(frozen=True, kw_only=True)
class LoseRequest:
    """Let the request never arrive."""


@dataclass(frozen=True, kw_only=True)
class CutReply:
    """Let the engine do what it was asked, pass on so many bytes of its answer, and then no more."""

    after_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Answer instead of the engine, with a JSON document."""

    status: int
    body: str


Meddling = LoseRequest | CutReply | Answer
Meddler = Callable[[Request], Meddling | None]


class Relay:
    """Forward connections to an engine, and ask `meddle` about each request.

    `lost` is called before a connection ends whose request or reply was lost, from a thread of the relay: the moment to
    cut the line as well. `passed` lists what reached the engine, in order.
    """

    def __init__(self, *, meddle: Meddler, lost: Callable[[], None]) -> None:
        self.passed: list[Request] = []
        self.replies: dict[str, bytes] = {}
        self._meddle = meddle
        self._lost = lost

    def meet(self, near: socket.socket, far: socket.socket) -> None:
        """Pass on what one connection says, but for what is meddled with, until both ends have ended."""
        one = _Connection(near, far)
        back = threading.Thread(target=self._down, args=(one,), daemon=True)
        back.start()
        with suppress(OSError):
            self._up(one)
        one.end()
        back.join()

    def _up(self, one: _Connection) -> None:
        swallowing = False
        while piece := one.near.recv(65536):
            found = _REQUEST.match(piece)
            if found is not None:
                request = Request(method=found[1].decode(), path=_VERSION.sub("", found[2].decode()))
                meddling = self._meddle(request)
                swallowing = isinstance(meddling, Answer)
                if isinstance(meddling, LoseRequest):
                    self._lost()
                    return
                if isinstance(meddling, Answer):
                    one.near.sendall(_reply(meddling))
                else:
                    self.passed.append(request)
                    one.asked, one.said = request.kind, bytearray()
                    one.left_bytes = meddling.after_bytes if meddling is not None else None
            if not swallowing:
                one.far.sendall(piece)
        one.far.shutdown(socket.SHUT_WR)
        one.finished.wait()

    def _down(self, one: _Connection) -> None:
        with suppress(OSError):
            while piece := one.far.recv(65536):
                left = one.left_bytes
                if left is not None and left <= len(piece):
                    one.near.sendall(piece[:left])
                    self._lost()
                    break
                if left is not None:
                    one.left_bytes = left - len(piece)
                one.said += piece
                self.replies[one.asked] = bytes(one.said)
                one.near.sendall(piece)
        one.end()
        one.finished.set()


class _Connection:
    """Hold the two ends of one connection; `left_bytes` is how much of the reply under way may still pass."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self.near = near
        self.far = far
        self.left_bytes: int | None = None
        self.asked = ""
        self.said = bytearray()
        self.finished = threading.Event()

    def end(self) -> None:
        """End both sides, whoever waits on them."""
        for each in (self.near, self.far):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def _reply(answer: Answer) -> bytes:
    body = answer.body.encode()
    head = f"HTTP/1.1 {answer.status} Said\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@contextmanager
def relay(path: Path, target: Path, *, meddle: Meddler, lost: Callable[[], None] = lambda: None) -> Iterator[Relay]:
    """Listen at `path` for what is meant for `target` while the block runs."""
    one = Relay(meddle=meddle, lost=lost)
    with standing_between(path, target, one.meet):
        yield one
