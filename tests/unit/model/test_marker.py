"""A marker lies where others may write: what would break arithmetic later is refused when it is read."""

import json
from typing import Any

import msgspec
import pytest

from reconciler.model.marker import Marker, read_marker
from tests.builders import a_marker


def text(**over: Any) -> str:
    return json.dumps({**json.loads(msgspec.json.encode(a_marker())), **over})


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"created_at": "2025-06-01T12:00:00"}, "zone"),
        ({"created_at": "0001-01-01T00:00:00+23:59"}, "2000 to 2199"),
        ({"created_at": "1999-12-31T23:59:59Z"}, "2000 to 2199"),
        ({"created_at": "2200-01-01T00:00:00Z"}, "2000 to 2199"),
        ({"created_at": "9999-12-31T23:59:59-23:59"}, "2000 to 2199"),
        ({"ttl_s": -1}, "ttl"),
        ({"ttl_s": 101 * 366 * 24 * 3600}, "ttl"),
        ({"ttl_s": 10**400}, "20 digits"),
        ({"generation": 0}, "generation"),
        ({"generation": -5}, "generation"),
        ({"generation": 2**53 + 1}, "generation"),
        ({"generation": 10**400}, "20 digits"),
        ({"uid": ""}, "8 hex"),
        ({"uid": "../../etc"}, "8 hex"),
        ({"uid": "0BADCAFE"}, "8 hex"),
        ({"uid": "\x1b]0;" + "x" * 5000}, "8 hex"),
        ({"fleet": "x" * 4097}, "longer than 4096"),
        ({"sandbox": "x" * 4097}, "longer than 4096"),
        ({"intent": "x" * 4097}, "longer than 4096"),
        ({"revision": "x" * 4097}, "longer than 4096"),
        ({"run": "x" * 4097}, "longer than 4096"),
        ({"adopted": {"x" * 4097: "a" * 64}}, "longer than 4096"),
        ({"adopted": {"containers/main": "a" * 12}}, "64 hex"),
        ({"adopted": {"containers/main": "A" * 64}}, "64 hex"),
        ({"version": 10**400}, "20 digits"),
    ],
)
def test_what_no_program_of_ours_wrote_is_refused_in_words(over: dict[str, Any], said: str) -> None:
    answer = read_marker(text(**over))
    assert isinstance(answer, str)
    assert said in answer
    assert answer.isprintable()
    assert len(answer) < 300


@pytest.mark.parametrize(
    "over",
    [
        {},
        {"created_at": "2000-01-01T00:00:00Z"},
        {"created_at": "2199-12-31T23:59:59Z"},
        {"created_at": "2025-06-01T12:00:00+14:00"},
        {"ttl_s": 0},
        {"ttl_s": 100 * 365 * 24 * 3600},
        {"generation": 2**53},
        {"run": "x" * 4096},
        {"adopted": {"containers/main": "a" * 64}},
    ],
)
def test_what_lies_on_the_border_is_read(over: dict[str, Any]) -> None:
    assert isinstance(read_marker(text(**over)), Marker)
