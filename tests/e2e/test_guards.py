"""Refuse what would remove too much, and never take silence for absence."""

from pathlib import Path

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import (
    condition,
    held,
    name_of,
    planned_verbs,
    run_of,
    settle,
    settle_four_and_want_one,
    web_sandbox,
)
from tests.lab.host import LabHost
from tests.lab.keys import make_key

pytestmark = pytest.mark.lab


def test_the_budget_refuses_and_only_the_exact_number_lifts_it(fleet: Driver, alpha: LabHost) -> None:
    settle_four_and_want_one(fleet)
    before = run_of(fleet, alpha)
    assert "--allow-destroy 3" in fleet.run("plan").expect(5).stdout
    assert "E_BUDGET" in fleet.run("apply", "--yes").expect(5).stderr
    fleet.run("apply", "--yes", "--allow-destroy", "2").expect(5)
    fleet.run("apply", "--yes", "--allow-destroy", "4").expect(5)
    assert run_of(fleet, alpha) == before
    fleet.drop("Sandbox", "web-3")
    refused = fleet.run("apply", "--yes").expect(5)
    assert "no sandbox at all" in refused.stderr
    assert run_of(fleet, alpha) == before
    web_sandbox(fleet, "web-3", "alpha")
    fleet.run("apply", "--yes", "--allow-destroy", "3").expect(0)
    assert set(fleet.containers(alpha)) == {name_of(fleet, "web-3")}


def test_to_destroy_what_is_nearly_named_so_names_what_is(fleet: Driver) -> None:
    web_sandbox(fleet, "web-1", "alpha")

    ran = fleet.run("destroy", "web-2", "--yes").expect(64)

    assert "did you mean web-1?" in ran.stderr


def test_changes_are_refused_where_nobody_can_agree_to_them(fleet: Driver, alpha: LabHost) -> None:
    web_sandbox(fleet, "web", "alpha")
    refused = fleet.run("apply").expect(5)
    assert "--yes" in refused.stderr
    assert fleet.containers(alpha) == {}


def test_a_host_that_is_silent_keeps_all_it_has_and_others_go_on(fleet: Driver, alpha: LabHost, beta: LabHost) -> None:
    web_sandbox(fleet, "near", "alpha")
    web_sandbox(fleet, "far", "beta")
    web_sandbox(fleet, "doomed", "beta")
    settle(fleet)
    before = run_of(fleet, beta)
    web_sandbox(fleet, "near", "alpha", container={"image": "lab/web:2"})
    fleet.drop("Sandbox", "doomed")
    beta.stop_sshd()
    try:
        planned = fleet.run("plan", "-o", "json").expect(3).json
        assert [(item["address"], item["action"]) for item in planned["actions"]] == [("sandbox/near", "replace")]
        assert planned["summary"]["unknown"] == 1
        assert {item["address"] for item in planned["held_back"]} == {"sandbox/far", "sandbox/doomed"}
        fleet.run("apply", "--yes").expect(3)
        assert condition(fleet, "far", "Ready") == "Unknown/HostUnreachable"
    finally:
        beta.start_sshd()
    assert run_of(fleet, beta) == before
    settle(fleet)
    assert set(fleet.containers(beta)) == {name_of(fleet, "far")}
    assert condition(fleet, "far", "Ready") == "True/ProbesPassed"


def test_a_host_with_another_key_is_refused_and_one_missing_from_the_specs_is_held(
    fleet: Driver, alpha: LabHost, tmp_path: Path
) -> None:
    web_sandbox(fleet, "web", "alpha")
    settle(fleet)
    before = run_of(fleet, alpha)
    fleet.declare_host(alpha, ssh={"hostKey": make_key(tmp_path / "another")})
    web_sandbox(fleet, "web", "alpha", container={"image": "lab/web:2"})
    refused = fleet.run("apply", "--yes").expect(3)
    assert "key" in refused.stdout + refused.stderr
    fleet.drop("Sandbox", "web")
    fleet.drop("Host", "alpha")
    assert planned_verbs(fleet) == {}
    assert set(held(fleet)) == {"sandbox/web"}
    assert run_of(fleet, alpha) == before
