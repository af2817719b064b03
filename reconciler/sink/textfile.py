"""Write the newest figures of a fleet into the textfile folder of a Prometheus node exporter."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from reconciler.disk.whole import FILE_MODE, Damaged, read_whole, write_all
from reconciler.model.telemetry import Envelope
from reconciler.sink.exposition import render
from reconciler.sink.figures import Figures, fold
from reconciler.sink.folder import opened, private, why
from reconciler.sink.interface import NotDelivered

PROM_MODE = 0o644
"""The exporter runs as a user of its own, and what it reads here it tells everybody."""


class TextfileSink(msgspec.Struct, frozen=True, kw_only=True):
    """Write `reconciler-<fleet>.prom` into one folder.

    Attributes:
        folder: the exporter's `--collector.textfile.directory`; it must be there, and be no link.
        fleet: whose figures these are.
        hosts: every host of the fleet; the figures of a host that is none of them are dropped.
        kept: a file of ours that remembers the figures between two passes. Without it they start anew.
    """

    folder: Path
    fleet: str
    hosts: tuple[str, ...]
    kept: Path
    name: str = "prometheus"


class Textfile:
    """Be the sink of a `TextfileSink`."""

    def __init__(self, config: TextfileSink) -> None:
        self.name = config.name
        self._config = config

    async def deliver(self, envelope: Envelope) -> None:
        """Take an envelope into the figures and write them all anew."""
        await self.deliver_all((envelope,))

    async def deliver_all(self, envelopes: Sequence[Envelope]) -> None:
        """Take envelopes into the figures and write them all anew."""
        config = self._config
        try:
            with private(config.kept.parent) as folder:
                figures = _known(config.kept.name, folder)
                for envelope in envelopes:
                    figures = fold(figures, envelope, hosts=frozenset(config.hosts))
                self._publish(render(figures, fleet=config.fleet).encode())
                _replace(config.kept.name, msgspec.json.encode(figures), mode=FILE_MODE, folder=folder)
        except OSError as error:
            raise NotDelivered(f"{config.kept} cannot be written: {why(error)}") from error

    async def close(self) -> None:
        """Let go of nothing."""

    def _publish(self, text: bytes) -> None:
        name = f"reconciler-{self._config.fleet}.prom"
        try:
            with opened(self._config.folder) as folder:
                _replace(name, text, mode=PROM_MODE, folder=folder)
        except OSError as error:
            raise NotDelivered(f"{self._config.folder}/{name} cannot be written: {why(error)}") from error


def _replace(name: str, content: bytes, *, mode: int, folder: int) -> None:
    """Put a file there whole, with its mode from its first moment, and never through a link.

    It is not flushed: a look takes seconds and comes again, and what a power failure takes of these figures is told
    again. Until it is renamed its name does not end in `.prom`, so the exporter leaves it alone.
    """
    part = f".{name}.part"
    try:
        _remove(part, folder=folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(part, flags, mode, dir_fd=folder)
        try:
            os.fchmod(file, mode)  # whatever the umask says
            write_all(file, content)
        finally:
            os.close(file)
        os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        _remove(part, folder=folder)
        raise


def _remove(name: str, *, folder: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def _known(name: str, folder: int) -> Figures:
    """Read the figures so far; a file that is damaged is nobody's loss but theirs, and they come again."""
    with contextlib.suppress(Damaged, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raw = read_whole(name, folder=folder)
        if raw is not None:
            return msgspec.json.decode(raw, type=Figures)
    return Figures()
