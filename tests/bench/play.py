"""Let the contenders of a row take turns."""

import sys
import time
from collections.abc import Sequence

from tests.bench.row import Contender, Measured, Missing, Played, Row
from tests.bench.sample import Sample
from tests.bench.setting import Setting
from tests.lab.missing import LabError


def play(row: Row, setting: Setting, *, rounds: int, patience_s: float) -> Played:
    """Run every contender once per round, each round beginning with another one.

    A contender that has used `patience_s` sits out further rounds; one that fails is named with its words.
    """
    with row.open(setting) as opened:
        contenders = [one for one in opened if isinstance(one, Contender)]
        missing = [one for one in opened if isinstance(one, Missing)]
        taken: dict[str, list[Sample]] = {one.name: [] for one in contenders}
        spent_s = dict.fromkeys(taken, 0.0)
        for turn in range(rounds * row.turns(setting)):
            first = turn % max(1, len(contenders))
            for one in (*contenders[first:], *contenders[:first]):
                if spent_s[one.name] >= patience_s or any(gone.name == one.name for gone in missing):
                    continue
                began_s = time.monotonic()
                try:
                    taken[one.name] += _samples(one)
                except LabError as broken:
                    if one.ours:
                        raise
                    missing.append(Missing(name=one.name, why=str(broken).splitlines()[0]))
                    say(f"{row.name}: {one.name}: {broken}")
                    continue
                spent_s[one.name] += time.monotonic() - began_s
                say(f"{row.name}, turn {turn + 1}: {one.name}: {time.monotonic() - began_s:.2f} s")
    gone = {one.name for one in missing}
    measured = tuple(
        Measured(name=one.name, ours=one.ours, samples=tuple(taken[one.name]))
        for one in contenders
        if one.name not in gone and taken[one.name]
    )
    results = {one.name: one for one in measured}
    return Played(
        name=row.name,
        work=row.work(setting),
        measured=measured,
        missing=tuple(missing),
        verdicts=tuple(goal(results) for goal in row.goals),
        remarks=row.remarks,
    )


def say(line: str) -> None:
    """Tell whoever waits how far it is."""
    print(line, file=sys.stderr, flush=True)


def _samples(one: Contender) -> Sequence[Sample]:
    found = one.run()
    return [found] if isinstance(found, Sample) else found
