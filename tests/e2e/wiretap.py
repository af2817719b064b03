"""Stand between a host's sshd and its dockerd, and write down what is asked of Docker."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_REQUEST = re.compile(rb"(?:^|\r\n\r\n)([A-Z]+) (/[^ ]*) HTTP/1\.[01]\r\n")


class Wiretap:
    """Forward connections of a socket to another, keeping every byte that goes to the engine."""

    def __init__(self, path: Path, target: Path) -> None:
        self.path = path
        self._target = target
        self._sent: list[bytearray] = []
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(path))
        path.chmod(0o666)
        self._server.listen(64)

    def asked(self) -> list[tuple[str, str]]:
        """Give method and path of every request so far, in the order of their connections."""
        found = [match for sent in self._sent for match in _REQUEST.findall(bytes(sent))]
        return [(method.decode(), path.decode()) for method, path in found]

    def forget(self) -> None:
        """Begin to count anew."""
        self._sent.clear()

    def serve(self) -> None:
        """Take connections until `close`."""
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                far.connect(str(self._target))
                kept = bytearray()
                self._sent.append(kept)
                threading.Thread(target=_join, args=(near, far, kept), daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.path.unlink()


def _join(near: socket.socket, far: socket.socket, kept: bytearray) -> None:
    with near, far:
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
    tap = Wiretap(path, target)
    server = threading.Thread(target=tap.serve, daemon=True)
    server.start()
    try:
        yield tap
    finally:
        tap.close()
        server.join()
