"""Save a plan and apply it later: exactly that, or nothing when something that it read has changed."""

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import expect_settled, name_of, run_of, settle, settle_four_and_want_one, web_sandbox
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab


def test_a_saved_plan_is_applied_while_what_it_did_not_read_changes(fleet: Driver, alpha: LabHost) -> None:
    web_sandbox(fleet, "web", "alpha")
    web_sandbox(fleet, "other", "alpha")
    settle(fleet)
    before = run_of(fleet, alpha)
    web_sandbox(fleet, "web", "alpha", container={"image": "lab/web:2"})
    fleet.run("plan", "--out", "web.plan").expect(0)
    alpha.docker("restart", "-t", "1", name_of(fleet, "other"))
    fleet.run("apply", "./web.plan").expect(0)
    after = run_of(fleet, alpha)
    assert after[name_of(fleet, "web")][0] != before[name_of(fleet, "web")][0]
    assert after[name_of(fleet, "other")][0] == before[name_of(fleet, "other")][0]
    expect_settled(fleet)

    twice = fleet.run("apply", "./web.plan").expect(4)
    assert "E_PLAN_STALE" in twice.stderr
    assert run_of(fleet, alpha) == after


def test_a_saved_plan_is_refused_when_what_it_read_has_changed_or_was_edited(fleet: Driver, alpha: LabHost) -> None:
    web_sandbox(fleet, "web", "alpha")
    settle(fleet)
    web_sandbox(fleet, "web", "alpha", container={"image": "lab/web:2"})
    fleet.run("plan", "--out", "web.plan").expect(0)
    plan = fleet.folder / "web.plan"
    edited = plan.read_text().replace("lab/web:2", "lab/bad:2")
    (fleet.folder / "edited.plan").write_text(edited)
    assert "E_PLAN_DAMAGED" in fleet.run("apply", "edited.plan").expect(1).stderr

    alpha.docker("stop", "-t", "1", name_of(fleet, "web"))
    before = run_of(fleet, alpha)
    refused = fleet.run("apply", "web.plan").expect(4)
    assert "containers of web" in refused.stderr
    assert run_of(fleet, alpha) == before

    fleet.run("plan", "--out", "web.plan").expect(0)
    web_sandbox(fleet, "web", "alpha", container={"image": "lab/rich:1"})
    assert "specs have changed" in fleet.run("apply", "web.plan").expect(4).stderr
    assert run_of(fleet, alpha) == before


def test_a_saved_plan_goes_through_the_budget_again(fleet: Driver, alpha: LabHost) -> None:
    settle_four_and_want_one(fleet)
    fleet.run("plan", "--out", "refused.plan").expect(5)
    assert "E_BUDGET" in fleet.run("apply", "refused.plan").expect(5).stderr
    assert len(fleet.containers(alpha)) == 4, "a refused plan is no permission because it was saved"

    fleet.run("plan", "--out", "allowed.plan", "--allow-destroy", "3").expect(0)
    fleet.run("apply", "allowed.plan").expect(0)
    assert set(fleet.containers(alpha)) == {name_of(fleet, "web-3")}


def test_a_saved_plan_may_rest_on_a_host_that_it_does_not_change(fleet: Driver, alpha: LabHost, beta: LabHost) -> None:
    assert beta
    web_sandbox(fleet, "db", "beta")
    settle(fleet)
    web_sandbox(fleet, "web", "alpha", dependsOn=["db"])
    fleet.run("plan", "--out", "web.plan").expect(0)
    fleet.run("apply", "./web.plan").expect(0)
    assert name_of(fleet, "web") in fleet.containers(alpha)

    web_sandbox(fleet, "web", "alpha", container={"image": "lab/web:2"}, dependsOn=["db"])
    fleet.run("apply", "--yes", "--on", "alpha").expect(0)
    expect_settled(fleet)
