"""Order things about one container of a real host, over a connection that holds its lock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import uuid4

from reconciler.host import open_gate, open_host
from reconciler.host.interface import Busy, Host
from reconciler.model.access import HostAccess
from reconciler.model.effect import CreateContainer, Done, Effect, Existing, NotDone
from reconciler.model.probe import Probe, ProbePassed
from reconciler.model.resource import Container
from tests.builders import T0, a_sandbox, docker_name, labels_for
from tests.integration.ways import way_to
from tests.lab.host import LabHost

BUSYBOX, WEB = "lab/busybox:1", "lab/web:1"
ASK_S = 0.05


def now() -> datetime:
    """Tell the time of the tests, which stands still."""
    return T0


def access_to(host: LabHost, **fields: Any) -> HostAccess:
    """Reach a lab host, by default directly, with a base folder below a home that it tells itself."""
    return way_to(host, **{"base_dir": "${host.home}/.reconciler/lab", **fields})


@asynccontextmanager
async def changing(access: HostAccess) -> AsyncIterator[Host]:
    """Open a host and hold its lock."""
    host = open_host(access, gate=open_gate(), clock=now)
    try:
        # The lock of a connection that was just cut is free within a moment.
        async with asyncio.timeout(20):
            while isinstance(await host.hold("tests"), Busy):  # noqa: ASYNC110  # another machine's lock sets no event
                await asyncio.sleep(ASK_S)
        yield host
    finally:
        await host.close()


class Subject:
    """Name one sandbox of a test, and order things about its container."""

    def __init__(self, lab: LabHost) -> None:
        self.lab = lab
        self.sandbox = a_sandbox(f"s-{uuid4().hex[:8]}")
        self.name = docker_name(self.sandbox)

    @property
    def target(self) -> Existing:
        """Aim at the container that bears the name now, or at none that there is."""
        named = [seen["Id"] for seen in self.lab.containers() if f"/{self.name}" in seen["Names"]]
        return Existing(named[0] if named else "0" * 64, self.name, self.sandbox.uid)

    def creation(self, *, attempt: str = "a-1", **over: object) -> CreateContainer:
        given = {"name": "main", "image": BUSYBOX, "command": ("sleep", "86400"), "restart": "no", "stop_grace_s": 0}
        return CreateContainer(self.name, Container(**{**given, **over}), labels_for(self.sandbox, attempt=attempt))  # type: ignore[arg-type]  # fields of Container


async def do(host: Host, effect: Effect) -> Done:
    """Do an effect that must hold."""
    outcome = await host.effect(effect, secrets={})
    assert isinstance(outcome, Done), outcome
    return outcome


async def until_passed(host: Host, probe: Probe, name: str) -> None:
    """Ask a probe until it passes."""
    async with asyncio.timeout(20):
        while await host.probe(probe, name) != ProbePassed():  # noqa: ASYNC110  # a container sets no event here
            await asyncio.sleep(ASK_S)


async def refuse(host: Host, effect: Effect) -> NotDone:
    """Do an effect that must certainly not hold."""
    outcome = await host.effect(effect, secrets={})
    assert isinstance(outcome, NotDone), outcome
    return outcome
