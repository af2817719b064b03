"""Lose the status folder: hosts are the truth, so everything is adopted and nothing restarted."""

import shutil

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import condition, planned_verbs, run_of, settle, status_of, web_sandbox
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab


def test_a_lost_status_folder_means_adoptions_alone(fleet: Driver, alpha: LabHost, beta: LabHost) -> None:
    web_sandbox(fleet, "web", "alpha", readiness={"web": {"http": {"container": "main", "port": "web"}}})
    web_sandbox(fleet, "far", "beta", files={"a": {"path": "a", "content": "run ${run.id}\n"}})
    fleet.declare_sandbox(
        "pair",
        host="alpha",
        observability="off",
        directories={"cache": {"path": "cache"}},
        containers={
            "one": {"image": "lab/web:1", "networks": {"inside": {}}, "volumes": {"data": "/data"}},
            "two": {"image": "lab/rich:1", "networks": {"inside": {}}, "mounts": {"/c": {"directory": "cache"}}},
        },
    )
    settle(fleet)
    before = {**run_of(fleet, alpha), **run_of(fleet, beta)}
    generation = status_of(fleet, "web")["generation"]
    shutil.rmtree(fleet.status)
    assert planned_verbs(fleet) == {"sandbox/web": "adopt", "sandbox/far": "adopt", "sandbox/pair": "adopt"}
    settle(fleet)
    assert {**run_of(fleet, alpha), **run_of(fleet, beta)} == before
    assert condition(fleet, "web", "Ready") == "True/ProbesPassed"
    assert status_of(fleet, "web")["generation"] == generation


def test_a_damaged_status_file_is_set_aside_and_made_anew(fleet: Driver, alpha: LabHost) -> None:
    web_sandbox(fleet, "web", "alpha")
    settle(fleet)
    before = run_of(fleet, alpha)
    (fleet.status / "sandboxes/web.json").write_text('{"format": "reconciler-sandbox-st')
    planned = fleet.run("plan", "-o", "json").expect(0)
    assert "web.json" in planned.stderr
    settle(fleet)
    assert run_of(fleet, alpha) == before
    assert status_of(fleet, "web")["sync"] == "Synced"
