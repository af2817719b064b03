"""Guard the standard streams: a stream that is closed, full or broken never stops a command in the middle.

What cannot be written is dropped from then on, and remembered: the exit status says it once, at the end.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import TextIO

from reconciler.cli import exits

_STANDARD = (0, 1, 2)


class OutputLost(Exception):
    """Stop before anything is changed: what a person should read first cannot be written. `Streams` says why."""


class Sink(io.RawIOBase):
    """Write to one descriptor until that fails, then take everything and write nothing; `failed` says why."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self.failed: OSError | None = None
        self._descriptor = descriptor

    def writable(self) -> bool:
        """Tell that it can be written to."""
        return True

    def fileno(self) -> int:
        """Give the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Tell whether it is a terminal."""
        return os.isatty(self._descriptor)

    def write(self, data: bytes | bytearray | memoryview, /) -> int:  # type: ignore[override]  # never None: it waits
        """Write some of the bytes, waiting where another program has made the descriptor one that does not wait."""
        while self.failed is None:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:
                select.select([], [self._descriptor], [])
            except OSError as error:
                self.failed = error
        return len(data)

    @property
    def lost(self) -> OSError | None:
        """Say why something was lost that somebody waits for; a reader that has gone (`| head`) waits for nothing."""
        return None if self.failed is None or self.failed.errno == errno.EPIPE else self.failed


class Streams:
    """Hold the guarded output streams of one process."""

    def __init__(self) -> None:
        _fill_closed()
        self._out = Sink(1)
        sys.stdout = _text(self._out, like=sys.stdout)
        sys.stderr = _text(Sink(2), like=sys.stderr)
        if sys.stdin is None:
            sys.stdin = open(os.devnull)  # noqa: PTH123, SIM115 - a stream for the whole run

    def end(self, status: int) -> int:
        """Write what is left, and give the exit status: success is none where the output was lost."""
        sys.stdout.flush()
        lost = self._out.lost
        if lost is None:
            return status
        why = "it is closed" if lost.errno == errno.EBADF else lost.strerror
        sys.stderr.write(f"error: the output cannot be written: {why}\n")
        sys.stderr.flush()
        return status if status == exits.USAGE else exits.worst((status, exits.ERROR))


def check_output() -> None:
    """Raise `OutputLost` when standard output takes nothing any more, unless its reader has simply gone."""
    sys.stdout.flush()
    buffer = getattr(sys.stdout, "buffer", None)
    sink = getattr(buffer, "raw", None)
    if isinstance(sink, Sink) and sink.lost is not None:
        raise OutputLost


def _fill_closed() -> None:
    """Put something in the place of closed descriptors, or the next file that is opened would take what is printed."""
    for number in _STANDARD:
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is given, which is this one. It cannot be written to, like a closed one.
            os.open(os.devnull, os.O_RDONLY)


def _text(sink: Sink, *, like: TextIO | None) -> io.TextIOWrapper:
    encoding = "utf-8" if like is None else like.encoding
    is_line_buffered = sink.fileno() == 2 or sink.isatty()  # noqa: PLR2004 - standard error
    return io.TextIOWrapper(
        io.BufferedWriter(sink),  # type: ignore[type-var]  # a raw stream, but for a write that never gives None
        encoding=encoding,
        errors="backslashreplace",
        line_buffering=is_line_buffered,
    )
