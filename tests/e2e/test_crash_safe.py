"""Kill the controller, or cut its line, at every kind of moment of a pass: the next pass converges by itself."""

import asyncio
import json
from typing import Any

import pytest

from tests.e2e.driver import Driver
from tests.e2e.inside import Points, apply_inside, die_inside, plan_inside
from tests.e2e.sights import expect_settled
from tests.lab.host import LabHost
from tests.lab.proxy import Direction, Proxy

pytestmark = pytest.mark.lab

QUICK: dict[str, Any] = {"image": "lab/busybox:1", "command": ["sleep", "86400"], "stopGrace": "1s"}


def declare(driver: Driver, state: str) -> None:
    """Declare one of two fleets; going from either to the other creates, changes in place, replaces and destroys."""
    for name in ("one", "two"):
        if (driver.specs / f"sandbox-only-{name}.yaml").exists():
            driver.drop("Sandbox", f"only-{name}")
    driver.declare_sandbox(
        f"only-{state}",
        host="alpha",
        observability="off",
        directories={"cache": {"path": "cache"}},
        files={"settings": {"path": "settings", "content": "${run.id}\n"}},
        containers={
            "main": {
                **QUICK,
                "networks": {"inside": {}},
                "volumes": {"data": "/data"},
                "mounts": {"/cache": {"directory": "cache"}, "/settings": {"file": "settings"}},
            },
        },
    )
    same = {"host": "alpha", "observability": "off"}
    driver.declare_sandbox("replaced", **same, containers={"main": {**QUICK, "env": {"STATE": state}}})
    first = {"update": "start-first", **same}
    driver.declare_sandbox("started-first", **first, containers={"main": {**QUICK, "env": {"STATE": state}}})
    memory = {"one": "32MiB", "two": "48MiB"}[state]
    driver.declare_sandbox("resized", **same, containers={"main": {**QUICK, "resources": {"memory": memory}}})


def remains(driver: Driver, host: LabHost) -> dict[str, Any]:
    """Describe all that a fleet has on a host, without what is new with every pass: ids, times and runs."""
    label = f"label=dev.reconciler.fleet={driver.fleet}"
    ids = list(driver.containers(host).values())
    containers = {
        seen["Name"]: (
            seen["State"]["Running"],
            sorted(seen["Config"]["Env"]),
            seen["HostConfig"]["Memory"],
            sorted(mount["Destination"] for mount in seen["Mounts"]),
            sorted(seen["NetworkSettings"]["Networks"]),
        )
        for seen in json.loads(host.docker("inspect", *ids))
    }
    base = driver.base_dir(host)
    marked = host.run("grep", "-ro", '"phase":"[a-z]*"', base, "--include=.reconciler.json")
    paths = host.run("find", base, "-mindepth", "1", "-printf", "%P %y %m %U\\n").splitlines()
    return {
        "containers": containers,
        "networks": sorted(host.docker("network", "ls", "--filter", label, "--format", "{{.Name}}").split()),
        "paths": sorted(path for path in paths if not path.startswith(".")),
        "markers": sorted(marked.split()),
    }


def test_killed_at_every_kind_of_point_the_next_pass_ends_where_an_unbroken_one_would(
    fleet: Driver, alpha: LabHost
) -> None:
    fleet.drop("Host", "beta")
    fleet.declare_fleet(limits={"removalsPerPlan": "100%", "removalsPerDay": "100%"})
    ends: dict[str, dict[str, Any]] = {}
    points: list[str] = []
    for state in ("one", "two", "one"):
        declare(fleet, state)
        passed = asyncio.run(apply_inside(fleet, Points(points.append)))
        assert passed.ended is not None
        assert {action.end for action in passed.ended.actions} == {"done"}
        end = remains(fleet, alpha)
        assert ends.setdefault(state, end) == end, "the same state is reached from nothing and from the other one"
    kinds = list(dict.fromkeys(points))
    for word in ("put_marker", "create_container", "start", "stop", "remove", "rename", "update", "drop_path"):
        assert any(word in kind for kind in kinds), f"no point of {word} among {kinds}"
    state, died = "one", 0
    for kind in kinds:
        state = {"one": "two", "two": "one"}[state]
        declare(fleet, state)
        # The state one starts with a volume that is never removed: its creation is seen on the way from nothing alone.
        died += die_inside(fleet, kind)
        asyncio.run(apply_inside(fleet))
        assert remains(fleet, alpha) == ends[state], kind
        plan = asyncio.run(plan_inside(fleet))
        assert (plan.actions, plan.held) == ((), ()), kind
    assert died >= len(kinds) - 4
    expect_settled(fleet)


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_a_line_that_is_cut_around_an_effect_leaves_nothing_double(
    fleet: Driver, alpha: LabHost, direction: Direction
) -> None:
    fleet.drop("Host", "beta")
    async with Proxy(alpha.address, alpha.ssh_port) as proxy:
        fleet.declare_host(alpha, address="127.0.0.1", ssh={"port": proxy.port})
        declare(fleet, "one")
        cuts: list[str] = []

        def cut(point: str) -> None:
            # Up: the request is lost. Down: it arrives, and its answer is lost.
            if point.endswith(("create_container.before_send", "start_container.before_send")) and point not in cuts:
                cuts.append(point)
                proxy.cut_after(0 if direction == "up" else 300, direction=direction)

        passed = await apply_inside(fleet, Points(cut))
        assert passed.ended is not None
        assert len(cuts) == 2
        again = await apply_inside(fleet)
        assert again.ended is None or {action.end for action in again.ended.actions} == {"done"}
        names = list(fleet.containers(alpha))
        assert len(names) == 4, names
        assert all(state[0] for state in remains(fleet, alpha)["containers"].values())
        plan = await plan_inside(fleet)
        assert (plan.actions, plan.held) == ((), ())
