"""Layout that fits a terminal, whatever it is given."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from reconciler.show.page import Page, Span, columns, cut, line, plain, table, wrapped

TEXTS = some.text(alphabet=some.sampled_from("ab- 中é…"), max_size=60)


@given(TEXTS, some.integers(1, 70))
def test_what_is_cut_fits_and_shows_that_it_was(text: str, width: int) -> None:
    shown = cut(text, width)
    assert columns(shown) <= width
    assert shown == text if columns(text) <= width else shown.endswith("…")


def test_characters_are_counted_in_columns() -> None:
    assert (columns("abc"), columns("中文"), columns("e\u0301")) == (3, 4, 1)


@given(some.lists(some.lists(TEXTS, max_size=4), max_size=5), some.integers(20, 90))
def test_what_is_wrapped_loses_no_word_and_fits(texts: list[list[str]], width: int) -> None:
    page: Page = [line("  ! ", *(Span(text, "bad") for text in pieces)) for pieces in texts]
    broken = wrapped(page, width=width)
    assert plain(broken).split() == plain(page).split()
    for text in plain(broken).splitlines():
        assert columns(text) <= width or len(text.split()) <= 2, "a sign and one word that is too long"


def test_what_follows_a_break_stands_below_the_text_of_its_line() -> None:
    page = [line("  ?   ", "one two three"), line("      because: of this"), line("Plan: 1 to create")]
    assert plain(wrapped(page, width=15)).splitlines() == [
        "  ?   one two",
        "      three",
        "      because:",
        "      of this",
        "Plan: 1 to",
        "  create",
    ]


def test_a_table_leaves_out_what_it_can_do_without_and_cuts_the_last_cell() -> None:
    head, rows = ("NAME", "SEEN", "WHY"), [("web-1", "5 min ago", "a long story"), ("db", "never", "")]
    assert plain(table(head, list(rows), spare=("SEEN",))).splitlines()[1] == "web-1  5 min ago  a long story"
    narrow = plain(table(head, list(rows), width=20, spare=("SEEN",)))
    assert narrow.splitlines() == ["NAME   WHY", "web-1  a long story", "db"]
    assert plain(table(head, list(rows), width=12, spare=("SEEN",))).splitlines()[1] == "web-1  a lo…"
