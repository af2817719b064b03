"""Keep what happened in one run as lines of text, and count what was reached."""

from __future__ import annotations

import hashlib
from collections import Counter

from tests.simulate.clocks import virtual_s

TAIL = 60


class Trace:
    """Collect lines, each with its virtual time; the same seed gives the same lines. `hidden` names a random folder."""

    def __init__(self, *, hidden: str) -> None:
        self._hidden = hidden
        self.lines: list[str] = []
        self.step = 0

    def add(self, who: str, what: str) -> None:
        """Note that somebody did something."""
        self.lines.append(f"{virtual_s():11.3f} {who:<8} {what.replace(self._hidden, '')}")

    def digest(self) -> str:
        """Give one hash of all lines."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()

    def tail(self, lines: int = TAIL) -> str:
        """Give the last lines."""
        return "\n".join(self.lines[-lines:])


class Tally(Counter[str]):
    """Count by `group/name`: `fault/lost_reply`, `verb/replace`, `checked/I2`."""

    def group(self, name: str) -> dict[str, int]:
        """Give the counts of one group, sorted by name."""
        prefix = f"{name}/"
        return {key.removeprefix(prefix): self[key] for key in sorted(self) if key.startswith(prefix)}
