"""The dozen verbs that the house may ask of a host. The real host and the in-memory one both speak exactly these.

A `Reader` is all that plan, status and inspect ever get: it cannot mutate, down to the wire. A `Host` adds one door
for every mutation. Reads come back whole or raise `ReadFailed`; mutations come back as `Done`, `NotDone` or `Unknown`
and never raise.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import msgspec

from reconciler.model.effect import Effect, Outcome
from reconciler.model.observed import HostIdentity, HostView, SeenContainer
from reconciler.model.probe import Probe, ProbeResult
from reconciler.model.snapshot import HostSnapshot, Weight

Progress = Callable[[str], None]
"""Called with one short line for people while a long effect runs, e.g. `pulling 120/340 MB`."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Say what a look must cover.

    Attributes:
        fleet: containers, networks and volumes with this fleet's label, or a name it derives, are read in full.
        images: references whose facts are wanted besides those of the containers.
        tags: references whose registries are asked what they name now, through the host's own engine. Those of images
            that no registry gave out are not asked.
        paths: absolute paths to report on.
        hashed: those of `paths` whose content is to be hashed.
        roots: folders whose entries are to be listed; `${host.baseDir}` is ours.
    """

    fleet: str
    images: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()


class Busy(msgspec.Struct, frozen=True, tag="busy"):
    """Say who holds the host's lock, and since when."""

    holder: str
    since: str


class Lease(Protocol):
    """Hold a host's lock until `release`, or until the connection dies.

    Attributes:
        line: what the host keeps of this hold, for others to read.
        before: what it kept of the hold before this one; empty for none.
    """

    line: str
    before: str

    @property
    def lost(self) -> bool:
        """Tell whether the lock is certainly or possibly gone."""

    async def release(self) -> None:
        """Give the lock back."""


class Reader(Protocol):
    """Read one host."""

    @property
    def name(self) -> str:
        """Give the host's name in the specs."""

    async def identify(self) -> HostIdentity:
        """Say whose machine answers. Raises `ConnectFailed` or `ReadFailed`."""

    async def look(self, question: Question, *, now: Callable[[], datetime]) -> HostView:
        """Look once, in full. Raises `ReadFailed`; never returns part of an answer."""

    async def facts(
        self,
        container_ids: tuple[str, ...],
        *,
        now: Callable[[], datetime],
        with_docker_disk: bool = False,
        with_gpus: bool = True,
    ) -> HostSnapshot:
        """Collect the host's counters; rates are over 200 ms, since the last look where there was one just before.

        Raises `ReadFailed`.

        What Docker's images, containers and volumes take is asked for only on demand: an engine adds it up for seconds.
        GPUs need not be asked for: that takes a good part of a second where there are any.
        """

    async def weigh(self, containers: tuple[str, ...]) -> dict[str, Weight]:
        """Measure what containers take by themselves, by exact Docker name or full id; raises `ReadFailed`.

        Those that the host says are absent are not in the answer. What an engine is slow to add up, it is asked for
        2 s; what is missing then says so.
        """

    async def find(self, name: str) -> SeenContainer | None:
        """Inspect one container by its exact Docker name or full id; None only when the host says it is absent."""

    async def probe(self, probe: Probe, container: str) -> ProbeResult:
        """Ask one probe once, of the container with this Docker name."""

    async def logs(self, full_id: str, *, lines: int) -> tuple[str, ...]:
        """Read the last lines of a container's output, control characters escaped."""

    async def close(self) -> None:
        """Close the connection; safe to call twice."""


class Host(Reader, Protocol):
    """Read and change one host."""

    async def hold(self, owner: str) -> Lease | Busy:
        """Take the host's lock, or learn who has it. Raises `ConnectFailed` or `ReadFailed`."""

    async def effect(self, effect: Effect, *, secrets: dict[str, str], progress: Progress | None = None) -> Outcome:
        """Do one effect within its own deadline, after checking its target again in the same operation.

        `secrets` maps `secret:NAME` to values for what is still symbolic in the effect. Only while a lease is held:
        without one, or with a lost one, every effect is `NotDone`.
        """
