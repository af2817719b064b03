"""A legacy find goes only when it is named and everything that is asked of it holds; else the reason is said."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model.desired import Desired, Reap
from reconciler.model.effect import DropPath, Existing, Legacy, RemoveContainer, RenameContainer
from reconciler.model.legacy import LegacyName, parse_legacy
from reconciler.model.observed import HostView, Neighbour, SeenEntry, SeenMarker, SeenRoot
from reconciler.model.plan import Action, Bucket, Held, Plan
from reconciler.model.record import Records
from reconciler.plan.basis import stale_reads
from reconciler.plan.reaping import plan_reaping
from tests import builders as b
from tests.unit.plan.deciding import effects, request

DAY_S = 24 * 3600
NOW_S = b.T0.timestamp() + 9 * DAY_S
ME = b.a_view().identity
X = LegacyName("h1", "folder", "/tmp/old/x")
E2E = LegacyName("h1", "compose", "e2e-12")


def an_entry(name: str = "x", **over: Any) -> SeenEntry:
    fields = {"kind": "directory", "uid": ME.uid, "modified_epoch_s": NOW_S - 2 * DAY_S, "inode": "1:7", **over}
    return SeenEntry(name=name, **fields)


def a_part(name: str = "e2e-12-web-1", *, number: int = 1, **over: Any) -> Neighbour:
    labels = {"com.docker.compose.project": "e2e-12", **over.pop("labels", {})}
    fields = {"state": "exited", "created_epoch_s": NOW_S - 2 * DAY_S, **over}
    return Neighbour(full_id=f"{number:064x}", name=name, labels=labels, **fields)


def a_look(*entries: SeenEntry, parts: tuple[Neighbour, ...] = (), root: str = "/tmp/old", **over: Any) -> HostView:
    listed = SeenRoot(path=root, state="listed", entries=entries)
    return replace(b.a_view(), roots=(listed,), neighbours=parts, host_clock_epoch_s=NOW_S, **over)


def wanted(*, grace_s: int = 0, **over: Any) -> Desired:
    reap = Reap(
        mode="apply", older_than_s=DAY_S, grace_s=grace_s, legacy_patterns=("e2e-*",), legacy_roots=("/tmp/old",)
    )
    return b.a_desired(reap=replace(reap, **over))


def reaping(view: HostView | None, named: LegacyName | None, *, desired: Desired | None = None, **over: Any) -> Plan:
    """Plan nine days after everything began."""
    state = b.a_reachable(view) if view is not None else b.an_unreachable()
    asked = request(**{"now": b.later(seconds=9 * DAY_S), **over})
    names = () if named is None else (named,)
    return plan_reaping(desired or wanted(), b.an_observed({"h1": state}), Records(), asked, named=names)


def the_end(made: Plan) -> Action:
    assert made.held == ()
    (action,) = made.actions
    return action


def the_refusal(made: Plan) -> Held:
    assert made.actions == ()
    (held,) = made.held
    assert held.hint, "a refusal has a hint"
    return held


def test_what_is_not_named_stays() -> None:
    assert reaping(a_look(an_entry(), parts=(a_part(),)), None).actions == ()


def test_a_folder_is_removed_at_once_where_there_is_no_grace() -> None:
    action = the_end(reaping(a_look(an_entry()), X))
    assert effects(action) == [DropPath("/tmp/old/x", "/tmp/old", "1:7", legacy=Legacy(older_than_s=DAY_S))]
    assert (action.address, action.bucket, action.removes) == ("folder//tmp/old/x", Bucket.LEGACY, False)


def test_a_folder_is_put_aside_kept_and_removed_once_it_is_named_again() -> None:
    desired = wanted(grace_s=3600)
    action = the_end(reaping(a_look(an_entry()), X, desired=desired))
    put = f"x.tomb-{int(NOW_S)}"
    assert effects(action) == [DropPath("/tmp/old/x", "/tmp/old", "1:7", legacy=Legacy(older_than_s=DAY_S, aside=put))]
    assert action.buries
    held = the_refusal(reaping(a_look(an_entry(f"x.tomb-{int(NOW_S) - 60}")), X, desired=desired))
    assert (held.reason, "3540 s" in held.message) == ("InGrace", True)
    name = f"x.tomb-{int(NOW_S) - 3601}"
    action = the_end(reaping(a_look(an_entry(name)), X, desired=desired))
    assert effects(action) == [DropPath(f"/tmp/old/{name}", "/tmp/old", "1:7", legacy=Legacy(older_than_s=DAY_S))]


def test_what_stands_there_again_is_meant_and_not_what_was_put_aside_before() -> None:
    view = a_look(an_entry(inode="1:8"), an_entry("x.tomb-5"))
    (drop,) = effects(the_end(reaping(view, X)))
    assert isinstance(drop, DropPath)
    assert (drop.path, drop.inode) == ("/tmp/old/x", "1:8")


def test_a_compose_project_is_marked_and_then_removed_by_full_id() -> None:
    parts = (a_part(), a_part("e2e-12-db-1", number=2))
    action = the_end(reaping(a_look(parts=parts), E2E, desired=wanted(grace_s=3600)))
    target = Existing(parts[0].full_id, "e2e-12-web-1", "", "e2e-12")
    assert RenameContainer(target, f"e2e-12-web-1.tomb-{int(NOW_S)}") in effects(action)
    assert action.buries
    tombs = tuple(replace(one, name=f"{one.name}.tomb-{int(NOW_S) - 3601}") for one in parts)
    action = the_end(reaping(a_look(parts=tombs), E2E, desired=wanted(grace_s=3600)))
    assert [type(one) for one in effects(action)] == [RemoveContainer, RemoveContainer]
    action = the_end(reaping(a_look(parts=parts), E2E))
    assert effects(action)[0] == RemoveContainer(target)


OTHER = {"dev.reconciler.fleet": "other"}


@pytest.mark.parametrize(
    ("view", "named", "reason"),
    [
        (a_look(), X, "NotListed"),
        (a_look(an_entry(kind="symlink")), X, "NotListed"),
        (a_look(an_entry(kind="file")), X, "NotListed"),
        (a_look(an_entry(modified_epoch_s=NOW_S - DAY_S + 60)), X, "NotOldEnough"),
        (a_look(an_entry(modified_epoch_s=NOW_S + DAY_S)), X, "NotOldEnough"),
        (a_look(an_entry(uid=ME.uid + 1)), X, "NotOurs"),
        (a_look(an_entry(used_by=("process 12",))), X, "InUse"),
        (a_look(an_entry(), parts=(a_part(mounted=("/tmp/old/x/data",)),)), X, "InUse"),
        (a_look(an_entry(), parts=(a_part(mounted=("/tmp/old/x",)),)), X, "InUse"),
        (a_look(), E2E, "NotListed"),
        (a_look(parts=(a_part(labels={"com.docker.compose.project": "shop"}),)), E2E, "NotListed"),
        (a_look(parts=(a_part(state="running"),)), E2E, "InUse"),
        (a_look(parts=(a_part(state="paused"),)), E2E, "InUse"),
        (a_look(parts=(a_part(state="removing"),)), E2E, "InUse"),
        (a_look(parts=(a_part(), a_part("e2e-12-db-1", number=2, state="restarting"))), E2E, "InUse"),
        (a_look(parts=(a_part(""),)), E2E, "InUse"),
        (a_look(parts=(a_part(), a_part("e2e-12-db-1", number=2, labels=OTHER))), E2E, "NotOurs"),
        (a_look(parts=(a_part(), a_part("sbx-other.web.main", number=2))), E2E, "NotOurs"),
        (a_look(parts=(a_part(created_epoch_s=NOW_S - 60),)), E2E, "NotOldEnough"),
        (a_look(parts=(a_part(), a_part("e2e-12-db-1", number=2, created_epoch_s=NOW_S))), E2E, "NotOldEnough"),
        (a_look(parts=(a_part(created_epoch_s=None),)), E2E, "NotOldEnough"),
    ],
)
def test_what_does_not_meet_every_condition_is_refused_with_the_reason(
    view: HostView, named: LegacyName, reason: str
) -> None:
    assert the_refusal(reaping(view, named)).reason == reason


def test_what_lies_in_a_folder_that_cannot_be_listed_is_not_known() -> None:
    closed = replace(a_look(), roots=(SeenRoot(path="/tmp/old", state="unreadable"),))
    held = the_refusal(reaping(closed, X))
    assert (held.reason, "could not be listed" in held.message) == ("NotListed", True)


def test_a_host_that_does_not_answer_holds_what_is_named_there() -> None:
    (held,) = reaping(None, X).held
    assert (held.bucket, held.reason) == (Bucket.UNKNOWN, "HostUnreachable")


@pytest.mark.parametrize("fault", ["it is no JSON", None])
def test_a_folder_in_our_base_folder_that_may_be_a_sandboxs_is_left_alone(fault: str | None) -> None:
    sandbox = b.a_sandbox()
    folder = "0123abcd" if fault else sandbox.uid
    marker = SeenMarker(folder=folder, marker=None, fault=fault, owner_uid=ME.uid)
    view = a_look(an_entry(folder), root=ME.base_dir, markers=(marker,))
    desired = replace(wanted(), sandboxes={} if fault else {sandbox.name: sandbox})
    named = LegacyName("h1", "folder", f"{ME.base_dir}/{folder}")
    assert the_refusal_of(reaping(view, named, desired=desired)) == "NotOurs"


def the_refusal_of(made: Plan) -> str:
    (held,) = (one for one in made.held if one.bucket is Bucket.LEGACY)
    return held.reason


@pytest.mark.parametrize("ahead", ["host", "controller"])
def test_a_clock_that_is_a_day_ahead_makes_nothing_old(ahead: str) -> None:
    young = an_entry(modified_epoch_s=NOW_S - 3600), a_part(created_epoch_s=NOW_S - 3600)
    view = a_look(young[0], parts=young[1:])
    clock_s, at_s = (NOW_S + DAY_S, 9 * DAY_S) if ahead == "host" else (NOW_S, 10 * DAY_S)
    for named in (X, E2E):
        made = reaping(replace(view, host_clock_epoch_s=clock_s), named, now=b.later(seconds=at_s))
        assert the_refusal(made).reason == "NotOldEnough"


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        (a_look(an_entry()), a_look(an_entry(inode="1:8")), X),
        (a_look(an_entry()), a_look(an_entry(modified_epoch_s=NOW_S - 2 * DAY_S - 1)), X),
        (a_look(an_entry()), a_look(an_entry(used_by=("process 1",))), X),
        (a_look(parts=(a_part(),)), a_look(parts=(a_part(number=2),)), E2E),
        (a_look(parts=(a_part(),)), a_look(parts=(a_part(state="dead"),)), E2E),
    ],
)
def test_what_changes_between_two_looks_makes_the_plan_stale(
    before: HostView, after: HostView, named: LegacyName
) -> None:
    first, second = reaping(before, named), reaping(after, named)
    assert stale_reads(first, first.basis, specs=first.specs) == ()
    assert stale_reads(first, second.basis, specs=first.specs) != ()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("h1:folder//tmp/old/x", X),
        ("h1:compose/e2e-12", E2E),
        ("h1:compose/e2e:12", LegacyName("h1", "compose", "e2e:12")),
        ("h1:folder/tmp/x", None),
        ("h1:compose//x", None),
        ("h1:sandbox/web", None),
        ("h1:folder", None),
        ("folder//tmp/x", None),
        ("", None),
    ],
)
def test_a_find_is_named_by_its_host_kind_and_name(text: str, meant: LegacyName | None) -> None:
    assert parse_legacy(text) == meant
