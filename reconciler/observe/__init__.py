"""Ask all hosts at once, and keep apart who answered in full from who did not. Changes nothing.

Front doors: `observe`; after a walk, `afterwards`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterable

import msgspec

from reconciler.errors import HostError
from reconciler.host.interface import Question, Reader
from reconciler.model.desired import Admission, Desired, HostDesired, SandboxDesired
from reconciler.model.observed import Observed, Reachable, SeenLock, Unreachable
from reconciler.model.record import Records
from reconciler.model.resource import Directory, File, Tree
from reconciler.model.text import bind, is_run_scoped, late_names
from reconciler.observe.counters import read_counters
from reconciler.observe.readiness import Now

__all__ = ["Connect", "Sighting", "observe"]

Connect = Callable[[HostDesired], Reader]


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what was seen, and the connections of the hosts that were asked, for whoever goes on with them."""

    observed: Observed
    readers: dict[str, Reader]

    @property
    def locks(self) -> dict[str, SeenLock]:
        """Give what each host that answered told of its lock."""
        return {name: look.view.lock for name, look in self.observed.hosts.items() if isinstance(look, Reachable)}

    async def close(self) -> None:
        """Close every connection; safe to call twice."""
        await _close_all(self.readers.values())


async def observe(
    desired: Desired,
    *,
    connect: Connect,
    records: Records,
    now: Now,
    only: frozenset[str] | None = None,
    with_facts: bool = False,
    with_tags: bool = False,
    roots: tuple[str, ...] = (),
) -> Sighting:
    """Look at every host of the specs in parallel, bounded by the fleet's limit.

    Args:
        desired: names the hosts, and the images and paths to ask about.
        connect: gives the way to one host, which connects with its first call.
        records: tell since when a host has not answered.
        now: the controller's clock.
        only: ask these hosts alone.
        with_facts: collect counters too; they are collected anyway where admission, a new placement or a sandbox that
            asks for GPUs needs them.
        with_tags: ask registries too what the wanted images' tags name now.
        roots: folders whose entries are listed on every host; `${host.baseDir}` is ours.

    Returns:
        One entry for each asked host: a slow or dead one never takes another's place. Readers must be closed.
    """
    gate = asyncio.Semaphore(desired.limits.concurrent_hosts)
    wanted: defaultdict[str, list[SandboxDesired]] = defaultdict(list)
    for sandbox in desired.everywhere():
        wanted[sandbox.host].append(sandbox)
    remembered = {record.sandbox for record in records.sandboxes}
    to_place = {host for name, choice in desired.choices.items() if name not in remembered for host in choice.hosts}
    readers: dict[str, Reader] = {}

    async def one(host: HostDesired) -> Reachable | Unreachable:
        async with gate:
            reader = readers[host.name] = connect(host)
            try:
                question = await _question(reader, wanted[host.name], fleet=desired.fleet, with_tags=with_tags)
                view = await reader.look(msgspec.structs.replace(question, roots=roots), now=now)
            except HostError as error:
                return _silent(host.name, error)
        # Counters are read twice, a pause between: no other host's look waits for that.
        asks_for_gpus = any(one.gpu is not msgspec.UNSET for want in wanted[host.name] for one in want.containers)
        needs_facts = with_facts or asks_for_gpus or host.admission != Admission() or host.name in to_place
        try:
            return Reachable(view=view, snapshot=await read_counters(reader, view, now=now) if needs_facts else None)
        except HostError as error:
            return _silent(host.name, error)

    def _silent(name: str, error: HostError) -> Unreachable:
        known = records.hosts.get(name)
        since = known.unreachable_since if known is not None else None
        return Unreachable(code=error.code, reason=error.message, hint=error.hint, since=since or now())

    asked = [host for name, host in sorted(desired.hosts.items()) if only is None or name in only]
    try:
        states = await asyncio.gather(*(one(host) for host in asked))
    except BaseException:
        await _close_all(readers.values())
        raise
    return Sighting(
        observed=Observed(hosts={host.name: state for host, state in zip(asked, states, strict=True)}),
        readers=readers,
    )


async def _close_all(readers: Iterable[Reader]) -> None:
    """Close every connection, also while a person insists on stopping: one left open complains on the terminal."""
    closing = asyncio.gather(*(reader.close() for reader in readers), return_exceptions=True)
    while not closing.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(closing)


async def _question(reader: Reader, wanted: list[SandboxDesired], *, fleet: str, with_tags: bool) -> Question:
    """Ask about every image and path that the sandboxes of one host name."""
    placed: list[Directory | File | Tree] = []
    for sandbox in wanted:
        placed += (*sandbox.directories, *sandbox.files, *((sandbox.tree,) if sandbox.tree is not None else ()))
    # The look tells who answers, too: it is only asked before where that tells what a path means.
    is_late = any(late_names(item.path) for item in placed)
    bindings = (await reader.identify()).bindings if is_late else {}
    paths = {str(bind(item.path, bindings)): isinstance(item, File) for item in placed if not is_run_scoped(item.path)}
    images = tuple(sorted({container.image for sandbox in wanted for container in sandbox.containers}))
    return Question(
        fleet=fleet,
        images=images,
        tags=tuple(one for one in images if "@" not in one) if with_tags else (),
        paths=tuple(sorted(paths)),
        hashed=tuple(sorted(path for path, is_file in paths.items() if is_file)),
    )
