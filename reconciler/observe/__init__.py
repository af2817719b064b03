"""Ask all hosts at once, and keep apart who answered in full from who did not. Changes nothing.

Front doors: `observe`, `ask_readiness`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable

import msgspec

from reconciler.errors import HostError, ReadFailed
from reconciler.host.interface import Question, Reader
from reconciler.model.desired import Admission, Desired, HostDesired, SandboxDesired
from reconciler.model.observed import HostIdentity, Observed, Reachable, Unreachable
from reconciler.model.record import Records
from reconciler.model.resource import Directory, File
from reconciler.model.snapshot import HostSnapshot
from reconciler.model.text import bind
from reconciler.observe.readiness import Now, ask_readiness

__all__ = ["Connect", "Sighting", "ask_readiness", "close_all", "observe"]

Connect = Callable[[HostDesired], Reader]


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what was seen, and the open connections of the hosts that answered, for whoever goes on with them."""

    observed: Observed
    readers: dict[str, Reader]


async def observe(
    desired: Desired,
    *,
    connect: Connect,
    records: Records,
    now: Now,
    only: frozenset[str] | None = None,
    with_facts: bool = False,
    with_tags: bool = False,
) -> Sighting:
    """Look at every host of the specs in parallel, bounded by the fleet's limit.

    Args:
        desired: names the hosts, and the images and paths to ask about.
        connect: gives the way to one host, which connects with its first call.
        records: tell since when a host has not answered.
        now: the controller's clock.
        only: ask these hosts alone.
        with_facts: collect counters too; they are collected anyway where admission needs them.
        with_tags: ask registries too what the wanted images' tags name now.

    Returns:
        One entry for each asked host: a slow or dead one never takes another's place. Readers must be closed.
    """
    gate = asyncio.Semaphore(desired.limits.concurrent_hosts)
    readers: dict[str, Reader] = {}

    async def one(host: HostDesired) -> Reachable | Unreachable:
        async with gate:
            reader = readers[host.name] = connect(host)
            try:
                return await _look(reader, host, desired, now=now, with_facts=with_facts, with_tags=with_tags)
            except HostError as error:
                known = records.hosts.get(host.name)
                since = known.unreachable_since if known is not None else None
                return Unreachable(code=error.code, reason=error.message, hint=error.hint, since=since or now())

    asked = [host for name, host in sorted(desired.hosts.items()) if only is None or name in only]
    try:
        states = await asyncio.gather(*(one(host) for host in asked))
    except BaseException:
        await close_all(readers.values())
        raise
    return Sighting(
        observed=Observed(hosts={host.name: state for host, state in zip(asked, states, strict=True)}),
        readers=readers,
    )


async def close_all(readers: Iterable[Reader]) -> None:
    """Close every connection, also while a person insists on stopping: one left open complains on the terminal."""
    closing = asyncio.gather(*(reader.close() for reader in readers), return_exceptions=True)
    while not closing.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(closing)


async def _look(
    reader: Reader, host: HostDesired, desired: Desired, *, now: Now, with_facts: bool, with_tags: bool
) -> Reachable:
    identity = await reader.identify()
    wanted = [sandbox for sandbox in desired.sandboxes.values() if sandbox.host == host.name]
    question = _question(desired.fleet, wanted, identity)
    if with_tags:
        question = msgspec.structs.replace(question, tags=tuple(one for one in question.images if "@" not in one))
    view = await reader.look(question, now=now)
    snapshot: HostSnapshot | None = None
    if with_facts or host.admission != Admission():
        ids = tuple(seen.full_id for seen in view.containers if seen.live.state == "running")
        # A host whose counters cannot be read is looked at all the same; admission says what it then lacks.
        with contextlib.suppress(ReadFailed):
            snapshot = await reader.facts(ids, now=now)
    return Reachable(view=view, snapshot=snapshot)


def _question(fleet: str, wanted: list[SandboxDesired], identity: HostIdentity) -> Question:
    """Ask about every image and path that the sandboxes of one host name."""
    paths: set[str] = set()
    hashed: set[str] = set()
    for sandbox in wanted:
        for resource in sandbox.resources:
            if isinstance(resource, Directory | File):
                path = str(bind(resource.path, identity.bindings))
                paths.add(path)
                if isinstance(resource, File):
                    hashed.add(path)
    images = {container.image for sandbox in wanted for container in sandbox.containers}
    return Question(fleet=fleet, images=tuple(sorted(images)), paths=tuple(sorted(paths)), hashed=tuple(sorted(hashed)))
