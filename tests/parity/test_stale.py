"""Rows 58 to 65 and 73 of the parity table: what is on a host, and what of it may be stale, without touching it."""

from __future__ import annotations

import shutil
import time
from typing import Any

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import IDLE, name_of, settle, until
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab


def declare(fleet: Driver, name: str, **spec: Any) -> None:
    fleet.declare_sandbox(name, host="alpha", observability="off", containers={"main": IDLE}, **spec)


def stale(fleet: Driver, *words: str) -> dict[str, dict[str, Any]]:
    """Ask what may be stale on alpha, and give it by what it is."""
    told = fleet.run("inspect", "stale", "--on", "alpha", "-o", "json", *words).expect(0).json
    return {f"{one['kind']}/{one['name']}": one for one in told["candidates"]}


def test_row_59_and_73_what_a_host_holds_is_told_as_json_and_nothing_is_made_there(
    fleet: Driver, alpha: LabHost
) -> None:
    fleet.drop("Host", "beta")
    look = ("sh", "-c", f"ls -Al --full-time {fleet.base_dir(alpha)} 2>&1 || true")
    before = alpha.run(*look)
    told = fleet.run("inspect", "stale", "-o", "json").expect(0).json
    assert told["format"] == "reconciler-stale/1"
    assert alpha.run(*look) == before
    assert not fleet.status.exists()
    declare(fleet, "web")
    settle(fleet)
    (listed,) = fleet.run("inspect", "stale", "-o", "json").expect(0).json["hosts"]["alpha"]["found"]
    assert (listed["object"], listed["owner"], listed["state"]) == ("sandbox/web", "ours", "running")
    assert listed["age_s"] < 600


def test_row_60_a_folder_of_nobody_below_our_base_is_an_orphan_with_a_suggestion(fleet: Driver, alpha: LabHost) -> None:
    declare(fleet, "web")
    settle(fleet)
    folder = f"{fleet.base_dir(alpha)}/left-behind"
    alpha.run("mkdir", folder)
    alpha.run("touch", "-d", "3 days ago", folder)
    one = stale(fleet)[f"folder/{folder}"]
    assert (one["class"], one["suggestion"]) == ("orphan", "inspect")
    alpha.run("rmdir", folder)


def test_row_60_a_sandbox_of_ours_that_nobody_knows_is_an_orphan(fleet: Driver, alpha: LabHost) -> None:
    fleet.declare_fleet(reap={"olderThan": "0s", "grace": "0s"})
    declare(fleet, "web")
    settle(fleet)
    for file in fleet.status.rglob("*.json"):
        file.unlink()
    fleet.drop("Sandbox", "web")
    one = stale(fleet)["sandbox/web"]
    assert (one["class"], one["suggestion"]) == ("orphan", "reap")
    assert fleet.containers(alpha)[name_of(fleet, "web")] in one["evidence"]["containers"]


def test_row_61_what_is_in_the_records_and_gone_from_its_host_is_a_zombie(fleet: Driver, alpha: LabHost) -> None:
    declare(fleet, "web")
    settle(fleet)
    alpha.docker("rm", "--force", name_of(fleet, "web"))
    alpha.run("rm", "-r", *alpha.run("sh", "-c", f"ls -d {fleet.base_dir(alpha)}/????????").split())
    assert (stale(fleet)["sandbox/web"]["class"], stale(fleet)["sandbox/web"]["suggestion"]) == ("zombie", "inspect")
    fleet.drop("Sandbox", "web")
    assert stale(fleet)["sandbox/web"]["suggestion"] == "reap"


