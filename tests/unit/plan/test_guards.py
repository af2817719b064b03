"""Hold back what must not be touched, and say why: hosts, suspension, protection, proof, revision, what they need."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model.desired import Suspend
from reconciler.model.observed import HostView, ImageAbsent
from reconciler.model.plan import Bucket, Plan, Verb
from reconciler.model.record import Records
from reconciler.model.resource import Published
from reconciler.plan import Selection
from tests import builders as b
from tests.unit.plan.deciding import (
    SECOND_ID,
    altered,
    decide,
    exited,
    remembered,
    standing,
    the_action,
    the_held,
    the_matched,
    wanted,
)

ONE = b.a_sandbox()
DRIFTED = exited(b.a_seen())


def identity(**over: Any) -> HostView:
    return standing(ONE, identity=b.an_identity(**over))


# Hosts ----------------------------------------------------------------------------------------------------------------


def known_host(**over: Any) -> Records:
    return b.a_records(b.a_record(), hosts={b.HOST: b.a_host_record(**over)})


@pytest.mark.parametrize(
    ("view", "records", "words"),
    [
        (identity(host_id="f" * 32), known_host(), "is not the machine it was"),
        (identity(host_id=None), known_host(), "lost its host id"),
        (identity(host_id=None), Records(), "lost its host id"),
        (identity(docker_root="/mnt/docker"), known_host(), "/mnt/docker"),
    ],
    ids=["another machine", "lost", "lost, and nothing remembered", "Docker's data moved away"],
)
def test_another_machine_is_held_whole(view: HostView, records: Records, words: str) -> None:
    for desired in (wanted(ONE), wanted()):
        held = the_held(decide(desired, view, records))
        assert held.reason == "HostIdentity"
        assert words in held.message
        assert "reconcile host accept h1" in (held.hint or "")


def test_a_new_host_without_an_id_is_fine() -> None:
    view = b.a_view(identity=b.an_identity(host_id=None))
    assert the_action(decide(wanted(ONE), view)).verb is Verb.CREATE


def test_two_hosts_that_are_one_machine_name_each_other() -> None:
    two = b.a_sandbox("two", host="h2")
    made = decide(wanted(ONE, two), {"h1": b.a_reachable(standing(ONE)), "h2": b.a_reachable(b.a_view())})
    assert {held.reason for held in made.held} == {"HostIdentity"}
    assert all("h1" in held.message and "h2" in held.message for held in made.held)
    assert made.actions == ()


ENGINE = {"docker_id": "AAAA:BBBB", "boot_id": "b" * 32}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b.a_view(identity=b.an_identity(host_id=None, **ENGINE)), b.a_view(identity=b.an_identity(**ENGINE))),
        (standing(ONE), b.a_view(*standing(ONE).containers, identity=b.an_identity(host_id=SECOND_ID))),
        (
            b.a_view(neighbours=(b.a_neighbour(full_id=b.full_id("theirs")),)),
            b.a_view(
                neighbours=(b.a_neighbour(full_id=b.full_id("theirs")),), identity=b.an_identity(host_id=SECOND_ID)
            ),
        ),
    ],
    ids=["one engine", "one container of ours", "one container of somebody else's"],
)
def test_one_engine_under_two_base_folders_is_held_under_both(one: HostView, other: HostView) -> None:
    two = b.a_sandbox("two", host="h2")
    hosts = {"h1": b.a_reachable(one), "h2": b.a_reachable(other)}
    made = decide(wanted(ONE, two, hosts={"h1": b.a_host("h1"), "h2": b.a_host("h2")}), hosts)
    assert made.actions == ()
    assert {(held.host, held.reason) for held in made.held} == {("h1", "HostIdentity"), ("h2", "HostIdentity")}
    assert all("one machine" in held.message for held in made.held)


def test_one_engine_is_known_again_although_its_other_host_was_not_asked() -> None:
    two = b.a_sandbox("two", host="h2")
    identity = b.an_identity(host_id=SECOND_ID, **ENGINE)
    known = b.a_host_record("h1", engine=b.an_identity(**ENGINE).engine)
    desired = wanted(ONE, two, hosts={"h1": b.a_host("h1"), "h2": b.a_host("h2")})
    made = decide(desired, {"h2": b.a_reachable(b.a_view(identity=identity))}, Records(hosts={"h1": known}))
    assert [(held.host, held.reason) for held in made.held] == [("h2", "HostIdentity")]


def test_cloned_machines_with_one_docker_id_are_two() -> None:
    two = b.a_sandbox("two", host="h2")
    hosts = {
        "h1": b.a_reachable(b.a_view(identity=b.an_identity(docker_id="AAAA:BBBB", boot_id="1" * 32))),
        "h2": b.a_reachable(
            b.a_view(identity=b.an_identity(host_id=SECOND_ID, docker_id="AAAA:BBBB", boot_id="2" * 32))
        ),
    }
    assert [action.verb for action in decide(wanted(ONE, two), hosts).actions] == [Verb.CREATE, Verb.CREATE]


@pytest.mark.parametrize(
    "root", ["/home/ops", "/home/ops/.reconciler/lab", "/home/ops/.reconciler/lab/x", "/home/ops/.ssh", "/var/lib"]
)
def test_storage_and_our_own_folder_are_kept_apart(root: str) -> None:
    identity = b.an_identity(base_dir="/home/ops/.reconciler/lab", home="/home/ops")
    desired = wanted(ONE, hosts={b.HOST: b.a_host(storage={"data": root})})
    assert the_held(decide(desired, b.a_view(identity=identity))).reason == "StorageOverlap"


def test_a_host_that_never_told_its_id_and_lost_everything_is_held() -> None:
    records = b.a_records(b.a_record(ONE, host_id=None))
    held = the_held(decide(wanted(ONE), b.a_view(), records))
    assert held.reason == "HostIdentity"
    assert "never recorded" in held.message
    assert decide(wanted(ONE), standing(ONE), records).actions == ()


def test_dockers_data_is_missed_where_the_host_never_told_its_id() -> None:
    records = b.a_records(b.a_record(ONE, host_id=None))
    moved = standing(ONE, identity=b.an_identity(docker_root="/mnt/docker"))
    assert "/mnt/docker" in the_held(decide(wanted(ONE), moved, records)).message


def test_a_suspended_host_keeps_all_it_has() -> None:
    host = b.a_host(suspend=Suspend("disk swap", by="ana"))
    for desired in (wanted(ONE, hosts={"h1": host}), wanted(hosts={"h1": host})):
        held = the_held(decide(desired, standing(ONE, containers=(DRIFTED,)), remembered(ONE)))
        assert held.reason == "Suspended"
        assert "disk swap" in held.message
        assert "ana" in held.message


@pytest.mark.parametrize(
    ("until", "suspended"),
    [(None, True), ("2025-06-01T12:30:00Z", False), ("2025-06-02T00:00:00+00:00", True), ("soon", True)],
)
def test_a_suspension_ends_when_it_says(until: str | None, suspended: bool) -> None:  # noqa: FBT001 - a test's case
    one = b.a_sandbox(suspend=Suspend("look at it", until=until))
    made = decide(wanted(one), standing(one, containers=(DRIFTED,)), remembered(one))
    if suspended:
        assert the_held(made).reason == "Suspended"
    else:
        assert the_action(made).verb is Verb.START


def test_a_suspended_sandbox_that_matches_is_not_in_the_way() -> None:
    one = b.a_sandbox(suspend=Suspend("look at it"))
    assert the_matched(decide(wanted(one), standing(one), remembered(one))).bucket is Bucket.MATCHING


# Sandboxes ------------------------------------------------------------------------------------------------------------


def test_protected_is_not_replaced_and_is_updated() -> None:
    one = b.a_sandbox(protected=True)
    replaced = standing(one, containers=(altered(b.a_seen(one), user="nobody"),))
    assert the_held(decide(wanted(one), replaced, remembered(one))).reason == "Protected"
    updated = standing(one, containers=(altered(b.a_seen(one), pids=7),))
    assert the_action(decide(wanted(one), updated, remembered(one))).verb is Verb.UPDATE


def test_drift_is_only_reported_where_a_spec_says_so() -> None:
    one = b.a_sandbox(drift="report")
    held = the_held(decide(wanted(one), standing(one, containers=(DRIFTED,)), remembered(one)))
    assert held.reason == "DriftReported"
    assert "containers.main.state" in held.message
    edited = b.a_sandbox(drift="report", resources=(b.a_container(pids=9),))
    assert the_action(decide(wanted(edited), standing(one), remembered(one))).verb is Verb.UPDATE


def test_reporting_drift_never_leaves_our_own_work_half_done() -> None:
    one = b.a_sandbox(drift="report", resources=(b.a_file(), b.a_container()))
    never_started = replace(b.a_seen(one), live=b.a_live(state="created", started_at=None))
    made = decide(wanted(one), standing(one, containers=(never_started,)), remembered(one))
    assert the_action(made).verb is Verb.START
    before = b.a_record(one, intent="2:0000000000000000")
    path = one.files[0].path
    half = standing(one, paths={str(path): b.a_seen_file(str(path), "old")})
    assert the_action(decide(wanted(one), half, b.a_records(before))).verb is Verb.UPDATE


def test_another_revision_is_held_but_may_be_adopted_or_forgotten() -> None:
    def made(view: HostView, *sandboxes: Any, **over: Any) -> Plan:
        return decide(wanted(*sandboxes), view, over.pop("records", None), ancestors=frozenset())

    held = the_held(made(standing(ONE, containers=(DRIFTED,)), ONE, records=remembered(ONE)))
    assert held.reason == "AnotherRevision"
    assert b.REVISION[:12] in held.message
    assert the_held(made(standing(ONE), records=remembered(ONE))).reason == "AnotherRevision"
    assert the_action(made(standing(ONE), ONE)).verb is Verb.ADOPT


def test_a_work_tree_of_a_known_revision_is_ours() -> None:
    dirty = f"{b.REVISION}+dirty"
    shown = standing(ONE, containers=(replace(DRIFTED, labels=b.labels_for(revision=dirty)),))
    assert the_action(decide(wanted(ONE), shown, remembered(ONE))).verb is Verb.START


@pytest.mark.parametrize("wants", [True, False])
def test_a_damaged_marker_holds_its_sandbox(wants: bool) -> None:  # noqa: FBT001 - a test's case
    broken = b.a_seen_marker().__class__(folder=ONE.uid, marker=None, fault="it is no JSON", owner_uid=1000)
    held = the_held(decide(wanted(*([ONE] if wants else [])), standing(ONE, markers=(broken,)), remembered(ONE)))
    assert held.reason == "MarkerDamaged"
    assert ONE.uid in held.message


def test_a_marker_copied_from_another_folder_proves_nothing() -> None:
    """Else the end of one sandbox would remove the folder of the other."""
    other = b.a_sandbox("other")
    copied = b.a_seen_marker(b.a_marker(other, uid=ONE.uid), folder=ONE.uid, inode="1:2")
    made = decide(wanted(), standing(ONE, other, markers=(copied,)), remembered(ONE, other))
    assert {held.address: held.reason for held in made.held} == {
        "sandbox/web-1": "MarkerDamaged",
        "sandbox/other": "MarkerMissing",
    }
    assert made.actions == ()


def test_a_folder_of_another_user_is_doubted() -> None:
    held = the_held(decide(wanted(ONE), standing(ONE, markers=(b.a_seen_marker(owner_uid=0),)), remembered(ONE)))
    assert held.reason == "Unprovable"


@pytest.mark.parametrize(
    "over",
    [
        {"images": {b.an_image().id: ImageAbsent(), b.IMAGE: b.an_image()}},
        {"images": {b.an_image().id: b.an_image(labels=b.labels_for()), b.IMAGE: b.an_image()}},
        {"containers": (b.a_seen(labels=b.labels_for(b.a_sandbox("other"))),)},
        {"containers": (b.a_seen(labels=b.labels_for(uid="00000000")),)},
    ],
    ids=["image unreadable", "labels of the image", "labels of another sandbox", "another uid"],
)
def test_what_cannot_be_proved_is_held(over: dict[str, Any]) -> None:
    for desired in (wanted(ONE), wanted()):
        made = decide(desired, standing(ONE, **over), remembered(ONE))
        assert the_held(made).reason == "Unprovable"


def test_a_container_renamed_by_hand_is_not_made_a_second_time() -> None:
    mine = b.a_seen(name="my-precious")
    for desired in (wanted(ONE), wanted()):
        held = the_held(decide(desired, standing(ONE, containers=(mine,)), remembered(ONE)))
        assert held.reason == "Unprovable"
        assert "my-precious" in held.message
        assert "docker rename" in (held.hint or "")


def test_a_container_with_copied_labels_holds_nobody_whose_own_stands() -> None:
    copied = b.a_seen(name="look-alike", full_id=b.full_id("look-alike"))
    view = standing(ONE, containers=(b.a_seen(), copied))
    the_matched(decide(wanted(ONE), view, remembered(ONE)))


def test_copied_labels_of_an_unknown_sandbox_are_foreign() -> None:
    copied = b.a_seen(name="look-alike", full_id=b.full_id("look-alike"), labels=b.labels_for(b.a_sandbox("ghost")))
    view = standing(ONE, containers=(b.a_seen(), copied))
    made = decide(wanted(ONE), view, remembered(ONE))
    the_matched(made)
    assert made.foreign == 1


def test_what_another_user_or_thing_has_taken_is_trouble() -> None:
    one = b.a_sandbox(resources=(b.a_directory(), b.a_container()))
    path = str(one.directories[0].path)
    for seen, reason in (
        (b.a_seen_path(path, uid=0), "PathOwner"),
        (b.a_seen_path(path, kind="symlink"), "PathTaken"),
        (b.a_seen_path(path, kind="unreadable"), "PathUnreadable"),
    ):
        held = the_held(decide(wanted(one), b.a_view(paths={path: seen})))
        assert held.reason == reason
        assert path in held.message


def test_a_directory_that_its_container_made_its_own_is_left_to_it() -> None:
    one = b.a_sandbox(resources=(b.a_directory(), b.a_container()))
    path = str(one.directories[0].path)
    seen = b.a_seen_path(path, uid=999, mode="0700")
    assert the_matched(decide(wanted(one), standing(one, paths={path: seen}), remembered(one)))


@pytest.mark.parametrize("bind", ["127.0.0.1", "0.0.0.0"])
def test_a_port_of_somebody_else_holds_back_before_anything_is_stopped(bind: str) -> None:
    one = b.a_sandbox(resources=(b.a_container(ports={"80/tcp": Published("127.0.0.1", 8080)}),))
    stranger = b.a_neighbour(name="stranger")
    taken = {f"{bind}:8080/tcp": "stranger"}
    before = b.a_sandbox(resources=(b.a_container(),))
    for view in (
        b.a_view(neighbours=(stranger,), taken_ports=taken),
        standing(before, neighbours=(stranger,), taken_ports=taken),
    ):
        held = the_held(decide(wanted(one), view, remembered(before) if view.containers else None))
        assert held.reason == "PortTaken"
        assert "stranger" in held.message
    elsewhere = {f"{bind}:8081/tcp": "stranger"}
    assert decide(wanted(one), b.a_view(neighbours=(stranger,), taken_ports=elsewhere)).actions


# What belongs together ------------------------------------------------------------------------------------------------

DB = b.a_sandbox("db")
WEB = b.a_sandbox("web", depends_on=("db",))
TOP = b.a_sandbox("top", depends_on=("web",))


def test_what_is_needed_comes_first() -> None:
    made = decide(wanted(TOP, WEB, DB))
    assert [action.sandbox for action in made.actions] == ["db", "web", "top"]
    assert [action.after for action in made.actions] == [(), ("h1/db",), ("h1/web",)]


def test_what_matches_is_not_waited_for() -> None:
    assert the_action(decide(wanted(WEB, DB), standing(DB), remembered(DB))).after == ()


def test_who_needs_what_is_held_is_held_all_the_way_up() -> None:
    made = decide(wanted(TOP, WEB, DB), b.a_view(neighbours=(b.a_neighbour(b.docker_name("db")),)))
    assert made.actions == ()
    assert {held.address: held.reason for held in made.held} == {
        "sandbox/db": "NameTaken",
        "sandbox/web": "DependencyHeld",
        "sandbox/top": "DependencyHeld",
    }


def test_an_unselected_dependency_is_checked_and_not_changed() -> None:
    only = Selection(names=frozenset({"web"}))
    assert the_held(decide(wanted(WEB, DB), selection=only)).reason == "DependencyHeld"
    assert the_action(decide(wanted(WEB, DB), standing(DB), remembered(DB), selection=only)).after == ()
