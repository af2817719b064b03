"""Declare the fleet that passes are cut short on, and describe in full what it came to.

Four sandboxes for each group, on two hosts. Going from the state `one` to `two` and back creates one, updates one in
place and restarts it, replaces two (one stop-first, one start-first), and destroys one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.e2e.driver import Driver
from tests.e2e.inside import plan_inside
from tests.e2e.sights import IDLE
from tests.integration.faults.entry import Reached, apply_watched, nothing
from tests.lab.host import LabHost

OTHER = {"one": "two", "two": "one"}
LABEL = "dev.reconciler."
_NEW_WITH_EVERY_PASS = ("run", "attempt", "generation")


class Reference:
    """Hold the fleet; `hosts` are the two that its specs know as `alpha` and `beta`."""

    def __init__(self, driver: Driver, hosts: tuple[LabHost, LabHost], *, groups: int = 1) -> None:
        self.driver = driver
        self.hosts = hosts
        self._groups = groups
        self.state = ""
        driver.declare_fleet(limits={"removalsPerPlan": "100%", "removalsPerDay": "100%", "createsPerHost": 4})
        for host in hosts:
            driver.declare_host(host)

    def declare(self, state: str) -> None:
        """Declare one of the two states."""
        self.state = state
        for group in range(self._groups):
            self._declare_group(state, group)

    def _declare_group(self, state: str, group: int) -> None:
        driver = self.driver
        gone = f"only-{OTHER[state]}-{group}"
        if (driver.specs / f"sandbox-{gone}.yaml").exists():
            driver.drop("Sandbox", gone)
        near, far = ("alpha", "beta") if group % 2 == 0 else ("beta", "alpha")
        driver.declare_sandbox(
            f"only-{state}-{group}",
            host=near,
            observability="off",
            directories={"cache": {"path": "cache"}},
            files={"settings": {"path": "settings", "content": "${run.id}\n"}},
            containers={
                "main": {
                    **IDLE,
                    "networks": {"inside": {}, "outside": {}},
                    "volumes": {"data": "/data"},
                    "mounts": {"/cache": {"directory": "cache"}, "/settings": {"file": "settings"}},
                },
            },
        )
        new = {**IDLE, "env": {"STATE": state}}
        tree = driver.folder / f"tree-{state}"
        tree.mkdir(exist_ok=True)
        (tree / state).write_text("here\n")
        driver.declare_sandbox(f"replaced-{group}", host=far, observability="off", containers={"main": new})
        driver.declare_sandbox(
            f"first-{group}",
            host=near,
            update="start-first",
            observability="off",
            # A file that only one state names goes once nothing runs with it.
            files={state: {"path": state, "content": "here\n"}},
            source={"path": str(tree)},
            containers={"main": {**new, "mounts": {"/here": {"file": state}}}},
        )
        self.declare_resized(state, memory={"one": "32MiB", "two": "48MiB"}[state], group=group)

    def declare_resized(self, state: str, *, memory: str, group: int = 0) -> None:
        """Declare the sandbox whose memory is set in place, and which is restarted for its file."""
        mounted = {"resources": {"memory": memory}, "mounts": {"/settings": {"file": "settings"}}}
        self.driver.declare_sandbox(
            f"resized-{group}",
            host="beta" if group % 2 == 0 else "alpha",
            observability="off",
            files={"settings": {"path": "settings", "content": f"{state}\n"}},
            containers={"main": {**IDLE, **mounted}},
        )

    def forget_data(self) -> None:
        """Remove by hand the volumes of what is to be created: data is kept, so it would find its own again."""
        for host in self.hosts:
            for volume in self._volumes(host):
                host.engine("DELETE", f"/volumes/{volume}")

    def apply(self, reached: Reached = nothing) -> None:
        """Apply to the end; every action must be done."""
        ended = asyncio.run(apply_watched(self.driver, reached)).ended
        failed = [] if ended is None else [action for action in ended.actions if action.end != "done"]
        assert failed == [], [(action.id, action.end, action.code, action.message) for action in failed]

    # What it came to.

    def end(self) -> dict[str, Any]:
        """Describe all that is there and all that is told, without what is new with every pass: ids, times and runs."""
        return {**self.on_hosts(), **self.told()}

    def on_hosts(self) -> dict[str, Any]:
        """Describe all that is on the hosts; nothing may be left to do, and nothing left behind."""
        assert self.leftovers() == []
        plan = asyncio.run(plan_inside(self.driver))
        assert (plan.actions, plan.held, plan.unknown_hosts) == ((), (), {})
        return {f"{host.name} {what}": value for host in self.hosts for what, value in self._host(host).items()}

    def told(self) -> dict[str, Any]:
        """Describe what the status files tell."""
        sandboxes = {f"status of {name}": self._told(status) for name, status in self.statuses("sandboxes").items()}
        hosts = {f"status of {name}": _conditions(status) for name, status in self.statuses("hosts").items()}
        return {**sandboxes, **hosts}

    def generations(self) -> dict[str, int]:
        """Give the generation of each sandbox by its marker, after a look that label and status say the same."""
        found: dict[str, int] = {}
        statuses = self.statuses("sandboxes")
        for host in self.hosts:
            for marker in self._markers(host):
                name = marker["sandbox"]
                if name not in statuses:
                    continue
                found[name] = marker["generation"]
                assert statuses[name]["generation"] == marker["generation"], name
        labelled = {
            seen["Config"]["Labels"][f"{LABEL}sandbox"]: int(seen["Config"]["Labels"][f"{LABEL}generation"])
            for host in self.hosts
            for seen in self._inspected(host)
        }
        for name, generation in labelled.items():
            # What is updated in place keeps the labels of its birth.
            assert generation == found[name] or name.startswith("resized-"), name
        return found

    def statuses(self, group: str) -> dict[str, dict[str, Any]]:
        """Read the status files of a group."""
        return {path.stem: json.loads(path.read_text()) for path in (self.driver.status / group).glob("*.json")}

    def leftovers(self) -> list[str]:
        """Name what a pass makes for its own use and must not leave: temporary files, kept folders, held locks."""
        found: list[str] = []
        for path in self.driver.status.rglob("*"):
            if "passes" not in path.parts and (path.name.startswith(".") or ".corrupt-" in path.name):
                found += [str(path)] if path.name != ".lock" else []
        for host in self.hosts:
            base = self.driver.base_dir(host)
            names = (".lock", ".host-id", ".reconciler.json", ".tree-source", ".tree-source.digest")
            ours = [word for name in names for word in ("!", "-name", name)]
            found += host.run("find", base, "-mindepth", "1", "-name", ".*", *ours).splitlines()
            host.run("sh", "-c", '[ ! -e "$1" ] || flock --wait 10 "$1" true', "free", f"{base}/.lock")
        return found

    def _host(self, host: LabHost) -> dict[str, Any]:
        base = self.driver.base_dir(host)
        paths = host.run("find", base, "-mindepth", "1", "-printf", "%P %y %m %U\\n").splitlines()
        markers = [
            {key: value for key, value in marker.items() if key not in {"run", "generation", "created_at"}}
            for marker in self._markers(host)
        ]
        filters = json.dumps({"label": [f"{LABEL}fleet={self.driver.fleet}"]})
        return {
            **{seen["Name"]: _described(seen) for seen in self._inspected(host)},
            "networks": sorted(one["Name"] for one in host.engine("GET", "/networks", filters=filters)),
            "volumes": self._volumes(host),
            "paths": sorted(path for path in paths if not path.startswith(".")),
            "markers": sorted(markers, key=lambda marker: str(marker["sandbox"])),
        }

    def _told(self, status: dict[str, Any]) -> dict[str, Any]:
        """Say what a status file tells, after a look that what it names is there."""
        (host,) = (host for host in self.hosts if host.name == status["host"])
        there = self.driver.containers(host)
        (instance,) = status["instances"]
        assert there[instance["name"]] == instance["fullId"]
        (record,) = status["records"]
        return {
            **{key: status[key] for key in ("host", "sync", "health", "stale")},
            "conditions": _conditions(status),
            "record": {key: record[key] for key in ("host", "intent", "complete", "phase")},
        }

    def _inspected(self, host: LabHost) -> Iterator[dict[str, Any]]:
        for full_id in self.driver.containers(host).values():
            yield host.engine("GET", f"/containers/{full_id}/json")

    def _volumes(self, host: LabHost) -> list[str]:
        """Name the volumes of this state; those of the other one are kept, as data is."""
        filters = json.dumps({"label": [f"{LABEL}fleet={self.driver.fleet}"]})
        names = [one["Name"] for one in host.engine("GET", "/volumes", filters=filters)["Volumes"] or ()]
        return sorted(name for name in names if f".only-{self.state}-" in name)

    def _markers(self, host: LabHost) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in Path(self.driver.base_dir(host)).glob("*/.reconciler.json")]


def differences(got: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Give what two descriptions do not agree on, both sides of it."""
    return {what: (got.get(what), wanted.get(what)) for what in got | wanted if got.get(what) != wanted.get(what)}


def _described(seen: dict[str, Any]) -> tuple[object, ...]:
    labels = {
        key: value
        for key, value in seen["Config"]["Labels"].items()
        if key.removeprefix(LABEL) not in _NEW_WITH_EVERY_PASS
    }
    return (
        seen["State"]["Running"],
        seen["RestartCount"],
        sorted(seen["Config"]["Env"]),
        seen["HostConfig"]["Memory"],
        sorted(mount["Destination"] for mount in seen["Mounts"]),
        sorted(seen["NetworkSettings"]["Networks"]),
        sorted(labels.items()),
    )


def _conditions(status: dict[str, Any]) -> list[str]:
    return sorted(f"{one['type']}={one['status']}/{one['reason']}" for one in status["conditions"])
