"""Let no more onto a host than it has room for, by what it told of itself."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from reconciler.model.desired import Admission
from reconciler.model.plan import Verb
from reconciler.model.record import Records
from tests import builders as b
from tests.unit.plan.deciding import decide, remembered, standing, the_action, the_held, wanted

ONE = b.a_sandbox()


def test_a_disk_that_could_not_be_measured_is_not_taken_for_an_empty_one() -> None:
    desired = wanted(ONE, hosts={"h1": b.a_host(admission=Admission(disk_free_min_bytes=1))})
    facts = b.a_snapshot()
    blind = replace(facts, disks=replace(facts.disks, docker_root=None))
    held = the_held(decide(desired, {b.HOST: b.a_reachable(b.a_view(), snapshot=blind)}))
    assert held.reason == "AdmissionRefused"
    assert "Docker's disk" in held.message


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Admission(memory_available_min_bytes=13 << 30), "admission.minMemoryAvailable is 13GiB"),
        (Admission(disk_free_min_bytes=61 << 30), "admission.minDiskFree is 61GiB"),
        (Admission(load_per_cpu_max=0.01), "admission.maxLoadPerCpu"),
        (Admission(sandboxes_max=1), "admission.maxSandboxes is 1"),
    ],
    ids=["memory", "disk", "load", "sandboxes"],
)
def test_a_full_host_takes_no_more_and_keeps_what_it_has(limits: Admission, words: str) -> None:
    other = b.a_sandbox("other")
    desired = wanted(ONE, other, hosts={"h1": b.a_host(admission=limits)})
    made = decide(desired, standing(ONE), remembered(ONE))
    (held,) = made.held
    assert (held.address, held.reason) == ("sandbox/other", "AdmissionRefused")
    assert words in held.message
    assert made.actions == ()


def test_a_host_that_did_not_tell_its_facts_takes_no_more() -> None:
    desired = wanted(ONE, hosts={"h1": b.a_host(admission=Admission(load_per_cpu_max=9.0))})
    assert the_held(decide(desired, {"h1": b.a_reachable()})).reason == "AdmissionRefused"


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
