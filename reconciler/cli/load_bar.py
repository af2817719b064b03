"""Draw how far a load of many specs is, on a terminal and where it takes its time."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

_WIDTH = 24
_PATIENCE_S = 0.5
"""People do not wonder about less."""

_PACE_S = 0.1
_ERASE = "\r\x1b[K"

if TYPE_CHECKING:
    from reconciler.load.front import Tell


@contextlib.contextmanager
def load_bar() -> Iterator[Tell]:
    """Give what a load tells how far it is; the bar is gone when the load is over."""
    began_s = time.monotonic()
    drawn_s: list[float] = []
    on_terminal = sys.stderr.isatty()

    def tell(what: str, done: int, total: int) -> None:
        now_s = time.monotonic()
        if not on_terminal or now_s - began_s < _PATIENCE_S or (drawn_s and now_s - drawn_s[-1] < _PACE_S):
            return
        drawn_s[:] = [now_s]
        full = "#" * (_WIDTH * done // max(total, 1))
        sys.stderr.write(f"{_ERASE}{what} [{full:<{_WIDTH}}] {done}/{total}")
        sys.stderr.flush()

    try:
        yield tell
    finally:
        if drawn_s:
            sys.stderr.write(_ERASE)
            sys.stderr.flush()
