"""Rows 58 and 67 of the parity table: what a host measures, and what a create and a destroy did to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import jsonschema
import msgspec
import pytest

from reconciler.cli.inspect import ANSWER_S
from reconciler.model.snapshot import HostSnapshot
from reconciler.record.schema import schemas
from tests.e2e.driver import Driver
from tests.e2e.sights import IDLE, name_of, settle, status_of
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab


@pytest.fixture
def place(bare: Driver, engine: LabHost) -> Iterator[Driver]:
    """Give a driver with one host of this generation, cleared afterwards."""
    engine.load_image("lab/busybox:1")
    bare.declare_fleet()
    bare.declare_host(engine)
    yield bare
    bare.clear(engine)


def state_of(driver: Driver, engine: LabHost) -> str:
    """Tell of a host what a look could leave behind: files of the user, containers, images, networks and volumes."""
    files = engine.run("sh", "-c", f"find {engine.home} -printf '%p %T@ %s\\n' | sort")
    listed = (engine.docker(*words) for words in (("ps", "-aq"), ("images", "-q"), ("network", "ls"), ("volume", "ls")))
    return "\n".join((files, *listed, *map(str, sorted(driver.folder.rglob("*")))))


def test_row_58_a_host_is_measured_in_full_by_an_ordinary_user_in_time_and_nothing_is_made(
    place: Driver, engine: LabHost
) -> None:
    place.declare_sandbox("web", host=engine.name, containers={"main": IDLE})
    settle(place)
    assert engine.uid != 0
    before = state_of(place, engine)
    began_s = time.monotonic()
    told = place.run("inspect", "host", engine.name, "-o", "json", fresh=True).expect(0).json
    # What a healthy host takes is printed; how long anybody waits at most is the product's own bound.
    print(f"inspect host, {engine.engine_version}: {time.monotonic() - began_s:.2f} s of {ANSWER_S:g} s")
    assert state_of(place, engine) == before, "no file, no pass, no object"
    snapshot = msgspec.convert(told["snapshot"], HostSnapshot)
    absent = {name for name, value in told["snapshot"].items() if value is None}
    assert absent <= {"gpus"}, "there is no GPU here; all else is told"
    assert set(snapshot.missing) <= {"gpus"} | {f"pressure_{kind}" for kind in ("cpu", "memory", "io")}
    assert snapshot.docker_disk is not None
    assert (snapshot.containers_running, snapshot.containers_total) == (1, 1)
    (use,) = snapshot.sandboxes.values()
    assert 0 < (use.memory_working_set_bytes or 0) <= (use.memory_current_bytes or 0)
    assert use.network_bytes is not None
    jsonschema.validate(told["snapshot"], msgspec.json.decode(schemas()["telemetry-host-snapshot.json"]))


def test_row_58_an_engine_that_hangs_is_waited_for_no_longer_than_that(place: Driver, engine: LabHost) -> None:
    engine.pause_dockerd()
    try:
        began_s = time.monotonic()
        refused = place.run("inspect", "host", engine.name).expect(3)
        print(f"inspect host, a hanging engine: {time.monotonic() - began_s:.2f} s")
    finally:
        engine.resume_dockerd()
    assert "E_DOCKER_TIMEOUT" in refused.stderr or "E_HOST_TIMEOUT" in refused.stderr


def told_deltas(driver: Driver, *words: str) -> dict[str, dict[str, Any]]:
    """Apply, and give the delta of each action by its verb."""
    lines = driver.run("apply", "--yes", "--json", *words).expect(0).lines
    measured = [line for line in lines if line["type"] == "host_delta"]
    found = {line["action"]: line["delta"] for line in measured}
    assert all(("; by itself: memory " in line["@message"]) == (line["delta"]["own"] is not None) for line in measured)
    schema = msgspec.json.decode(schemas()["telemetry-provision-delta.json"])
    for delta in found.values():
        jsonschema.validate(delta, schema)
    return found


def differs_rightly(delta: dict[str, Any]) -> None:
    """Expect both sides, and the difference between them in every dimension that this machine tells."""
    before, after, change = delta["before"], delta["after"], delta["change"]
    assert before["samples"] >= 1
    assert after["samples"] >= 1
    assert before["boot_id"] == after["boot_id"]
    assert before["at"] < after["at"]
    untold = {name for name in delta["missing"] if name.startswith("pressure_")}
    assert set(change) | untold == {
        "memory_available_bytes",
        "disk_used_bytes",
        "load_1",
        "cpu_percent",
        "pressure_cpu",
        "pressure_memory",
        "pressure_io",
        "containers_running",
    }
    for name, amount in change.items():
        assert amount == pytest.approx(after["median"][name] - before["median"][name])


def test_row_67_a_create_and_a_destroy_have_before_after_and_difference_and_what_was_its_own(
    place: Driver, engine: LabHost
) -> None:
    # It writes at its start, and heeds its end a while later, as a program does that has something to put away.
    script = "head -c 4194304 /dev/zero >/own; touch /done; trap 'sleep 0.5; exit 0' TERM; while :; do sleep 0.1; done"
    main = {"image": "lab/busybox:1", "command": ["sh", "-c", script], "stopGrace": "5s", "init": False}
    ready = {"done": {"exec": {"container": "main", "command": ["test", "-e", "/done"]}, "timeout": "60s"}}
    place.declare_sandbox("web", host=engine.name, containers={"main": main}, readiness=ready)
    made = told_deltas(place)["create"]
    differs_rightly(made)
    assert made["change"]["containers_running"] == 1
    assert status_of(place, "web")["delta"] == made
    assert made["own"]["containers"] == 1
    assert made["own"]["layer_bytes"] == 4 << 20
    assert made["own"]["image_bytes"] > 0
    assert not [name for name in made["missing"] if name.startswith("own")]
    full_id = place.containers(engine)[name_of(place, "web")]

    place.drop("Sandbox", "web")
    gone = told_deltas(place, "--allow-destroy", "1")["destroy"]
    differs_rightly(gone)
    assert gone["change"]["containers_running"] == -1
    assert full_id not in place.containers(engine).values()
    own = gone["own"]
    assert own["at"] <= gone["after"]["at"]
    assert own["layer_bytes"] == 4 << 20, "what it had written is told of what is not there any more"
    assert own["cpu_usage_ns"] >= made["own"]["cpu_usage_ns"]
    assert own["memory_working_set_bytes"] > 0
    assert not [name for name in gone["missing"] if name.startswith("own")]
