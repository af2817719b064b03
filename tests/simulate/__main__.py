"""Play seeds: `python -m tests.simulate --seeds A..B`, `--corpus` or `--soak SECONDS`; prints what was reached."""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Iterator

from tests.simulate import corpus
from tests.simulate.scenario import play_seed
from tests.simulate.swarm import KINDS
from tests.simulate.trace import Tally

GROUPS = ("open", "fault", "deed", "verb", "bucket", "end", "held", "pass", "effect", "checked")
FRESH_FROM = 1_000_000


def main() -> int:
    """Play, print, and give 1 when anything failed."""
    asked = _arguments()
    total, failures, played = Tally(), 0, 0
    began_s = time.monotonic()
    for seed in _seeds(asked, began_s):
        result = play_seed(seed)
        total.update(result.tally)
        played += 1
        known = corpus.known(result.invariant, result.message) if result.invariant else None
        if known is not None:
            total[f"open/{known.invariant} as {known.seed}"] += 1
        elif result.invariant:
            failures += 1
            print(result.report(), end="\n\n", flush=True)
    print(f"{played} seeds, {failures} failed, {time.monotonic() - began_s:.0f} s")
    for group in GROUPS:
        counts = ", ".join(f"{name} {count}" for name, count in total.group(group).items())
        print(f"{group}: {counts}")
    print(f"never: {', '.join(kind for kind in KINDS if not total[f'fault/{kind}']) or 'nothing'}")
    return 1 if failures else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulate", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--seeds", metavar="A..B", help="from A up to B, without B")
    which.add_argument("--soak", metavar="SECONDS", type=float, help="fresh seeds for so long")
    which.add_argument("--corpus", action="store_true", help="the seeds of the corpus")
    return parser.parse_args()


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


if __name__ == "__main__":
    sys.exit(main())
