"""F-01: kill the controller at every kind of moment of a pass; the next pass ends where an unbroken one would."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, get_args

import pytest

from reconciler.model.effect import Effect
from tests.e2e.driver import Driver
from tests.e2e.sights import IDLE, held, name_of, planned_verbs, settle
from tests.e2e.warm import Warm
from tests.integration.faults.entry import Target, killed_at, killed_at_first
from tests.integration.faults.reference import OTHER, Reference, differences
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab

EVERY_OCCURRENCE = "EVERY_OCCURRENCE" in os.environ
"""Kill at every occurrence of every moment, on twelve sandboxes; without it, at the first and one later, on four."""

SEED = int(os.environ.get("FAULT_SEED", "1"))
MOMENTS = ("before_send", "after_effect", "after_reply", "after_journal")
AROUND = (
    "pass.planned",
    "walk.action_started",
    "walk.step_started",
    "walk.step_ended",
    "walk.action_ended",
    "status.before_save",
    "status.after_save",
    "pass.ended",
)
_COMPOSED = "tests/unit/plan/test_composed.py cuts after each step; tests/e2e/test_compose.py has the real ones"
ELSEWHERE = {
    "pull_image": "test_images.py: it takes a registry",
    "judge_compose": _COMPOSED,
    "up_compose": _COMPOSED,
}
KINDS = sorted({str(kind.__struct_config__.tag) for kind in get_args(Effect)} - ELSEWHERE.keys())


class Unbroken:
    """Hold a fleet, and what passes without a fault make of it: how often each moment comes, and where it ends."""

    def __init__(self, fleet: Reference) -> None:
        self.fleet = fleet
        self.ends: dict[str, dict[str, Any]] = {}
        self.moments: dict[str, Counter[str]] = {}
        self.only: dict[str, int] = {}
        for state in ("one", "two", "one"):
            fleet.declare(state)
            fleet.forget_data()
            passed: Counter[str] = Counter()

            def reached(name: str, _: str, passed: Counter[str] = passed) -> None:
                passed[name] += 1

            fleet.apply(reached)
            end = fleet.end()
            assert differences(self.ends.setdefault(state, end), end) == {}, (
                "a state is the same from nothing and from the other one"
            )
            self.moments[state] = passed  # the later one counts: the first began with nothing
            self.only.update({name: at for name, at in fleet.generations().items() if name.startswith("only-")})

    def expect_end(self, before: dict[str, int]) -> None:
        """Expect what an unbroken pass would have come to."""
        state = self.fleet.state
        assert differences(self.fleet.end(), self.ends[state]) == {}
        after = self.fleet.generations()
        for name, generation in after.items():
            wanted = self.only[name] if name.startswith("only-") else before[name] + 1
            assert generation == wanted, name


@pytest.fixture(scope="module")
def unbroken(
    stocked_hosts: tuple[LabHost, LabHost], tmp_path_factory: pytest.TempPathFactory, warm: Warm
) -> Iterator[Unbroken]:
    driver = Driver(tmp_path_factory.mktemp("crash") / "work", fleet="crash", warm=warm)
    try:
        yield Unbroken(Reference(driver, stocked_hosts, groups=3 if EVERY_OCCURRENCE else 1))
    finally:
        for host in stocked_hosts:
            driver.clear(host)


def targets_of(moments: Sequence[str], unbroken: Unbroken) -> list[Target]:
    """Choose when to die: at each moment the first time, and one later time by the seed."""
    found: list[Target] = []
    for moment in moments:
        most = max(counted[moment] for counted in unbroken.moments.values())
        assert most, f"{moment} never comes"
        dice = random.Random(f"{SEED}:{moment}")  # noqa: S311  # a seeded choice, no secret
        later = range(2, most + 1) if EVERY_OCCURRENCE else [dice.randint(2, most)] if most > 1 else []
        found += [(moment, occurrence) for occurrence in (1, *later)]
    return found


def die_on_the_way(unbroken: Unbroken, targets: Sequence[Target]) -> list[Target]:
    """Go to the other state, and die at every target that comes before it is reached; give those that came."""
    fleet = unbroken.fleet
    before = fleet.generations()
    fleet.declare(OTHER[fleet.state])
    fleet.forget_data()
    died: list[Target] = []
    while left := [target for target in targets if target not in died]:
        at = killed_at_first(fleet.driver, left)
        if at is None:
            break
        died.append(at)
    fleet.apply()
    unbroken.expect_end(before)
    return died


def test_f01_the_reference_has_every_kind_of_effect(unbroken: Unbroken) -> None:
    seen = {moment.split(".")[1] for counted in unbroken.moments.values() for moment in counted if "apply." in moment}
    assert seen == set(KINDS)
    assert {moment for counted in unbroken.moments.values() for moment in counted} >= set(AROUND)


@pytest.mark.parametrize("when", [*MOMENTS, "around"])
def test_f01_killed_at_every_kind_of_moment_the_next_passes_end_where_an_unbroken_one_would(
    unbroken: Unbroken, when: str
) -> None:
    """Die again and again on each way: every death is one more state from which the next pass has to go on."""
    moments = AROUND if when == "around" else [f"apply.{kind}.{when}" for kind in KINDS]
    left = targets_of(moments, unbroken)
    for target in left if EVERY_OCCURRENCE else ():
        # Alone, on whichever of the two ways it comes.
        any(die_on_the_way(unbroken, [target]) for _ in OTHER)
    idle = 0
    while left:
        died = die_on_the_way(unbroken, left)
        left = [target for target in left if target not in died]
        # What comes often only on one of the two ways, or only when nothing came before it, may need another turn.
        idle = 0 if died else idle + 1
        assert idle < 4, f"these never came: {left}"


def test_f01_what_drifts_after_a_killed_pass_is_still_told_from_a_change_of_the_specs(
    fleet: Driver, alpha: LabHost
) -> None:
    """The record of a pass that died is of the intent before it; a look that finds all as wanted must renew it."""
    fleet.drop("Host", "beta")
    same = {"host": "alpha", "observability": "off", "drift": "report"}
    for memory in ("32MiB", "48MiB"):
        fleet.declare_sandbox("watched", **same, containers={"main": {**IDLE, "resources": {"memory": memory}}})
        if memory == "48MiB":
            assert killed_at(fleet, "status.before_save")
        settle(fleet)
    alpha.docker("update", "--memory", "64m", "--memory-swap", "-1", name_of(fleet, "watched"))
    assert planned_verbs(fleet) == {}
    assert {address: item.reason for address, item in held(fleet).items()} == {"sandbox/watched": "DriftReported"}
