"""Take known secrets out of every text that a host gives back, before anybody else sees it.

One place for all ways in: what a container printed, what a probe or the engine said, whatever was raised. The look
and what is found by name are left as they are, for they are compared with what is wanted, and so hold values on
purpose; what of them is shown is redacted where it is put into words (`plan/compare.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from reconciler.errors import HostError
from reconciler.host.interface import Busy, Host, Lease, Progress, Question, Reader
from reconciler.model.effect import Effect, Outcome
from reconciler.model.redaction import Redactor

if TYPE_CHECKING:
    from reconciler.model.observed import HostIdentity, HostView, SeenContainer
    from reconciler.model.probe import Probe, ProbeResult
    from reconciler.model.snapshot import HostSnapshot, Weight

_FOR_PROGRAMS = frozenset({"code", "value"})
"""Codes and ids are acted on, not read: a secret that happens to stand in one must not change it."""


class RedactedReader:
    """Read one host through `reader`, without its secrets.

    Args:
        reader: the host itself.
        redactor: knows the values.
    """

    def __init__(self, reader: Reader, redactor: Redactor) -> None:
        self._reader = reader
        self._redactor = redactor

    @property
    def name(self) -> str:
        """Give the host's name in the specs."""
        return self._reader.name

    async def identify(self) -> HostIdentity:
        """Say whose machine answers."""
        with self._redacting():
            return await self._reader.identify()

    async def look(self, question: Question, *, now: Callable[[], datetime]) -> HostView:
        """Look once, in full, values included."""
        with self._redacting():
            return await self._reader.look(question, now=now)

    async def facts(
        self,
        container_ids: tuple[str, ...],
        *,
        now: Callable[[], datetime],
        with_docker_disk: bool = False,
        with_gpus: bool = True,
    ) -> HostSnapshot:
        """Collect the host's counters."""
        with self._redacting():
            snapshot = await self._reader.facts(
                container_ids, now=now, with_docker_disk=with_docker_disk, with_gpus=with_gpus
            )
        return self._redactor.walk(snapshot)

    async def weigh(self, containers: tuple[str, ...]) -> dict[str, Weight]:
        """Measure what containers take by themselves."""
        with self._redacting():
            weights = await self._reader.weigh(containers)
        return {asked: self._redactor.walk(weight) for asked, weight in weights.items()}

    async def find(self, name: str) -> SeenContainer | None:
        """Inspect one container, values included."""
        with self._redacting():
            return await self._reader.find(name)

    async def probe(self, probe: Probe, container: str) -> ProbeResult:
        """Ask one probe once."""
        with self._redacting():
            return self._redactor.walk(await self._reader.probe(probe, container))

    async def logs(self, full_id: str, *, lines: int) -> tuple[str, ...]:
        """Read the last lines of a container's output."""
        with self._redacting():
            return self._redactor.walk(await self._reader.logs(full_id, lines=lines))

    async def close(self) -> None:
        """Close the connection."""
        with self._redacting():
            await self._reader.close()

    @contextlib.contextmanager
    def _redacting(self) -> Iterator[None]:
        """Redact what is raised, and show nothing of what it was raised from: other libraries' words stand there."""
        try:
            yield
        except HostError as error:
            error.message, error.hint = self._redactor.walk((error.message, error.hint))
            error.args = self._redactor.walk(error.args)
            raise error from None


class RedactedHost(RedactedReader):
    """Read and change one host through `host`, without its secrets in what comes back."""

    def __init__(self, host: Host, redactor: Redactor) -> None:
        super().__init__(host, redactor)
        self._host = host

    async def hold(self, owner: str) -> Lease | Busy:
        """Take the host's lock, or learn who has it."""
        with self._redacting():
            taken = await self._host.hold(owner)
        return self._redactor.walk(taken) if isinstance(taken, Busy) else taken

    async def effect(self, effect: Effect, *, secrets: dict[str, str], progress: Progress | None = None) -> Outcome:
        """Do one effect."""

        def report(line: str) -> None:
            if progress is not None:
                progress(self._redactor.text(line))

        with self._redacting():
            outcome = await self._host.effect(effect, secrets=secrets, progress=report)
        return self._redactor.walk(outcome, but=_FOR_PROGRAMS)
