"""Say what became of one sink's telemetry. Pure; nothing is said when all was taken."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC

import msgspec

from reconciler.sink.spool import BYTES_MAX, ENVELOPES_MAX, LINE_BYTES_MAX, REFUSED, REFUSED_MAX, Kept


class Account(msgspec.Struct, kw_only=True):
    """Count what became of one sink's envelopes. Filled while they are delivered, so it is not frozen.

    Attributes:
        spool: its folder, for people.
        why: why the next was not taken; None when all were.
        kept: what waits; None when nobody could tell.
        refused: how many were refused for good, and `refusal` why the first was.
        forgotten: older refused ones that had to go.
        dropped: older ones that had to go since all was delivered.
        too_large, damaged: that were not kept, or could not be read again.
        unkept_why: why no file holds this batch; those of it that were not taken are `lost`.
        is_ended: whether it came to an end in time.
    """

    sink: str
    spool: str
    why: str | None = None
    kept: Kept | None = None
    delivered: int = 0
    refused: int = 0
    refusal: str = ""
    forgotten: int = 0
    dropped: int = 0
    too_large: int = 0
    damaged: int = 0
    unkept_why: str = ""
    lost: int = 0
    is_ended: bool = False


def sentences(account: Account) -> tuple[str, ...]:
    """Give one line for each thing that a person should know."""
    return tuple(f"sink {account.sink}: {text}" for text in _texts(account))


def _texts(account: Account) -> Iterator[str]:
    refused = f"{account.spool}/{REFUSED}"
    kept = account.kept
    if kept is not None and kept.envelopes:
        since = "" if kept.since is None else f" since {kept.since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        yield f"{_are(kept.envelopes)} kept{since}: {account.why or 'they came while it ended'}"
    elif account.why is not None and not account.lost:
        yield account.why
    if account.dropped:
        limit = f"no more than {ENVELOPES_MAX} or {BYTES_MAX >> 20} MiB are kept"
        yield f"{_are(account.dropped)} dropped, the oldest: {limit}"
    if account.lost:
        unsent = account.why or account.refusal
        yield f"{_are(account.lost)} lost: no file can keep them ({account.unkept_why}), and the sink: {unsent}"
    if account.refused:
        yield f"{_are(account.refused)} refused for good and kept in {refused}; the first: {account.refusal}"
    if account.forgotten:
        yield f"{_are(account.forgotten)} removed from {refused}: the newest {REFUSED_MAX} stay"
    if account.too_large:
        yield f"{_are(account.too_large)} not sent: larger than {LINE_BYTES_MAX >> 20} MiB"
    if account.damaged:
        yield f"{_are(account.damaged)} left out: the file that kept them is damaged, and is now in {refused}"


def _are(count: int) -> str:
    return "1 envelope is" if count == 1 else f"{count} envelopes are"
