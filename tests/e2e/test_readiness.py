"""Ask containers whether they are ready, in every way, and say why not."""

from typing import Any

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import condition, name_of, settle, web_sandbox
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab

MAIN = {"container": "main"}
WAYS: dict[str, dict[str, Any]] = {
    "http": {"http": {**MAIN, "port": "web", "path": "/index.html", "status": "200"}},
    "tcp": {"tcp": {**MAIN, "port": "web"}},
    "exec": {"exec": {**MAIN, "command": ["test", "-e", "/www/index.html"]}},
    "log": {"log": {**MAIN, "pattern": "^ready to .erve$"}},
    "health": {"health": MAIN},
}
SERVE = "echo ready to serve; exec httpd -f -p 8080 -h /www"
HEALTHY = {"test": ["CMD", "true"], "interval": "200ms", "startPeriod": "1s"}
FAILING: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "http": ({"http": {**MAIN, "port": "web", "path": "/absent"}}, {}, "404"),
    "tcp": ({"tcp": {**MAIN, "port": "web"}}, {"command": ["sleep", "1000"]}, "8080"),
    "exec": ({"exec": {**MAIN, "command": ["sh", "-c", "exit 9"]}}, {}, "9"),
    "log": ({"log": {**MAIN, "pattern": "never said"}}, {}, "never said"),
    "health": (
        {"health": MAIN},
        {"healthcheck": {"test": ["CMD", "false"], "interval": "100ms", "retries": 1}},
        "health",
    ),
    "exit": ({"tcp": {**MAIN, "port": "web"}}, {"command": ["sh", "-c", "echo why; exit 3"], "restart": "no"}, "3"),
}


def test_every_way_of_being_ready_passes(fleet: Driver, alpha: LabHost) -> None:
    for way, probe in WAYS.items():
        container = {"command": ["sh", "-c", SERVE], "healthcheck": HEALTHY}
        web_sandbox(fleet, way, "alpha", container=container, readiness={"is-up": {**probe, "timeout": "20s"}})
    settle(fleet)
    for way in WAYS:
        assert condition(fleet, way, "Ready") == "True/ProbesPassed", way
    assert len(fleet.containers(alpha)) == len(WAYS)


def test_every_way_of_not_being_ready_is_told_with_its_reason(fleet: Driver, alpha: LabHost) -> None:
    for way, (probe, container, _) in FAILING.items():
        web_sandbox(fleet, way, "alpha", container=container, readiness={"is-up": {**probe, "timeout": "2s"}})
    web_sandbox(fleet, "good", "alpha")
    failed = fleet.run("apply", "--yes", "--json").expect(3)
    errors = {line["address"]: line for line in failed.lines if line["type"] == "apply_errored"}
    assert set(errors) == {f"sandbox/{way}" for way in FAILING}
    for way, (_, _, reason) in FAILING.items():
        error = errors[f"sandbox/{way}"]
        assert error["code"] == "E_NOT_READY", error
        assert reason in error["@message"], error
        assert condition(fleet, way, "Ready") == "False/ProbeFailed"
    assert errors["sandbox/exit"]["logs"] == ["why"]
    assert name_of(fleet, "good") in fleet.containers(alpha)
