"""Say numbers, times and revisions the way people read them."""

from __future__ import annotations

import re
from datetime import datetime

from reconciler.model.source import SourceRef
from reconciler.show.escape import shown

_SPANS = (("d", 86400), ("h", 3600), ("min", 60))
_REVISION_SHOWN = 7
_COMMIT_LENGTH = 40


def count(number: int, noun: str) -> str:
    """Say `1 host`, `2 hosts`, `2 sandboxes`."""
    plural = "es" if noun.endswith("x") else "s"
    return f"{number} {noun}{'' if number == 1 else plural}"


def natural(name: str) -> list[tuple[int, str]]:
    """Give a key that sorts `h9` before `h11`."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", name)]


def span(span_s: float) -> str:
    """Say a time span in its two largest units, `3 s`, `5 min`, `2 h 10 min`."""
    left_s = max(0, round(span_s))
    for at, (unit, factor) in enumerate(_SPANS):
        if left_s >= factor:
            whole, rest_s = divmod(left_s, factor)
            small, small_s = _SPANS[at + 1] if at + 1 < len(_SPANS) else ("s", 1)
            rest = rest_s // small_s
            return f"{whole} {unit} {rest} {small}" if rest else f"{whole} {unit}"
    return f"{left_s} s"


def ago(moment: datetime | None, *, now: datetime) -> str:
    """Say how long ago something was; `never` when it was not, `just now` for a clock that runs ahead."""
    if moment is None:
        return "never"
    past_s = (now - moment).total_seconds()
    return f"{span(past_s)} ago" if past_s > 0 else "just now"


def revision(text: str) -> str:
    """Shorten a commit to seven digits, keeping `+dirty`."""
    commit, plus, rest = text.partition("+")
    return (commit[:_REVISION_SHOWN] if len(commit) == _COMMIT_LENGTH else commit) + plus + rest


def on_host(address: str, host: str) -> str:
    """Say which object is meant, the same way everywhere: `sandbox/web-1 on h1`."""
    return f"{shown(address)} on {shown(host)}"


def of_host(message: str, host: str) -> str:
    """Take away the `host NAME: ` that a message begins with, where its line names the host already."""
    return message.removeprefix(f"host {host}: ")


def place(at: SourceRef | None) -> str:
    """Say where something was written as `file:line`, or nothing."""
    return "" if at is None else f"{at.file}:{at.line}"
