"""Pain 24: slow at fleet scale, a round trip for every fact (ansible/ansible#13023 #73654, pyinfra-dev/pyinfra#17).

Here one look at a host costs as many round trips with twelve sandboxes on it as with one, and hosts are asked at once.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from typing import Any, Self

import pytest

from reconciler.host.interface import Question
from reconciler.host.memory.host import MemoryHost
from reconciler.host.memory.world import World
from reconciler.model.observed import HostView, Reachable
from reconciler.model.record import Records
from reconciler.observe import observe
from tests import builders as b
from tests.e2e.driver import Driver
from tests.e2e.sights import settle, web_sandbox
from tests.lab.host import LabHost
from tests.simulate.loop import VirtualLoop

MANY, ROUND_TRIPS_MAX = 12, 26
QUIET_S = 0.06
HOSTS, LOOK_S = 64, 1.0


class TurnTaking:
    """A line on which both ends speak in turns, so that round trips can be counted: a stand-in for a far host.

    What one end says is held back until it has been quiet for a while. A pause too long for that only adds to `turns`.
    """

    def __init__(self, address: str, port: int) -> None:
        self.port = 0
        self.turns = 0
        self._target = (address, port)
        self._stack = AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._stack.callback(server.close)
        self.port = server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        with suppress(OSError):
            await asyncio.gather(
                self._pass(reader, far_writer, counted=True), self._pass(far_reader, writer, counted=False)
            )
        for each in (writer, far_writer):
            each.transport.abort()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, counted: bool) -> None:
        while piece := await source.read(1 << 20):
            held = [piece]
            with suppress(TimeoutError):
                while more := await asyncio.wait_for(source.read(1 << 20), QUIET_S):
                    held.append(more)
            self.turns += counted
            sink.write(b"".join(held))
            await sink.drain()


async def _turns(driver: Driver, host: LabHost) -> int:
    async with TurnTaking(host.address, host.ssh_port) as line:
        driver.declare_host(host, address="127.0.0.1", ssh={"port": line.port})
        said = await asyncio.to_thread(driver.run, "plan", "--detailed-exitcode")
        said.expect(0)
        return line.turns


@pytest.mark.lab
async def test_a_plan_takes_as_many_round_trips_for_twelve_sandboxes_as_for_one(fleet: Driver, alpha: LabHost) -> None:
    fleet.drop("Host", "beta")
    turns = {}
    for count in (1, MANY):
        fleet.declare_host(alpha)
        for number in range(count):
            files = {"note": {"path": "note", "content": f"{number}\n"}}
            web_sandbox(fleet, f"web-{number}", "alpha", files=files)
        await asyncio.to_thread(settle, fleet)
        turns[count] = await _turns(fleet, alpha)
    # A busy machine adds a pause, and so a turn, here and there; a trip for each sandbox would add twelve.
    assert turns[MANY] <= turns[1] + MANY // 2, turns
    assert turns[MANY] <= ROUND_TRIPS_MAX, turns


class Far(MemoryHost):
    """An in-memory host that takes a second of virtual time for a look."""

    async def look(self, question: Question, *, now: Callable[[], datetime]) -> HostView:
        """Look, and take long for it."""
        await asyncio.sleep(LOOK_S)
        return await super().look(question, now=now)


def test_many_hosts_take_as_long_as_one() -> None:
    names = [f"h{number}" for number in range(HOSTS)]
    hosts = {name: Far(name, World(seed=name)) for name in names}
    desired = b.a_desired(hosts={name: b.a_host(name) for name in names})

    async def look() -> tuple[float, Any]:
        began_s = asyncio.get_running_loop().time()
        sighting = await observe(desired, connect=lambda host: hosts[host.name], records=Records(), now=lambda: b.T0)
        return asyncio.get_running_loop().time() - began_s, sighting.observed

    loop = VirtualLoop(random.Random(1))  # noqa: S311  # the order of tasks
    try:
        took_s, observed = loop.run_until_complete(look())
    finally:
        loop.close()
    assert all(isinstance(state, Reachable) for state in observed.hosts.values())
    assert len(observed.hosts) == HOSTS
    assert took_s < 2 * LOOK_S
