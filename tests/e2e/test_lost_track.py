"""Lose track of something, and neither double it, nor remove it, nor call it fine."""

import json

import pytest

from tests.e2e.driver import Driver
from tests.e2e.inside import die_inside
from tests.e2e.sights import IDLE, expect_settled, name_of, settle, web_sandbox
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab


def test_the_first_pass_records_which_machine_it_was(fleet: Driver, alpha: LabHost) -> None:
    fleet.drop("Host", "beta")
    fleet.declare_sandbox("mine", host="alpha", observability="off", containers={"main": IDLE})
    settle(fleet)
    told = json.loads((fleet.status / "hosts" / "alpha.json").read_text())["record"]["hostId"]
    assert told == alpha.run("cat", f"{fleet.base_dir(alpha)}/.host-id").strip()
    # The same way leads to another machine now: its Docker is empty and its base folder is new.
    alpha.run("mv", fleet.base_dir(alpha), f"{fleet.base_dir(alpha)}.elsewhere")
    try:
        held = fleet.run("apply", "--yes").expect(3)
        assert "host accept alpha" in held.stdout
        assert len(fleet.containers(alpha)) == 1
    finally:
        alpha.run("mv", f"{fleet.base_dir(alpha)}.elsewhere", fleet.base_dir(alpha))


def test_a_move_that_was_killed_and_taken_back_leaves_no_copy_behind(
    fleet: Driver, alpha: LabHost, beta: LabHost
) -> None:
    fleet.declare_fleet(limits={"removalsPerPlan": "100%"})
    fleet.declare_sandbox("mover", host="alpha", observability="off", containers={"main": IDLE})
    settle(fleet)
    fleet.declare_sandbox("mover", host="beta", observability="off", containers={"main": IDLE})
    assert die_inside(fleet, "apply.start_container.after_reply")
    assert len(fleet.containers(beta)) == 1
    fleet.declare_sandbox("mover", host="alpha", observability="off", containers={"main": IDLE})
    fleet.run("apply", "--yes").expect(0)
    assert (len(fleet.containers(alpha)), len(fleet.containers(beta))) == (1, 0)
    expect_settled(fleet)


def test_a_second_copy_that_no_record_knows_is_held_and_not_called_fine(
    fleet: Driver, alpha: LabHost, beta: LabHost
) -> None:
    fleet.declare_sandbox("twice", host="beta", observability="off", containers={"main": IDLE})
    settle(fleet)
    for file in fleet.status.rglob("*.json"):
        file.unlink()
    fleet.declare_sandbox("twice", host="alpha", observability="off", containers={"main": IDLE})
    held = fleet.run("apply", "--yes").expect(3)
    assert "second copy" in held.stdout
    assert len(fleet.containers(beta)) == 1
    fleet.run("destroy", "twice", "--on", "beta", "--yes").expect(0)
    assert (len(fleet.containers(alpha)), len(fleet.containers(beta))) == (1, 0)
    expect_settled(fleet)


def test_a_container_renamed_by_hand_is_not_doubled(fleet: Driver, alpha: LabHost) -> None:
    fleet.declare_sandbox("mine", host="alpha", observability="off", containers={"main": IDLE})
    settle(fleet)
    alpha.docker("rename", name_of(fleet, "mine"), f"precious-{fleet.fleet}")
    held = fleet.run("apply", "--yes").expect(3)
    assert f"precious-{fleet.fleet}" in held.stdout
    assert len(fleet.containers(alpha)) == 1
    alpha.docker("rename", f"precious-{fleet.fleet}", name_of(fleet, "mine"))
    expect_settled(fleet)


def test_what_is_not_ready_is_never_no_changes_and_fine(fleet: Driver, alpha: LabHost) -> None:
    web_sandbox(fleet, "good", "alpha")
    probe = {"is-up": {"tcp": {"container": "main", "port": "web"}, "timeout": "2s"}}
    web_sandbox(fleet, "bad", "alpha", container={"command": ["sleep", "1000"]}, readiness=probe)
    fleet.run("apply", "--yes").expect(3)
    again = fleet.run("apply", "--yes").expect(3)
    assert "sandbox/bad on alpha   is not ready" in again.stdout
    stream = fleet.run("apply", "--yes", "--json").expect(3)
    assert [line["address"] for line in stream.lines if line["type"] == "not_ready"] == ["sandbox/bad"]
    shown = fleet.run("plan").expect(0).stdout
    assert "not ready" in shown
    assert len(fleet.containers(alpha)) == 2
