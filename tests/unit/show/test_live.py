"""The view of a running apply never wraps and never jumps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from reconciler.show.live import Began, Ended, Progress, Stepped, advance, live_page
from reconciler.show.page import columns, plain
from tests import builders as b
from tests.golden.show.sample_plans import named

NAMES = some.from_regex(r"[a-z][a-z0-9-]{1,38}[a-z0-9]", fullmatch=True)


@given(
    some.lists(some.tuples(NAMES, NAMES, some.text(max_size=200)), max_size=30),
    some.integers(20, 200),
    some.integers(1, 60),
)
def test_every_line_fits_and_all_of_them_do(rows: list[tuple[str, str, str]], width: int, height: int) -> None:
    progress = Progress(total=40, began_at=b.T0)
    for sandbox, host, text in rows:
        action = named(sandbox, host)
        progress = advance(progress, Began(action, b.T0))
        progress = advance(progress, Stepped(action.id, text))
    lines = plain(live_page(progress, now=b.later(hours=2), width=width, height=height)).splitlines()
    assert max(columns(text) for text in lines) <= width
    assert len(lines) <= max(height, 4)


def test_columns_stay_where_they_are_when_the_widest_row_has_ended() -> None:
    short, long = named("web", "h1"), named("a-rather-long-name", "gpu-with-a-name")
    progress = Progress(total=2, began_at=b.T0)
    for event in (Began(short, b.T0), Began(long, b.T0)):
        progress = advance(progress, event)
    before = live_page(progress, now=b.T0, width=100, height=24)
    after = live_page(advance(progress, Ended(long.id, "done")), now=b.T0, width=100, height=24)
    assert plain(before).splitlines()[1] == plain(after).splitlines()[1]


def test_a_row_says_what_waits_and_since_when() -> None:
    progress = advance(Progress(total=3, began_at=b.T0), Began(named("web", "h1"), b.T0))
    drawn = plain(live_page(progress, now=b.later(seconds=65), width=80, height=24)).splitlines()
    assert drawn[1:] == [
        "  +   web  h1     1:05  waiting for its turn",
        "1:05  0 of 3 ended, 1 under way, 2 to come",
    ]
