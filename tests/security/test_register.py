"""Every requirement has a test of its name here, and stands on the page that explains them."""

from __future__ import annotations

import re
from pathlib import Path

from tests.e2e.driver import CHECKOUT

ROWS = {f"S{number:02}" for number in range(1, 33)}
NOT_YET = {
    "S23": "specs from signed commits",
    "S24": "specs from signed commits",
    "S25": "specs from signed commits",
    "S26": "specs from signed commits",
    "S29": "a daemon",
}
"""Requirements of what this version does not have."""

_NAMED = re.compile(r"^(?:async )?def test_(s\d\d)_", re.MULTILINE)


def test_every_requirement_has_a_test_of_its_name() -> None:
    named = {found.upper() for path in Path(__file__).parent.glob("*.py") for found in _NAMED.findall(path.read_text())}
    assert named == ROWS - set(NOT_YET)


def test_every_requirement_is_explained() -> None:
    page = (CHECKOUT / "docs/explanation/security.md").read_text()
    assert set(re.findall(r"^\| (S\d\d) \|", page, re.MULTILINE)) == ROWS - set(NOT_YET)
    assert "S23 to S26" in page
    assert "S29" in page
