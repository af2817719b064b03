"""A plan says which hosts another pass was changing during the look, and holds nothing back for that."""

from __future__ import annotations

import msgspec

from reconciler.model.observed import Observed, SeenLock
from reconciler.show import stream
from reconciler.show.lock_text import being_changed, left_locked
from reconciler.show.page import plain
from reconciler.show.plan_json import plan_json
from reconciler.show.plan_text import plan_page
from tests import builders as b
from tests.unit.plan.deciding import decide

HELD = SeenLock(line="2026-11-22T09:30:00+00:00 ann@desk pid 12", is_held=True)
GIVEN_BACK = SeenLock(line="2026-11-22T09:30:00+00:00 ann@desk pid 12")
BY = "ann@desk pid 12 since 2026-11-22T09:30:00+00:00"


def seen(**locks: SeenLock) -> Observed:
    return b.an_observed({name: b.a_reachable(b.a_view(lock=lock)) for name, lock in locks.items()})


def test_only_hosts_whose_lock_was_held_are_being_changed() -> None:
    assert being_changed(seen(h1=HELD, h2=GIVEN_BACK, h3=SeenLock())) == {"h1": BY}
    assert being_changed(b.an_observed({"h9": b.an_unreachable()})) == {}


def test_a_lock_without_a_name_is_still_held() -> None:
    """A full disk has no room for the holder's name."""
    assert being_changed(seen(h1=SeenLock(is_held=True))) == {"h1": "another pass"}


def test_it_is_one_line_of_a_plan_that_finds_nothing_to_do() -> None:
    plan = decide(b.a_desired(), b.a_view(lock=HELD))
    assert plan == decide(b.a_desired(), b.a_view())
    told = plain(plan_page(plan, width=100, age_s=None, changing={"h1": BY})).splitlines()
    assert told == [
        f"  ! host/h1 is being changed just now, by {BY}: plan again after it",
        "",
        "No changes. 0 sandboxes on 0 hosts match 4f2c1d9.",
    ]


def test_programs_learn_it_from_the_document_and_from_the_stream() -> None:
    plan = decide(b.a_desired(), b.a_view(lock=HELD))
    assert plan_json(plan, changing=being_changed(seen(h1=HELD)))["being_changed"] == {"h1": BY}
    stamp = stream.Stamp(b.T0, "")
    held, free = stream.hosts_observed(stamp, seen(h1=HELD, h2=GIVEN_BACK))
    assert held["being_changed_by"] == BY
    assert BY in held["@message"]
    assert free["being_changed_by"] is None


def test_a_holders_name_writes_to_nobodys_terminal() -> None:
    lock = msgspec.structs.replace(HELD, line="now \x1b[2Jann")
    changing = being_changed(seen(h1=lock))
    assert "\x1b" not in plain(plan_page(decide(b.a_desired(), b.a_view()), width=99, age_s=None, changing=changing))


def test_a_lock_that_was_not_given_back_is_told_where_the_plan_changes_its_host() -> None:
    lock = msgspec.structs.replace(HELD, is_held=False, is_left=True)
    left = left_locked(seen(h1=lock, h2=GIVEN_BACK))
    assert left == {"h1": BY}
    assert being_changed(seen(h1=lock)) == {}
    acting = decide(b.a_desired(b.a_sandbox()), b.a_view(lock=lock))
    idle = decide(b.a_desired(), b.a_view(lock=lock))
    said = f"  ! host/h1 was left by {BY} without giving its lock back: a stop that it sent may still go on"
    assert said in plain(plan_page(acting, width=100, age_s=None, left=left)).splitlines()
    assert said not in plain(plan_page(idle, width=100, age_s=None, left=left))
