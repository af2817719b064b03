"""Mass removal by a person's or a script's mistake: users asked for a cap, on by default.

argoproj/argo-cd#3484; only the case of zero was built, #3996.
"""

from __future__ import annotations

from tests import builders as b
from tests.unit.plan.deciding import decide, remembered, standing, wanted

FLEET = [b.a_sandbox(f"box-{n:02}") for n in range(20)]


def test_half_a_fleet_does_not_go_by_accident() -> None:
    made = decide(wanted(*FLEET[10:]), standing(*FLEET), remembered(*FLEET))
    assert len(made.actions) == 10
    assert "--allow-destroy 10" in " ".join(cause.text for cause in made.refused)


def test_a_few_go_without_a_word() -> None:
    assert decide(wanted(*FLEET[2:]), standing(*FLEET), remembered(*FLEET)).refused == ()


def test_a_fleet_renamed_at_once_counts_its_removals_whatever_it_creates() -> None:
    renamed = [b.a_sandbox(f"crate-{n:02}") for n in range(20)]
    made = decide(wanted(*renamed), standing(*FLEET), remembered(*FLEET))
    assert made.summary.create == 20
    assert made.refused
