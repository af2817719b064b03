"""Patterns are RE2's: no text makes a search slower than in proportion to its length."""

import pytest

from reconciler.model.pattern import PatternRefused, compile_pattern


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        ("ready", "now ready to serve"),
        (r"^loaded in [0-9.]+ s$", "loaded in 1.5 s"),
        (r"(?i)listening on \S+:\d+", "Listening on 0.0.0.0:80"),
        (r"(?P<word>café) ", "un café noir"),
        (r"a|b\z", "b"),
    ],
)
def test_a_line_that_holds_the_pattern_is_found(pattern: str, line: str) -> None:
    assert compile_pattern(pattern)(line)
    assert not compile_pattern(pattern)("nothing of it")


@pytest.mark.parametrize(
    "pattern", ["(", "[", "*", "a{1,5000}", "(?=ahead)", r"(a)\1", r"end\Z", "a++", r"(\pL{1,60}){1,9}", "\ud800"]
)
def test_what_is_no_pattern_is_refused_in_words(pattern: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PatternRefused) as caught:
        compile_pattern(pattern)
    assert str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*a){20}$", "(?:a*)*b"])
def test_patterns_that_hang_a_backtracking_engine_are_answered(pattern: str) -> None:
    assert not compile_pattern(pattern)("a" * 4000 + "!")
