from __future__ import annotations

import math
from typing import Any, get_args

import msgspec
from msgspec.structs import replace

from reconciler.model.stale import Found, StaleKind
from reconciler.model.telemetry import Envelope
from reconciler.sink.figures import Figures, fold
from tests import builders as b
from tests.unit.sink.envelopes import a_candidate, a_look, a_provision, a_teardown, an_inventory

HOSTS = ("h1", "h2")


def folded(*envelopes: Envelope, hosts: tuple[str, ...] = HOSTS) -> Figures:
    figures = Figures()
    for envelope in envelopes:
        figures = fold(figures, envelope, hosts=hosts)
    return figures


def sandboxes(figures: Figures) -> list[tuple[str, str]]:
    return [(one.sandbox, one.host) for one in figures.sandboxes]


def test_a_look_gives_the_figures_of_its_host() -> None:
    stale = (a_candidate("orphan"), a_candidate("orphan"), a_candidate("zombie"))
    host = folded(a_look(3, report={"stale": stale})).hosts["h1"]
    assert (host.load_1, host.memory_available_bytes) == (0.1, 12 << 30)
    assert host.disk_available_bytes == dict.fromkeys(("root", "base_dir", "docker_root"), 60 << 30)
    assert {kind: count for kind, count in host.stale.items() if count} == {"orphan": 2, "zombie": 1}
    assert host.stale.keys() == set(get_args(StaleKind)), "none found is zero: a gap in a graph tells nothing"


def test_a_host_that_could_not_be_measured_has_no_figures_of_before() -> None:
    host = folded(a_look(3), a_look(4, report={"snapshot": None})).hosts["h1"]
    assert (host.load_1, host.memory_available_bytes, host.disk_available_bytes) == (None, None, {})


def test_the_last_provision_counts() -> None:
    change = {"memory_available_bytes": -5.0, "disk_used_bytes": 7.0}
    (one,) = folded(a_provision(1), a_provision(2, delta=b.a_delta(change=change))).sandboxes
    assert (one.memory_available_change_bytes, one.disk_used_change_bytes) == (-5.0, 7.0)
    assert (one.sandbox, one.host, one.profile) == ("web-1", "h1", "service")


def test_figures_of_before_a_sandbox_told_its_own_use_are_still_read() -> None:
    kept = msgspec.to_builtins(folded(a_provision(1)))
    for one in kept["sandboxes"]:
        del one["own"]
    assert msgspec.convert(kept, type=Figures) == folded(a_provision(1))


def test_a_change_that_means_nothing_is_none() -> None:
    for change in (None, {}, {"memory_available_bytes": math.nan, "disk_used_bytes": math.inf}):
        (one,) = folded(a_provision(1), a_provision(2, delta=b.a_delta(change=change))).sandboxes
        assert (one.memory_available_change_bytes, one.disk_used_change_bytes) == (None, None)


def test_what_comes_late_changes_nothing_but_what_it_knows_better() -> None:
    new = folded(a_provision(8), a_look(9))
    assert fold(new, a_provision(1), hosts=HOSTS) == new
    assert fold(new, a_look(2, report={"snapshot": None}), hosts=HOSTS) == new
    assert fold(new, a_teardown(2), hosts=HOSTS) == new, "it was made anew since"


def test_a_sandbox_that_is_torn_down_disappears() -> None:
    assert sandboxes(folded(a_provision(1), a_teardown(2))) == []


def test_the_end_of_a_move_takes_only_the_place_that_was_left() -> None:
    assert sandboxes(folded(a_provision(1), a_provision(2, host="h2"))) == [("web-1", "h1"), ("web-1", "h2")]
    assert sandboxes(folded(a_provision(1), a_provision(2, host="h2"), a_teardown(3))) == [("web-1", "h2")]


def test_a_sandbox_that_a_later_look_does_not_find_disappears() -> None:
    assert sandboxes(folded(a_provision(1), a_look(2))) == [("web-1", "h1")]
    empty: dict[str, Any] = {"inventory": an_inventory()}
    assert sandboxes(folded(a_provision(1), a_look(2, report=empty))) == []
    assert sandboxes(folded(a_provision(3), a_look(2, report=empty))) == [("web-1", "h1")], "it came after the look"
    assert sandboxes(folded(a_provision(1, host="h2"), a_look(2, report=empty))) == [("web-1", "h2")]


def test_what_a_host_does_not_hold_although_it_is_listed_disappears_too() -> None:
    gone = Found(object="sandbox/web-1", owner="ours", age_s=None)
    theirs = Found(object="sandbox/web-1", owner="fleet other", age_s=5.0)
    for found in (gone, theirs):
        inventory = replace(an_inventory(), found=(found,))
        assert sandboxes(folded(a_provision(1), a_look(2, report={"inventory": inventory}))) == []


def test_a_host_that_left_the_fleet_disappears_with_what_it_held() -> None:
    both = folded(a_provision(1), a_look(2), a_look(3, host="h2"))
    left = fold(both, a_look(4, host="h2"), hosts=("h2",))
    assert list(left.hosts) == ["h2"]
    assert sandboxes(left) == []
    assert fold(left, a_look(5), hosts=("h2",)).hosts == left.hosts


def test_the_last_pass_is_the_newest_of_all() -> None:
    assert folded(a_look(5), a_provision(4)).last_pass == b.later(minutes=5)


def test_figures_survive_the_way_to_disk() -> None:
    figures = folded(a_provision(1), a_look(2), a_look(3, host="h2", report={"snapshot": None}))
    assert msgspec.json.decode(msgspec.json.encode(figures), type=Figures) == figures
