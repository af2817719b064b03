"""Stand between a host's sshd and its dockerd, and write down what is asked of Docker."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.e2e.between import standing_between

_REQUEST = re.compile(rb"(?:^|\r\n\r\n)([A-Z]+) (/[^ ]*) HTTP/1\.[01]\r\n")


class Wiretap:
    """Forward connections of a socket to another, keeping every byte that goes to the engine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sent: list[bytearray] = []

    def asked(self) -> list[tuple[str, str]]:
        """Give method and path of every request so far, connection by connection."""
        found = [match for sent in self._sent for match in _REQUEST.findall(bytes(sent))]
        return [(method.decode(), path.decode()) for method, path in found]

    def forget(self) -> None:
        """Begin to count anew."""
        self._sent.clear()

    def meet(self, near: socket.socket, far: socket.socket) -> None:
        """Pass on what one connection says, in both directions, until both have ended."""
        kept = bytearray()
        self._sent.append(kept)
        back = threading.Thread(target=_flow, args=(far, near, None), daemon=True)
        back.start()
        _flow(near, far, kept)
        back.join()


def _flow(source: socket.socket, sink: socket.socket, copy: bytearray | None) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            if copy is not None:
                copy += piece
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def wiretap(path: Path, target: Path) -> Iterator[Wiretap]:
    """Listen at `path` for what is meant for `target` while the block runs."""
    tap = Wiretap(path)
    with standing_between(path, target, tap.meet):
        yield tap
