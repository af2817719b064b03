"""Touch nothing that is not provably ours, and say whose it is."""

from pathlib import Path

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import (
    condition,
    expect_settled,
    held,
    inspect,
    name_of,
    planned_verbs,
    run_of,
    settle,
    web_sandbox,
)
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab


def test_two_fleets_on_one_host_do_not_see_each_other(fleet: Driver, alpha: LabHost, tmp_path: Path) -> None:
    other = Driver(tmp_path / "other", fleet=f"{fleet.fleet}x")
    other.declare_fleet()
    other.declare_host(alpha)
    try:
        for driver in (fleet, other):
            web_sandbox(driver, "web", "alpha")
            settle(driver)
        before = run_of(other, alpha)
        assert planned_verbs(fleet) == {}
        fleet.run("destroy", "--all", "--yes").expect(0)
        assert fleet.containers(alpha) == {}
        assert run_of(other, alpha) == before
        expect_settled(other)
    finally:
        other.clear(alpha)


def test_a_container_in_the_way_is_named_and_adopted_by_its_full_id(fleet: Driver, alpha: LabHost) -> None:
    name = name_of(fleet, "web")
    full_id = alpha.docker("run", "-d", "--name", name, "lab/web:1").strip()
    started = inspect(alpha, full_id)["State"]["StartedAt"]
    try:
        web_sandbox(fleet, "web", "alpha", container={"image": "lab/web:2"})
        fleet.run("apply", "--yes").expect(0, 3)
        clash = held(fleet)["sandbox/web"]
        assert clash.reason == "NameTaken"
        assert full_id in clash.message
        assert inspect(alpha, name)["Id"] == full_id
        assert fleet.run("adopt", full_id[:12], "--yes").expect(64).stderr
        fleet.run("adopt", full_id, "--yes").expect(0)
        assert inspect(alpha, full_id)["State"]["StartedAt"] == started, "adopting restarts nothing"
        assert planned_verbs(fleet) == {"sandbox/web": "replace"}
        settle(fleet)
        assert inspect(alpha, name)["Id"] != full_id
        assert inspect(alpha, name)["Config"]["Image"] == "lab/web:2"
    finally:
        alpha.docker("rm", "-f", name)


def test_a_taken_port_is_named_and_the_next_pass_converges_once_it_is_free(fleet: Driver, alpha: LabHost) -> None:
    port = 20000 + alpha.record.number
    publish = f"127.0.0.1:{port}:8080"
    alpha.docker("run", "-d", "--name", f"{fleet.fleet}-squatter", "-p", publish, "lab/web:1")
    try:
        web_sandbox(fleet, "web", "alpha", container={"ports": {"web": {"container": 8080, "host": port}}})
        held = fleet.run("plan", "-o", "json").expect(0).json["held_back"]
        assert [(item["address"], item["reason"]) for item in held] == [("sandbox/web", "PortTaken")]
        assert str(port) in held[0]["message"]
        fleet.run("apply", "--yes").expect(3)
        assert name_of(fleet, "web") not in fleet.containers(alpha)
    finally:
        alpha.docker("rm", "-f", f"{fleet.fleet}-squatter")
    settle(fleet)
    assert condition(fleet, "web", "Ready") == "True/ProbesPassed"


def test_labels_that_an_image_or_a_stranger_brings_prove_nothing(fleet: Driver, alpha: LabHost) -> None:
    web_sandbox(fleet, "web", "alpha")
    settle(fleet)
    mine = inspect(alpha, name_of(fleet, "web"))["Config"]["Labels"]
    words = [word for key, value in mine.items() for word in ("--label", f"{key}={value}")]
    stranger = alpha.docker("run", "-d", *words, "lab/web:1").strip()
    fleet.drop("Sandbox", "web")
    web_sandbox(fleet, "else", "alpha")
    settle(fleet)
    assert inspect(alpha, stranger)["State"]["Running"] is True
    assert set(fleet.containers(alpha).values()) >= {stranger}
