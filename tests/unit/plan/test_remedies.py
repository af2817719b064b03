"""Choose the remedy that a difference forces, and the steps that bring it about."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model.desired import SandboxDesired
from reconciler.model.effect import PutFile, PutMarker
from reconciler.model.observed import HostView, ImageAbsent, SeenContainer
from reconciler.model.plan import Action, Await, Verb
from reconciler.model.resource import Mount
from reconciler.model.text import Late, Template
from tests import builders as b
from tests.unit.plan.deciding import (
    altered,
    arriving,
    decide,
    effects,
    exited,
    kinds,
    remembered,
    standing,
    the_action,
    the_matched,
    wanted,
)

ONE = b.a_sandbox()
RUN = Template((Late("run.id"),))


def heal(want: SandboxDesired, view: HostView, **over: Any) -> Action:
    return the_action(decide(wanted(want), view, remembered(want), **over))


def healed(seen: SeenContainer, want: SandboxDesired = ONE, **view: Any) -> Action:
    return heal(want, standing(want, containers=(seen,), **view))


REMEDIES: dict[str, tuple[SeenContainer, Verb, list[str]]] = {
    "exited": (exited(b.a_seen()), Verb.START, ["start_container"]),
    "never started": (
        replace(b.a_seen(), live=b.a_live(state="created", started_at=None)),
        Verb.START,
        ["start_container"],
    ),
    "paused": (replace(b.a_seen(), live=b.a_live(state="paused")), Verb.RESTART, ["restart_container"]),
    "a limit": (altered(b.a_seen(), pids=5), Verb.UPDATE, ["update_container"]),
    "restart policy": (altered(b.a_seen(), restart="no"), Verb.UPDATE, ["update_container"]),
    "a limit and exited": (
        altered(exited(b.a_seen()), pids=5),
        Verb.START,
        ["update_container", "start_container"],
    ),
    "a limit that must go": (
        altered(b.a_seen(), memory_bytes=1 << 30),
        Verb.REPLACE,
        ["create_container", "stop_container", "remove_container", "rename_container", "start_container"],
    ),
    "user": (
        altered(b.a_seen(), user="nobody"),
        Verb.REPLACE,
        ["create_container", "stop_container", "remove_container", "rename_container", "start_container"],
    ),
}


@pytest.mark.parametrize("case", REMEDIES)
def test_remedy(case: str) -> None:
    seen, verb, steps = REMEDIES[case]
    action = healed(seen)
    assert (action.verb, kinds(action)) == (verb, ["put_marker", *steps])
    assert all(change.origin == ("intent" if case == "never started" else "drift") for change in action.changes)


@pytest.mark.parametrize(
    "state", [b.a_live(state="restarting"), b.a_live(health="unhealthy"), b.a_live(restart_count=9)]
)
def test_what_docker_tends_to_is_left_to_it(state: Any) -> None:
    shown = standing(ONE, containers=(replace(b.a_seen(), live=state),))
    assert the_matched(decide(wanted(ONE), shown, remembered(ONE))).sandbox == b.SANDBOX


def test_a_limit_that_the_specs_changed_is_no_drift() -> None:
    """No container's digest covers what is set in place: the sandbox's intent tells, also after a failed try."""
    applied = b.a_record(ONE)
    edited = b.a_sandbox(resources=(b.a_container(pids=99),), drift="report")
    half_applied = b.a_seen_marker(b.a_marker(edited))
    for markers in ((b.a_seen_marker(b.a_marker(ONE)),), (half_applied,)):
        action = the_action(decide(wanted(edited), standing(ONE, markers=markers), b.a_records(applied)))
        assert [change.origin for item in action.resources for change in item.changes] == ["intent"]


def test_a_limit_that_the_specs_took_away_is_no_drift() -> None:
    before = b.a_sandbox(resources=(b.a_container(memory_bytes=64 << 20),))
    action = the_action(decide(wanted(ONE), standing(before), remembered(before)))
    assert [(change.path, change.origin) for change in action.changes] == [
        ("containers.main.resources.memory", "intent")
    ]


@pytest.mark.parametrize(("code", "verb"), [(0, None), (3, Verb.START)])
def test_what_runs_once_is_run_again_until_it_ended_well(code: int, verb: Verb | None) -> None:
    once = b.a_sandbox(resources=(b.a_container(run="once", restart="no"),))
    seen = exited(altered(b.a_seen(once), run="once", restart="no"), exit_code=code)
    made = decide(wanted(once), standing(once, containers=(seen,)), remembered(once))
    assert [action.verb for action in made.actions] == ([] if verb is None else [verb])


def test_being_removed_is_waited_for() -> None:
    shown = standing(ONE, containers=(replace(b.a_seen(), live=b.a_live(state="removing")),))
    made = decide(wanted(ONE), shown, remembered(ONE))
    assert [held.reason for held in made.held] == ["BeingRemoved"]


def test_start_first_awaits_the_new_one_before_it_stops_the_old() -> None:
    one = b.a_sandbox(update="start-first")
    action = healed(altered(b.a_seen(one), user="nobody"), one)
    words = [
        step.do.effect.__class__.__name__ if hasattr(step.do, "effect") else step.do.__class__.__name__
        for step in action.steps
    ]
    core = [word for word in words if word not in ("Measure", "PutMarker")]
    assert core == [
        "CreateContainer",
        "StartContainer",
        "Await",
        "StopContainer",
        "RemoveContainer",
        "RenameContainer",
    ]
    assert action.strategy == "start-first"
    (waited,) = (step.do for step in action.steps if isinstance(step.do, Await))
    assert ".next-" in waited.name


def test_the_image_is_pulled_before_anything_is_touched() -> None:
    one = b.a_sandbox(resources=(b.a_container(image="registry.example/web:2"),))
    images = {b.an_image().id: b.an_image(), "registry.example/web:2": ImageAbsent()}
    action = healed(b.a_seen(ONE), one, images=images)
    assert kinds(action)[:3] == ["put_marker", "pull_image", "create_container"]


def test_an_extra_container_is_created_and_a_dropped_one_removed() -> None:
    main, side = b.a_container(), b.a_container("side")
    two = b.a_sandbox(resources=(main, side))
    action = heal(two, standing(two, containers=(b.a_seen(two, main),)))
    assert (action.verb, kinds(action)) == (Verb.UPDATE, ["put_marker", "create_container", "start_container"])
    action = heal(ONE, standing(ONE, containers=(b.a_seen(ONE, main), b.a_seen(two, side))))
    assert kinds(action) == ["put_marker", "stop_container", "remove_container"]
    assert [item.irreversible for item in action.resources] == [True]


def test_a_dropped_network_goes_after_what_hangs_on_it() -> None:
    """Docker refuses to remove a network that a running container is on: before, it could never be removed."""
    joined = {b.docker_name(resource="net"): ()}
    before = b.a_sandbox(
        resources=(b.a_network(), b.a_container(networks=joined, network_mode=b.docker_name(resource="net")))
    )
    action = heal(ONE, standing(before, markers=(b.a_seen_marker(),)))
    assert kinds(action)[-3:] == ["rename_container", "start_container", "remove_network"]


def test_a_vanished_network_takes_its_containers_along() -> None:
    joined = {b.docker_name(resource="net"): ()}
    one = b.a_sandbox(
        resources=(b.a_network(), b.a_container(networks=joined, network_mode=b.docker_name(resource="net")))
    )
    action = heal(one, standing(one, networks=()))
    assert action.verb is Verb.REPLACE
    assert kinds(action)[:3] == ["put_marker", "create_network", "create_container"]


def test_a_network_that_was_made_again_takes_its_containers_along() -> None:
    """A container looks for the network of its last start by id, so it could never be started again."""
    network = b.docker_name(resource="net")
    one = b.a_sandbox(resources=(b.a_network(), b.a_container(networks={network: ("main",)})))
    view = standing(one)
    (seen,) = view.containers
    stale = replace(exited(seen), network_ids={network: "f" * 64})
    action = heal(one, replace(view, containers=(stale,)))
    assert action.verb == "replace"
    current = replace(exited(seen), network_ids={network: view.networks[0].id})
    assert heal(one, replace(view, containers=(current,))).verb == "start"


# Files and runs -------------------------------------------------------------------------------------------------------


def with_file(content: Any = "mode = fast\n", **over: Any) -> SandboxDesired:
    file = b.a_file(content=content, **over)
    return b.a_sandbox(resources=(file, b.a_container(mounts={"/etc/config": Mount("bind", file.path)})))


def test_a_changed_file_is_written_and_its_container_restarted() -> None:
    one = with_file()
    path = str(one.files[0].path)
    action = heal(one, standing(one, paths={path: b.a_seen_file(path, "mode = slow\n")}))
    assert (action.verb, kinds(action)) == (Verb.RESTART, ["put_marker", "put_file", "restart_container"])


def test_a_file_newer_than_the_container_restarts_it() -> None:
    one = with_file()
    path = str(one.files[0].path)
    at = b.later(minutes=5).timestamp()
    newer = {path: b.a_seen_file(path, modified_epoch_s=at)}
    assert kinds(heal(one, standing(one, paths=newer, host_clock_epoch_s=at + 1))) == [
        "put_marker",
        "restart_container",
    ]
    future = standing(one, paths=newer, host_clock_epoch_s=at - 1)
    assert the_matched(decide(wanted(one), future, remembered(one))).sandbox == b.SANDBOX


def test_a_mode_alone_is_set_in_place() -> None:
    one = b.a_sandbox(resources=(b.a_directory(mode="0700"), b.a_container()))
    path = str(one.directories[0].path)
    action = heal(one, standing(one, paths={path: b.a_seen_path(path, mode="0750")}))
    assert (action.verb, kinds(action)) == (Verb.UPDATE, ["put_marker", "make_directory"])


def test_a_new_run_rewrites_the_files_that_tell_it_and_restarts_who_reads_them() -> None:
    file = b.a_file(content=Template(("run = ", Late("run.id"))))
    reader = b.a_container("reader", mounts={"/run": Mount("bind", file.path)})
    one = b.a_sandbox(resources=(file, b.a_container(), reader))
    view = standing(one)
    assert the_matched(decide(wanted(one), view, remembered(one))).run == b.RUN
    action = heal(one, replace(view, containers=(altered(view.containers[0], user="nobody"), view.containers[1])))
    assert action.run != b.RUN
    (written,) = (effect for effect in effects(action) if isinstance(effect, PutFile))
    assert action.run in str(written.content)
    assert "restart_container" in kinds(action)


def run_scoped() -> SandboxDesired:
    folder = b.a_directory(path=Template((f"{b.BASE_DIR}/{ONE.uid}/runs-", Late("run.id"))))
    return b.a_sandbox(resources=(folder, b.a_container(mounts={"/traces": Mount("bind", folder.path)})))


def test_a_path_of_the_run_that_nobody_asked_about_is_not_gone() -> None:
    """Else it would be made again, and its container restarted, in every single pass."""
    one = run_scoped()
    asked = str(one.directories[0].path)
    view = standing(one, paths={asked: b.an_absent_path(asked)})
    assert the_matched(decide(wanted(one), view, remembered(one))).sandbox == b.SANDBOX


def test_a_path_of_the_run_is_made_for_each_run() -> None:
    one = run_scoped()
    asked = str(one.directories[0].path)
    action = healed(altered(b.a_seen(one), user="nobody"), one, paths={asked: b.an_absent_path(asked)})
    assert "make_directory" in kinds(action)
    assert "restart_container" not in kinds(action)


# Adopted --------------------------------------------------------------------------------------------------------------


def adopted(**spec: Any) -> HostView:
    seen = altered(replace(b.a_seen(), labels={}), **spec)
    marker = b.a_marker(adopted={"containers/main": seen.full_id})
    return standing(ONE, containers=(seen,), markers=(b.a_seen_marker(marker, inode="1:2"),))


def test_an_adopted_container_never_shows_its_environment() -> None:
    made = decide(wanted(ONE), adopted(env={"PASSWORD": "old-s3cret"}), remembered(ONE))
    assert "s3cret" not in repr(made)
    assert {change.old for change in the_action(made).changes} >= {"(not shown)"}


def test_the_proof_of_an_adopted_container_outlives_it() -> None:
    """The marker is the only proof: with it gone first, the old container could neither be stopped nor recognised."""
    for view in (adopted(user="nobody"), adopted(user="nobody", memory_bytes=1 << 30)):
        action = heal(ONE, view)
        assert action.verb is Verb.REPLACE
        (written,) = (effect for effect in effects(action) if isinstance(effect, PutMarker))
        assert written.marker.adopted == {"containers/main": b.a_seen().full_id}


def test_the_proof_of_an_adopted_container_outlives_its_expiry() -> None:
    mortal = b.a_sandbox(ttl_s=60)
    seen = replace(b.a_seen(mortal), labels={})
    marker = b.a_marker(mortal, adopted={"containers/main": seen.full_id})
    view = standing(mortal, containers=(seen,), markers=(b.a_seen_marker(marker),))
    action = heal(mortal, view)
    (written,) = (effect for effect in effects(action) if isinstance(effect, PutMarker))
    assert (written.marker.phase, written.marker.adopted) == ("expired", marker.adopted)
    assert kinds(action) == ["put_marker", "stop_container", "remove_container"]


def test_an_id_that_is_gone_leaves_the_marker_with_its_next_writing() -> None:
    marker = b.a_marker(adopted={"containers/main": b.full_id("long gone")})
    action = heal(ONE, standing(ONE, containers=(exited(b.a_seen()),), markers=(b.a_seen_marker(marker),)))
    (written,) = (effect for effect in effects(action) if isinstance(effect, PutMarker))
    assert written.marker.adopted == {}


def test_an_adopted_container_whose_image_is_gone_is_compared_by_what_was_said() -> None:
    view = replace(adopted(), images={b.an_image().id: ImageAbsent(), b.IMAGE: ImageAbsent()})
    assert the_matched(decide(wanted(ONE), view, remembered(ONE))).sandbox == b.SANDBOX


# Half-made ------------------------------------------------------------------------------------------------------------

REPLACED = b.a_sandbox(resources=(b.a_container(user="app"),))
NEW = arriving(b.a_seen(REPLACED))
OLD = b.a_seen(ONE)


@pytest.mark.parametrize(
    ("containers", "steps"),
    [
        (
            (OLD, NEW),
            [
                "stop_container",
                "remove_container",
                "create_container",
                "stop_container",
                "remove_container",
                "rename_container",
                "start_container",
            ],
        ),
        ((NEW,), ["rename_container"]),
        (
            (replace(NEW, live=b.a_live(state="created", started_at=None)),),
            ["rename_container", "start_container"],
        ),
        ((arriving(OLD),), ["stop_container", "remove_container", "create_container", "start_container"]),
        ((b.a_seen(REPLACED), arriving(OLD)), ["stop_container", "remove_container"]),
    ],
    ids=["new beside old", "old is gone", "old is gone, new never started", "another new one", "new one in place"],
)
def test_a_replacement_that_was_cut_is_finished(containers: tuple[SeenContainer, ...], steps: list[str]) -> None:
    action = heal(REPLACED, standing(REPLACED, containers=containers))
    assert kinds(action) == ["put_marker", *steps]


# Upgrades of this program ---------------------------------------------------------------------------------------------


def test_digests_of_another_version_change_nothing() -> None:
    old = replace(b.a_seen(), labels=b.labels_for(digest="0:aaaaaaaaaaaaaaaa"))
    view = standing(ONE, containers=(old,), markers=(b.a_seen_marker(b.a_marker(intent="0:bbbbbbbbbbbbbbbb")),))
    assert the_matched(decide(wanted(ONE), view, remembered(ONE))).sandbox == b.SANDBOX
    drifted = replace(view, containers=(altered(old, pids=3),))
    assert [change.origin for change in heal(ONE, drifted).changes] == ["drift"]


def test_an_expired_sandbox_does_not_come_back_with_an_upgrade() -> None:
    marker = b.a_marker(phase="expired", intent="0:bbbbbbbbbbbbbbbb")
    view = b.a_view(markers=(b.a_seen_marker(marker),))
    assert the_matched(decide(wanted(ONE), view, remembered(ONE))).bucket == "expired"


def test_without_a_marker_the_run_is_the_one_of_its_containers() -> None:
    file = b.a_file(content=RUN)
    one = b.a_sandbox(resources=(file, b.a_container(mounts={"/run": Mount("bind", file.path)})))
    action = heal(one, standing(one, markers=()))
    assert (action.run, kinds(action)) == (b.RUN, ["put_marker"])
