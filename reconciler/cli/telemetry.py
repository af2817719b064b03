"""Send what a pass measured to the Fleet's sinks, once all of it is recorded. Nothing here fails a pass."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from reconciler.cli.secret_files import read_secrets_in
from reconciler.errors import ReconcilerError
from reconciler.model.desired import Desired, SinkDesired
from reconciler.model.observed import Observed, Reachable
from reconciler.model.status import HostStatus
from reconciler.model.text import Template, Text, Unbound, bind
from reconciler.passes import Passed
from reconciler.record.envelopes import envelopes_of
from reconciler.sink import DownSink, FileSink, HubSink, OtherSink, SinkConfig, TextfileSink, open_sinks, send

if TYPE_CHECKING:
    from reconciler.cli.ground import Ground
    from reconciler.model.snapshot import HostSnapshot

TELEMETRY = "telemetry"
SPOOL = "spool"

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

T = TypeVar("T")


def send_on(ground: Ground, passed: Passed) -> tuple[str, ...]:
    """Send what a pass came to, and what older ones could not, for at most 3 s; say what was not delivered."""
    try:
        hosts = passed.statuses.hosts
        seen = passed.surveyed
        if seen is None:
            return ()
        envelopes = envelopes_of(
            passed.planned.plan,
            passed.ended,
            inventories=seen.inventories,
            stale=seen.stale,
            snapshots=_snapshots(passed.planned.observed, hosts),
            reports={name: one.report for name, one in passed.statuses.sandboxes.items() if one.report is not None},
        )
        sinks = open_sinks(sinks_of(ground.desired, ground.store.folder))
        return _run(send(envelopes, sinks, spool=ground.store.folder / SPOOL, now=ground.clock.now()))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return ("sending telemetry was stopped; the next pass sends what is kept",)
    except Exception as error:  # noqa: BLE001 - the pass is over and on record: whatever this is, it takes nothing of it
        return (f"telemetry of this pass is not sent, which is a bug: {type(error).__name__}",)


def sinks_of(desired: Desired, status: Path) -> tuple[SinkConfig, ...]:
    """Configure every sink; one whose secrets cannot be read is down, and keeps what is for it."""
    return tuple(_sink(sink, desired, status) for sink in desired.telemetry)


def _sink(sink: SinkDesired, desired: Desired, status: Path) -> SinkConfig:
    try:
        sink = bind(sink, read_secrets_in(sink, desired.secrets))
    except ReconcilerError as error:
        return DownSink(name=sink.name, why=error.message)
    match sink.type:
        case "file":
            return FileSink(folder=status / TELEMETRY, name=sink.name)
        case "stateHub":
            return HubSink(
                url=sink.url,
                workstream_id=sink.workstream,
                token=None if sink.token is None else _bound(sink.token),
                path=sink.path,
                fields=sink.fields,
                name=sink.name,
            )
        case "prometheus":
            return TextfileSink(
                folder=Path(sink.folder),
                fleet=desired.fleet,
                hosts=tuple(desired.hosts),
                kept=status / TELEMETRY / f"figures.{sink.name}.json",
                name=sink.name,
            )
        case _:
            options = {name: _bound(value) for name, value in sink.options.items()}
            return OtherSink(type=sink.type, name=sink.name, options=options)


def _bound(text: Text) -> str:
    """Give a text that is bound, still a `Secret` where it is one."""
    if isinstance(text, Template):
        raise Unbound(str(text))
    return text


def _snapshots(seen: Observed, hosts: dict[str, HostStatus]) -> dict[str, HostSnapshot]:
    """Give what this pass measured of each host; what an older one did is none of it."""
    looks = ((name, look, hosts.get(name)) for name, look in seen.hosts.items() if isinstance(look, Reachable))
    return {
        name: host.snapshot
        for name, look, host in looks
        if host is not None and host.snapshot is not None and host.snapshot.collected_at >= look.view.observed_at
    }


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run it in a loop of its own, until it is over or a signal stops it, which raises `CancelledError`.

    A sink that does not let itself be stopped is not waited for at the end.
    """
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _, __: None)
    task = loop.create_task(work)
    try:
        for number in _STOPPING:
            loop.add_signal_handler(number, task.cancel)
        return loop.run_until_complete(task)
    finally:
        loop.close()
