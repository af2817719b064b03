"""Remember the seeds that found something: they are played in every run of the tests."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

FILE = Path(__file__).with_name("corpus.txt")
_LINE = re.compile(
    r"(?P<open>open: )?(?P<before>before: )?(?P<seed>\d+) (?P<invariant>[A-Z0-9]+) /(?P<shows>.+)/ (?P<found>.+)"
)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one line of the corpus.

    Attributes:
        invariant: which one the seed broke.
        shows: a regular expression that is found in the message of a failure of this kind.
        found: what was wrong, and where; then the fix.
        is_open: it is not fixed yet, so the seed must fail, and others may fail in the same way.
        is_before: it was found before there was anything of `later.py`, and plays without it.
    """

    seed: int
    invariant: str
    shows: str
    found: str
    is_open: bool
    is_before: bool


def kept() -> tuple[Kept, ...]:
    """Read the corpus, one a line: `[open: ][before: ]SEED INVARIANT /what its message shows/ what was wrong; fix`."""
    found: list[Kept] = []
    for line in FILE.read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        read = _LINE.fullmatch(line.strip())
        if read is None:
            raise ValueError(f"{FILE.name} holds a line of another form: {line}")
        found.append(
            Kept(
                seed=int(read["seed"]),
                invariant=read["invariant"],
                shows=read["shows"],
                found=read["found"],
                is_open=read["open"] is not None,
                is_before=read["before"] is not None,
            )
        )
    return tuple(found)


def known(invariant: str, message: str) -> Kept | None:
    """Find what is open already and shows itself like this."""
    return next(
        (
            one
            for one in kept()
            if one.is_open and one.invariant == invariant and re.search(one.shows, message, re.DOTALL)
        ),
        None,
    )
