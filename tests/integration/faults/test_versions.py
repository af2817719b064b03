"""F-40: a fleet that another version of this program has worked on; what is newer than we know is held, never guessed.

There is one released form so far, so the other version is stood in for by what it would have written.
"""

from __future__ import annotations

import asyncio
import json
from http.client import HTTPConnection
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM, socket
from typing import Any

import pytest

from reconciler.model.digest import DIGEST_VERSION
from tests.e2e.driver import Driver
from tests.e2e.inside import plan_inside
from tests.e2e.sights import IDLE, expect_settled, inspect, name_of, run_of, settle
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab


def _marker(fleet: Driver, host: LabHost) -> Path:
    (path,) = Path(fleet.base_dir(host)).glob("*/.reconciler.json")
    return path


def _settled(fleet: Driver) -> None:
    fleet.drop("Host", "beta")
    fleet.declare_fleet(limits={"removalsPerPlan": "100%"})
    fleet.declare_sandbox("one", host="alpha", observability="off", containers={"main": IDLE})
    settle(fleet)


@pytest.mark.parametrize("wish", ["as it was", "changed", "dropped"])
def test_f40_a_marker_of_a_newer_version_is_held_whatever_the_specs_want(
    fleet: Driver, alpha: LabHost, wish: str
) -> None:
    _settled(fleet)
    before = run_of(fleet, alpha)
    path = _marker(fleet, alpha)
    newer = {**json.loads(path.read_text()), "version": 2, "unheard": ["of"]}
    path.write_text(json.dumps(newer))
    written = path.read_bytes()
    if wish == "changed":
        main = {**IDLE, "env": {"NEW": "1"}}
        fleet.declare_sandbox("one", host="alpha", observability="off", containers={"main": main})
    if wish == "dropped":
        fleet.drop("Sandbox", "one")
        fleet.declare_sandbox("two", host="alpha", observability="off", containers={"main": IDLE})
    plan = asyncio.run(plan_inside(fleet))
    assert "sandbox/one" not in {action.address for action in plan.actions}
    (held,) = [item for item in plan.held if item.address == "sandbox/one"]
    assert "version 2" in held.message
    fleet.run("apply", "--yes").expect(3)
    fleet.run("destroy", "one", "--yes").expect(3, 5)
    after = run_of(fleet, alpha)
    assert {name: after[name] for name in before} == before
    assert path.read_bytes() == written


@pytest.mark.parametrize("version", ["0", "3"])
def test_f40_labels_of_another_digest_change_nothing_by_themselves(fleet: Driver, alpha: LabHost, version: str) -> None:
    assert version != DIGEST_VERSION
    _settled(fleet)
    _made_by_another(alpha, name_of(fleet, "one"), {"dev.reconciler.digest": f"{version}:{'ab' * 8}"})
    before = run_of(fleet, alpha)
    expect_settled(fleet)
    fleet.run("apply", "--yes").expect(0)
    assert run_of(fleet, alpha) == before


def test_f40_a_label_that_this_version_has_not_heard_of_is_no_reason_to_touch_or_to_reap(
    fleet: Driver, alpha: LabHost
) -> None:
    _settled(fleet)
    _made_by_another(alpha, name_of(fleet, "one"), {"dev.reconciler.future": "yes"})
    before = run_of(fleet, alpha)
    fleet.run("apply", "--yes").expect(0, 3)
    assert run_of(fleet, alpha) == before


def _made_by_another(host: LabHost, name: str, labels: dict[str, str]) -> None:
    """Put a container with other labels in the place of one of ours: all else is as it was."""
    seen = inspect(host, name)
    host.docker("rm", "--force", name)
    config = {**seen["Config"], "Labels": {**seen["Config"]["Labels"], **labels}, "Hostname": ""}
    made = _post(host, f"/containers/create?name={name}", {**config, "HostConfig": seen["HostConfig"]})
    host.engine("POST", f"/containers/{made['Id']}/start")


class _Engine(HTTPConnection):
    """Reach an engine by its socket, with a body."""

    def __init__(self, path: Path) -> None:
        super().__init__("engine", timeout=60)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket(AF_UNIX, SOCK_STREAM)
        self.sock.connect(self._path)


def _post(host: LabHost, path: str, body: dict[str, Any]) -> Any:
    engine = _Engine(host.docker_socket)
    try:
        engine.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = engine.getresponse()
        said = answer.read()
        assert answer.status == 201, said
        return json.loads(said)
    finally:
        engine.close()
