from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as some

from reconciler.show.escape import shown


@pytest.mark.parametrize(
    ("raw", "safe"),
    [
        ("plain Ünïcode 中文 ✓", "plain Ünïcode 中文 ✓"),
        ("\x1b[2J\r", r"\x1b[2J\r"),
        ("\x9b1m\x7f\x00", r"\x9b1m\x7f\x00"),
        ("a\u202eb\u2066c\u200b\ufeff", r"a\u202eb\u2066c\u200b\ufeff"),
        ("\U000e0041", r"\U000e0041"),
        ("one\ntwo\tthree", r"one\ntwo\tthree"),
        ("\udcff", r"\udcff"),
    ],
)
def test_what_would_hide_or_move_is_written_out(raw: str, safe: str) -> None:
    assert shown(raw) == safe


@given(some.text())
def test_nothing_invisible_is_left(raw: str) -> None:
    assert not {unicodedata.category(char) for char in shown(raw)} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
