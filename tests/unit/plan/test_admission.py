"""Let no more onto a host than it has room for, by what it told of itself."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from reconciler.model.desired import Admission, SandboxDesired
from reconciler.model.plan import Verb
from reconciler.model.record import Records
from reconciler.model.resource import Compose, Tree
from reconciler.plan.admission import Room, Taken
from reconciler.plan.holdings import sort_view
from tests import builders as b
from tests.unit.plan.deciding import decide, exited, remembered, standing, the_action, the_held, wanted

ONE = b.a_sandbox()


def test_a_disk_that_could_not_be_measured_is_not_taken_for_an_empty_one() -> None:
    desired = wanted(ONE, hosts={"h1": b.a_host(admission=Admission(disk_free_min_bytes=1))})
    facts = b.a_snapshot()
    blind = replace(facts, disks=replace(facts.disks, docker_root=None))
    held = the_held(decide(desired, {b.HOST: b.a_reachable(b.a_view(), snapshot=blind)}))
    assert held.reason == "AdmissionRefused"
    assert "Docker's disk" in held.message


GIB = 1 << 30


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (
            Admission(memory_available_min_bytes=13 * GIB),
            (
                "h1 needs 1.0 GiB more of memory available: 12.0 GiB is there, 13GiB must stay free "
                "(admission.minMemoryAvailable)"
            ),
        ),
        (
            Admission(disk_free_min_bytes=61 * GIB),
            "h1 needs 1.0 GiB more of disk at /: 60.0 GiB is free, 61GiB must stay free (admission.minDiskFree)",
        ),
        (
            Admission(load_per_cpu_max=0.01),
            "h1 has a load of 0.03 per CPU, 0.02 above admission.maxLoadPerCpu, which is 0.01",
        ),
        (
            Admission(sandboxes_max=1),
            "h1 needs room for 1 more: it holds 1, admission.maxSandboxes is 1",
        ),
    ],
    ids=["memory", "disk", "load", "sandboxes"],
)
def test_a_full_host_takes_no_more_and_keeps_what_it_has(limits: Admission, words: str) -> None:
    other = b.a_sandbox("other")
    desired = wanted(ONE, other, hosts={"h1": b.a_host(admission=limits)})
    made = decide(desired, standing(ONE), remembered(ONE))
    (held,) = made.held
    assert (held.address, held.reason, held.message) == ("sandbox/other", "AdmissionRefused", words)
    assert made.actions == ()


def _big(name: str, memory_bytes: int) -> SandboxDesired:
    return b.a_sandbox(name, resources=(b.a_container(memory_bytes=memory_bytes),))


def test_what_a_sandbox_is_given_has_to_fit_beside_what_must_stay_free() -> None:
    desired = wanted(
        _big("web-1", 4 * GIB), hosts={"h1": b.a_host(admission=Admission(memory_available_min_bytes=GIB))}
    )
    room = b.a_snapshot(memory_available_bytes=5 * GIB)
    assert the_action(decide(desired, {"h1": b.a_reachable(b.a_view(), snapshot=room)})).verb is Verb.CREATE
    short = b.a_snapshot(memory_available_bytes=5 * GIB - (512 << 20))
    held = the_held(decide(desired, {"h1": b.a_reachable(b.a_view(), snapshot=short)}))
    assert held.message == (
        "h1 needs 512.0 MiB more of memory available: 4.5 GiB is there, this takes 4.0 GiB, 1GiB must stay free "
        "(admission.minMemoryAvailable)"
    )


def test_memory_that_creations_before_it_take_is_not_given_twice() -> None:
    many = [_big(f"box-{n}", 4 * GIB) for n in range(3)]
    desired = wanted(*many, hosts={"h1": b.a_host(admission=Admission(memory_available_min_bytes=2 * GIB))})
    made = decide(desired, {"h1": b.a_reachable(b.a_view(), snapshot=b.a_snapshot())})
    assert [action.sandbox for action in made.actions] == ["box-0", "box-1"]
    (held,) = made.held
    assert "12.0 GiB is there, 8.0 GiB of it reserved by this plan, this takes 4.0 GiB" in held.message


def test_what_runs_of_a_sandbox_already_is_measured_and_not_counted_again() -> None:
    parts = (b.a_container(memory_bytes=8 * GIB), b.a_container("side", memory_bytes=8 * GIB))
    whole = b.a_sandbox(resources=parts)
    desired = wanted(whole, hosts={"h1": b.a_host(admission=Admission(memory_available_min_bytes=GIB))})
    view = standing(whole)
    room = Room(
        host=desired.hosts["h1"],
        state=b.a_reachable(view, snapshot=b.a_snapshot()),
        holdings=sort_view(view, fleet=b.FLEET),
    )
    assert room.takes(whole) == Taken()
    stopped = replace(view, containers=(exited(view.containers[0]), view.containers[1]))
    half = Room(host=room.host, state=room.state, holdings=sort_view(stopped, fleet=b.FLEET))
    assert half.takes(whole) == Taken(memory_bytes=8 * GIB)


def test_services_take_what_their_compose_file_limits_them_to() -> None:
    compose = Compose(folder="/t", file="compose.yaml", services=("db", "web"), memory={"web": 16 * GIB})
    tree = Tree(path="/t", folder="/here", content="tree1:" + "1" * 64)
    desired = wanted(
        b.a_sandbox(resources=(tree, compose)),
        hosts={"h1": b.a_host(admission=Admission(memory_available_min_bytes=GIB))},
    )
    held = the_held(decide(desired, {"h1": b.a_reachable(b.a_view(), snapshot=b.a_snapshot())}))
    assert held.reason == "AdmissionRefused"
    assert "this takes 16.0 GiB" in held.message


def test_a_host_that_did_not_tell_its_facts_takes_no_more() -> None:
    desired = wanted(ONE, hosts={"h1": b.a_host(admission=Admission(load_per_cpu_max=9.0))})
    held = the_held(decide(desired, {"h1": b.a_reachable()}))
    assert (held.reason, held.message) == (
        "AdmissionRefused",
        "h1 could not tell its memory, load and disk, which admission asks for",
    )


def test_a_host_that_only_counts_its_sandboxes_need_not_tell_its_facts() -> None:
    desired = wanted(ONE, hosts={"h1": b.a_host(admission=Admission(sandboxes_max=1))})
    assert the_action(decide(desired, {"h1": b.a_reachable()})).verb is Verb.CREATE


def test_creations_of_one_plan_do_not_overfill_a_host_together() -> None:
    many = [b.a_sandbox(f"box-{n}") for n in range(4)]
    desired = wanted(ONE, *many, hosts={"h1": b.a_host(admission=Admission(sandboxes_max=3))})
    made = decide(desired, standing(ONE), remembered(ONE))
    assert [action.sandbox for action in made.actions] == ["box-0", "box-1"]
    assert [held.reason for held in made.held] == ["AdmissionRefused"] * 2


def test_a_half_made_sandbox_takes_no_second_room() -> None:
    desired = wanted(ONE, hosts={"h1": b.a_host(admission=Admission(sandboxes_max=1))})
    for records in (remembered(ONE), Records()):
        assert the_action(decide(desired, standing(ONE, containers=()), records)).verb is Verb.CREATE
