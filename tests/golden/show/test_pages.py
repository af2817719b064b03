"""What people see is what was agreed upon, to the letter."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.model.plan import Plan
from reconciler.show.page import coloured
from reconciler.show.plan_text import plan_page
from tests.golden.show import sample_plans as sample
from tests.golden.show.pages import HERE, PAGES, plan_view


@pytest.mark.parametrize("name", sorted(PAGES))
def test_page_is_as_it_was_agreed(name: str) -> None:
    assert PAGES[name]() == (HERE / name).read_text(encoding="utf-8")


def test_every_golden_file_is_drawn() -> None:
    kept = {path.name for path in Path(HERE).iterdir() if path.suffix in {".txt", ".json"}}
    assert kept == set(PAGES)


@pytest.mark.parametrize("plan", [sample.everything(), sample.only_held(), sample.refused(), sample.hostile()])
def test_colour_says_nothing_that_the_text_does_not(plan: Plan) -> None:
    stripped = "".join(
        line.rstrip() + "\n" for line in coloured(plan_page(plan, width=100, age_s=None)).plain.splitlines()
    )
    assert stripped == plan_view(plan)


@pytest.mark.parametrize("plan", [sample.only_held(), sample.refused(), sample.everything()])
def test_what_is_held_or_refused_never_looks_like_no_changes(plan: Plan) -> None:
    assert "No changes" not in plan_view(plan)


def test_nothing_that_a_host_says_moves_the_cursor() -> None:
    assert "\x1b" not in plan_view(sample.hostile())
    assert "\u202e" not in plan_view(sample.hostile())


def test_narrow_lines_stay_within_the_width_unless_one_word_is_longer() -> None:
    for line in plan_view(sample.everything(), width=80).splitlines():
        if not line.startswith("Plan:"):
            assert len(line) <= 80
