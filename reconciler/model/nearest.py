"""Find the name that was probably meant by one that means nothing."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable

# A hint is one line: a long list of names helps nobody.
_NAMES_SHOWN = 10
_CHARACTERS_SHOWN = 200
# Comparing thoroughly takes 40 µs for each name; a fleet may have thousands.
_NAMES_COMPARED = 50


def nearest(name: str, names: Iterable[str], *, likeness: float = 0.6) -> str | None:
    """Give the one of `names` that is most like `name`, or None when none is alike.

    `likeness` is from 0 (anything) to 1 (the same text). The order of `names` does not matter.
    """
    return _nearest(name, tuple(sorted(names)), likeness)


def did_you_mean(name: str, names: Iterable[str], *, otherwise: str = "known") -> str | None:
    """Write a hint: the nearest of `names`; when none is near, a few of them after `otherwise`; None without any.

    Characters beyond ASCII are escaped, so that no name can pass for another.
    """
    known = tuple(sorted(names))
    near = nearest(name, known)
    if near is not None:
        return f"did you mean {_plain(near)}?"
    listed = _plain(", ".join(known[:_NAMES_SHOWN]))
    more = "…" if len(known) > _NAMES_SHOWN or len(listed) > _CHARACTERS_SHOWN else ""
    return f"{otherwise}: {listed[:_CHARACTERS_SHOWN]}{more}" if known else None


def _plain(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii")


@functools.lru_cache(maxsize=256)
def _nearest(name: str, known: tuple[str, ...], likeness: float) -> str | None:
    """Look once for each mistake: one that a whole fleet repeats would cost seconds."""
    if len(known) <= _NAMES_COMPARED:
        return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=likeness)), None)
    best = max(known, key=lambda other: _overlap(name, other))
    return best if _overlap(name, best) >= likeness * max(len(name), len(best)) else None


def _overlap(one: str, other: str) -> int:
    """Count the characters that two names share at their beginnings and ends: coarse, and a hundred times cheaper."""
    shorter = min(len(one), len(other))
    ahead = next((at for at in range(shorter) if one[at] != other[at]), shorter)
    behind = next((at for at in range(shorter - ahead) if one[-1 - at] != other[-1 - at]), shorter - ahead)
    return ahead + behind
