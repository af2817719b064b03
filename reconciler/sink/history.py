"""Keep the newest envelopes of each sandbox, and of each host, in local JSON files."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import msgspec

from reconciler.disk.whole import Damaged, read_whole, sweep, write_whole
from reconciler.model.names import name_fault
from reconciler.model.telemetry import Envelope
from reconciler.sink.folder import private, why
from reconciler.sink.interface import NotDelivered

HISTORY_FORMAT = "reconciler-telemetry-history/1"
ENVELOPES_KEPT = 50
HISTORY_BYTES_MAX = 8 * 1024 * 1024
"""Half of what is read of one file; the oldest go first."""


class FileSink(msgspec.Struct, frozen=True, kw_only=True):
    """Keep histories in one folder, which is made where it is not there.

    Attributes:
        folder: holds `<sandbox>.json`, and `host.<host>.json` for what is about a host alone.
    """

    folder: Path
    name: str = "file"


class _Id(msgspec.Struct, frozen=True):
    id: str


class _History(msgspec.Struct, frozen=True):
    format: str
    envelopes: tuple[msgspec.Raw, ...]


class FileHistory:
    """Be the sink of a `FileSink`. Each file is whole at every moment, newest envelope last, one to a line."""

    def __init__(self, config: FileSink) -> None:
        self.name = config.name
        self._folder = config.folder
        self._is_swept = False

    async def deliver(self, envelope: Envelope) -> None:
        """Put an envelope behind those before it; one with the same id is replaced."""
        await self.deliver_all((envelope,))

    async def deliver_all(self, envelopes: Sequence[Envelope]) -> None:
        """Put envelopes behind those before them, each file once."""
        news: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        for envelope in envelopes:
            news[_file_name(envelope)][envelope.id] = _line(envelope)
        for name, lines in news.items():
            try:
                with private(self._folder) as folder:
                    if not self._is_swept:
                        sweep(folder)
                        self._is_swept = True
                    # The folder is not flushed: its journal has the rename before the spool forgets.
                    write_whole(name, _with(_known(name, folder), lines), folder=folder)
            except OSError as error:
                raise NotDelivered(f"{self._folder}/{name} cannot be written: {why(error)}") from error
            await asyncio.sleep(0)  # writing waits for nobody: let the other sinks have their turn

    async def close(self) -> None:
        """Let go of nothing."""


def _line(envelope: Envelope) -> bytes:
    line = msgspec.json.encode(envelope)
    if len(line) > HISTORY_BYTES_MAX // 2:
        raise NotDelivered(f"an envelope of {len(line)} bytes is too large for a history", permanent=True)
    return line


def _file_name(envelope: Envelope) -> str:
    """Name the file of an envelope; no name leads out of the folder."""
    about, prefix = (envelope.host, "host.") if envelope.sandbox is None else (envelope.sandbox, "")
    fault = name_fault(about)
    if fault is not None:
        raise NotDelivered(f"an envelope is about {about!r}: {fault}", permanent=True)
    return f"{prefix}{about}.json"


def _known(name: str, folder: int) -> tuple[msgspec.Raw, ...]:
    """Read a history; one that cannot be taken is moved aside, since nobody can put anything behind it."""
    with contextlib.suppress(Damaged, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raw = read_whole(name, folder=folder)
        if raw is None:
            return ()
        history = msgspec.json.decode(raw, type=_History)
        if history.format == HISTORY_FORMAT:
            return history.envelopes
    os.rename(name, f"{name}.corrupt", src_dir_fd=folder, dst_dir_fd=folder)
    return ()


def _with(known: tuple[msgspec.Raw, ...], news: dict[str, bytes]) -> bytes:
    """Write a history anew, within its bounds."""
    others = [bytes(raw) for raw in known if msgspec.json.decode(raw, type=_Id).id not in news]
    kept = [*others, *news.values()][-ENVELOPES_KEPT:]
    while sum(map(len, kept)) > HISTORY_BYTES_MAX:
        kept.pop(0)
    return b'{"format":"%s","envelopes":[\n%s\n]}\n' % (HISTORY_FORMAT.encode(), b",\n".join(kept))
