"""Write figures in the text format that Prometheus' node exporter reads from its textfile folder. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from reconciler.model.delta import OwnUse
from reconciler.sink.figures import Figures

T = TypeVar("T")
_NS_PER_S = 1_000_000_000


class _Gauge(msgspec.Struct, frozen=True):
    """Describe one metric; its samples are values with the labels that come after the fleet's."""

    name: str
    meaning: str
    samples: tuple[tuple[dict[str, str], float | None], ...]


_OWN: tuple[tuple[str, str, Callable[[OwnUse], float | None]], ...] = (
    (
        "memory_working_set_bytes",
        "Memory that the sandbox itself needed after its last provision, without file cache that nobody used lately.",
        lambda own: own.memory_working_set_bytes,
    ),
    (
        "cpu_seconds",
        "CPU time that the sandbox itself had used after its last provision, since its containers started.",
        lambda own: None if own.cpu_usage_ns is None else own.cpu_usage_ns / _NS_PER_S,
    ),
    (
        "network_bytes",
        "What the sandbox itself had received and sent after its last provision, since its containers started.",
        lambda own: own.network_bytes,
    ),
    (
        "layer_bytes",
        "What the containers of the sandbox had written into their own layers after its last provision.",
        lambda own: own.layer_bytes,
    ),
)
"""Each is read once, when the provision is done: a gauge, also where it counts since a start."""


def render(figures: Figures, *, fleet: str) -> str:
    """Give the text of one `.prom` file. A gauge without a sample is left out, and so is what was not measured.

    Every sample has the label `fleet`: one node exporter may read the files of several, and two of one name and
    labels would cost it all of them.
    """
    return "".join(_text(gauge, fleet) for gauge in _gauges(figures))


def escaped(text: str) -> str:
    """Write text as it stands between the quotes of a label's value."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _gauges(figures: Figures) -> Iterator[_Gauge]:
    last = None if figures.last_pass is None else figures.last_pass.timestamp()
    yield _Gauge("last_pass_timestamp_seconds", "When the newest telemetry was collected.", (({}, last),))
    yield from _of_hosts(figures)
    yield from _of_sandboxes(figures)


def _of_hosts(figures: Figures) -> Iterator[_Gauge]:
    hosts = [({"host": name}, host) for name, host in figures.hosts.items()]
    yield _each(
        "host_look_timestamp_seconds",
        "When the host was last looked at.",
        hosts,
        lambda one: one.collected_at.timestamp(),
    )
    yield _each("host_load1", "Load of the host, 1 minute.", hosts, lambda one: one.load_1)
    yield _each(
        "host_memory_available_bytes",
        "Memory that the host has available.",
        hosts,
        lambda one: one.memory_available_bytes,
    )
    yield _Gauge(
        "host_disk_available_bytes",
        "What may still be written to the file system of the root, of the base folder, of the engine's data.",
        tuple(
            ({**labels, "filesystem": place}, size)
            for labels, host in hosts
            for place, size in host.disk_available_bytes.items()
        ),
    )
    yield _Gauge(
        "host_stale_objects",
        "Things on the host that nobody may need any more, by kind.",
        tuple(({**labels, "kind": kind}, count) for labels, host in hosts for kind, count in host.stale.items()),
    )


def _of_sandboxes(figures: Figures) -> Iterator[_Gauge]:
    sandboxes = [
        ({"host": one.host, "sandbox": one.sandbox, "profile": one.profile or ""}, one) for one in figures.sandboxes
    ]
    yield _each(
        "sandbox_provision_timestamp_seconds",
        "When the sandbox was last provisioned.",
        sandboxes,
        lambda one: one.collected_at.timestamp(),
    )
    yield _each(
        "sandbox_provision_memory_available_change_bytes",
        "Memory available on the host after the last provision of the sandbox, minus before.",
        sandboxes,
        lambda one: one.memory_available_change_bytes,
    )
    yield _each(
        "sandbox_provision_disk_used_change_bytes",
        "Disk used on the host after the last provision of the sandbox, minus before.",
        sandboxes,
        lambda one: one.disk_used_change_bytes,
    )
    own = [(labels, one.own) for labels, one in sandboxes if one.own is not None]
    yield from (_each(f"sandbox_provision_own_{name}", meaning, own, read) for name, meaning, read in _OWN)


def _each(
    name: str, meaning: str, measured: list[tuple[dict[str, str], T]], read: Callable[[T], float | None]
) -> _Gauge:
    """Give a gauge with one sample of everything that was measured."""
    return _Gauge(name, meaning, tuple((labels, read(one)) for labels, one in measured))


def _text(gauge: _Gauge, fleet: str) -> str:
    name = f"reconciler_{gauge.name}"
    lines = [
        f"{name}{{{_labels({'fleet': fleet, **labels})}}} {_number(value)}\n"
        for labels, value in gauge.samples
        if value is not None
    ]
    return "".join([f"# HELP {name} {gauge.meaning}\n", f"# TYPE {name} gauge\n", *lines]) if lines else ""


def _labels(labels: dict[str, str]) -> str:
    return ",".join(f'{name}="{escaped(text)}"' for name, text in labels.items())


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
