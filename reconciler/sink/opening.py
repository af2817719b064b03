"""Open sinks by their configs: our own, and those that other packages bring under the entry point group."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import assert_never

import msgspec

from reconciler.model.redaction import Redactor
from reconciler.model.secret import Secret
from reconciler.model.telemetry import Envelope
from reconciler.model.text import head_of, printable
from reconciler.sink.history import FileHistory, FileSink
from reconciler.sink.hub import Hub, HubSink
from reconciler.sink.interface import BatchSink, NotDelivered, Sink
from reconciler.sink.textfile import Textfile, TextfileSink

GROUP = "reconciler.sinks"
"""An entry point of this group is named for a type of sink and gives an `OpenSink`."""

OpenSink = Callable[[str, Mapping[str, str]], Sink]
"""Opens a sink: its name, and its options as they are configured; those that are secrets are of `Secret`."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_MESSAGE_SHOWN = 400


class OtherSink(msgspec.Struct, frozen=True, kw_only=True):
    """Send to a sink that another package brings.

    Attributes:
        type: the name of its entry point.
        options: what it is told, such as an address; a `Secret` among them stands in no message of it.
    """

    type: str
    name: str
    options: dict[str, str] = {}


class DownSink(msgspec.Struct, frozen=True, kw_only=True):
    """Keep what is for a sink that cannot be opened, such as one whose token cannot be read, and say `why`."""

    name: str
    why: str


SinkConfig = FileSink | HubSink | TextfileSink | OtherSink | DownSink


def open_sinks(configs: Sequence[SinkConfig]) -> tuple[Sink, ...]:
    """Open a sink for each config. A package that is missing, or fails, gives a sink that is down and says why.

    Raises:
        ValueError: two have one name, or a name is no name of a folder.
    """
    names = [config.name for config in configs]
    for name in names:
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"{name!r} is no name of a sink: letters, digits, '_' and '-', at most 64")
        if names.count(name) > 1:
            raise ValueError(f"two sinks have the name {name!r}")
    return tuple(_guarded(_opened(config), config) for config in configs)


def _opened(config: SinkConfig) -> Sink:
    match config:
        case FileSink():
            return FileHistory(config)
        case HubSink():
            return Hub(config)
        case TextfileSink():
            return Textfile(config)
        case OtherSink():
            return _brought(config)
        case DownSink():
            return _Down(config.name, config.why)
        case _:
            assert_never(config)


def _brought(config: OtherSink) -> Sink:
    from importlib.metadata import entry_points  # noqa: PLC0415 - 30 ms that only these sinks need

    found = sorted(entry_points(group=GROUP, name=config.type), key=lambda one: one.value)
    if len(found) != 1:
        count = f"{len(found)} installed packages bring" if found else "no installed package brings"
        return _Down(config.name, f"{count} a sink of type {config.type}")
    try:
        open_sink: OpenSink = found[0].load()
        return open_sink(config.name, config.options)
    except Exception as error:  # noqa: BLE001 - anybody's code may raise anything
        return _Down(config.name, f"sinks of type {config.type} do not open: {type(error).__name__}: {error}")


class _Down:
    """Be a sink that could not be opened: it takes nothing, and says why."""

    def __init__(self, name: str, why: str) -> None:
        self.name = name
        self._why = why

    async def deliver(self, envelope: Envelope) -> None:  # noqa: ARG002 - it takes none
        raise NotDelivered(self._why)

    async def close(self) -> None:
        pass


class _Guarded:
    """Let out of a sink nothing but `NotDelivered`, and that without its secrets."""

    def __init__(self, sink: Sink, config: SinkConfig) -> None:
        self.name = config.name
        self._sink = sink
        self._redactor = Redactor(_secrets(config))

    async def deliver(self, envelope: Envelope) -> None:
        with self._guard():
            await self._sink.deliver(envelope)

    async def close(self) -> None:
        await self._sink.close()

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except NotDelivered as error:
            raise NotDelivered(self._clean(error.message), permanent=error.permanent) from None
        except Exception as error:  # noqa: BLE001 - anybody's code may raise anything
            raise NotDelivered(self._clean(f"it failed with {type(error).__name__}: {error}")) from None

    def _clean(self, message: str) -> str:
        return head_of(printable(" ".join(self._redactor.text(message).split())), _MESSAGE_SHOWN)


class _GuardedBatch(_Guarded):
    """Do so for a sink that takes several at once."""

    def __init__(self, sink: BatchSink, config: SinkConfig) -> None:
        super().__init__(sink, config)
        self._batch = sink

    async def deliver_all(self, envelopes: Sequence[Envelope]) -> None:
        with self._guard():
            await self._batch.deliver_all(envelopes)


def _guarded(sink: Sink, config: SinkConfig) -> Sink:
    return _GuardedBatch(sink, config) if isinstance(sink, BatchSink) else _Guarded(sink, config)


def _secrets(config: SinkConfig) -> Iterator[str]:
    match config:
        case HubSink(token=Secret() as token):
            yield token
        case OtherSink():
            yield from (text for text in config.options.values() if isinstance(text, Secret))
        case _:
            return
