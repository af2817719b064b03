"""Stand for the remote shell of rsync: carry its bytes to a socket and back. A program of its own, of nothing else.

Its words: the number of the inherited socket, a host's name that means nothing, and the command with which rsync calls
its other end, which is told on the socket first: a line for each word after `rsync`, and an empty one.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading

_CHUNK_BYTES = 65536
_OUT = 1


def main(words: list[str]) -> None:
    """Carry until one side ends."""
    line = socket.socket(fileno=int(words[0]))
    line.sendall("".join(f"{word}\n" for word in [*words[3:], ""]).encode())
    back = threading.Thread(target=_carry_back, args=(line,))
    back.start()
    # What our side has no more use for is not worth a word: rsync itself says that it was cut off.
    with contextlib.suppress(ConnectionError):
        while data := os.read(0, _CHUNK_BYTES):
            line.sendall(data)
        line.shutdown(socket.SHUT_WR)
    back.join()


def _carry_back(line: socket.socket) -> None:
    """Carry what the other end says; when it has ended, nothing is left to be said here either."""
    with contextlib.suppress(ConnectionError):
        while data := line.recv(_CHUNK_BYTES):
            view = memoryview(data)
            while view:
                view = view[os.write(_OUT, view) :]
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
