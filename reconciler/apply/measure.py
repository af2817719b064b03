"""Turn samples of a host into readings, and two readings into what one action did to the host. Pure."""

from __future__ import annotations

import statistics
from datetime import datetime

import msgspec

from reconciler.model.delta import OwnUse, ProvisionDelta, Reading
from reconciler.model.snapshot import HostSnapshot, Pressure, Weight

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

_MEMORY = ("memory_working_set_bytes", "memory_current_bytes")
_COUNTED = ("cpu_usage_ns", "network_bytes")


class Weighed(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what the containers of one sandbox took, by the names or ids that were asked for, and when that came.

    Attributes:
        at: by the controller's clock.
        asked: names or full ids.
        weights: by what was asked; whoever was not there is not in it.
        stopping: ids of those that ran until the action itself stopped them.
    """

    at: datetime
    asked: tuple[str, ...]
    weights: dict[str, Weight]
    stopping: frozenset[str] = frozenset()


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
    *,
    verb: str,
    before: Reading | str,
    after: Reading | str,
    own: Weighed | str,
    also: tuple[str, ...] = (),
) -> ProvisionDelta:
    """Subtract before from after, and sum up what is the sandbox's own. What could not be read is the reason why."""
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
        own=_own_use(own, missing),
        missing=missing,
        also=also,
    )


def _own_use(weighed: Weighed | str, missing: dict[str, str]) -> OwnUse | None:
    """Sum up what the containers of a sandbox took, an image that several have once."""
    if isinstance(weighed, str):
        missing["own"] = weighed
        return None
    weights = list(weighed.weights.values())
    if len(weights) < len(weighed.asked):
        absent = len(weighed.asked) - len(weights)
        missing["own"] = f"{absent} of its {len(weighed.asked)} containers went before it was measured"
        return None
    amounts = {
        name: [_of_group(weight, name, weighed.stopping) for weight in weights] for name in (*_MEMORY, *_COUNTED)
    }
    amounts["layer_bytes"] = [_of_disk(weight, "layer_bytes", weight.layer_bytes) for weight in weights]
    by_image = {weight.image_id: _of_disk(weight, "image_bytes", weight.image_bytes) for weight in weights}
    amounts["image_bytes"] = list(by_image.values())
    sums: dict[str, int] = {}
    for name, parts in amounts.items():
        reasons = [part for part in parts if isinstance(part, str)]
        if reasons:
            missing[f"own.{name}"] = reasons[0]
        else:
            sums[name] = sum(part for part in parts if isinstance(part, int))
    return OwnUse(at=weighed.at, containers=len(weights), **sums)


def _of_group(weight: Weight, name: str, stopping: frozenset[str]) -> int | str:
    """Give a counter of a container's control group, or why there is none; what does not run takes no memory."""
    amount: int | None = None if weight.use is None else getattr(weight.use, name)
    if amount is not None:
        return amount
    if weight.use is None and weight.full_id in stopping:
        return f"{weight.name} ended before it was measured"
    if weight.use is None and not weight.runs:
        return 0 if name in _MEMORY else f"{weight.name} does not run, and its counters went with it"
    return f"{weight.name}: {weight.missing.get('use') or weight.missing.get(f'use.{name}') or 'not told'}"


def _of_disk(weight: Weight, name: str, amount: int | None) -> int | str:
    return f"{weight.name}: {weight.missing.get(name, 'not told')}" if amount is None else amount


def _some(pressure: Pressure | None) -> float | None:
    return None if pressure is None else pressure.some_avg10_percent
