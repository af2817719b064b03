"""The reference says what each reason means for which a plan holds something back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from reconciler.model.plan import HeldReason

PAGE = Path(__file__).parents[2] / "docs/reference/plan.md"


def test_every_reason_for_holding_back_is_explained_once() -> None:
    table = PAGE.read_text().partition("## Held back")[2].partition("\n## ")[0]
    explained = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert sorted(explained) == sorted(get_args(HeldReason))
