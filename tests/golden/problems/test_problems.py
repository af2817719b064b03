"""Compare the exact words that people get for broken specs."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.load import load
from reconciler.model.problem import SpecInvalid
from reconciler.show.problems import text

CASES = sorted(path.parent for path in Path(__file__).parent.glob("*/broken.yaml"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_problems_are_told_in_these_words(case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "broken.yaml").write_bytes((case / "broken.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecInvalid) as refused:
        load("specs", cache=False)
    problems = refused.value.problems
    assert text(problems) == (case / "expected.txt").read_text()


def test_there_are_cases() -> None:
    assert len(CASES) >= 8
