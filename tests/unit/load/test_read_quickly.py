"""The C extension reads nothing that ruamel's own parser would read in another way, or would refuse."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.load import events
from reconciler.load.read import read, read_quickly, read_slowly
from reconciler.load.text import checked_text
from tests.unit.load.bad_specs import FLEET, host, sandbox

ROOT = Path(__file__).parents[3]
FILES = (*sorted(ROOT.glob("profiles/*.yaml")), *sorted(ROOT.glob("specs/**/*.yaml")))
STYLES = """a: {b: c, "d": [1, 'x']}
k: |2
    x
  y
z: >-
  fold

  on
   more
l:
- a
- b: 1
  c: "x\\n \\u00e9"
u: http://x:80/y#z
w: é 日 # said
p: plain
  two
  three
"""
DOCUMENTS = (STYLES, FLEET, host(), sandbox(), *(path.read_text() for path in FILES))
LINES = tuple(line for text in DOCUMENTS for line in text.split("\n"))
MARKS = (
    *"{}[],:?-|>&*!%@`'\"#\n \t\\~<=",
    "\n\n",
    "  ",
    "---\n",
    "...\n",
    ": ",
    "- ",
    "? ",
    " #",
    "\r\n",
    "|-\n",
    ">+\n",
    "${x}",
    "<<: ",
    "é",
    "\u3000",
    "\\x41",
    "\\\n",
    "\\/",
    "''",
    '""',
    "{}",
    "[]",
    "%YAML 1.2\n",
    "|2#",
    "!!str ",
)


def _agree(text: str) -> bool:
    """Check that both say the same where the quick one says anything, and tell whether it did."""
    if isinstance(checked_text(text.encode(), "f.yaml"), tuple):
        return False
    quick, slow = read_quickly(text, "f.yaml"), read_slowly(text, "f.yaml")
    assert not quick or (quick, ()) == (slow.documents, slow.problems)
    return bool(quick)


@pytest.mark.parametrize("text", DOCUMENTS)
def test_what_people_write_is_read_quickly(text: str) -> None:
    assert _agree(text)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_whatever_is_read_quickly_is_read_alike(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(LINES) - 1))
    lines = LINES[start : start + data.draw(st.integers(1, 8))]
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    text = "\n".join(line[indent:] for line in lines) + "\n"
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(text)))
        text = text[:at] + data.draw(st.sampled_from(MARKS)) + text[at + data.draw(st.integers(0, 3)) :]
    _agree(text)


@given(st.lists(st.sampled_from((*MARKS, "a", "b: 1\n", "0")), max_size=12))
@settings(max_examples=300, deadline=None)
@example(["a:", "\t", "b"])
@example(["a: |2#"])
@example(["a:", "\n"])
@example(["{", "a: ", "}"])
def test_any_soup_that_is_read_quickly_is_read_alike(pieces: list[str]) -> None:
    _agree("".join(pieces))


@pytest.mark.parametrize(
    "text",
    [
        "k:\tv\n",
        "k: |2#\n   x\n",
        "k:\n",
        "{k: }\n",
        "a: &x 1\n",
        "a: !t 1\n",
        "%YAML 1.2\n---\na: 1\n",
        "a: 1\n...\n...\n",
        "a: |\n \n  more\n",
        '{c: [d, "f":e]}\n',
    ],
)
def test_what_the_two_read_differently_is_left_to_the_slow_one(text: str) -> None:
    assert read_quickly(text, "f.yaml") == ()


def test_deep_nesting_is_no_way_to_keep_it_busy() -> None:
    result = read(b"a: " + b"[" * 1_000_000, "f.yaml")
    assert [problem.code for problem in result.problems] == ["E_YAML_DEPTH"]


def test_without_the_c_extension_everything_is_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:

    expected = [read(text.encode(), "f.yaml") for text in DOCUMENTS]
    monkeypatch.setitem(sys.modules, "_ruamel_yaml", None)
    events.c_parser.cache_clear()
    try:
        assert events.c_parser() is None
        assert [read(text.encode(), "f.yaml") for text in DOCUMENTS] == expected
    finally:
        events.c_parser.cache_clear()
