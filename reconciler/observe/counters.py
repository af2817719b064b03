"""Read a host's counters where they are worth having, and do without them where it does not tell."""

from __future__ import annotations

import contextlib

from reconciler.errors import ReadFailed
from reconciler.host.interface import Reader
from reconciler.model.observed import HostView
from reconciler.model.outcome import PassEnded
from reconciler.model.ownership import derived_from
from reconciler.model.snapshot import HostSnapshot
from reconciler.observe.readiness import Now


async def read_counters(
    reader: Reader, view: HostView, *, now: Now, ended: PassEnded | None = None
) -> HostSnapshot | None:
    """Read the counters of a host and of our containers that run there, after a pass of those that it left."""
    with contextlib.suppress(ReadFailed):
        return await reader.facts(_running(view, ended, host=reader.name), now=now)
    return None


def _running(view: HostView, ended: PassEnded | None, *, host: str) -> tuple[str, ...]:
    left = {} if ended is None else {item.id: item.instances for item in ended.actions if item.instances is not None}
    found = [instance.full_id for id_, parts in left.items() if id_.startswith(f"{host}/") for instance in parts]
    for seen in view.containers:
        name = derived_from(seen.name, seen.labels)
        is_told = name is not None and f"{host}/{name.sandbox}" in left
        found += [seen.full_id] if seen.live.state == "running" and not is_told else []
    return tuple(found)
