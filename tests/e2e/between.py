"""Stand between whoever connects to a socket and the one that is meant."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Meet = Callable[[socket.socket, socket.socket], None]
"""Take care of one connection, given as its two ends: the one that came, and a new one to whom it is meant for."""


@contextmanager
def standing_between(path: Path, target: Path, meet: Meet) -> Iterator[None]:
    """Listen at `path` for what is meant for `target` while the block runs.

    Each connection is met in a thread of its own.
    """
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(path))
    path.chmod(0o666)
    server.listen(64)
    serving = threading.Thread(target=_serve, args=(server, target, meet), daemon=True)
    serving.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        path.unlink()
        serving.join()


def _serve(server: socket.socket, target: Path, meet: Meet) -> None:
    """Take connections until the server is shut down."""
    with suppress(OSError):
        while True:
            near, _ = server.accept()
            far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            far.connect(str(target))
            threading.Thread(target=_join, args=(near, far, meet), daemon=True).start()


def _join(near: socket.socket, far: socket.socket, meet: Meet) -> None:
    with near, far:
        meet(near, far)
