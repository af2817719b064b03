"""Find what may be stale, each class of it with its suggestion, and nothing that is in its place."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model.activity import Activity
from reconciler.model.desired import Desired, Reap, SandboxDesired
from reconciler.model.observed import HostView, Neighbour, SeenEntry, SeenRoot
from reconciler.model.record import Records
from reconciler.model.stale import StaleCandidate
from reconciler.model.text import Late, Template
from reconciler.plan.stale import Survey, survey
from tests import builders as b
from tests.unit.plan.deciding import request

DAY_S = 24 * 3600
CLOCK_S = b.T0.timestamp()
REAP = Reap(
    older_than_s=DAY_S,
    grace_s=3600,
    idle_after_s=7200,
    legacy_patterns=("sbx-*", "e2e-*"),
    legacy_roots=("/tmp/old",),
)
ONE = b.a_sandbox()
NOTHING_WANTED = b.a_desired(reap=REAP)


def look(desired: Desired, view: HostView, records: Records | None = None, *, at_s: float = 0) -> Survey:
    """Survey h1 so many seconds after everything was made."""
    seen = replace(view, host_clock_epoch_s=CLOCK_S + at_s)
    return survey(
        desired, b.an_observed({"h1": b.a_reachable(seen)}), records or Records(), request(now=b.later(seconds=at_s))
    )


def the_candidate(found: Survey) -> StaleCandidate:
    (one,) = found.stale
    return one


def said(one: StaleCandidate) -> tuple[str, str, str]:
    return one.found.object, one.kind, one.suggestion


def wanted(*sandboxes: SandboxDesired) -> Desired:
    return b.a_desired(*sandboxes, reap=REAP)


@pytest.mark.parametrize(("at_s", "suggestion"), [(60, "ignore"), (3601, "inspect"), (DAY_S + 1, "reap")])
def test_an_orphan_is_reaped_when_it_is_old_enough_and_left_alone_when_it_is_young(at_s: int, suggestion: str) -> None:
    one = the_candidate(look(NOTHING_WANTED, b.a_settled_view(ONE), at_s=at_s))
    assert said(one) == (f"sandbox/{ONE.name}", "orphan", suggestion)
    assert one.evidence["containers"] == b.a_settled_view(ONE).containers[0].full_id
    assert one.found.age_s == at_s


def test_what_is_in_its_place_is_listed_and_is_not_stale() -> None:
    found = look(wanted(ONE), b.a_settled_view(ONE), b.a_records(b.a_record(ONE)), at_s=DAY_S * 9)
    assert found.stale == ()
    assert [one.object for one in found.inventories["h1"].found] == [f"sandbox/{ONE.name}"]


def test_a_zombie_is_forgotten_when_nobody_wants_it_and_looked_at_when_somebody_does() -> None:
    gone = b.a_records(b.a_record(ONE, profile="web"))
    one = the_candidate(look(NOTHING_WANTED, b.a_view(), gone))
    assert (said(one), one.found.profile) == ((f"sandbox/{ONE.name}", "zombie", "reap"), "web")
    assert said(the_candidate(look(wanted(ONE), b.a_view(), gone)))[1:] == ("zombie", "inspect")


def test_one_past_its_ttl_is_to_be_reaped_whoever_wants_it() -> None:
    short = b.a_sandbox(ttl_s=60)
    one = the_candidate(look(wanted(short), b.a_settled_view(short), b.a_records(b.a_record(short)), at_s=61))
    assert said(one) == (f"sandbox/{short.name}", "expired", "reap")


def test_what_a_command_made_is_left_until_its_ttl() -> None:
    marker = b.a_marker(ONE, origin="adhoc", ttl_s=600)
    view = replace(b.a_settled_view(ONE), markers=(b.a_seen_marker(marker),))
    assert said(the_candidate(look(NOTHING_WANTED, view, at_s=60)))[1:] == ("ad_hoc", "ignore")
    assert said(the_candidate(look(NOTHING_WANTED, view, at_s=601)))[1:] == ("ad_hoc", "reap")


def test_what_is_retained_is_listed_and_never_reaped() -> None:
    view = replace(b.a_settled_view(ONE), markers=(b.a_seen_marker(b.a_marker(ONE, deletion="Retain")),))
    assert said(the_candidate(look(NOTHING_WANTED, view, at_s=DAY_S * 99)))[1:] == ("retained", "inspect")


@pytest.mark.parametrize(
    ("looks", "busy_at_s", "stale"), [(1, 0, False), (2, 0, True), (5, 7000, False)], ids=["one look", "idle", "busy"]
)
def test_idleness_is_known_from_two_looks_on(looks: int, busy_at_s: int, *, stale: bool) -> None:
    view = b.a_settled_view(ONE)
    known = Activity(
        cpu_usage_ns=1, network_bytes=1, seen_at=b.later(hours=3), busy_at=b.later(seconds=busy_at_s), looks=looks
    )
    remembered = b.a_records(b.a_record(ONE))
    host = replace(remembered.hosts["h1"], activity={view.containers[0].full_id: known})
    found = look(wanted(ONE), view, replace(remembered, hosts={"h1": host}))
    assert [said(one)[1:] for one in found.stale] == ([("idle", "inspect")] if stale else [])
    (listed,) = found.inventories["h1"].found
    assert listed.idle_s == (None if looks == 1 else 3 * 3600 - busy_at_s)


def test_a_sandbox_with_secrets_needs_none_of_their_values() -> None:
    secretive = b.a_sandbox(resources=(b.a_container(env={"TOKEN": Template((Late("secret:hub"),))}),))
    assert look(wanted(secretive), b.a_settled_view(secretive), b.a_records(b.a_record(secretive))).stale == ()


def test_a_compose_project_of_a_legacy_name_is_shown_and_no_other() -> None:
    def part(project: str, name: str) -> Neighbour:
        labels = {"com.docker.compose.project": project}
        return Neighbour(
            full_id=b.full_id(name), name=name, state="running", labels=labels, created_epoch_s=CLOCK_S - DAY_S
        )

    view = b.a_view(neighbours=(part("e2e-7", "e2e-7-web-1"), part("e2e-7", "e2e-7-db-1"), part("shop", "shop-1")))
    one = the_candidate(look(NOTHING_WANTED, view))
    assert said(one) == ("compose/e2e-7", "legacy", "inspect")
    assert (one.found.owner, one.found.age_s) == ("compose project e2e-7", DAY_S)
    assert b.full_id("e2e-7-db-1") in one.evidence["containers"]


def folder(name: str, *, age_s: float = DAY_S, **over: Any) -> SeenEntry:
    return SeenEntry(
        **{"name": name, "kind": "directory", "uid": 1000, "modified_epoch_s": CLOCK_S - age_s, "inode": "1:2", **over}
    )


def test_a_folder_without_a_marker_in_ours_is_an_orphan_and_one_in_a_legacy_root_a_legacy_find() -> None:
    roots = (
        SeenRoot(path=b.BASE_DIR, state="listed", entries=(folder("left"), folder(ONE.uid), folder(".trash"))),
        SeenRoot(
            path="/tmp/old", state="listed", entries=(folder("a"), folder("b", age_s=5), folder("c", kind="file"))
        ),
    )
    found = look(wanted(ONE), replace(b.a_settled_view(ONE), roots=roots), b.a_records(b.a_record(ONE)))
    assert [said(one) for one in found.stale] == [
        (f"folder/{b.BASE_DIR}/left", "orphan", "inspect"),
        ("folder//tmp/old/a", "legacy", "inspect"),
        ("folder//tmp/old/b", "legacy", "ignore"),
    ]


def test_a_folder_that_a_container_has_mounted_says_by_whom() -> None:
    user = Neighbour(full_id=b.full_id("u"), name="user", state="running", mounted=("/tmp/old/a/data",))
    roots = (SeenRoot(path="/tmp/old", state="listed", entries=(folder("a"),)),)
    one = the_candidate(look(NOTHING_WANTED, b.a_view(neighbours=(user,), roots=roots)))
    assert one.evidence["mounted"] == "user"
    assert "mounted by user" in one.reason


def test_a_silent_host_is_in_no_survey() -> None:
    found = survey(
        wanted(ONE), b.an_observed({"h1": b.an_unreachable()}), b.a_records(b.a_record(ONE)), request(now=b.T0)
    )
    assert (found.inventories, found.stale) == ({}, ())


def test_a_dropped_spec_whose_sandbox_still_runs_is_unwanted_and_no_orphan() -> None:
    one = the_candidate(look(NOTHING_WANTED, b.a_settled_view(ONE), b.a_records(b.a_record(ONE)), at_s=DAY_S * 9))
    assert said(one) == (f"sandbox/{ONE.name}", "unwanted", "inspect")


def test_what_is_gone_from_a_host_in_doubt_is_no_orphan() -> None:
    elsewhere = b.a_view(identity=b.an_identity(host_id="f" * 32))
    assert look(NOTHING_WANTED, elsewhere, b.a_records(b.a_record(ONE))).stale == ()


def test_a_root_that_is_named_twice_is_listed_once() -> None:
    root = SeenRoot(path=b.BASE_DIR, state="listed", entries=(folder("left"),))
    assert len(look(NOTHING_WANTED, b.a_view(roots=(root, root))).stale) == 1
