"""F-02, F-21 and F-22: a status folder that cannot be written, is lost, or is damaged."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import shutil
from pathlib import Path

import pytest

from reconciler.model.plan import Verb
from tests.e2e.driver import TRACEBACK, Driver, Ran, command
from tests.e2e.inside import plan_inside
from tests.e2e.sights import IDLE, condition, planned_verbs, run_of, settle, status_of, web_sandbox
from tests.integration.faults.entry import killed_at
from tests.lab.host import LabHost
from tests.lab.packages import tools

pytestmark = pytest.mark.lab

SAMPLES = 60 if "EVERY_OCCURRENCE" in os.environ else 12
REMOVING = {Verb.DESTROY, Verb.REAP, Verb.REPLACE}


# F-02: writes that fail, and deaths while writing --------------------------------------------------------------------


def under_strace(driver: Driver, log: Path, *options: str) -> Ran:
    """Run `apply --yes` with its flushes to the disk watched, or made to fail."""
    words = [str(tools().find("strace")), "-f", "-qq", "--seccomp-bpf", "-e", "trace=fsync", *options, "-o", str(log)]
    env = {**tools().env, "PATH": tools().path}
    ran = driver.execute(*words, *command(), "apply", "--yes", env=env)
    assert TRACEBACK not in ran.stdout + ran.stderr
    return ran


def whole_files(driver: Driver) -> int:
    """Count the status files; each must be whole, and none a temporary one."""
    files = [path for path in driver.status.rglob("*.json") if "passes" not in path.parts]
    for path in files:
        json.loads(path.read_text())
    assert not list(driver.status.rglob(".new-*"))
    return len(files)


def test_f02_a_disk_that_does_not_keep_what_it_was_given_ends_the_pass_and_nothing_is_called_saved(
    fleet: Driver, alpha: LabHost
) -> None:
    fleet.drop("Host", "beta")
    same = {"host": "alpha", "observability": "off"}
    fleet.declare_sandbox("one", **same, containers={"main": IDLE})
    log = fleet.folder / "strace"

    refused = under_strace(fleet, log, "-e", "inject=fsync:error=EIO")
    assert refused.exit == 1
    assert "E_STATUS_WRITE" in refused.stderr
    assert "nothing was changed" in refused.stderr
    assert fleet.containers(alpha) == {}

    done = under_strace(fleet, log)
    assert done.exit == 0, done.stderr
    flushes = len(re.findall(r"fsync\(", log.read_text()))
    files = whole_files(fleet)
    fleet.declare_sandbox("one", **same, containers={"main": {**IDLE, "env": {"NEW": "1"}}})
    # The flushes of the journal hold; those of the status files, at the end, do not.
    failed = under_strace(fleet, log, "-e", f"inject=fsync:error=EIO:when={flushes - 3}+")
    assert failed.exit == 1, (failed.stdout, failed.stderr)
    assert "E_STATUS_WRITE" in failed.stderr
    assert whole_files(fleet) == files
    settle(fleet)
    assert len(fleet.containers(alpha)) == 1


@pytest.mark.parametrize("moment", ["status.before_save", "status.after_save"])
def test_f02_a_death_around_the_writing_of_status_costs_one_look_at_most(
    fleet: Driver, alpha: LabHost, moment: str
) -> None:
    fleet.drop("Host", "beta")
    fleet.declare_sandbox("one", host="alpha", observability="off", containers={"main": IDLE})
    assert killed_at(fleet, moment)
    before = run_of(fleet, alpha)
    settle(fleet)
    assert run_of(fleet, alpha) == before
    assert condition(fleet, "one", "Ready") == "True/ProbesPassed"
    assert whole_files(fleet) == 3


# F-21: a status folder that is lost ----------------------------------------------------------------------------------


def test_f21_a_lost_status_folder_means_adoptions_alone(fleet: Driver, alpha: LabHost, beta: LabHost) -> None:
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


def test_f21_what_left_the_specs_with_the_status_folder_is_reported_and_not_removed(
    fleet: Driver, alpha: LabHost
) -> None:
    for name in ("kept", "left"):
        fleet.declare_sandbox(name, host="alpha", observability="off", containers={"main": IDLE})
    settle(fleet)
    before = run_of(fleet, alpha)
    shutil.rmtree(fleet.status)
    fleet.drop("Sandbox", "left")
    plan = asyncio.run(plan_inside(fleet))
    assert [(action.address, action.verb) for action in plan.actions] == [("sandbox/kept", Verb.ADOPT)]
    assert [(item.address, item.reason) for item in plan.held] == [("sandbox/left", "Orphan")]
    fleet.run("apply", "--yes").expect(0, 3)
    assert run_of(fleet, alpha) == before


# F-22: a status folder that is damaged -------------------------------------------------------------------------------


def test_f22_a_damaged_status_file_is_set_aside_and_made_anew(fleet: Driver, alpha: LabHost) -> None:
    web_sandbox(fleet, "web", "alpha")
    settle(fleet)
    before = run_of(fleet, alpha)
    (fleet.status / "sandboxes/web.json").write_text('{"format": "reconciler-sandbox-st')
    planned = fleet.run("plan", "-o", "json").expect(0)
    assert "web.json" in planned.stderr
    settle(fleet)
    assert run_of(fleet, alpha) == before
    assert status_of(fleet, "web")["sync"] == "Synced"


def _damage(raw: bytes, dice: random.Random) -> bytes:
    broken = bytearray(raw)
    match dice.randrange(4):
        case 0:
            for _ in range(dice.randint(1, 20)):
                broken[dice.randrange(len(broken))] ^= 1 << dice.randrange(8)
        case 1:
            del broken[dice.randrange(len(broken)) :]
        case 2:
            start = dice.randrange(len(broken))
            broken[start : start + 64] = b"\0" * len(broken[start : start + 64])
        case _:
            return dice.choice([b"", b"[]", b"null", b"{}", b"[" * 100_000])
    return bytes(broken)


def test_f22_whatever_the_status_files_say_nothing_that_is_wanted_is_touched(fleet: Driver, alpha: LabHost) -> None:
    fleet.drop("Host", "beta")
    for name in ("one", "two", "three"):
        fleet.declare_sandbox(name, host="alpha", observability="off", containers={"main": IDLE})
    settle(fleet)
    before = run_of(fleet, alpha)
    keep = fleet.folder / "status-kept"
    shutil.copytree(fleet.status, keep)
    names = sorted(str(path.relative_to(keep)) for path in keep.rglob("*.json") if "passes" not in path.parts)
    for seed in range(SAMPLES):
        dice = random.Random(seed)  # noqa: S311  # a seeded sample of damage, no secret
        for name in dice.sample(names, dice.randint(1, 2)):
            path = fleet.status / name
            path.write_bytes(_damage(path.read_bytes(), dice))
        ran = fleet.run("apply", "--yes").expect(0, 1, 3)
        assert ran.exit != 1 or "E_STATUS_" in ran.stderr, ran
        assert run_of(fleet, alpha) == before, f"seed {seed}"
        if ran.exit == 0:
            assert {status_of(fleet, name)["sync"] for name in ("one", "two", "three")} == {"Synced"}
        shutil.rmtree(fleet.status)
        shutil.copytree(keep, fleet.status)


def test_f22_a_status_that_a_person_wrote_removes_nothing(fleet: Driver, alpha: LabHost) -> None:
    """A record is a memory and no wish: edited, it can cost an adoption, and never a container."""
    for name in ("one", "two"):
        fleet.declare_sandbox(name, host="alpha", observability="off", containers={"main": IDLE})
    settle(fleet)
    before = run_of(fleet, alpha)
    path = fleet.status / "sandboxes/one.json"
    edited = json.loads(path.read_text())
    edited["generation"] = 1_000_000
    edited["records"][0]["generation"] = 1_000_000
    edited["records"][0]["run"] = "another"
    edited["instances"] = []
    path.write_text(json.dumps(edited))
    assert {action.verb for action in asyncio.run(plan_inside(fleet)).actions}.isdisjoint(REMOVING)
    fleet.run("apply", "--yes").expect(0)
    assert run_of(fleet, alpha) == before


@pytest.mark.parametrize("kind", ["newer", "other fleet"])
def test_f22_a_folder_that_is_not_for_this_program_or_fleet_is_refused_untouched(
    fleet: Driver, alpha: LabHost, kind: str
) -> None:
    fleet.declare_sandbox("one", host="alpha", observability="off", containers={"main": IDLE})
    settle(fleet)
    before = run_of(fleet, alpha)
    path = fleet.status / "sandboxes/one.json"
    said = json.loads(path.read_text())
    said["format" if kind == "newer" else "fleet"] = "reconciler-sandbox-status/99" if kind == "newer" else "another"
    path.write_text(json.dumps(said))
    files = {file: file.read_bytes() for file in fleet.status.rglob("*") if file.is_file()}
    fleet.declare_sandbox("one", host="alpha", observability="off", containers={"main": {**IDLE, "env": {"A": "1"}}})
    for words in (["plan"], ["apply", "--yes"], ["destroy", "one", "--yes"]):
        refused = fleet.run(*words).expect(1)
        assert ("E_STATUS_NEWER" if kind == "newer" else "E_STATUS_FLEET") in refused.stderr
    after = {file: file.read_bytes() for file in fleet.status.rglob("*") if file.is_file()}
    assert {file: raw for file, raw in after.items() if file.name != ".lock"} == {
        file: raw for file, raw in files.items() if file.name != ".lock"
    }
    assert run_of(fleet, alpha) == before
