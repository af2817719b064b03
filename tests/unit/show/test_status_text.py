"""A fleet's status tells for each number how old it is."""

from __future__ import annotations

from reconciler.model.status import Statuses
from reconciler.record.fold import fold
from reconciler.show.page import plain
from reconciler.show.status_text import status_page
from tests import builders as b


def test_a_host_that_was_seen_and_not_measured_since_says_how_old_its_numbers_are() -> None:
    """Somebody who interrupts twice gets no measurement of that pass."""
    measured = b.an_observed({"h1": b.a_reachable(snapshot=b.a_snapshot())})
    statuses = fold(Statuses(), b.a_plan(), measured, None, b.T0)
    seen = b.an_observed({"h1": b.a_reachable(b.a_view(observed_at=b.later(seconds=100)))})
    statuses = fold(statuses, b.a_plan(), seen, None, b.later(seconds=100))
    told = plain(status_page(statuses, now=b.later(seconds=110), wide=True)).splitlines()
    head = next(line for line in told if line.startswith("HOST"))
    row = next(line for line in told if line.startswith("h1"))
    columns = {name: row[head.index(name) :].split("  ")[0].strip() for name in ("SEEN", "MEASURED", "LOAD")}
    assert columns == {"SEEN": "10 s ago", "MEASURED": "1 min 50 s ago", "LOAD": "0.10/4"}
