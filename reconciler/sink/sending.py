"""Deliver envelopes to every sink at once, within one bound of time; keep and say what was not taken."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from reconciler.disk.whole import Damaged, names_in
from reconciler.model.telemetry import Envelope
from reconciler.sink.account import Account, sentences
from reconciler.sink.folder import opened, why
from reconciler.sink.interface import BatchSink, NotDelivered, Sink
from reconciler.sink.spool import LINE_BYTES_MAX, Kept, Queue, Spool, opened_spool

LIMIT_S = 3.0
"""So long may telemetry hold up a pass, all sinks together."""

_BATCH = 500
"""So many go at once to a sink that takes several."""

_GRACE_S = 0.5
"""What was cancelled, or is to be closed, gets so long; then it is left to itself."""


async def send(
    envelopes: Sequence[Envelope],
    sinks: Sequence[Sink],
    *,
    spool: Path,
    now: datetime,
    limit_s: float = LIMIT_S,
) -> tuple[str, ...]:
    """Give every sink what it has not taken yet, oldest first, and these envelopes behind that.

    Each envelope is on disk before any is sent, and is forgotten only once it was taken: killed in between, it is sent
    again. Never raises for what a sink or a disk does.

    Args:
        envelopes: oldest first; empty to try again what is kept.
        sinks: as `open_sinks` gives them, each with a name of its own.
        spool: a folder of ours, with one folder for each sink; made when there is something to keep.
        now: the controller's clock, for what is refused.
        limit_s: seconds in all; the sinks run side by side.

    Returns:
        What was not delivered, one sentence each, without secrets: empty when every sink took everything.
    """
    lines = [msgspec.json.encode(envelope) for envelope in envelopes]
    waiting = _spools_in(spool)
    deliveries = [_Delivery.begin(sink, lines, root=spool, now=now) for sink in sinks if lines or sink.name in waiting]
    try:
        await _bounded([delivery.run() for delivery in deliveries], limit_s)
        said = [text for delivery in deliveries for text in delivery.told(limit_s=limit_s)]
    finally:
        await _bounded([_closed(delivery.sink) for delivery in deliveries], _GRACE_S)
        for delivery in deliveries:
            delivery.leave()
    unknown = sorted(waiting - {sink.name for sink in sinks})
    return (*said, *(text for name in unknown for text in _orphaned(spool, name)))


async def _bounded(work: Sequence[Coroutine[Any, Any, None]], limit_s: float) -> None:
    """Run all side by side, and cancel what is not done in time."""
    if not work:
        return
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.wait(tasks, timeout=limit_s)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_GRACE_S)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.result()  # a fault of ours is nobody's sentence: it is raised


async def _closed(sink: Sink) -> None:
    # A sink may be anybody's code, and raise anything; what it took, it took.
    with contextlib.suppress(Exception):
        await sink.close()


class _Delivery:
    """Deliver to one sink, and count."""

    def __init__(self, sink: Sink, *, account: Account, now: datetime) -> None:
        self.sink = sink
        self._account = account
        self._now = now
        self._spool: Spool | None = None
        self._unkept: list[bytes] = []
        self._is_running = False
        self._held = contextlib.ExitStack()

    @classmethod
    def begin(cls, sink: Sink, lines: Sequence[bytes], *, root: Path, now: datetime) -> _Delivery:
        """Keep the envelopes for a sink; where no file can hold them, they are sent from memory alone."""
        made = cls(sink, account=Account(sink=sink.name, spool=f"{root}/{sink.name}"), now=now)
        fitting = [line for line in lines if len(line) <= LINE_BYTES_MAX]
        made._account.too_large = len(lines) - len(fitting)
        try:
            made._spool = made._held.enter_context(opened_spool(root, sink.name))
            made._spool.add(fitting)
        except OSError as error:
            made._unkept = fitting
            made._account.unkept_why = why(error)
        return made

    async def run(self) -> None:
        """Deliver until all is taken, or until one is not."""
        self._is_running = True
        try:
            await self._run()
        finally:
            self._is_running = False

    def told(self, *, limit_s: float) -> tuple[str, ...]:
        """Say what became of it."""
        account = self._account
        account.lost += len(self._unkept)
        if not account.is_ended:
            what = "it took only a part" if account.delivered else "it did not answer"
            account.why = account.why or f"{what} within {limit_s:g} s"
        if self._spool is not None:
            with contextlib.suppress(OSError, Damaged):
                account.kept = self._spool.kept()
        return sentences(account)

    def leave(self) -> None:
        """Let go of the spool, but for a sink that did not even let itself be cancelled and still uses it."""
        if not self._is_running:
            self._held.close()

    async def _run(self) -> None:
        account = self._account
        try:
            if self._spool is not None:
                with self._spool.alone() as is_ours:
                    if is_ours:
                        await self._empty(self._spool.queue(now=self._now))
                    else:
                        account.why = "another process sends to it"
            while self._unkept and account.why is None:
                await self._send_unkept()
        except OSError as error:
            account.why = f"its spool {account.spool} cannot be used: {why(error)}"
        account.is_ended = True

    async def _empty(self, queue: Queue) -> None:
        account = self._account
        try:
            queue.trim()
            while lines := queue.heads(_BATCH if isinstance(self.sink, BatchSink) else 1):
                refusal = await self._try(lines)
                if refusal is not None and refusal.permanent and len(lines) > 1:
                    lines = lines[:1]
                    refusal = await self._try(lines)
                if refusal is None:
                    queue.forget(len(lines))
                elif refusal.permanent:
                    account.forgotten += queue.refuse(refusal.message, now=self._now)
                    account.refused += 1
                    account.refusal = account.refusal or refusal.message
                else:
                    account.why = refusal.message
                    return
                await asyncio.sleep(0)  # a sink of files never waits: let the others have their turn
        finally:
            account.dropped, account.damaged = queue.dropped, queue.damaged

    async def _send_unkept(self) -> None:
        """Send the oldest of those that are nowhere but here. One that is refused is lost: nothing can hold it."""
        account = self._account
        refusal = await self._try(self._unkept[:1])
        if refusal is not None and not refusal.permanent:
            account.why = refusal.message
            return
        self._unkept.pop(0)
        if refusal is not None:
            account.lost += 1
            account.refusal = account.refusal or refusal.message

    async def _try(self, lines: Sequence[bytes]) -> NotDelivered | None:
        """Deliver envelopes, together where there are several; say why they were not taken."""
        try:
            envelopes = [msgspec.json.decode(line, type=Envelope) for line in lines]
            if isinstance(self.sink, BatchSink) and len(envelopes) > 1:
                await self.sink.deliver_all(envelopes)
            else:
                for envelope in envelopes:
                    await self.sink.deliver(envelope)
        except NotDelivered as error:
            return error
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return NotDelivered("what was kept of it is damaged, or of another version", permanent=True)
        except Exception as error:  # noqa: BLE001 - a sink may be anybody's code, and its words may hold anything
            return NotDelivered(f"it failed with {type(error).__name__}")
        self._account.delivered += len(lines)
        return None


def _spools_in(root: Path) -> frozenset[str]:
    """Name the sinks that something may be kept for."""
    with contextlib.suppress(OSError), opened(root) as folder:
        return frozenset(name for name in names_in(folder) if not name.startswith("."))
    return frozenset()


def _orphaned(root: Path, name: str) -> tuple[str, ...]:
    """Say what is kept for a sink that is none any more."""
    kept = Kept(envelopes=0)
    with contextlib.suppress(OSError, Damaged), opened(root / name) as folder:
        kept = Spool(folder).kept()
    why_kept = f"no sink has this name any more; remove {root / name} if nobody wants it"
    return sentences(Account(sink=name, spool=str(root / name), kept=kept, why=why_kept)) if kept.envelopes else ()
