"""Insist that the simulation sees every mutant: what it cannot see, it does not guard."""

from __future__ import annotations

import pytest

from tests.simulate.mutant import Mutant, alive, hunt
from tests.simulate.mutants import MUTANTS, hunt_named
from tests.simulate.substitute import original


@pytest.mark.parametrize("name", MUTANTS)
def test_simulate_mutant_is_killed(name: str) -> None:
    killed = hunt_named(name, from_scratch=False)
    assert killed.seed is not None, f"{name} ({MUTANTS[name].breaks}) survived {killed.seeds_run} seeds"


def test_simulate_a_crash_is_no_kill() -> None:
    def broken(_: object) -> object:
        def look(*_given: object, **_named: object) -> None:
            raise RuntimeError("the mutant itself is broken")

        return look

    mutant = Mutant(name="broken", breaks="raises", parts={"reconciler.observe:observe": broken}, seed=1)
    killed = hunt(mutant, range(1, 4))
    assert (killed.seed, killed.seeds_run) == (None, 3)


def test_simulate_a_mutant_leaves_nothing_behind() -> None:
    targets = sorted({target for mutant in MUTANTS.values() for target in mutant.parts})
    before = [original(target) for target in targets]
    for mutant in MUTANTS.values():
        with alive(mutant):
            changed = [target for target in mutant.parts if original(target) is not before[targets.index(target)]]
            assert changed == list(mutant.parts), f"{mutant.name} changes nothing"
    assert [original(target) for target in targets] == before