def test_row_62_a_compose_project_of_a_legacy_name_is_listed(fleet: Driver, alpha: LabHost) -> None:
    fleet.declare_fleet(reap={"legacyPatterns": ["e2e-*"], "grace": "0s"})
    label = "com.docker.compose.project"
    names = [f"e2e-{fleet.fleet}-web-1", f"shop-{fleet.fleet}-web-1"]
    for name in names:
        project = name.removesuffix("-web-1")
        alpha.docker(
            "run", "--detach", "--name", name, "--label", f"{label}={project}", IDLE["image"], *IDLE["command"]
        )
    try:
        found = {name: one for name, one in stale(fleet).items() if name.startswith("compose/")}
        one = found[f"compose/e2e-{fleet.fleet}"]
        assert (one["class"], one["suggestion"], one["state"]) == ("legacy", "inspect", "running")
        assert f"compose/shop-{fleet.fleet}" not in found
    finally:
        alpha.docker("rm", "--force", *names)


def test_row_62_a_folder_in_a_legacy_root_is_listed(fleet: Driver, alpha: LabHost) -> None:
    root = f"/tmp/sandboxer-{fleet.fleet}"
    fleet.declare_fleet(reap={"legacyRoots": [root, "/nowhere"], "grace": "0s"})
    alpha.run("mkdir", "-p", f"{root}/old")
    try:
        one = stale(fleet)[f"folder/{root}/old"]
        assert (one["class"], one["suggestion"]) == ("legacy", "inspect")
    finally:
        alpha.run("rm", "-r", root)


def test_row_63_what_is_past_its_ttl_is_a_candidate_with_the_reason(fleet: Driver, alpha: LabHost) -> None:
    declare(fleet, "web", ttl="1s")
    fleet.run("apply", "--yes").expect(0)
    until(lambda: "sandbox/web" in stale(fleet), what="the end of its ttl by both clocks")
    one = stale(fleet)["sandbox/web"]
    assert (one["class"], one["suggestion"]) == ("expired", "reap")
    assert "ttl of 1 s" in one["reason"]
    assert name_of(fleet, "web") in fleet.containers(alpha)


def test_row_73_the_table_says_what_to_do_and_counts_it(fleet: Driver, alpha: LabHost) -> None:
    declare(fleet, "web", ttl="1s")
    fleet.run("apply", "--yes").expect(0)
    until(lambda: "sandbox/web" in stale(fleet), what="the end of its ttl by both clocks")
    told = fleet.run("inspect", "stale").expect(0).stdout
    assert "HOST" in told
    assert "sandbox/web" in told
    assert told.splitlines()[-1] == "Stale: 1 to reap, 0 to inspect, 0 to ignore, on 2 hosts that answered."
    assert alpha.name in told


def test_row_73_a_silent_host_is_named_and_is_not_empty(fleet: Driver, alpha: LabHost) -> None:
    declare(fleet, "web")
    settle(fleet)
    fleet.declare_host(alpha, address="127.0.0.1", ssh={"port": 1})
    told = fleet.run("inspect", "stale", "--on", "alpha", "-o", "json").expect(3).json
    assert (list(told["unreachable"]), told["candidates"]) == (["alpha"], [])


FINDS = 100
LISTED_S = 2.0


def test_a_hundred_stale_finds_are_listed_in_under_two_seconds(fleet: Driver, alpha: LabHost) -> None:
    fleet.drop("Host", "beta")
    root, projects = alpha.home / f"old-{fleet.fleet}", 20
    fleet.declare_fleet(reap={"legacyRoots": [str(root)], "legacyPatterns": ["e2e-*"], "grace": "0s"})
    for number in range(FINDS - projects):
        (root / f"sandbox-{number}").mkdir(parents=True)
    made = [
        alpha.docker("create", "--label", f"com.docker.compose.project=e2e-{fleet.fleet}-{number}", IDLE["image"])
        for number in range(projects)
    ]
    try:
        took_s = []
        for _ in range(3):
            begun_s = time.monotonic()
            found = stale(fleet)
            took_s.append(time.monotonic() - begun_s)
            assert len([name for name in found if fleet.fleet in name]) == FINDS
        print(f"\n{FINDS} finds: {', '.join(f'{one:.2f}' for one in took_s)} s")
        assert min(took_s) < LISTED_S
    finally:
        for one in made:
            alpha.engine("DELETE", f"/containers/{one.strip()}", force="true")
        shutil.rmtree(root)
