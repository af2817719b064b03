"""Say what a sink is: one place that takes envelopes, one at a time and in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from reconciler.model.telemetry import Envelope


class NotDelivered(Exception):
    """Say that an envelope was not taken, or that nobody knows whether it was.

    Args:
        message: fits after "sink NAME: ", and holds no secret.
        permanent: the same envelope would be refused again. It is moved aside; any other is kept and tried again.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.permanent = permanent


class Sink(Protocol):
    """Take envelopes.

    Nothing here may block the event loop: a call that takes too long is cancelled, and what waits is kept.
    """

    @property
    def name(self) -> str:
        """Name it among the sinks of its fleet; what it has not taken yet is kept under this name."""

    async def deliver(self, envelope: Envelope) -> None:
        """Take one envelope. The same may come again, with the same `id`.

        Raises:
            NotDelivered: it was not taken.
        """

    async def close(self) -> None:
        """Let go of connections. Called once after each batch; the next `deliver` may open them again."""


@runtime_checkable
class BatchSink(Sink, Protocol):
    """Take several envelopes for the price of one, where a sink can: files are written once for all of them."""

    async def deliver_all(self, envelopes: Sequence[Envelope]) -> None:
        """Take all of them, in order.

        Raises:
            NotDelivered: not all were taken. All come again: where it is permanent, one by one.
        """
