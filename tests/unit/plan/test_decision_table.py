"""Decide every row of the decision table: D a spec wants it, R we remember it, O it is on the host and ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model.desired import Reap, SandboxDesired
from reconciler.model.plan import Bucket, Note, Plan, Verb
from tests import builders as b
from tests.unit.plan.deciding import (
    altered,
    buried,
    decide,
    effects,
    exited,
    kinds,
    remembered,
    second_host,
    standing,
    the_action,
    the_held,
    the_matched,
    wanted,
)

ONE = b.a_sandbox()
OTHER = b.a_sandbox("other")
NOBODY = b.a_neighbour(b.docker_name())


def adhoc(hours: float) -> Plan:
    marker = b.a_marker(origin="adhoc", created_at=b.later(hours=-hours))
    markers = (b.a_seen_marker(marker), b.a_seen_marker(b.a_marker(OTHER)))
    return decide(wanted(OTHER), standing(ONE, OTHER, markers=markers), remembered(OTHER))


def orphan(*, mode: str = "report", now_h: float = 30, **view: Any) -> Plan:
    desired = wanted(OTHER, reap=Reap(mode=mode))  # type: ignore[arg-type]  # one of its two words
    clock_s = b.later(hours=now_h).timestamp()
    shown = standing(ONE, OTHER, host_clock_epoch_s=clock_s, **view)
    return decide(desired, shown, remembered(OTHER), now=b.later(hours=now_h))


def with_ttl(hours: float, *, marked: SandboxDesired | None = None, **marker: Any) -> Plan:
    mortal = b.a_sandbox(ttl_s=3600)
    shown = standing(mortal, markers=(b.a_seen_marker(b.a_marker(marked or mortal, **marker)),))
    return decide(wanted(mortal), shown, remembered(mortal), now=b.later(hours=hours))


def gone_from_specs(**over: Any) -> Plan:
    once = b.a_sandbox(**over)
    return decide(wanted(OTHER), standing(once, OTHER), remembered(once, OTHER))


ACTIONS: dict[str, tuple[Callable[[], Plan], Bucket, Verb]] = {
    "100 missing": (lambda: decide(wanted(ONE)), Bucket.MISSING, Verb.CREATE),
    "111 drifted": (
        lambda: decide(wanted(ONE), standing(ONE, containers=(exited(b.a_seen()),)), remembered(ONE)),
        Bucket.DRIFTED,
        Verb.START,
    ),
    "101 drifted, adopts first": (
        lambda: decide(wanted(ONE), standing(ONE, containers=(exited(b.a_seen()),))),
        Bucket.DRIFTED,
        Verb.START,
    ),
    "101 unrecorded, same": (lambda: decide(wanted(ONE), standing(ONE)), Bucket.UNRECORDED, Verb.ADOPT),
    "110 zombie, wanted": (
        lambda: decide(wanted(ONE), b.a_view(), remembered(ONE)),
        Bucket.ZOMBIE_WANTED,
        Verb.CREATE,
    ),
    "110 zombie, wanted: only its marker is left": (
        lambda: decide(wanted(ONE), standing(ONE, containers=()), remembered(ONE)),
        Bucket.ZOMBIE_WANTED,
        Verb.CREATE,
    ),
    "110 begun and never finished": (
        lambda: decide(wanted(ONE), standing(ONE, containers=()), b.a_records(b.a_record(ONE, complete=False))),
        Bucket.MISSING,
        Verb.CREATE,
    ),
    "010 zombie, not wanted": (
        lambda: decide(wanted(OTHER), standing(OTHER), remembered(ONE, OTHER)),
        Bucket.ZOMBIE,
        Verb.FORGET,
    ),
    "011 removed from the specs": (gone_from_specs, Bucket.REMOVED, Verb.DESTROY),
    "001 orphan, buried first": (lambda: orphan(mode="apply"), Bucket.ORPHAN, Verb.REAP),
    "001 orphan, its grace is over": (
        lambda: orphan(
            mode="apply", containers=(buried(b.a_seen(), int(b.later(hours=28).timestamp())), b.a_seen(OTHER))
        ),
        Bucket.ORPHAN,
        Verb.REAP,
    ),
    "001 ad hoc, its ttl is over": (lambda: adhoc(24), Bucket.AD_HOC, Verb.REAP),
    "1*1 expired": (lambda: with_ttl(1), Bucket.EXPIRED, Verb.DESTROY),
    "01- its name is somebody else's": (
        lambda: decide(wanted(OTHER), standing(OTHER, neighbours=(NOBODY,)), remembered(ONE, OTHER)),
        Bucket.LOST_TO_OTHERS,
        Verb.FORGET,
    ),
}

LEFT: dict[str, tuple[Callable[[], Plan], Bucket]] = {
    "111 matching": (lambda: decide(wanted(ONE), standing(ONE), remembered(ONE)), Bucket.MATCHING),
    "001 ad hoc, younger than a day": (lambda: adhoc(22), Bucket.AD_HOC),
    "0*1 retained": (lambda: gone_from_specs(deletion="Retain"), Bucket.RETAINED),
    "1*1 expired, stays absent": (
        lambda: decide(
            wanted(ONE),
            standing(ONE, containers=(), markers=(b.a_seen_marker(b.a_marker(phase="expired")),)),
            remembered(ONE),
        ),
        Bucket.EXPIRED,
    ),
    "11- expired, and even its marker is gone": (
        lambda: decide(wanted(ONE), b.a_view(), b.a_records(b.a_record(phase="expired"))),
        Bucket.EXPIRED,
    ),
}

HELD: dict[str, tuple[Callable[[], Plan], Bucket, str]] = {
    "1*? unknown, wanted": (lambda: decide(wanted(ONE), b.an_unreachable()), Bucket.UNKNOWN, "HostUnreachable"),
    "01? unknown, not wanted": (
        lambda: decide(wanted(), b.an_unreachable(), remembered(ONE)),
        Bucket.UNKNOWN,
        "HostUnreachable",
    ),
    "01? its host is not in the specs": (
        lambda: decide(wanted(), b.a_view(), b.a_records(b.a_record(host="h9"))),
        Bucket.UNKNOWN,
        "HostNotInSpecs",
    ),
    "001 orphan, reported": (orphan, Bucket.ORPHAN, "Orphan"),
    "001 orphan, too young": (lambda: orphan(mode="apply", now_h=23), Bucket.ORPHAN, "TooYoung"),
    "001 orphan, in its grace": (
        lambda: orphan(
            mode="apply", containers=(buried(b.a_seen(), int(b.later(hours=29.5).timestamp())), b.a_seen(OTHER))
        ),
        Bucket.ORPHAN,
        "InGrace",
    ),
    "10- clash": (lambda: decide(wanted(ONE), b.a_view(neighbours=(NOBODY,))), Bucket.CLASH, "NameTaken"),
    "01 protected, and no spec wants it": (lambda: gone_from_specs(protected=True), Bucket.HELD, "Protected"),
}


@pytest.mark.parametrize("row", ACTIONS)
def test_row_that_acts(row: str) -> None:
    make, bucket, verb = ACTIONS[row]
    made = make()
    action = the_action(made)
    assert (action.bucket, action.verb) == (bucket, verb)
    assert action.sandbox == b.SANDBOX
    assert action.cause.text


@pytest.mark.parametrize("row", LEFT)
def test_row_that_leaves_it(row: str) -> None:
    make, bucket = LEFT[row]
    made = make()
    assert made.empty
    (left,) = (item for item in made.matched if item.sandbox == b.SANDBOX)
    assert left.bucket is bucket
    assert bool(left.listed) == (bucket is not Bucket.MATCHING)


@pytest.mark.parametrize("row", HELD)
def test_row_that_is_held(row: str) -> None:
    make, bucket, reason = HELD[row]
    held = the_held(make())
    assert (held.bucket, held.reason, held.address) == (bucket, reason, "sandbox/web-1")
    assert held.message


def test_foreign_containers_are_counted_and_not_named() -> None:
    made = decide(wanted(ONE), standing(ONE, neighbours=(b.a_neighbour("postgres"),)), remembered(ONE))
    assert made.foreign == 1
    assert "postgres" not in str((made.actions, made.held, made.matched))


def test_adopting_changes_records_only() -> None:
    action = the_action(decide(wanted(ONE), standing(ONE)))
    assert [step.do for step in action.steps] == [Note("adopted")]


def test_drift_of_what_is_not_remembered_adopts_first() -> None:
    action = the_action(decide(wanted(ONE), standing(ONE, containers=(exited(b.a_seen()),))))
    assert action.steps[0].do == Note("adopted")
    assert "start_container" in kinds(action)


def test_a_vanished_sandbox_is_made_again_and_says_so() -> None:
    action = the_action(decide(wanted(ONE), b.a_view(), remembered(ONE)))
    assert any("vanished" in note for note in action.notes)


def test_the_clash_names_the_owner_and_how_to_adopt() -> None:
    labels = {"com.docker.compose.project": "shop"}
    shown = b.a_view(neighbours=(b.a_neighbour(b.docker_name(), labels=labels),))
    held = the_held(decide(wanted(ONE), shown))
    assert "compose project shop" in held.message
    assert NOBODY.full_id in (held.hint or "")


@pytest.mark.parametrize("kind", ["networks", "volumes"])
def test_a_network_or_volume_of_somebody_else_is_a_clash_too(kind: str) -> None:
    one = b.a_sandbox(resources=(b.a_network(), b.a_volume(), b.a_container()))
    taken = {
        "networks": (b.a_seen_network(one, labels={}),),
        "volumes": (b.a_seen_volume(one, labels={}),),
    }
    held = the_held(decide(wanted(one), b.a_view(**{kind: taken[kind]})))
    assert (held.bucket, held.reason) == (Bucket.CLASH, "NameTaken")
    assert kind.removesuffix("s") in held.message


# Expiry ---------------------------------------------------------------------------------------------------------------


def test_expired_stays_absent_until_its_spec_changes() -> None:
    mortal = b.a_sandbox(ttl_s=3600)
    marker = b.a_marker(mortal, phase="expired")
    shown = b.a_view(markers=(b.a_seen_marker(marker),))
    assert the_matched(decide(wanted(mortal), shown, remembered(mortal))).bucket is Bucket.EXPIRED
    edited = b.a_sandbox(ttl_s=7200)
    action = the_action(decide(wanted(edited), shown, remembered(mortal)))
    assert (action.verb, action.generation) == (Verb.CREATE, 2)


def test_a_ttl_that_an_edit_brings_expires_for_that_edit_and_counts_as_a_removal() -> None:
    before, after = b.a_sandbox(), b.a_sandbox(ttl_s=60)
    action = the_action(decide(wanted(after), standing(before), remembered(before)))
    assert (action.verb, action.intent, action.removes) == (Verb.DESTROY, after.intent, True)
    assert "60 s" in action.cause.text
    (marker,) = (effect.marker for effect in effects(action) if hasattr(effect, "marker"))
    assert (marker.phase, marker.intent, marker.ttl_s) == ("expired", after.intent, 60)


def test_a_ttl_that_was_agreed_to_does_not_count() -> None:
    assert not the_action(with_ttl(2)).removes


def test_an_expiry_that_was_cut_is_finished() -> None:
    mortal = b.a_sandbox(ttl_s=3600, resources=(b.a_directory(), b.a_container()))
    marker = b.a_marker(mortal, phase="expired")
    shown = standing(mortal, containers=(), markers=(b.a_seen_marker(marker),))
    action = the_action(decide(wanted(mortal), shown, remembered(mortal)))
    assert kinds(action) == ["put_marker", "drop_path"]


@pytest.mark.parametrize("why", ["protected", "suspended"])
def test_what_is_left_alone_does_not_expire(why: str) -> None:
    from reconciler.model.desired import Suspend  # noqa: PLC0415 - used here alone

    over: dict[str, Any] = {"protected": True} if why == "protected" else {"suspend": Suspend("debugging")}
    mortal = b.a_sandbox(ttl_s=3600, **over)
    held = the_held(decide(wanted(mortal), standing(mortal), remembered(mortal), now=b.later(hours=2)))
    assert held.reason == why.capitalize()


def test_an_expired_marker_goes_with_its_spec() -> None:
    marker = b.a_marker(phase="expired")
    shown = standing(OTHER, markers=(b.a_seen_marker(marker, inode="1:2"), b.a_seen_marker(b.a_marker(OTHER))))
    for records in (remembered(ONE, OTHER), remembered(OTHER)):
        action = the_action(decide(wanted(OTHER), shown, records))
        assert kinds(action) == ["drop_path"]
        assert not action.removes


# Orphans --------------------------------------------------------------------------------------------------------------


def test_burying_stops_and_renames_and_destroys_nothing() -> None:
    action = the_action(orphan(mode="apply"))
    assert kinds(action) == ["stop_container", "rename_container"]
    assert action.removes


def test_burying_two_of_one_name_gives_them_two_tombs() -> None:
    half = replace(b.a_seen(), name=f"{b.docker_name()}.next-0a1b2c", full_id=b.full_id("half"))
    action = the_action(orphan(mode="apply", containers=(b.a_seen(), half, b.a_seen(OTHER))))
    names = [effect.to for effect in effects(action) if hasattr(effect, "to")]
    assert len(set(names)) == 2


def test_what_was_buried_is_taken_back_when_a_spec_wants_it_again() -> None:
    tomb = buried(b.a_seen(), 1)
    action = the_action(decide(wanted(ONE), standing(ONE, containers=(tomb,))))
    assert [kind for kind in kinds(action) if kind != "put_marker"] == ["rename_container", "start_container"]


def test_an_orphan_that_a_spec_wants_elsewhere_waits_for_the_new_one() -> None:
    moved = b.a_sandbox(host="h2")
    desired = wanted(moved, OTHER, reap=Reap(mode="apply"))
    clock_s = b.later(hours=30).timestamp()
    hosts = {"h1": b.a_reachable(standing(ONE, OTHER, host_clock_epoch_s=clock_s)), "h2": second_host()}
    made = decide(desired, hosts, remembered(OTHER), now=b.later(hours=30))
    (new, old) = made.actions
    assert (new.id, new.verb) == ("h2/web-1", Verb.CREATE)
    assert (old.id, old.verb, old.after) == ("h1/web-1", Verb.REAP, ("h2/web-1",))


def test_a_generation_counts_on_over_a_move_and_over_a_marker_that_was_set_back() -> None:
    moved = b.a_sandbox(host="h2", resources=(b.a_container(pids=9),))
    hosts = {"h1": b.a_reachable(standing(ONE)), "h2": second_host()}
    made = decide(wanted(moved), hosts, b.a_records(b.a_record(ONE, generation=6)))
    assert [action.generation for action in made.actions if action.verb is Verb.CREATE] == [7]
    set_back = b.a_seen_marker(b.a_marker(ONE, generation=2))
    edited = b.a_sandbox(resources=(b.a_container(pids=9),))
    action = the_action(
        decide(wanted(edited), standing(ONE, markers=(set_back,)), b.a_records(b.a_record(ONE, generation=6)))
    )
    assert action.generation == 7


# Asked to be destroyed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("marker", [b.a_marker(), b.a_marker(origin="adhoc"), None])
def test_asked_by_name_it_is_destroyed_whatever_made_it(marker: Any) -> None:
    markers = () if marker is None else (b.a_seen_marker(marker, inode="1:2"),)
    made = decide(wanted(), standing(ONE, markers=markers), destroying=frozenset({b.SANDBOX}))
    assert the_action(made).verb is Verb.DESTROY
    assert made.refused == ()


def test_without_its_marker_nothing_says_that_it_may_go() -> None:
    made = decide(wanted(), standing(ONE, markers=()), remembered(ONE))
    held = the_held(made)
    assert held.reason == "MarkerMissing"


def test_destroy_ends_with_the_proof_and_keeps_data() -> None:
    one = b.a_sandbox(
        resources=(
            b.a_directory(),
            b.a_directory("kept", path="/srv/data/kept", data=True),
            b.a_volume(),
            b.a_network(),
            b.a_container(),
        )
    )
    shown = standing(one, markers=(b.a_seen_marker(b.a_marker(one), inode="1:2"),))
    action = the_action(decide(wanted(), shown, remembered(one), removals_allowed=1))
    assert kinds(action) == ["stop_container", "remove_container", "remove_network", "drop_path"]
    assert effects(action)[-1].path == f"{b.BASE_DIR}/{one.uid}"  # type: ignore[union-attr]  # a DropPath, see above
    assert any("volume" in note for note in action.notes)


def test_a_generation_is_never_lower_than_the_host_tells() -> None:
    drifted = altered(b.a_seen(labels={**b.labels_for(generation=7)}), user="nobody")
    action = the_action(decide(wanted(ONE), standing(ONE, containers=(drifted,), markers=())))
    assert action.generation >= 7


def test_an_orphan_of_which_only_the_folder_is_left_has_its_grace_too() -> None:
    early = orphan(mode="apply", now_h=24.5, containers=(b.a_seen(OTHER),))
    assert [(held.sandbox, held.reason) for held in early.held] == [(b.SANDBOX, "InGrace")]
    assert early.actions == ()
    late = orphan(mode="apply", now_h=25.5, containers=(b.a_seen(OTHER),))
    assert [(action.sandbox, action.verb) for action in late.actions] == [(b.SANDBOX, Verb.REAP)]


def test_an_orphan_of_which_only_a_network_is_left_grows_old_too() -> None:
    alone = {"containers": (b.a_seen(OTHER),), "markers": (b.a_seen_marker(b.a_marker(OTHER)),)}
    network = b.a_seen_network(ONE)
    early = orphan(mode="apply", now_h=2, networks=(network,), **alone)
    assert [(held.sandbox, held.reason) for held in early.held] == [(b.SANDBOX, "TooYoung")]
    late = orphan(mode="apply", now_h=26, networks=(network,), **alone)
    assert [(action.sandbox, kinds(action)) for action in late.actions] == [(b.SANDBOX, ["remove_network"])]
