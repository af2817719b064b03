"""Turn samples of a host into readings, and two readings into what one action did to the host. Pure."""

from __future__ import annotations

import statistics

from reconciler.model.delta import ProvisionDelta, Reading
from reconciler.model.snapshot import HostSnapshot, Pressure

_DIMENSIONS = (
    "memory_available_bytes",
    "disk_used_bytes",
    "load_1",
    "cpu_percent",
    "pressure_cpu",
    "pressure_memory",
    "pressure_io",
    "containers_running",
)


def read_samples(samples: tuple[HostSnapshot, ...]) -> Reading:
    """Sum up the samples of one moment; at least one. Those of an earlier boot than the last one's are dropped."""
    last = samples[-1]
    measured = [dimensions(sample) for sample in samples if sample.boot_id == last.boot_id]
    series = {name: [sample[name] for sample in measured if name in sample] for name in _DIMENSIONS}
    return Reading(
        at=last.collected_at,
        boot_id=last.boot_id,
        samples=len(measured),
        median={name: float(statistics.median(values)) for name, values in series.items() if values},
        spread={name: max(values) - min(values) for name, values in series.items() if values},
    )


def dimensions(sample: HostSnapshot) -> dict[str, float]:
    """Pick the dimensions of a delta out of one sample, without those that could not be measured.

    Disk is what is used of the filesystem that holds the engine's data.
    """
    disk = sample.disks.docker_root
    found = {
        "memory_available_bytes": sample.memory_available_bytes,
        "disk_used_bytes": None if disk is None else disk.total_bytes - disk.available_bytes,
        "load_1": sample.load_1,
        "cpu_percent": sample.cpu_percent,
        "pressure_cpu": _some(sample.pressure_cpu),
        "pressure_memory": _some(sample.pressure_memory),
        "pressure_io": _some(sample.pressure_io),
        "containers_running": sample.containers_running,
    }
    return {name: float(value) for name, value in found.items() if value is not None}


def build_delta(
    *, verb: str, before: Reading | str, after: Reading | str, also: tuple[str, ...] = ()
) -> ProvisionDelta:
    """Subtract before from after. A side that could not be read is given as the reason why."""
    missing = {side: reading for side, reading in (("before", before), ("after", after)) if isinstance(reading, str)}
    change: dict[str, float] | None = None
    if isinstance(before, Reading) and isinstance(after, Reading):
        if before.boot_id != after.boot_id:
            missing["change"] = "the host was rebooted in between, so its counters do not compare"
        else:
            change = {
                name: after.median[name] - before.median[name]
                for name in _DIMENSIONS
                if name in before.median and name in after.median
            }
            missing |= {name: "the host does not report it" for name in _DIMENSIONS if name not in change}
    return ProvisionDelta(
        verb=verb,
        before=before if isinstance(before, Reading) else None,
        after=after if isinstance(after, Reading) else None,
        change=change,
        missing=missing,
        also=also,
    )


def _some(pressure: Pressure | None) -> float | None:
    return None if pressure is None else pressure.some_avg10_percent
