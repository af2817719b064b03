"""Choose a host once, by what is known of all of them; after that a sandbox stays where it is."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from msgspec.structs import replace

from reconciler.model.desired import Admission, Suspend
from reconciler.model.observed import Reachable, Unreachable
from reconciler.model.plan import Bucket, Plan, Verb
from reconciler.model.record import Records
from reconciler.plan import Selection, plan_adoption
from reconciler.plan.placement import placed_in, settled
from tests import builders as b
from tests.unit.plan.deciding import decide, request, the_action, the_held, the_matched
from tests.unit.plan.placing import GIB, a_choice, a_machine, a_pool, placed_on

ONE = b.a_sandbox()
STRATEGIES: tuple[Literal["spread", "pack"], ...] = ("spread", "pack")
Seen = dict[str, Reachable | Unreachable]
OTHERS = tuple(b.a_sandbox(f"box-{n}") for n in range(6))


def on(host: str, *sandboxes: Any, **over: Any) -> tuple[Any, ...]:
    return tuple(b.a_record(replace(one, host=host), host_id=b.full_id(host)[:32], **over) for one in sandboxes)


# A new one ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "host", "words"),
    [
        ("spread", "h2", "placed on h2: the emptiest of 3 hosts with pool=gpu (1 sandbox; h3 2, h1 3)"),
        ("pack", "h1", "placed on h1: the fullest of 3 hosts with pool=gpu (3 sandboxes; h3 2, h2 1)"),
    ],
)
def test_a_new_one_goes_to_the_emptiest_or_to_the_fullest(
    strategy: Literal["spread", "pack"], host: str, words: str
) -> None:
    there = {"h1": OTHERS[:3], "h2": OTHERS[3:4], "h3": OTHERS[4:]}
    hosts = {name: a_machine(name, *boxes) for name, boxes in there.items()}
    records = b.a_records(*(one for name, boxes in there.items() for one in on(name, *boxes)))
    pinned = tuple(replace(one, host=name) for name, boxes in there.items() for one in boxes)
    desired = a_pool(ONE, hosts=("h1", "h2", "h3"), pinned=pinned, strategy=strategy)
    action = the_action(decide(desired, hosts, records))
    assert (action.verb, action.host, action.notes) == (Verb.CREATE, host, (words,))


@pytest.mark.parametrize(("strategy", "host"), [("spread", "h2"), ("pack", "h1")])
def test_memory_decides_between_hosts_that_are_as_full(strategy: Literal["spread", "pack"], host: str) -> None:
    hosts = {"h1": a_machine("h1", memory_bytes=2 * GIB), "h2": a_machine("h2", memory_bytes=3 * GIB)}
    action = the_action(decide(a_pool(ONE, strategy=strategy), hosts))
    assert action.host == host
    assert "and 3.0 GiB available" in action.notes[0]


def test_the_name_decides_where_nothing_else_does_and_what_is_not_measured_comes_last() -> None:
    assert the_action(decide(a_pool(ONE), {"h2": a_machine("h2"), "h1": a_machine("h1")})).host == "h1"
    unmeasured = {"h1": a_machine("h1", memory_bytes=None), "h2": a_machine("h2")}
    for strategy in STRATEGIES:
        assert the_action(decide(a_pool(ONE, strategy=strategy), unmeasured)).host == "h2"


def test_many_are_spread_each_counting_those_before_it_and_those_that_are_pinned() -> None:
    desired = a_pool(*OTHERS[:4], pinned=(ONE,))
    made = decide(desired, {"h1": a_machine("h1"), "h2": a_machine("h2")})
    assert placed_on(made) == {"web-1": "h1", "box-0": "h2", "box-1": "h1", "box-2": "h2", "box-3": "h1"}


def test_many_are_packed_until_a_host_is_full() -> None:
    desired = a_pool(*OTHERS[:3], strategy="pack")
    bounded = {name: replace(host, admission=Admission(sandboxes_max=2)) for name, host in desired.hosts.items()}
    made = decide(replace(desired, hosts=bounded), {"h1": a_machine("h1"), "h2": a_machine("h2")})
    assert placed_on(made) == {"box-0": "h1", "box-1": "h1", "box-2": "h2"}
    assert made.held == ()
    assert any(note.startswith("left out: h1 needs room for 1 more") for note in made.actions[-1].notes)


def test_memory_that_the_plan_gives_away_is_counted() -> None:
    big = tuple(replace(one, resources=(b.a_container(memory_bytes=3 * GIB),)) for one in OTHERS[:3])
    desired = a_pool(*big, strategy="pack")
    bounded = {
        name: replace(host, admission=Admission(memory_available_min_bytes=2 * GIB))
        for name, host in desired.hosts.items()
    }
    hosts = {"h1": a_machine("h1", memory_bytes=9 * GIB), "h2": a_machine("h2", memory_bytes=4 * GIB)}
    made = decide(replace(desired, hosts=bounded), hosts)
    assert placed_on(made) == {"box-0": "h1", "box-1": "h1"}
    held = made.held[0]
    assert (held.sandbox, held.reason) == ("box-2", "NoHostFits")
    assert (
        "h1 needs 2.0 GiB more of memory available: 9.0 GiB is there, 6.0 GiB of it reserved by this plan, "
        "this takes 3.0 GiB, 2GiB must stay free" in held.message
    )
    assert "h2 needs 1.0 GiB more of memory available: 4.0 GiB is there, this takes 3.0 GiB" in held.message


def test_hosts_that_take_nothing_are_not_chosen() -> None:
    desired = a_pool(ONE, hosts=("h1", "h2", "h3"))
    hosts = {**desired.hosts, "h1": b.a_host("h1", suspend=Suspend("new disks"))}
    hosts["h2"] = b.a_host("h2", storage={"data": b.BASE_DIR})
    seen = {name: a_machine(name) for name in hosts}
    action = the_action(decide(replace(desired, hosts=hosts), seen))
    assert action.host == "h3"
    assert action.notes[0] == "placed on h3: the only one of 3 hosts with pool=gpu that can take it"
    assert any("suspended: new disks" in note for note in action.notes)


def test_where_none_fits_each_host_says_why() -> None:
    desired = a_pool(ONE)
    hosts = {
        "h1": b.a_host("h1", admission=Admission(disk_free_min_bytes=61 * GIB)),
        "h2": b.a_host("h2", admission=Admission(load_per_cpu_max=0.01)),
    }
    held = the_held(decide(replace(desired, hosts=hosts), {name: a_machine(name) for name in hosts}))
    assert (held.reason, held.bucket) == ("NoHostFits", Bucket.HELD)
    assert "h1 needs 1.0 GiB more of disk at /: 60.0 GiB is free, 61GiB must stay free" in held.message
    assert "h2 has a load of" in held.message


# One that is somewhere ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("records", [Records(), b.a_records(*on("h1", ONE))], ids=["not recorded", "recorded"])
def test_it_stays_where_it_stands_however_empty_another_host_is(records: Records) -> None:
    crowd = tuple(replace(one, host="h1") for one in OTHERS)
    seen = {"h1": a_machine("h1", ONE, *crowd), "h2": a_machine("h2")}
    known = b.a_records(*records.sandboxes, *on("h1", *crowd))
    made = decide(a_pool(ONE, pinned=crowd), seen, known)
    assert [(action.host, action.verb) for action in made.actions] == (
        [] if records.sandboxes else [("h1", Verb.ADOPT)]
    )
    assert made.held == ()


def test_one_that_vanished_is_made_again_where_it_was() -> None:
    seen = {"h1": a_machine("h1"), "h2": a_machine("h2", *OTHERS)}
    crowd = tuple(replace(one, host="h2") for one in OTHERS)
    known = b.a_records(*on("h2", ONE, *crowd))
    action = the_action(decide(a_pool(ONE, pinned=crowd), seen, known))
    assert (action.host, action.bucket) == ("h2", Bucket.ZOMBIE_WANTED)


def test_one_that_has_expired_stays_away_everywhere() -> None:
    short = replace(ONE, ttl_s=60)
    marker = b.a_marker(short, phase="expired")
    seen = {"h1": a_machine("h1"), "h2": a_machine("h2", markers=(b.a_seen_marker(marker),))}
    assert (the_matched(decide(a_pool(short), seen)).host) == "h2"


def test_one_that_cannot_be_proved_to_be_ours_is_not_made_elsewhere() -> None:
    folder = b.a_seen_marker(owner_uid=0)
    seen = {"h1": a_machine("h1"), "h2": a_machine("h2", markers=(folder,))}
    held = the_held(decide(a_pool(ONE), seen))
    assert (held.host, held.reason) == ("h2", "Unprovable")


def test_a_new_one_goes_where_its_volumes_are() -> None:
    keeping = replace(ONE, resources=(b.a_volume(), *ONE.resources))
    seen = {"h1": a_machine("h1"), "h2": a_machine("h2", *OTHERS, volumes=(b.a_seen_volume(keeping),))}
    crowd = tuple(replace(one, host="h2") for one in OTHERS)
    action = the_action(decide(a_pool(keeping, pinned=crowd), seen, b.a_records(*on("h2", *crowd))))
    assert (action.host, action.notes) == ("h2", ("placed where its volumes are",))


# Silence -----------------------------------------------------------------------------------------------------------


def test_what_may_be_on_a_silent_host_is_not_made_elsewhere() -> None:
    held = the_held(decide(a_pool(ONE), Seen(h1=a_machine("h1"), h2=b.an_unreachable())))
    assert (held.host, held.reason, held.bucket) == ("h2", "HostUnreachable", Bucket.HELD)
    assert "no record tells where it is, and it may be on h2" in held.message
    assert "take its label (pool=gpu) away" in (held.hint or "")


def test_what_was_made_on_a_silent_host_is_not_made_elsewhere() -> None:
    seen: Seen = {"h1": a_machine("h1"), "h2": b.an_unreachable()}
    held = the_held(decide(a_pool(ONE), seen, b.a_records(*on("h2", ONE))))
    assert (held.host, held.bucket) == ("h2", Bucket.UNKNOWN)


def test_what_is_known_to_be_elsewhere_does_not_wait_for_a_silent_host() -> None:
    seen: Seen = {"h1": a_machine("h1", ONE), "h2": b.an_unreachable()}
    assert the_matched(decide(a_pool(ONE), seen, b.a_records(*on("h1", ONE)))).host == "h1"
    assert the_action(decide(a_pool(ONE), seen)).verb is Verb.ADOPT


def test_a_host_for_which_another_machine_answers_is_as_good_as_silent() -> None:
    seen: Seen = {"h1": a_machine("h1"), "h2": a_machine("h2")}
    records = Records(hosts={"h2": b.a_host_record(name="h2", host_id="9" * 32)})
    held = the_held(decide(a_pool(ONE), seen, records))
    assert (held.host, held.reason) == ("h2", "HostIdentity")


def test_what_a_host_without_the_label_has_is_not_made_elsewhere_while_it_is_silent() -> None:
    desired = a_pool(ONE, pinned=(b.a_sandbox("other", host="h9"),))
    seen: Seen = {"h1": a_machine("h1"), "h2": a_machine("h2"), "h9": b.an_unreachable()}
    made = decide(desired, seen, b.a_records(*on("h9", ONE)))
    assert made.actions == ()
    told = {held.host: held.message for held in made.held if held.sandbox == ONE.name}
    assert "it was made on h9, which is none of its hosts any more" in told["h1"]


def test_a_new_one_does_not_wait_for_a_silent_host_that_has_not_the_label() -> None:
    desired = a_pool(ONE, pinned=(b.a_sandbox("other", host="h9"),))
    seen: Seen = {"h1": a_machine("h1"), "h2": a_machine("h2"), "h9": b.an_unreachable()}
    assert placed_on(decide(desired, seen)) == {"web-1": "h1"}


# Moves and copies --------------------------------------------------------------------------------------------------


def _labels_moved(**over: Any) -> Plan:
    desired = a_pool(ONE, hosts=("h1", "h2"))
    desired = replace(desired, hosts={**desired.hosts, "h9": b.a_host("h9")})
    seen = {"h1": a_machine("h1"), "h2": a_machine("h2"), "h9": a_machine("h9", ONE)}
    return decide(desired, seen, b.a_records(*on("h9", ONE)), **over)


def test_it_moves_when_its_host_has_the_label_no_more() -> None:
    new, old = _labels_moved().actions
    assert (new.id, new.verb) == ("h1/web-1", Verb.CREATE)
    assert new.notes[0].startswith("placed on h1: the emptiest of 2 hosts")
    assert (old.id, old.verb, old.after, old.removes) == ("h9/web-1", Verb.DESTROY, ("h1/web-1",), False)
    assert old.cause.text == "it is placed on h1 now"


def test_the_old_one_stays_while_no_other_host_takes_it() -> None:
    desired = a_pool(ONE)
    full = {name: replace(host, admission=Admission(sandboxes_max=0)) for name, host in desired.hosts.items()}
    desired = replace(desired, hosts={**full, "h9": b.a_host("h9")})
    seen = {"h1": a_machine("h1"), "h2": a_machine("h2"), "h9": a_machine("h9", ONE)}
    made = decide(desired, seen, b.a_records(*on("h9", ONE)))
    assert made.actions == ()
    assert {held.reason for held in made.held} == {"NoHostFits", "MoveBlocked"}


def test_of_two_copies_the_one_we_remember_is_kept_and_the_other_is_for_a_person() -> None:
    seen = {"h1": a_machine("h1", ONE), "h2": a_machine("h2", ONE)}
    made = decide(a_pool(ONE), seen, b.a_records(*on("h2", ONE)))
    assert made.actions == ()
    assert [(held.host, held.reason) for held in made.held] == [("h1", "SecondCopy")]
    assert [item.host for item in made.matched] == ["h2"]


# Selections, dependencies, and second looks --------------------------------------------------------------------------


def test_a_selection_of_hosts_covers_what_was_placed_there() -> None:
    seen = {"h1": a_machine("h1"), "h2": a_machine("h2")}
    desired = a_pool(*OTHERS[:2])
    assert placed_on(decide(desired, seen)) == {"box-0": "h1", "box-1": "h2"}
    made = decide(desired, seen, selection=Selection(hosts=frozenset({"h2"})))
    assert placed_on(made) == {"box-1": "h2"}


def test_what_is_not_selected_takes_no_room() -> None:
    desired = a_pool(*OTHERS[:2])
    one_each = {name: replace(host, admission=Admission(sandboxes_max=1)) for name, host in desired.hosts.items()}
    desired = replace(desired, hosts={**one_each, "h2": replace(one_each["h2"], suspend=Suspend("off"))})
    seen = {"h1": a_machine("h1"), "h2": a_machine("h2")}
    made = decide(desired, seen, selection=Selection(names=frozenset({"box-1"})))
    assert placed_on(made) == {"box-1": "h1"}
    assert made.held == ()


def test_what_depends_on_one_that_is_placed_waits_for_it() -> None:
    needing = b.a_sandbox("app", host="h1", depends_on=("web-1",))
    seen = {"h1": a_machine("h1"), "h2": a_machine("h2")}
    first, second = decide(a_pool(ONE, pinned=(needing,)), seen).actions
    assert (first.id, second.id, second.after) == ("h2/web-1", "h1/app", ("h2/web-1",))
    full = a_pool(ONE, pinned=(needing,))
    full = replace(full, hosts={"h1": full.hosts["h1"], "h2": b.a_host("h2", suspend=Suspend("off"))})
    full = replace(full, choices={"web-1": a_choice(ONE, "h2")})
    made = decide(full, seen)
    assert made.actions == ()
    assert {held.sandbox: held.reason for held in made.held} == {"web-1": "NoHostFits", "app": "DependencyHeld"}


def test_a_second_look_places_nothing_anew_for_a_little_more_memory() -> None:
    desired = a_pool(ONE)
    first = decide(desired, {"h1": a_machine("h1"), "h2": a_machine("h2", memory_bytes=11 * GIB)})
    assert placed_in(first, desired) == {"web-1": "h1"}
    later = {"h1": a_machine("h1", memory_bytes=10 * GIB), "h2": a_machine("h2", memory_bytes=11 * GIB)}
    assert the_action(decide(desired, later)).host == "h2"
    again = decide(desired, later, placed=placed_in(first, desired))
    assert (the_action(again).host, again.basis) == ("h1", first.basis)


def test_the_specs_are_settled_by_what_a_plan_says() -> None:
    desired = a_pool(ONE)
    made = decide(desired, {"h1": a_machine("h1", *OTHERS), "h2": a_machine("h2")})
    known = settled(desired, placed_in(made, desired))
    assert known.sandboxes["web-1"].host == "h2"
    assert settled(desired, {}) is desired


def test_a_sandbox_to_be_destroyed_is_found_where_it_stands() -> None:
    seen = {"h1": a_machine("h1"), "h2": a_machine("h2", ONE)}
    made = decide(a_pool(ONE), seen, b.a_records(*on("h2", ONE)), destroying=frozenset({"web-1"}))
    action = the_action(made)
    assert (action.id, action.verb) == ("h2/web-1", Verb.DESTROY)


def test_a_container_is_adopted_on_whichever_of_its_hosts_it_stands() -> None:
    stranger = b.a_seen(ONE, labels={}, full_id=b.full_id("by hand"))
    view = b.a_view(stranger, identity=b.an_identity(host_id="2" * 32, boot_id="another"))
    seen = b.an_observed({"h1": a_machine("h1"), "h2": b.a_reachable(view, snapshot=b.a_snapshot())})
    made = plan_adoption(a_pool(ONE), seen, Records(), request(), full_id=b.full_id("by hand"))
    assert [(action.id, action.verb) for action in made.actions] == [("h2/web-1", Verb.ADOPT)]


def test_it_is_what_it_is_on_the_host_that_was_chosen() -> None:
    forms = tuple(replace(ONE, resources=(b.a_container(env={"WHERE": host}),)) for host in ("h1", "h2"))
    desired = a_pool(ONE, pinned=(b.a_sandbox("other"),))
    desired = replace(desired, choices={"web-1": a_choice(ONE, forms=forms, hosts={"h1": 0, "h2": 1})})
    made = decide(desired, {"h1": a_machine("h1"), "h2": a_machine("h2")})
    (action,) = [action for action in made.actions if action.sandbox == "web-1"]
    created = [step.do.effect for step in action.steps if hasattr(step.do, "effect")]
    assert [effect.container.env["WHERE"] for effect in created if hasattr(effect, "container")] == ["h2"]
