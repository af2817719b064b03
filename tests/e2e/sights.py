"""Look at what a fleet came to: on its hosts, in its status folder, and in the next plan."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reconciler.model.plan import Held, Plan
from tests.e2e.driver import Driver, Ran
from tests.e2e.inside import plan_inside
from tests.lab.host import LabHost

WEB: dict[str, Any] = {"image": "lab/web:1", "ports": {"web": {"container": 8080}}}
"""A container that serves its image's version over HTTP on port 8080."""

IDLE: dict[str, Any] = {"image": "lab/busybox:1", "command": ["sleep", "86400"], "stopGrace": "1s"}
"""A container that does nothing, and is soon stopped."""

DEAF: dict[str, Any] = {
    "image": "lab/busybox:1",
    "command": ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"],
    "init": False,
}
"""A container that is not stopped before its grace is over."""


def web_sandbox(driver: Driver, name: str, host: str, *, container: dict[str, Any] | None = None, **spec: Any) -> None:
    """Declare a sandbox with one web server, not measured; `container` is laid over it."""
    main = {**WEB, **(container or {})}
    driver.declare_sandbox(name, **{"host": host, "observability": "off", "containers": {"main": main}, **spec})


def settle_kept_and_orphan_lost(driver: Driver) -> None:
    """Settle `kept` and `lost` on alpha; then no spec wants `lost` and no record knows it."""
    for name in ("lost", "kept"):
        driver.declare_sandbox(name, host="alpha", observability="off", containers={"main": IDLE})
    settle(driver)
    driver.drop("Sandbox", "lost")
    for file in driver.status.rglob("*.json"):
        file.unlink()
    driver.run("apply", "kept", "--yes").expect(0)


def settle_four_and_want_one(driver: Driver) -> None:
    """Settle `web-0` to `web-3` on alpha, and want the last alone: three of four are too many to go at once."""
    for number in range(4):
        web_sandbox(driver, f"web-{number}", "alpha")
    settle(driver)
    for number in range(3):
        driver.drop("Sandbox", f"web-{number}")


def settle(driver: Driver, *words: str) -> Ran:
    """Apply, expect that all went well, and that a second plan finds nothing to do and nothing held back."""
    applied = driver.run("apply", "--yes", *words).expect(0)
    expect_settled(driver)
    return applied


def expect_settled(driver: Driver) -> None:
    """Expect a plan with nothing to do and nothing held back."""
    plan = _plan(driver)
    found = [(item.address, item.verb, item.cause.text) for item in plan.actions]
    assert (found, plan.held, plan.unknown_hosts) == ([], (), {})


def planned_verbs(driver: Driver) -> dict[str, str]:
    """Plan, and give the action of each address; `ADDRESS@HOST` where one sandbox has two."""
    actions = _plan(driver).actions
    addresses = [action.address for action in actions]
    return {
        action.address + (f"@{action.host}" if addresses.count(action.address) > 1 else ""): action.verb.value
        for action in actions
    }


def held(driver: Driver) -> dict[str, Held]:
    """Plan, and give what is held back, by address."""
    return {item.address: item for item in _plan(driver).held}


def _plan(driver: Driver) -> Plan:
    """Plan without starting a command: a look at what is there, where the command itself is not what is tested."""
    return asyncio.run(plan_inside(driver))


def name_of(driver: Driver, sandbox: str, container: str = "main") -> str:
    """Give the Docker name of a container."""
    return f"sbx-{driver.fleet}.{sandbox}.{container}"


def inspect(host: LabHost, name: str) -> dict[str, Any]:
    """Give what Docker says of one container, image, network or volume."""
    found: dict[str, Any] = json.loads(host.docker("inspect", name))[0]
    return found


def run_of(driver: Driver, host: LabHost) -> dict[str, tuple[str, str]]:
    """Give the full id and the time of start of each container: equal before and after means untouched."""
    return {
        name: (full_id, inspect(host, full_id)["State"]["StartedAt"])
        for name, full_id in driver.containers(host).items()
    }


def status_of(driver: Driver, sandbox: str) -> dict[str, Any]:
    """Read a sandbox's status file."""
    found: dict[str, Any] = json.loads((driver.status / "sandboxes" / f"{sandbox}.json").read_text())
    return found


def condition(driver: Driver, sandbox: str, kind: str) -> str | None:
    """Give one condition of a sandbox as `STATUS/Reason`, or None when it is not there."""
    for item in status_of(driver, sandbox)["conditions"]:
        if item["type"] == kind:
            return f"{item['status']}/{item['reason']}"
    return None


def accepted(host: LabHost) -> int:
    """Count the logins that sshd took, by its own log."""
    return (Path(host.record.folder) / "sshd.log").read_text(errors="replace").count("Accepted publickey")


def until(done: Callable[[], bool], *, what: str, timeout_s: float = 30) -> None:
    """Look every 20 ms until `done()` is true; fail after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline, f"waited {timeout_s:g} s in vain for {what}"
        time.sleep(0.02)
