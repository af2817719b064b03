"""What a sandbox itself uses is told from its own control groups and layers: alone on a host, and among neighbours.

The hog holds memory that it has touched, the writer has written to its own layer; both say so once they are done. The
neighbours are ten containers that nobody here manages: they allocate, compute and write for as long as they run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import status_of
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab

MIB = 1 << 20
HELD_MIB, WRITTEN_MIB = 192, 128
NEIGHBOURS = 10
NOISE = (
    "while :; do dd if=/dev/zero of=/noise bs=1M count=8; dd if=/dev/zero of=/dev/shm/noise bs=1M count=8;"
    " rm /noise; sleep 1; done 2>/dev/null"
)
# The last line of what never ends a line is all of it, and is held until there is no more.
HOG = f"(head -c {HELD_MIB}m /dev/zero; touch /done; exec sleep 86400) | tail -n 1 >/dev/null"
WRITER = f"dd if=/dev/zero of=/written bs=1M count={WRITTEN_MIB} 2>/dev/null; touch /done; exec sleep 86400"


@pytest.fixture
def place(bare: Driver, engine: LabHost) -> Iterator[Driver]:
    """Give a driver with one host of this generation, cleared afterwards."""
    engine.load_image("lab/busybox:1", "lab/web:1")
    bare.declare_fleet()
    bare.declare_host(engine)
    yield bare
    bare.clear(engine)


@pytest.fixture(params=[0, NEIGHBOURS], ids=["alone", "with-ten-neighbours"])
def tolerance(request: pytest.FixtureRequest, engine: LabHost) -> Iterator[float]:
    """Put neighbours on the host, or none, and give the largest error allowed then."""
    neighbours: int = request.param
    for number in range(neighbours):
        engine.docker("run", "-d", "--name", f"neighbour-{number}", "lab/busybox:1", "sh", "-c", NOISE)
    yield 0.10 if neighbours else 0.05
    for number in range(neighbours):
        engine.docker("rm", "-f", f"neighbour-{number}")


def declare(driver: Driver, engine: LabHost, name: str, script: str) -> None:
    main = {"image": "lab/busybox:1", "command": ["sh", "-c", script], "shmSize": "8MiB", "stopGrace": "1s"}
    ready = {"done": {"exec": {"container": "main", "command": ["test", "-e", "/done"]}, "timeout": "60s"}}
    driver.declare_sandbox(name, host=engine.name, containers={"main": main}, readiness=ready)


def own_of(driver: Driver, sandbox: str) -> dict[str, Any]:
    delta = status_of(driver, sandbox)["delta"]
    assert not [name for name in delta["missing"] if name.startswith("own")], delta["missing"]
    own: dict[str, Any] = delta["own"]
    return own


def check(what: str, own: dict[str, Any], *, field: str, wanted: int, tolerance: float) -> None:
    error = own[field] / wanted - 1
    print(f"{what}: {field} {own[field]} of {wanted}, {error:+.2%}")  # what was measured
    assert abs(error) <= tolerance, own


def test_a_memory_hog_is_attributed(place: Driver, engine: LabHost, tolerance: float) -> None:
    declare(place, engine, "hog", HOG)
    place.run("apply", "--yes").expect(0)
    own = own_of(place, "hog")
    check("hog", own, field="memory_working_set_bytes", wanted=HELD_MIB * MIB, tolerance=tolerance)
    assert own["layer_bytes"] < MIB
    assert own["cpu_usage_ns"] > 0


def test_a_disk_writer_is_attributed(place: Driver, engine: LabHost, tolerance: float) -> None:
    declare(place, engine, "writer", WRITER)
    place.run("apply", "--yes").expect(0)
    own = own_of(place, "writer")
    check("writer", own, field="layer_bytes", wanted=WRITTEN_MIB * MIB, tolerance=tolerance)
    assert own["memory_working_set_bytes"] < WRITTEN_MIB * MIB / 4, "what it wrote is not memory that it needs"
    place.drop("Sandbox", "writer")
    destroyed = place.run("apply", "--yes", "--allow-destroy", "1", "--json").expect(0)
    (gone,) = (line["delta"]["own"] for line in destroyed.lines if line["type"] == "host_delta")
    check("writer, as it went", gone, field="layer_bytes", wanted=WRITTEN_MIB * MIB, tolerance=tolerance)
