"""Ask once whether sandboxes that nothing is to be done about are ready, so that status never rests on memory alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from reconciler.errors import HostError
from reconciler.host.interface import Reader
from reconciler.model.desired import SandboxDesired
from reconciler.model.names import DerivedName
from reconciler.model.outcome import ActionEnded
from reconciler.model.probe import FinishedProbe, Probe, ProbePassed, RunningProbe

Now = Callable[[], datetime]
ASK_LIMIT_S = 10.0
"""One ask of one probe; a probe that needs longer is not passed by a sandbox that serves."""


async def ask_readiness(
    wanted: Iterable[SandboxDesired], *, fleet: str, readers: Mapping[str, Reader], now: Now
) -> tuple[ActionEnded, ...]:
    """Ask every probe of each sandbox once, hosts and sandboxes in parallel.

    Returns:
        Per sandbox that could be asked, under the id `<host>/<name>`: `done` with `ready_at` when all passed, else
        `failed` with what came instead.
    """
    asked = [sandbox for sandbox in wanted if sandbox.host in readers]
    found = await asyncio.gather(*(_ask(item, fleet=fleet, reader=readers[item.host], now=now) for item in asked))
    return tuple(ended for ended in found if ended is not None)


async def _ask(sandbox: SandboxDesired, *, fleet: str, reader: Reader, now: Now) -> ActionEnded | None:
    """Ask one sandbox; None when its host did not say."""
    for name, probe in probes_of(sandbox, fleet=fleet):
        try:
            async with asyncio.timeout(ASK_LIMIT_S):
                answer = await reader.probe(probe, name)
        except (HostError, TimeoutError):
            return None
        if not isinstance(answer, ProbePassed):
            message = f"{probe.name} of {probe.container}: {answer.why}"
            return ActionEnded(id=f"{sandbox.host}/{sandbox.name}", end="failed", code="E_NOT_READY", message=message)
    return ActionEnded(id=f"{sandbox.host}/{sandbox.name}", end="done", ready_at=now())


def probes_of(sandbox: SandboxDesired, *, fleet: str) -> list[tuple[str, Probe]]:
    """Give each probe that its containers must pass, with the container's Docker name."""
    found: list[tuple[str, Probe]] = []
    for container in sandbox.containers:
        if container.optional:
            continue
        name = str(DerivedName(fleet, sandbox.name, container.name))
        own = [probe for probe in sandbox.probes if probe.container == container.name]
        kind = FinishedProbe if container.run == "once" else RunningProbe
        found += [(name, probe) for probe in own or [kind(name="started", container=container.name)]]
    return found
