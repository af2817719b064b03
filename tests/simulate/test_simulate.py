"""Play thousands of small catastrophes, and insist that everything comes to rest as wanted afterwards."""

from __future__ import annotations

import random

import pytest

from tests.simulate import corpus
from tests.simulate.scenario import play_seed
from tests.simulate.substitute import substituted
from tests.simulate.swarm import Swarm, calm, draw_swarm

CHUNKS = 40
SEEDS_PER_CHUNK = 50
TWICE_EVERY = 100
"""One in so many seeds is played twice: what differs between the two is chance that the seed does not rule."""


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_simulate_seeds(chunk: int) -> None:
    first = chunk * SEEDS_PER_CHUNK
    failed: list[str] = []
    still_open: list[str] = []
    for seed in range(first, first + SEEDS_PER_CHUNK):
        result = play_seed(seed)
        known = corpus.known(result.invariant, result.message) if result.invariant else None
        if known is not None:
            still_open.append(f"{seed} as {known.seed}")
        elif result.invariant:
            failed.append(result.report())
        elif seed % TWICE_EVERY == 0:
            again = play_seed(seed)
            assert again.digest == result.digest, f"seed {seed} went two ways"
    assert not failed, "\n\n".join(failed)
    if still_open:
        pytest.xfail(f"seeds that show what is open: {', '.join(still_open)}")


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(
            one,
            id=str(one.seed),
            marks=[pytest.mark.xfail(strict=True, reason=one.found)] if one.is_open else [],
        )
        for one in corpus.kept()
    ],
)
def test_simulate_corpus(one: corpus.Kept) -> None:
    result = play_seed(one.seed)
    assert not result.invariant, result.report()


def test_simulate_replay(asked_seed: int) -> None:
    result = play_seed(asked_seed, tail=None)
    assert not result.invariant, result.report()


def _faults_and_edits(dice: random.Random) -> Swarm:
    drawn = draw_swarm(dice)
    return Swarm({**drawn.rates, "edit": 0.6, "user": 0.0, "adversary": 0.0, "mid_pass": 0.0, "host_replaced": 0.0})


def _edits(dice: random.Random) -> Swarm:
    return calm(_faults_and_edits(dice))


@pytest.mark.parametrize("chunk", range(4))
def test_simulate_the_same_end_without_faults_and_from_nothing(chunk: int) -> None:
    compared = 0
    for seed in range(chunk * 10 + 500_000, chunk * 10 + 500_010):
        faulty = play_seed(seed, swarm=_faults_and_edits)
        faultless = play_seed(seed, swarm=_edits)
        fresh = play_seed(seed, swarm=_edits, from_empty=True)
        if faulty.invariant:
            continue  # the chunks above tell of that
        for result in (faultless, fresh):
            assert not result.invariant, result.report()
        for where, state in fresh.state.items():
            for other in (faulty, faultless):
                if where in other.state:
                    assert other.state[where] == state, f"seed {seed}: {where} ends otherwise"
                    compared += 1
    assert compared > 20


def test_simulate_nothing_is_left_behind_of_files_that_no_spec_names() -> None:
    assert not play_seed(500_026, swarm=_edits).left_behind


@pytest.mark.parametrize("seed", [500_001, 500_006])
def test_simulate_killed_at_every_point(seed: int) -> None:
    whole = play_seed(seed, swarm=_edits, kill_last_at=10_000)
    assert not whole.invariant, whole.report()
    assert whole.points > 10
    still_open: list[str] = []
    for point in range(1, whole.points + 1):
        killed = play_seed(seed, swarm=_edits, kill_last_at=point)
        known = corpus.known(killed.invariant, killed.message) if killed.invariant else None
        if known is not None:
            still_open.append(f"point {point} as {known.seed}")
            continue
        assert not killed.invariant, killed.report()
        # What has a ttl and is only made after the kill outlives the run; all else ends the same.
        both = killed.state.keys() & whole.state.keys()
        assert both, f"seed {seed} killed at point {point} has nothing to compare"
        differs = [where for where in both if killed.state[where] != whole.state[where]]
        assert not differs, f"seed {seed} killed at point {point} ends otherwise: {differs}"
    if still_open:
        pytest.xfail(f"points that show what is open: {', '.join(still_open)}")


def test_simulate_a_lifted_budget_is_seen() -> None:
    with substituted("reconciler.plan.guard:refusals", lambda *_, **__: ()):
        found = {play_seed(seed, swarm=_edits).invariant for seed in range(30)}
    assert "I6" in found


def test_simulate_a_failure_tells_how_to_see_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def lame(_dice: random.Random) -> Swarm:
        return Swarm({})

    monkeypatch.setattr("tests.simulate.oracles.PASS_S_MAX", -1.0)
    result = play_seed(1, swarm=lame)
    assert result.invariant == "I14"
    assert "SIMULATION FAILED seed=1 step=0 invariant=I14" in result.report()
    assert "--seed 1" in result.report()
