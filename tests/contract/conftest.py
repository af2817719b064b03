"""Give each case a host: the in-memory one, and a real one of each generation of the engine."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from reconciler.host.interface import Busy
from tests.contract.bench import BUSYBOX, RICH, WEB, Bench, LabBench, MemoryBench
from tests.contract.case import Case
from tests.lab.config import HostOptions
from tests.lab.host import LabHost
from tests.lab.packages import Generation

BENCHES = [
    pytest.param("memory", id="memory"),
    pytest.param("bookworm", id="bookworm", marks=pytest.mark.lab),
    pytest.param("trixie", id="trixie", marks=pytest.mark.lab),
]
PORT_FIRST = 23000


@pytest.fixture(scope="session")
def real_host(lab_folder: Path) -> Iterator[Callable[[Generation], LabHost]]:
    """Start a real host of a generation when it is first asked for."""
    started: dict[str, LabHost] = {}

    def start(generation: Generation) -> LabHost:
        if generation not in started:
            started[generation] = LabHost.start(
                lab_folder, f"contract-{generation}", HostOptions(generation=generation)
            )
            started[generation].load_image(BUSYBOX, RICH, WEB)
            if generation == "bookworm":
                started[generation].give_compose()
        return started[generation]

    yield start
    for host in started.values():
        host.stop()


@pytest.fixture(params=BENCHES)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Give one host on the bench, cleared afterwards."""
    if request.param == "memory":
        made: Bench = MemoryBench()
    else:
        made = LabBench(request.getfixturevalue("real_host")(request.param))
    yield made
    made.clear()


@pytest.fixture
async def case(bench: Bench, request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    """Give a connected host whose lock we hold, and a sandbox of this test's own."""
    seed = hashlib.sha256(request.node.name.encode()).hexdigest()
    host = await bench.connect()
    lease = await host.hold("contract")
    assert not isinstance(lease, Busy)
    yield Case(bench, host, sandbox=f"s-{seed[:10]}", port=PORT_FIRST + int(seed[:6], 16) % 5000)
    await lease.release()
    await host.close()
