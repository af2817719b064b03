from __future__ import annotations

import json

from reconciler.model.problem import Problem
from reconciler.model.source import SourceRef
from reconciler.show.problems import github, json_lines, text

ONE = Problem("E_NAME", SourceRef("specs/a,b.yaml", 3, 9), "100% wrong", field="metadata.name", hint="rename it")
WHOLE = Problem("E_SPEC_SIZE", SourceRef("specs/big.yaml", 0, 0), "too large")


def test_people_get_a_line_a_hint_and_a_count() -> None:
    assert text([ONE, WHOLE]) == (
        "E_NAME specs/a,b.yaml:3:9 metadata.name: 100% wrong\n"
        "  hint: rename it\n"
        "E_SPEC_SIZE specs/big.yaml: too large\n"
        "2 problems\n"
    )
    assert text([WHOLE]).endswith("\n1 problem\n")


def test_programs_get_one_object_a_line() -> None:
    first, second = json_lines([ONE, WHOLE]).splitlines()
    assert json.loads(first) == {
        "code": "E_NAME",
        "file": "specs/a,b.yaml",
        "line": 3,
        "col": 9,
        "field": "metadata.name",
        "message": "100% wrong",
        "hint": "rename it",
    }
    assert json.loads(second)["hint"] is None


def test_annotations_are_escaped() -> None:
    assert github([ONE, WHOLE]) == (
        "::error file=specs/a%2Cb.yaml,line=3,col=9,title=E_NAME::metadata.name: 100%25 wrong%0Ahint: rename it\n"
        "::error file=specs/big.yaml,title=E_SPEC_SIZE::too large\n"
    )
