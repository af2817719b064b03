"""Say what a mutant is: a defect of the safety code that the simulation has to see, or it sees too little."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from tests.simulate import corpus
from tests.simulate.scenario import Result, play_seed
from tests.simulate.substitute import original, substituted

SEEDS_MAX = 2000


class Mutant(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one defect.

    Attributes:
        name: a few words with dashes.
        breaks: what the product does with it, as a sentence without its end.
        parts: what is exchanged, as `module:name` or `module:Class.name`: a function that is given the original and
            gives what stands in its place.
        seed: one that killed it when it was last looked for.
    """

    name: str
    breaks: str
    parts: dict[str, Callable[[Any], object]]
    seed: int


class Killed(msgspec.Struct, frozen=True, kw_only=True):
    """Say how a mutant ended: by which seed and invariant, or not at all (`seed` None) within so many seeds."""

    seed: int | None
    invariant: str
    message: str
    seeds_run: int


@contextlib.contextmanager
def alive(mutant: Mutant) -> Iterator[None]:
    """Let the product be the mutant while the block runs."""
    with contextlib.ExitStack() as stack:
        for target, make in mutant.parts.items():
            stack.enter_context(substituted(target, make(original(target))))
        yield


def hunt(mutant: Mutant, seeds: Iterable[int]) -> Killed:
    """Play seeds until an invariant sees the mutant where it has nothing to say of the product.

    What merely raises does not count: a crash would be seen by anybody.
    """
    run = 0
    for seed in seeds:
        run += 1
        with alive(mutant):
            result = play_seed(seed)
        if _is_seen(result) and not play_seed(seed).invariant:
            return Killed(seed=seed, invariant=result.invariant, message=result.message, seeds_run=run)
    return Killed(seed=None, invariant="", message="", seeds_run=run)


def _is_seen(result: Result) -> bool:
    seen = result.invariant not in {"", "CRASH"}
    return seen and corpus.known(result.invariant, result.message) is None


def seeds_for(mutant: Mutant, *, from_scratch: bool) -> Iterator[int]:
    """Give the seeds to hunt a mutant with: the one that killed it last, then all from 1 on."""
    if not from_scratch:
        yield mutant.seed
    yield from (seed for seed in range(1, SEEDS_MAX + 1) if from_scratch or seed != mutant.seed)
