from __future__ import annotations

import pytest

from reconciler.show.words import ago, count, natural, revision, span
from tests import builders as b


@pytest.mark.parametrize(
    ("span_s", "said"),
    [(-5, "0 s"), (0.4, "0 s"), (59.6, "1 min"), (61, "1 min 1 s"), (7200, "2 h"), (90061, "1 d 1 h"), (86460, "1 d")],
)
def test_spans(span_s: float, said: str) -> None:
    assert span(span_s) == said


def test_the_rest() -> None:
    assert (count(1, "host"), count(0, "host"), count(2, "sandbox")) == ("1 host", "0 hosts", "2 sandboxes")
    assert sorted(["h11", "h9", "a", "h9b"], key=natural) == ["a", "h9", "h9b", "h11"]
    assert (revision(b.REVISION), revision(b.REVISION + "+dirty"), revision("none")) == (
        "4f2c1d9",
        "4f2c1d9+dirty",
        "none",
    )
    assert (ago(None, now=b.T0), ago(b.later(hours=1), now=b.T0)) == ("never", "just now")
