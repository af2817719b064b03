"""List every mutant, and hunt them all side by side."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.simulate import mutants_of_later, mutants_of_plans, mutants_of_records, mutants_on_hosts
from tests.simulate.mutant import Killed, Mutant, hunt, seeds_for

MUTANTS: dict[str, Mutant] = {
    one.name: one
    for one in (
        *mutants_on_hosts.MUTANTS,
        *mutants_of_plans.MUTANTS,
        *mutants_of_records.MUTANTS,
        *mutants_of_later.MUTANTS,
    )
}


def hunt_named(name: str, *, from_scratch: bool) -> Killed:
    """Hunt one mutant, first with the seed that killed it last."""
    return hunt(MUTANTS[name], seeds_for(MUTANTS[name], from_scratch=from_scratch))


def hunt_all(names: list[str], *, from_scratch: bool) -> Iterator[tuple[Mutant, Killed]]:
    """Hunt several mutants, one on each core, in their order."""
    with ProcessPoolExecutor() as pool:
        waiting = [pool.submit(hunt_named, name, from_scratch=from_scratch) for name in names]
        for name, one in zip(names, waiting, strict=True):
            yield MUTANTS[name], one.result()
