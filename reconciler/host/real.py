"""Be a real host: one connection, every read whole or an error, and one door for every mutation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from reconciler.errors import HostError, ReadFailed
from reconciler.host.docker.decode import decode_container, decode_image, decode_list, decode_networks, decode_volumes
from reconciler.host.docker.refusals import words_of
from reconciler.host.docker.registry import RegistryLogin, find_login
from reconciler.host.files.look import FilesSeen, look_at_files
from reconciler.host.foreign import DockerRefused
from reconciler.host.interface import Busy, Lease, Progress, Question
from reconciler.host.measure.collector import Earlier, collect, remember_ticks
from reconciler.host.measure.facts import add_engine_facts
from reconciler.host.together import as_read_failure, both, first_failure, together
from reconciler.model.effect import Effect, NotDone, Outcome
from reconciler.model.observed import (
    HostIdentity,
    HostView,
    ImageAbsent,
    ImageFact,
    Neighbour,
    SeenContainer,
    TagUnknown,
)
from reconciler.model.ownership import is_of_fleet
from reconciler.model.text import bind, printable

if TYPE_CHECKING:
    from reconciler.host.docker.reader import DockerReader, EngineFacts
    from reconciler.host.way.dial import Gate
    from reconciler.host.way.link import Link
    from reconciler.model.access import HostAccess
    from reconciler.model.probe import Probe, ProbeResult
    from reconciler.model.snapshot import HostSnapshot, Weight

INSPECTS = 16
"""Inspections at once: more only wait inside the engine."""

LOG_LINES_MAX = 10_000


T = TypeVar("T")


class DockerReaderHost:
    """Read one host. It has no way to change anything, down to the wire.

    Args:
        access: how to reach it. `base_dir` may begin with `${host.home}`.
        gate: bounds the logins of the whole process.
        logins: of the registries that want one.
    """

    def __init__(self, access: HostAccess, *, gate: Gate, logins: tuple[RegistryLogin, ...] = ()) -> None:
        self._access = access
        self._gate = gate
        self._logins = logins
        self._link: Link | None = None
        self._dialling = asyncio.Lock()
        self._base_dir: str | None = None
        self._looked: Earlier | None = None
        self._listed: list[dict[str, Any]] | None = None
        self._layers: dict[str, tuple[str, ...]] = {}

    @property
    def name(self) -> str:
        """Give the host's name in the specs."""
        return self._access.name

    async def identify(self) -> HostIdentity:
        """Say whose machine answers. Raises `ConnectFailed` or `ReadFailed`."""
        link = await self._reach()
        files, facts = await both(self._see(link), link.engine())
        return _identity(files, facts)

    async def look(self, question: Question, *, now: Callable[[], datetime]) -> HostView:
        """Look once, in full. Raises `ReadFailed` or `ConnectFailed`; never returns part of an answer."""
        link = await self._reach()
        try:
            async with asyncio.TaskGroup() as group:
                files = group.create_task(self._see(link, question, markers=True))
                read = await link.reader()
                listed = group.create_task(read.list_containers())
                networks = group.create_task(read.list_networks())
                volumes = group.create_task(read.list_volumes())
                asked = group.create_task(self._images(read, question.images))
                self._listed = await listed
                everyone = decode_list(self._listed, host=self.name)
                ours = tuple(one for one in everyone if is_of_fleet(one.name, one.labels, fleet=question.fleet))
                seen = await self._inspect(read, ours)
                images = await self._images(read, sorted({one.image_id for one in seen}))
                known_here = await asked
                pulled = [one for one in question.tags if _was_given_out(known_here.get(one))]
                tags = await self._tags(read, pulled)
        except ExceptionGroup as failed:
            raise first_failure(failed) from failed
        known = {one.full_id for one in ours}
        return HostView(
            identity=_identity(files.result(), await link.engine()),
            observed_at=now(),
            host_clock_epoch_s=files.result().clock_epoch_s,
            containers=seen,
            neighbours=tuple(one for one in everyone if one.full_id not in known),
            networks=tuple(
                one
                for one in decode_networks(networks.result(), host=self.name)
                if is_of_fleet(one.name, one.labels, fleet=question.fleet)
            ),
            volumes=tuple(
                one
                for one in decode_volumes({"Volumes": volumes.result()}, host=self.name)
                if is_of_fleet(one.name, one.labels, fleet=question.fleet)
            ),
            images={**images, **known_here},
            tags=tags,
            paths=files.result().paths,
            markers=files.result().markers,
            taken_ports={port: one.name for one in everyone for port in one.ports},
            roots=files.result().roots,
            lock=files.result().lock,
        )

    async def facts(
        self,
        container_ids: tuple[str, ...],
        *,
        now: Callable[[], datetime],
        with_docker_disk: bool = False,
        with_gpus: bool = True,
    ) -> HostSnapshot:
        """Collect the host's counters, the first time after a look with what that one told. Raises as `look`."""
        from reconciler.host.measure.layers import stored  # noqa: PLC0415  # the engine's client is heavy

        link = await self._reach()
        earlier, listed = self._looked, self._listed
        self._looked = self._listed = None
        if earlier is None or not earlier.is_recent:
            earlier = listed = None
        try:
            engine, read = await link.engine(), await link.reader()
            snapshot = await collect(
                link.held,
                base_dir=await self._own_folder(link),
                docker_root=engine.root,
                now=now,
                container_ids=container_ids,
                gpus=with_gpus,
                earlier=earlier,
            )
            listed = await read.list_containers() if listed is None else listed
            disk = await stored(read) if with_docker_disk else None
        except DockerRefused as refused:
            raise as_read_failure(refused) from refused
        return add_engine_facts(snapshot, containers=listed, disk=disk)

    async def weigh(self, containers: tuple[str, ...]) -> dict[str, Weight]:
        """Measure what containers take by themselves; those that are absent are not in the answer. Raises as `look`."""
        from reconciler.host.measure.weights import weigh  # noqa: PLC0415  # plan and status need none

        link = await self._reach()
        return await self._asked(weigh(link.held, await link.wire(), containers, known=self._layers))

    async def find(self, name: str) -> SeenContainer | None:
        """Inspect one container by its exact Docker name or full id; None only when the host says it is absent."""
        read = await (await self._reach()).reader()
        raw = await self._asked(read.inspect_container(name))
        if raw is None:
            return None
        seen = decode_container(raw, host=self.name)
        # The engine also takes part of an id; who is found that way is not whom was asked for.
        return seen if name in (seen.full_id, seen.name) else None

    async def probe(self, probe: Probe, container: str) -> ProbeResult:
        """Ask one probe once, of the container with this Docker name. Raises `ReadFailed` or `ConnectFailed`."""
        from reconciler.host.probing import ask  # noqa: PLC0415  # few callers need it

        link = await self._reach()
        read = await link.reader()
        return await self._asked(ask(probe, container, link=link, read=read, write=None))

    async def logs(self, full_id: str, *, lines: int) -> tuple[str, ...]:
        """Read the last lines of a container's output, control characters escaped."""
        from reconciler.host.probing import read_asked, split_lines  # noqa: PLC0415  # few callers need it

        read = await (await self._reach()).reader()
        raw = await self._asked(read.inspect_container(full_id))
        if raw is None:
            raise ReadFailed(f"host {self.name} has no container {full_id}", code="E_TARGET_GONE")
        asked = read_asked(raw, host=self.name)
        if lines <= 0:
            return ()
        count = min(lines, LOG_LINES_MAX)
        data = await self._asked(read.logs(asked.seen.full_id, lines=count, tty=asked.tty))
        return tuple(printable(line, kept="\t") for line in list(split_lines(data))[-count:])

    async def close(self) -> None:
        """Close the connection; safe to call twice."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    # How it is done --------------------------------------------------------------------------------------------------

    async def _reach(self) -> Link:
        """Give the connection, making it when there is none or it was lost."""
        from reconciler.host.way.dial import dial  # noqa: PLC0415  # the engine's client is heavy

        async with self._dialling:
            if self._link is not None and self._link.is_lost:
                await self.close()
            if self._link is None:
                # Another connection may lead to another machine: nothing that was learned is carried over.
                self._base_dir = self._looked = self._listed = None
                self._link = await dial(self._access, self._gate)
            return self._link

    async def _see(self, link: Link, question: Question | None = None, *, markers: bool = False) -> FilesSeen:
        seen = await look_at_files(
            link.held,
            host=self.name,
            base_dir=self._access.base_dir,
            markers=markers,
            paths=() if question is None else question.paths,
            hashed=() if question is None else question.hashed,
            roots=() if question is None else question.roots,
        )
        self._base_dir, self._looked = seen.base_dir, remember_ticks(boot_id=seen.boot_id, line=seen.cpu_line)
        return seen

    async def _own_folder(self, link: Link) -> str:
        if self._base_dir is None:
            await self._see(link)
        return self._base_dir or self._access.base_dir

    async def _inspect(self, read: DockerReader, ours: Iterable[Neighbour]) -> tuple[SeenContainer, ...]:
        """Inspect containers, a few at a time. One that went between list and inspection is gone, says the host."""

        async def one(full_id: str) -> SeenContainer | None:
            raw = await read.inspect_container(full_id)
            seen = None if raw is None else decode_container(raw, host=self.name)
            if seen is not None and seen.full_id != full_id:
                said = f"host {self.name}: asked for the container {full_id}, the engine told of {seen.full_id}"
                raise ReadFailed(said, code="E_HOST_REPLY")
            return seen

        found = await _each(one, (neighbour.full_id for neighbour in ours))
        return tuple(seen for seen in found.values() if seen is not None)

    async def _images(self, read: DockerReader, references: Iterable[str]) -> dict[str, ImageFact | ImageAbsent]:

        async def one(reference: str) -> ImageFact | ImageAbsent:
            raw = await read.inspect_image(reference)
            return ImageAbsent() if raw is None else decode_image(raw, host=self.name)

        return await _each(one, references)

    async def _tags(self, read: DockerReader, references: Iterable[str]) -> dict[str, str | TagUnknown]:
        """Ask registries what tags name now. A registry that does not tell makes no host unreadable."""

        async def one(reference: str) -> str | TagUnknown:
            try:
                return await read.registry_digest(reference, login=find_login(reference, self._logins))
            except DockerRefused as refused:
                return TagUnknown(words_of(refused))
            except ReadFailed as failed:
                return TagUnknown(failed.message)

        return await _each(one, references)

    async def _asked(self, call: Awaitable[T]) -> T:
        """Await a read; what the engine refuses to answer is a failed read."""
        try:
            return await call
        except DockerRefused as refused:
            raise as_read_failure(refused) from refused


class DockerHost(DockerReaderHost):
    """Read and change one host.

    Args:
        access, gate, logins: as for `DockerReaderHost`.
        clock: the controller's clock, for what the lock shows to those who find it taken.
    """

    def __init__(
        self,
        access: HostAccess,
        *,
        gate: Gate,
        clock: Callable[[], datetime],
        logins: tuple[RegistryLogin, ...] = (),
    ) -> None:
        super().__init__(access, gate=gate, logins=logins)
        self._clock = clock
        self._images_known: dict[str, ImageFact] = {}
        self._lease: Lease | None = None
        self._leased: Link | None = None

    async def hold(self, owner: str) -> Lease | Busy:
        """Take the host's lock, or learn who has it. Raises `ConnectFailed` or `ReadFailed`."""
        from reconciler.host.lock import hold  # noqa: PLC0415  # plan and status need none

        link = await self._reach()
        base_dir = await self._own_folder(link)
        since = self._clock().isoformat(timespec="seconds")
        taken = await hold(link.shell, base_dir=base_dir, holder=owner, since=since)
        if not isinstance(taken, Busy):
            self._lease, self._leased = taken, link
        return taken

    async def effect(self, effect: Effect, *, secrets: dict[str, str], progress: Progress | None = None) -> Outcome:
        """Do one effect over the connection that holds the lock. Never raises."""
        from reconciler.host.effects.compose import HostCompose  # noqa: PLC0415  # plan and status change nothing
        from reconciler.host.effects.engine import Engine  # noqa: PLC0415  # plan and status change nothing
        from reconciler.host.effects.perform import perform  # noqa: PLC0415  # same
        from reconciler.host.files.change import HostFiles  # noqa: PLC0415  # same
        from reconciler.host.files.tree import HostTrees  # noqa: PLC0415  # same

        link, lease = self._leased, self._lease

        def is_held() -> bool:
            return lease is not None and link is not None and not lease.lost and not link.is_lost

        if link is None or not is_held():
            return NotDone("E_NO_LEASE", f"the lock of host {self.name} is not held, so nothing is changed there")
        try:
            base_dir = await self._own_folder(link)
            files = HostFiles(link.shell, hand=link.hand, base_dir=base_dir, is_held=is_held)
            compose = HostCompose(link.shell, base_dir=base_dir, socket=self._access.docker_socket, is_held=is_held)
            trees = HostTrees(link.shell, base_dir=base_dir, is_held=is_held, progress=progress)
            engine = Engine(
                self.name,
                read=await link.reader(),
                write=await link.writer(),
                images=self._images_known,
                is_held=is_held,
                logins=self._logins,
                progress=progress,
            )
        except HostError as error:
            return NotDone(error.code, error.message, error.hint, transient=error.transient)
        return await perform(bind(effect, secrets), engine=engine, files=files, trees=trees, compose=compose)

    async def close(self) -> None:
        """Give the lock back and close the connection; safe to call twice."""
        lease, self._lease, self._leased = self._lease, None, None
        if lease is not None:
            # On this machine the lock's holder is a child of ours, which no lost connection would end.
            await lease.release()
        await super().close()

    async def probe(self, probe: Probe, container: str) -> ProbeResult:
        """Ask one probe once, of the container with this Docker name. Raises `ReadFailed` or `ConnectFailed`."""
        from reconciler.host.probing import ask  # noqa: PLC0415  # few callers need it

        link = await self._reach()
        read, write = await link.reader(), await link.writer()
        return await self._asked(ask(probe, container, link=link, read=read, write=write))


async def _each(one: Callable[[str], Awaitable[T]], asked: Iterable[str]) -> dict[str, T]:
    """Ask the engine about each of these once, a few at a time."""
    slots = asyncio.Semaphore(INSPECTS)

    async def in_turn(what: str) -> T:
        async with slots:
            return await one(what)

    names = tuple(dict.fromkeys(asked))
    return dict(zip(names, await together([in_turn(name) for name in names]), strict=True))


def _was_given_out(image: ImageFact | ImageAbsent | None) -> bool:
    """Tell whether a registry may know the image: not one that was built or loaded on the host."""
    return not isinstance(image, ImageFact) or bool(image.digests)


def _identity(files: FilesSeen, facts: EngineFacts) -> HostIdentity:
    return HostIdentity(
        host_id=files.host_id,
        home=files.home,
        uid=files.uid,
        gid=files.gid,
        base_dir=files.base_dir,
        docker_root=facts.root,
        docker_id=facts.id or None,
        machine_id=files.machine_id,
        boot_id=files.boot_id,
        engine_version=facts.version,
        api_version=facts.api,
    )
