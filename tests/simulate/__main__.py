"""Play seeds on all cores and say what was reached: some seeds, those of the corpus, or fresh ones for a while.

With --mutants, hunt defects of the safety code instead: each must be seen by an invariant.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait

from tests.simulate import corpus
from tests.simulate.scenario import Result, play_seed
from tests.simulate.swarm import KINDS
from tests.simulate.trace import Tally

GROUPS = ("open", "fault", "deed", "verb", "bucket", "end", "held", "pass", "effect", "checked")
CRASHES = ("kill", "power_loss")
FRESH_FROM = 1_000_000
WAITING = 4
"""Seeds handed to each process ahead of time, so that none is idle."""


def main() -> int:
    """Play, print, and give 1 when anything failed."""
    asked = _arguments()
    if asked.mutants:
        return _hunt(asked)
    total, failed = Tally(), []
    began_s = time.monotonic()
    for result in _played(_seeds(asked, began_s)):
        total.update(result.tally)
        total["seeds"] += 1
        known = corpus.known(result.invariant, result.message) if result.invariant else None
        if known is not None:
            total[f"open/{known.invariant} as {known.seed}"] += 1
        elif result.invariant:
            failed.append(result.seed)
            print(result.report(), end="\n\n", flush=True)
    _tell(total, failed, seconds=time.monotonic() - began_s)
    return 1 if failed else 0


def _tell(total: Tally, failed: list[int], *, seconds: float) -> None:
    """Print what was reached, in one line and then in full, and how to see again what failed."""
    counts = {name: sum(total.group(name).values()) for name in ("pass", "effect", "fault", "checked")}
    crashes = sum(total[f"fault/{kind}"] for kind in CRASHES)
    print(
        f"{total['seeds']} seeds, {counts['pass']} passes, {counts['effect']} effects, {counts['fault']} faults of"
        f" {len(total.group('fault'))} kinds, {crashes} crashes, {counts['checked']} checks of"
        f" {len(total.group('checked'))} invariants, {len(failed)} failed, {seconds:.0f} s"
    )
    for group in GROUPS:
        print(f"{group}: {', '.join(f'{name} {count}' for name, count in total.group(group).items())}")
    print(f"never: {', '.join(kind for kind in KINDS if not total[f'fault/{kind}']) or 'nothing'}")
    for seed in failed:
        print(f"failed: {seed}; replay: .venv/bin/pytest tests/simulate -k simulate --seed {seed}")


def _hunt(asked: argparse.Namespace) -> int:
    """Hunt mutants, and print a table of what saw them; give 1 when one survives."""
    from tests.simulate.mutants import MUTANTS, hunt_all  # noqa: PLC0415 - they are only needed to be hunted

    unknown = [name for name in asked.names if name not in MUTANTS]
    if unknown:
        print(f"no such mutant: {', '.join(unknown)}; there are: {', '.join(MUTANTS)}", file=sys.stderr)
        return 2
    began_s, survivors = time.monotonic(), []
    print(f"{'mutant':24} {'killed by':>9} {'saw it':6} {'seeds':>5}  what it does")
    for mutant, killed in hunt_all(asked.names or list(MUTANTS), from_scratch=asked.from_scratch):
        seed = "survived" if killed.seed is None else str(killed.seed)
        print(
            f"{mutant.name:24} {seed:>9} {killed.invariant or '-':6} {killed.seeds_run:5}  {mutant.breaks}", flush=True
        )
        if killed.seed is None:
            survivors.append(mutant.name)
    print(f"{len(survivors)} survived, {time.monotonic() - began_s:.0f} s: {', '.join(survivors) or 'none'}")
    return 1 if survivors else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulate", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--seeds", metavar="A..B", help="from A up to B, without B")
    which.add_argument("--soak", metavar="SECONDS", type=float, help="fresh seeds for so long")
    which.add_argument("--corpus", action="store_true", help="the seeds of the corpus")
    which.add_argument("--mutants", action="store_true", help="the defects, each from the seed that killed it last")
    parser.add_argument("--from-scratch", action="store_true", help="hunt mutants from seed 1 on")
    parser.add_argument("names", nargs="*", metavar="MUTANT", help="hunt these alone")
    asked = parser.parse_args()
    if not asked.mutants and (asked.from_scratch or asked.names):
        parser.error("--from-scratch and MUTANT go with --mutants")
    return asked


def _seeds(asked: argparse.Namespace, began_s: float) -> Iterator[int]:
    if asked.corpus:
        yield from (one.seed for one in corpus.kept())
        return
    if asked.seeds is not None:
        first, _, last = asked.seeds.partition("..")
        yield from range(int(first), int(last))
        return
    start = FRESH_FROM + time.time_ns() // 1_000_000_000 * 1000
    for seed in itertools.count(start):
        if time.monotonic() - began_s > asked.soak:
            return
        yield seed


def _played(seeds: Iterator[int]) -> Iterator[Result]:
    """Play seeds side by side, and give each result as it comes."""
    with ProcessPoolExecutor() as pool:
        ahead = pool._max_workers * WAITING  # type: ignore[attr-defined]  # how many processes it chose to have
        under_way: set[Future[Result]] = {pool.submit(play_seed, seed) for seed in itertools.islice(seeds, ahead)}
        while under_way:
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            under_way |= {pool.submit(play_seed, seed) for seed in itertools.islice(seeds, len(done))}
            for one in done:
                yield one.result()


if __name__ == "__main__":
    sys.exit(main())
