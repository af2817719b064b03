from __future__ import annotations

from reconciler.model.nearest import did_you_mean, nearest


def test_the_nearest_name_is_found_whatever_the_order() -> None:
    names = ["memory", "mounts", "command"]
    assert nearest("memroy", names) == nearest("memroy", reversed(names)) == "memory"
    assert nearest("xyz", names) is None
    assert nearest("mem", names, likeness=0.9) is None


def test_a_hint_names_one_or_a_few_or_nothing() -> None:
    assert did_you_mean("web-l", {"web-1": 1, "shop": 2}) == "did you mean web-1?"
    assert did_you_mean("x", ["bb", "aa"]) == "known: aa, bb"
    assert did_you_mean("x", ["bb", "aa"], otherwise="there are") == "there are: aa, bb"
    assert did_you_mean("x", []) is None
    assert did_you_mean("x", [f"host-{n:03}" for n in range(500)]) == (
        "known: host-000, host-001, host-002, host-003, host-004, host-005, host-006, host-007, host-008, host-009…"
    )


def test_a_name_that_looks_like_another_is_shown_as_it_is() -> None:
    assert did_you_mean("web", ["w\u0435b"]) == "did you mean w\\u0435b?"
