"""Hold one case of the contract: a host, a sandbox of its own, and short ways to say what is done to it."""

from __future__ import annotations

from typing import Any

from reconciler.host.interface import Host
from reconciler.model.effect import (
    CreateContainer,
    Done,
    Effect,
    Existing,
    NotDone,
    Outcome,
    PutMarker,
    StartContainer,
)
from reconciler.model.observed import SeenContainer
from reconciler.model.probe import Probe, ProbeResult
from reconciler.model.resource import Container
from tests.builders import FLEET, a_marker, a_sandbox, docker_name, labels_for
from tests.contract.bench import BUSYBOX, SLEEPS, Bench


class Case:
    """Do things to one host, about one sandbox."""

    def __init__(self, bench: Bench, host: Host, *, sandbox: str, port: int) -> None:
        self.bench = bench
        self.host = host
        self.port = port
        self.sandbox = a_sandbox(sandbox)
        self.uid = self.sandbox.uid
        self.name = docker_name(self.sandbox)
        self.folder = f"{bench.base_dir}/{self.uid}"

    def labels(self, resource: str = "main", **over: Any) -> dict[str, str]:
        """Give the labels of one of the sandbox's objects."""
        return labels_for(self.sandbox, resource, **over)

    def container(self, **over: Any) -> Container:
        """Want a container that sleeps."""
        given = {"name": "main", "image": BUSYBOX, "command": SLEEPS, "restart": "no", "stop_grace_s": 1, **over}
        return Container(**given)

    def creation(self, *, attempt: str = "a-1", name: str | None = None, **over: Any) -> CreateContainer:
        """Order its creation."""
        return CreateContainer(
            name=self.name if name is None else name,
            container=self.container(**over),
            labels=self.labels(attempt=attempt),
        )

    async def do(self, effect: Effect, **secrets: str) -> Outcome:
        """Do an effect."""
        return await self.host.effect(effect, secrets={f"secret:{name}": value for name, value in secrets.items()})

    async def done(self, effect: Effect, *, changed: bool | None = True) -> Done:
        """Do an effect that must hold."""
        outcome = await self.do(effect)
        assert isinstance(outcome, Done), outcome
        assert changed is None or outcome.changed is changed, outcome
        return outcome

    async def refused(self, effect: Effect) -> NotDone:
        """Do an effect that must certainly not hold."""
        outcome = await self.do(effect)
        assert isinstance(outcome, NotDone), outcome
        return outcome

    async def make(self, *, start: bool = False, **over: Any) -> SeenContainer:
        """Create a container, and start it where asked."""
        made = await self.done(self.creation(**over))
        assert made.value is not None
        seen = await self.see(made.value)
        if start:
            await self.done(StartContainer(self.target(seen)))
            seen = await self.see(made.value)
        return seen

    async def see(self, name: str) -> SeenContainer:
        """Find a container that must be there."""
        seen = await self.host.find(name)
        assert seen is not None
        return seen

    def target(self, seen: SeenContainer, **over: Any) -> Existing:
        """Target a container as it was seen."""
        return Existing(**{"full_id": seen.full_id, "name": seen.name, "uid": self.uid, **over})

    async def mark(self, **over: Any) -> None:
        """Write the sandbox's marker, and so make its folder."""
        await self.done(PutMarker(base_dir=self.bench.base_dir, marker=a_marker(self.sandbox, **over)), changed=None)

    async def ask(self, probe: Probe) -> ProbeResult:
        """Ask a probe of the sandbox's container once."""
        return await self.host.probe(probe, self.name)


OTHER_FLEET = f"not-{FLEET}"
