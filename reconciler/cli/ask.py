"""Ask a person yes or no, on the terminal."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator

import typer

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ANSWERS = {"y": True, "yes": True, "n": False, "no": False, "": False}


def ask(question: str) -> bool:
    """Ask until it is answered; no answer but a line break is a no.

    Raises:
        typer.Abort: a signal or the end of the input came instead of an answer.
    """
    try:
        with _ended_by_signals():
            while True:
                sys.stderr.write(f"{question} [y/N]: ")
                sys.stderr.flush()
                line = sys.stdin.readline()
                if not line:
                    raise typer.Abort
                answer = _ANSWERS.get(line.strip().lower())
                if answer is not None:
                    return answer
                sys.stderr.write("please answer y or n\n")
    except KeyboardInterrupt:
        raise typer.Abort from None


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let a signal end the question at once, and be over with it.

    An event loop that waits in here hears nothing. It must not hear of the signal afterwards either: it would cancel
    the task that is about to close its connections.
    """
    woken = signal.set_wakeup_fd(-1)
    before = {number: signal.signal(number, signal.default_int_handler) for number in _STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(woken)
