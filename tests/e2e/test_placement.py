"""Leave the host of a sandbox to planning: it is chosen once, and then stays whatever happens around it."""

import json
from typing import Any

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import IDLE, expect_settled, settle
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab

SPREAD = {"selector": {"pool": "lab"}}


def _declare(fleet: Driver, name: str, **over: Any) -> None:
    fleet.declare_sandbox(name, **{"placement": SPREAD, "observability": "off", "containers": {"main": IDLE}, **over})


def _label(fleet: Driver, host: LabHost, **labels: str) -> None:
    """Give a Host other labels."""
    path = fleet.specs / f"host-{host.name}.yaml"
    document = json.loads(path.read_text())
    document["metadata"]["labels"] = labels
    path.write_text(json.dumps(document))


def _where(fleet: Driver) -> dict[str, str]:
    """Tell, by the status files, on which host each sandbox is."""
    shown = fleet.run("status", "-o", "json").expect(0, 3).json
    return {one["name"]: one["host"] for one in shown["sandboxes"]}


def _ids(fleet: Driver, *hosts: LabHost) -> dict[str, str]:
    return {f"{host.name} {name}": full_id for host in hosts for name, full_id in fleet.containers(host).items()}


def test_they_are_spread_and_stay_when_another_host_is_emptier(fleet: Driver, alpha: LabHost, beta: LabHost) -> None:
    fleet.declare_fleet(limits={"removalsPerPlan": "100%"})
    for name in ("box-a", "box-b", "box-c"):
        _declare(fleet, name)
    _declare(fleet, "app", placement={}, dependsOn=["box-a"])
    planned = fleet.run("plan").expect(0)
    assert "# placed on alpha: the emptiest of 2 hosts with pool=lab" in planned.stdout
    document = fleet.run("plan", "-o", "json").expect(0).json
    assert all(action["notes"][0].startswith(f"placed on {action['host']}: ") for action in document["actions"])
    settle(fleet)
    there = _where(fleet)
    assert sorted(there.values()) == ["alpha", "alpha", "beta", "beta"]
    before = _ids(fleet, alpha, beta)

    emptier = "alpha" if there["box-a"] == "beta" else "beta"
    for name in ("box-b", "box-c"):
        if there[name] == emptier:
            fleet.drop("Sandbox", name)
    fleet.run("apply", "--yes").expect(0)
    expect_settled(fleet)
    kept = _ids(fleet, alpha, beta)
    assert kept.items() <= before.items()
    assert len(kept) < len(before)
    _declare(fleet, "box-d")
    settle(fleet)
    assert _where(fleet)["box-d"] == emptier


def test_lost_records_are_found_again_where_it_stands(fleet: Driver, alpha: LabHost, beta: LabHost) -> None:
    _label(fleet, alpha, pool="other")
    _declare(fleet, "box-a")
    settle(fleet)
    _label(fleet, alpha, pool="lab")
    before = _ids(fleet, alpha, beta)
    for file in fleet.status.rglob("*.json"):
        file.unlink()
    adopted = fleet.run("apply", "--yes", "--json").expect(0)
    assert [line["action"] for line in adopted.lines if line["type"] == "planned_change"] == ["adopt"]
    assert _ids(fleet, alpha, beta) == before
    assert _where(fleet) == {"box-a": "beta"}
    expect_settled(fleet)


def test_it_moves_with_the_label_and_is_made_there_first(fleet: Driver, alpha: LabHost, beta: LabHost) -> None:
    fleet.declare_fleet(limits={"removalsPerPlan": "100%"})
    _label(fleet, beta)
    _declare(fleet, "box-a")
    settle(fleet)
    assert (len(fleet.containers(alpha)), len(fleet.containers(beta))) == (1, 0)
    _label(fleet, alpha)
    _label(fleet, beta, pool="lab")
    shown = fleet.run("plan").expect(0).stdout
    assert "# placed on beta: the only host with pool=lab" in shown
    assert "moves to beta; data is not moved" in shown
    fleet.run("apply", "--yes").expect(0)
    assert (len(fleet.containers(alpha)), len(fleet.containers(beta))) == (0, 1)
    assert _where(fleet) == {"box-a": "beta"}
    expect_settled(fleet)


def test_what_may_be_on_a_silent_host_is_made_nowhere(fleet: Driver, alpha: LabHost, beta: LabHost) -> None:
    fleet.declare_host(beta, ssh={"port": 1})
    _declare(fleet, "box-a")
    held = fleet.run("apply", "--yes").expect(3)
    assert "it may be on beta, of which nothing is known" in held.stdout
    assert fleet.containers(alpha) == {}
    fleet.declare_host(beta)
    settle(fleet)
    there = _where(fleet)["box-a"]

    silent = alpha if there == "alpha" else beta
    fleet.declare_host(silent, ssh={"port": 1})
    before = _ids(fleet, alpha, beta)
    fleet.run("apply", "--yes").expect(3)
    assert _ids(fleet, alpha, beta) == before
    fleet.declare_host(silent)
    expect_settled(fleet)


def test_a_selection_asks_every_host_that_it_may_be_on(fleet: Driver, alpha: LabHost, beta: LabHost) -> None:
    for name in ("box-a", "box-b"):
        _declare(fleet, name)
    fleet.run("apply", "--on", "beta", "--yes").expect(0)
    assert (len(fleet.containers(alpha)), len(fleet.containers(beta))) == (0, 1)
    fleet.run("apply", "--yes").expect(0)
    assert (len(fleet.containers(alpha)), len(fleet.containers(beta))) == (1, 1)
    fleet.run("destroy", "box-a", "box-b", "--yes").expect(0)
    assert _ids(fleet, alpha, beta) == {}


def test_where_none_has_room_each_host_says_what_is_missing(fleet: Driver, alpha: LabHost, beta: LabHost) -> None:
    fleet.declare_host(alpha, admission={"minMemoryAvailable": "900TiB"})
    fleet.declare_host(beta, admission={"maxSandboxes": 0})
    _declare(fleet, "box-a")
    held = fleet.run("plan", "-o", "json").expect(0).json
    (told,) = held["held_back"]
    assert told["reason"] == "NoHostFits"
    assert "alpha needs " in told["message"]
    assert "900TiB must stay free (admission.minMemoryAvailable)" in told["message"]
    assert "beta needs room for 1 more" in told["message"]
    fleet.declare_host(beta, admission={"maxSandboxes": 1, "minDiskFree": "1MiB"})
    settle(fleet)
    assert _where(fleet) == {"box-a": "beta"}


def test_a_saved_plan_is_done_where_it_was_placed(fleet: Driver, alpha: LabHost, beta: LabHost) -> None:
    _declare(fleet, "box-a")
    fleet.run("plan", "--out", "saved").expect(0)
    _declare(fleet, "box-a")
    fleet.run("apply", "saved", "--yes").expect(0)
    assert len(_ids(fleet, alpha, beta)) == 1
    expect_settled(fleet)


def test_stale_finds_are_told_from_what_was_placed(fleet: Driver, alpha: LabHost, beta: LabHost) -> None:
    assert alpha
    assert beta
    for name in ("box-a", "box-b"):
        _declare(fleet, name)
    settle(fleet)
    shown = fleet.run("inspect", "stale", "-o", "json").expect(0).json
    assert shown["candidates"] == []
    reaped = fleet.run("reap-stale", "--apply", "--grace", "0s", "--older-than", "0s", "--yes").expect(0)
    assert "box-" not in reaped.stdout
    expect_settled(fleet)
