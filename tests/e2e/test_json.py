"""Hold the keys that scripts rely on."""

import json
from pathlib import Path

import jsonschema
import pytest

from reconciler.record.schema import schemas
from tests.e2e.driver import Driver
from tests.e2e.sights import web_sandbox
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab


def test_documents_and_streams_have_their_promised_keys(fleet: Driver, alpha: LabHost) -> None:
    web_sandbox(fleet, "web", "alpha", observability="deltas")
    web_sandbox(
        fleet, "bad", "alpha", readiness={"x": {"exec": {"container": "main", "command": ["false"]}, "timeout": "1s"}}
    )
    plan = fleet.run("plan", "-o", "json", "--detailed-exitcode").expect(2).json
    assert {"format", "fleet", "revision", "summary", "actions", "held_back"} <= set(plan)
    counted = {"create", "update", "replace", "destroy", "adopt", "forget", "reap", "unknown", "held_back"}
    assert set(plan["summary"]) == counted
    assert all({"address", "host", "action", "cause", "changes", "steps"} <= set(item) for item in plan["actions"])
    assert fleet.run("plan", "-o", "name").expect(0).stdout.split() == ["sandbox/bad", "sandbox/web"]
    assert [line["type"] for line in fleet.run("plan", "--json").expect(0).lines] == [
        "version", "host_observed", "host_observed", "planned_change", "planned_change", "change_summary",
    ]  # fmt: skip

    stream = fleet.run("apply", "--yes", "--json").expect(3).lines
    types = [line["type"] for line in stream]
    assert types[0] == "version"
    assert types[-1] == "status_written"
    assert {"apply_start", "apply_progress", "apply_complete", "apply_errored", "host_delta"} <= set(types)
    for line in stream:
        assert {"@timestamp", "@level", "@message", "pass_id"} <= set(line)
    assert len({line["pass_id"] for line in stream}) == 1
    delta = next(line for line in stream if line["type"] == "host_delta")
    assert delta["address"] in {"sandbox/web", "sandbox/bad"}

    status = fleet.run("status", "-o", "json").expect(0).json
    assert status["fleet"] == fleet.fleet
    assert {item["name"]: (item["sync"], item["health"]) for item in status["sandboxes"]} == {
        "web": ("Synced", "Healthy"),
        "bad": ("OutOfSync", "Degraded"),
    }
    keys = {"name", "host", "sync", "health", "conditions", "generation", "revision"}
    assert all(keys <= set(item) for item in status["sandboxes"])
    assert [item["name"] for item in status["hosts"]] == ["alpha"] or len(status["hosts"]) == 2


def test_status_files_are_private_and_match_their_schemas(fleet: Driver, alpha: LabHost) -> None:
    web_sandbox(fleet, "web", "alpha")
    fleet.run("apply", "--yes").expect(0)
    assert len(fleet.containers(alpha)) == 1
    texts = schemas()
    seen: set[str] = set()
    for path in fleet.status.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
        name = _schema_of(path.relative_to(fleet.status))
        if name in texts:
            jsonschema.validate(json.loads(path.read_text()), json.loads(texts[name]))
            seen.add(name)
    assert seen == {"status-fleet.json", "status-host.json", "status-sandbox.json", "plan.json"}


def _schema_of(path: Path) -> str:
    """Name the schema of a status file."""
    kinds = {"sandboxes": "status-sandbox.json", "hosts": "status-host.json", "fleet.json": "status-fleet.json"}
    return path.name if path.name == "plan.json" else kinds.get(path.parts[0], "") if path.suffix == ".json" else ""
