"""Keep what all actions of one host share: its lock, how many may act at once, and its sampler."""

from __future__ import annotations

import asyncio

import msgspec

from reconciler.apply.patience import CONNECTION, OWN_SESSION, Patience, persist
from reconciler.apply.ports import Clock, Interrupt
from reconciler.apply.sampler import Sampler
from reconciler.apply.waiting import within
from reconciler.errors import HostError
from reconciler.host.interface import Busy, Host, Lease
from reconciler.model.observed import SeenLock
from reconciler.model.text import printable

# The lock also goes with the connection, so giving it back is a courtesy that must not hold up the end.
RELEASE_LIMIT_S = 2.0


class Shut(msgspec.Struct, frozen=True, tag="shut"):
    """Say why no effect may be sent to the host any more. `holder` names who has its lock, when that is why."""

    code: str
    message: str
    hint: str | None = None
    holder: str | None = None


class Lane:
    """Let the actions of one host through, a few at a time, while its lock is held.

    Hosts take a place among `hosts_at_once` only while one of their actions acts, so that an action that waits for
    another host's never keeps that one out.
    """

    def __init__(
        self,
        host: Host,
        *,
        owner: str,
        clock: Clock,
        interrupt: Interrupt,
        hosts_at_once: asyncio.Semaphore,
        actions_at_once: int,
        seen: SeenLock,
    ) -> None:
        self.host = host
        self.sampler = Sampler(host, clock, is_busy=lambda: self._acting > 0)
        self._owner = owner
        self._clock = clock
        self._interrupt = interrupt
        self._hosts = hosts_at_once
        self._actions = asyncio.Semaphore(actions_at_once)
        self._entry = asyncio.Lock()
        self._acting = 0
        self._taking = asyncio.Lock()
        self._lease: Lease | None = None
        self._seen = seen
        self._last = seen.line
        self._shut: Shut | None = None

    @property
    def holder(self) -> str | None:
        """Name who else has the host's lock, once that was found out."""
        return None if self._shut is None else self._shut.holder

    async def enter(self) -> None:
        """Wait for a place to act in."""
        await self._actions.acquire()
        try:
            async with self._entry:
                if self._acting == 0:
                    await self._hosts.acquire()
                self._acting += 1
        except BaseException:
            self._actions.release()
            raise

    def leave(self) -> None:
        """Give the place to the next one."""
        self._acting -= 1
        if self._acting == 0:
            self._hosts.release()
        self._actions.release()

    async def take(self) -> Shut | None:
        """Hold the host's lock, taking it when it is not held or was lost; say why not when that is impossible.

        Nobody is waited for: whatever another pass changes meanwhile is in no plan of ours.

        Once refused, it stays refused for the whole pass: the other actions need not find out again.
        """
        async with self._taking:
            if self._shut is None and (self._lease is None or self._lease.lost):
                await self._take()
            return self._shut

    async def _take(self) -> None:
        if self._seen.is_held:
            since, _, holder = self._last.partition(" ")
            self._shut = self._taken(Busy(holder=printable(holder), since=printable(since)))
            return
        lost, self._lease = self._lease, None
        if lost is not None:
            await self._give_back(lost)
            self._last = lost.line
        held = await persist(self._hold, again=self._worth_waiting, clock=self._clock, interrupt=self._interrupt)
        if isinstance(held, HostError):
            self._shut = Shut(code=held.code, message=held.message, hint=held.hint)
        elif isinstance(held, Busy):
            self._shut = self._taken(held)
        elif held.before != self._last:
            # What was planned rests on a host that somebody else may have changed since.
            await self._give_back(held)
            self._shut = Shut(
                code="E_LOCKED",
                message=f"host {self.host.name} was in the hands of another pass meanwhile: {printable(held.before)}",
                hint="plan again: it looks at what that one has made",
                holder=printable(held.before),
            )
        else:
            self._lease = held

    def _taken(self, by: Busy) -> Shut:
        holder = f"{by.holder} since {by.since}"
        return Shut(
            code="E_LOCKED",
            message=f"host {self.host.name} is locked by {holder}",
            hint="wait for that pass to end, and plan again",
            holder=holder,
        )

    async def _hold(self) -> Lease | Busy | HostError:
        try:
            return await self.host.hold(self._owner)
        except HostError as error:
            return error

    def _worth_waiting(self, held: Lease | Busy | HostError) -> Patience | None:
        if isinstance(held, Busy):
            # The host may take our own lost session for alive until it has been silent for long enough.
            return OWN_SESSION if self._last.startswith(f"{held.since} {held.holder}") else None
        return CONNECTION if isinstance(held, HostError) and held.transient else None

    async def close(self) -> None:
        """End the sampling and give the lock back."""
        await self.sampler.close()
        lease, self._lease = self._lease, None
        if lease is not None:
            await self._give_back(lease)

    async def _give_back(self, lease: Lease) -> None:
        try:
            await within(self._clock, RELEASE_LIMIT_S, lease.release())
        except (HostError, TimeoutError):
            return  # the lock dies with the connection
