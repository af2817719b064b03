"""Ask once whether sandboxes that nothing is to be done about are ready, so that status never rests on memory alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from reconciler.errors import HostError
from reconciler.host.interface import Reader
from reconciler.model.desired import SandboxDesired
from reconciler.model.outcome import ActionEnded
from reconciler.model.probe import LogProbe, ProbePassed

Now = Callable[[], datetime]
ASK_LIMIT_S = 10.0
"""One ask of one probe; a probe that needs longer is not passed by a sandbox that serves."""


async def ask_readiness(
    wanted: Iterable[SandboxDesired],
    *,
    fleet: str,
    readers: Mapping[str, Reader],
    now: Now,
    proved: frozenset[str] = frozenset(),
) -> tuple[ActionEnded, ...]:
    """Ask every probe of each sandbox once, hosts and sandboxes in parallel.

    Args:
        wanted: whom to ask.
        fleet: its name, for Docker's names.
        readers: the way to each host.
        now: the controller's clock.
        proved: sandboxes that were ready in this run before: a line of their log was seen, and may have scrolled by.

    Returns:
        Per sandbox that could be asked, under the id `<host>/<name>`: `done` with `ready_at` when all passed, else
        `failed` with what came instead.
    """
    asked = [sandbox for sandbox in wanted if sandbox.host in readers]
    found = await asyncio.gather(
        *(_ask(item, fleet=fleet, reader=readers[item.host], now=now, proved=item.name in proved) for item in asked)
    )
    return tuple(ended for ended in found if ended is not None)


async def _ask(sandbox: SandboxDesired, *, fleet: str, reader: Reader, now: Now, proved: bool) -> ActionEnded | None:
    """Ask one sandbox; None when its host did not say, and of one that has nothing to ask."""
    parts = sandbox.parts(fleet)
    for part in parts:
        for probe in () if part.optional else part.probes:
            if proved and isinstance(probe, LogProbe):
                continue
            try:
                async with asyncio.timeout(ASK_LIMIT_S):
                    answer = await reader.probe(probe, part.docker_name)
            except (HostError, TimeoutError):
                return None
            if not isinstance(answer, ProbePassed):
                message = f"{probe.name} of {probe.container}: {answer.why}"
                end_id = f"{sandbox.host}/{sandbox.name}"
                return ActionEnded(id=end_id, end="failed", code="E_NOT_READY", message=message)
    return ActionEnded(id=f"{sandbox.host}/{sandbox.name}", end="done", ready_at=now()) if parts else None
