"""Say which seeds play what the simulation learned later: hosts left open, trees, compose files.

One seed in three does, so that all others tell the stories that they always told. What it draws for these comes from
dice of its own. A seed of the corpus that was found before plays as it was found.
"""

from __future__ import annotations

import functools
import random

import msgspec

from tests.simulate import corpus

_EVERY, _REST = 3, 1


class Later(msgspec.Struct, frozen=True):
    """Say what one seed plays besides: sandboxes whose host the specs leave open, with trees, with compose files."""

    placed: bool = False
    sourced: bool = False
    composed: bool = False

    @property
    def on(self) -> list[str]:
        """Name what is on."""
        return [name for name in self.__struct_fields__ if getattr(self, name)]


NOTHING = Later()


def later_of(seed: int) -> Later:
    """Draw it for a seed: at least one of them, where it plays any."""
    if seed % _EVERY != _REST or seed in _found_before():
        return NOTHING
    dice = random.Random(f"{seed} later")  # noqa: S311 - reproducible on purpose
    drawn = Later(placed=dice.random() < 0.6, sourced=dice.random() < 0.6, composed=dice.random() < 0.4)
    return drawn if drawn.on else Later(placed=True)


@functools.cache
def _found_before() -> frozenset[int]:
    return frozenset(one.seed for one in corpus.kept() if one.is_before)
