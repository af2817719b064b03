"""Decode what `scripts/collect.sh` printed, and what the engine says of itself, into a `HostSnapshot`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from reconciler.host.measure.groups import read_groups
from reconciler.host.measure.printed import RawCounters, decode_counters, not_linux
from reconciler.model.snapshot import (
    Disks,
    DiskUse,
    DockerDisk,
    Gpu,
    HostSnapshot,
    Pressure,
)

_MIB = 1024 * 1024
_NO_PRESSURE = "this kernel has no pressure stall information"
_CPU_TIMES = 8  # user nice system idle iowait irq softirq steal; guest time is already inside user


class CpuTicks(msgspec.Struct, frozen=True, kw_only=True):
    """Hold how the CPUs of a host have spent their time since it booted, in the kernel's ticks."""

    boot_id: str
    ticks: tuple[int, ...]


def cpu_ticks(*, boot_id: str, line: str) -> CpuTicks:
    """Take the first line of `/proc/stat` apart. Raises `ValueError` for another one."""
    word, *counts = line.split()
    if word != "cpu" or len(counts) < _CPU_TIMES:
        raise ValueError(f"{line!r} tells no CPU times")
    return CpuTicks(boot_id=boot_id.strip(), ticks=tuple(int(text) for text in counts[:_CPU_TIMES]))


def decode_ticks(host: str, output: bytes) -> CpuTicks:
    """Read the CPU times out of what the collector, or the script that prints these alone, printed.

    Raises:
        ReadFailed: as `decode_snapshot`.
    """
    raw = decode_counters(host, output)
    try:
        return _cpu_ticks(raw)
    except (KeyError, IndexError, ValueError, StopIteration) as error:
        raise not_linux(host, error) from error


def decode_snapshot(
    host: str,
    earlier: CpuTicks | None,
    output: bytes,
    *,
    collected_at: datetime,
    container_ids: Iterable[str] = (),
) -> HostSnapshot:
    """Make a snapshot of what the collector printed; rates are what came since an earlier look.

    Args:
        host: the host's name.
        earlier: the CPU times of that look, or None when there was none: then `cpu_percent` is None.
        output: what the collector printed.
        collected_at: the controller's clock when that came.
        container_ids: full ids that were asked for.

    Raises:
        ReadFailed: `E_FACTS_CUT` for a reply cut short, `E_FACTS_DECODE` for one without the lines every Linux has.
    """
    raw = decode_counters(host, output)
    missing: dict[str, str] = {}
    try:
        groups = read_groups(raw, container_ids)
        missing |= {f"sandboxes.{field}": why for field, why in groups.missing.items()}
        memory = _memory(raw)
        loads = [float(text) for text in _file(raw, "/proc/loadavg")[0].split()[:3]]
        return HostSnapshot(
            host=host,
            collected_at=collected_at,
            boot_id=_boot_id(raw),
            uptime_s=_uptime_s(raw),
            clock_epoch_s=_booted_epoch_s(raw) + int(_uptime_s(raw)),
            load_1=loads[0],
            load_5=loads[1],
            load_15=loads[2],
            cpu_count=_cpu_count(raw),
            cpu_percent=_cpu_percent(earlier, raw, missing),
            memory_total_bytes=memory["MemTotal"],
            memory_available_bytes=_available(memory),
            swap_total_bytes=memory.get("SwapTotal", 0),
            swap_free_bytes=memory.get("SwapFree", 0),
            pressure_cpu=_pressure(raw, "cpu", missing),
            pressure_memory=_pressure(raw, "memory", missing),
            pressure_io=_pressure(raw, "io", missing),
            disks=_disks(raw, missing),
            sandboxes=groups.uses,
            gpus=_gpus(raw, missing),
            missing=missing | dict.fromkeys(_ENGINE_FIELDS, "the engine was not asked"),
        )
    except (KeyError, IndexError, ValueError, StopIteration) as error:
        raise not_linux(host, error) from error


_ENGINE_FIELDS = ("containers_running", "containers_total", "docker_disk")


def add_engine_facts(
    snapshot: HostSnapshot,
    *,
    containers: list[dict[str, Any]] | None,
    disk: Mapping[str, Any] | str | None = None,
) -> HostSnapshot:
    """Add what only the engine knows: the counts of its container list, and the sums of its disk report.

    Args:
        snapshot: what the collector saw.
        containers: the list of all containers, or None when it was not read.
        disk: the reply of the engine's disk report, why there is none, or None when it was not asked.
    """
    missing = dict(snapshot.missing)
    running = total = None
    if containers is not None:
        running = sum(1 for one in containers if one.get("State") == "running")
        total = len(containers)
        missing.pop("containers_running", None)
        missing.pop("containers_total", None)
    usage = None
    if isinstance(disk, str):
        missing["docker_disk"] = disk
    elif disk is not None:
        usage = _docker_disk(disk)
        missing.pop("docker_disk", None)
    return msgspec.structs.replace(
        snapshot, containers_running=running, containers_total=total, docker_disk=usage, missing=missing
    )


def _file(raw: RawCounters, path: str) -> list[str]:
    return raw.files[path]


def _boot_id(raw: RawCounters) -> str:
    return _file(raw, "/proc/sys/kernel/random/boot_id")[0].strip()


def _uptime_s(raw: RawCounters) -> float:
    return float(_file(raw, "/proc/uptime")[0].split()[0])


def _booted_epoch_s(raw: RawCounters) -> int:
    """Read the boot's time by the host's clock as it is now: the kernel moves it along when the clock is set."""
    return next(int(line.split()[1]) for line in _file(raw, "/proc/stat") if line.startswith("btime "))


def _memory(raw: RawCounters) -> dict[str, int]:
    kib = {}
    for line in _file(raw, "/proc/meminfo"):
        name, _, amount = line.partition(":")
        kib[name] = int(amount.split()[0]) * 1024
    return kib


def _available(memory: Mapping[str, int]) -> int:
    # Kernels before 3.14 have no estimate of their own; free memory plus caches is what they offer.
    if "MemAvailable" in memory:
        return memory["MemAvailable"]
    return memory["MemFree"] + memory.get("Buffers", 0) + memory.get("Cached", 0)


def _cpu_count(raw: RawCounters) -> int:
    return sum(1 for line in _file(raw, "/proc/stat") if line.startswith("cpu") and line[3:4].isdigit())


def _cpu_ticks(raw: RawCounters) -> CpuTicks:
    line = next(line for line in _file(raw, "/proc/stat") if line.startswith("cpu "))
    return cpu_ticks(boot_id=_boot_id(raw), line=line)


def _cpu_percent(earlier: CpuTicks | None, raw: RawCounters, missing: dict[str, str]) -> float | None:
    now = _cpu_ticks(raw)
    if earlier is None:
        missing["cpu_percent"] = "a rate needs two looks, and there was one"
        return None
    if earlier.boot_id != now.boot_id:
        missing["cpu_percent"] = "the host restarted between the two looks"
        return None
    spent = [late - early for early, late in zip(earlier.ticks, now.ticks, strict=True)]
    total = sum(spent)
    idle = spent[3] + spent[4]
    if total <= 0 or idle < 0:
        missing["cpu_percent"] = "no CPU time passed between the two looks"
        return None
    return round(min(100.0, max(0.0, 100.0 * (total - idle) / total)), 2)


def _pressure(raw: RawCounters, kind: str, missing: dict[str, str]) -> Pressure | None:
    averages = {}
    for line in raw.files.get(f"/proc/pressure/{kind}", []):
        scope, _, rest = line.partition(" ")
        averages[scope] = float(dict(pair.split("=", 1) for pair in rest.split())["avg10"])
    if "some" not in averages:
        missing[f"pressure_{kind}"] = _NO_PRESSURE
        return None
    return Pressure(some_avg10_percent=averages["some"], full_avg10_percent=averages.get("full"))


def _disks(raw: RawCounters, missing: dict[str, str]) -> Disks:
    measured = {}
    for line in raw.words.get("disk", []):
        block, total, available, inodes, inodes_free, path = line.split(" ", 5)
        measured[path] = DiskUse(
            path=path,
            total_bytes=int(block) * int(total),
            available_bytes=int(block) * int(available),
            inodes_total=int(inodes),
            inodes_free=int(inodes_free),
        )
    at = dict(line.split(" ", 1) for line in raw.words.get("at", []))

    def use(name: str, path: str | None) -> DiskUse | None:
        if path is None:
            missing[f"disks.{name}"] = "this path was not asked for"
        elif path not in measured:
            missing[f"disks.{name}"] = f"{path} could not be measured: absent, not permitted, or no answer in 4 s"
        else:
            return measured[path]
        return None

    return Disks(
        root=use("root", "/"),
        base_dir=use("base_dir", at.get("base")),
        docker_root=use("docker_root", at.get("docker")),
    )


def _gpus(raw: RawCounters, missing: dict[str, str]) -> tuple[Gpu, ...] | None:
    # A host without the driver's tool has no GPU that anybody could use: its list is empty, and that is known.
    if "nogpu" in raw.words:
        missing["gpus"] = raw.words["nogpu"][0]
        return None
    if "cuda" not in raw.words:
        missing["gpus"] = "GPUs were not asked for"
        return None
    cuda = raw.words["cuda"][0]
    return tuple(
        _gpu(line, cuda=None if cuda == "unknown" else cuda, missing=missing) for line in raw.words.get("gpu", [])
    )


def _gpu(line: str, *, cuda: str | None, missing: dict[str, str]) -> Gpu:
    index, total, used, busy, driver, name = (text.strip() for text in line.split(",", 5))

    def number(field: str, text: str) -> float | None:
        # The tool writes `[N/A]` or `[Not Supported]` where a card cannot tell.
        if text.startswith("["):
            missing[f"gpus.{index}.{field}"] = f"nvidia-smi says {text}"
            return None
        return float(text)

    total_mib, used_mib = number("memory_total_bytes", total), number("memory_used_bytes", used)
    if cuda is None:
        missing[f"gpus.{index}.cuda"] = "nvidia-smi names no CUDA version"
    return Gpu(
        index=int(index),
        name=name,
        memory_total_bytes=None if total_mib is None else int(total_mib * _MIB),
        memory_used_bytes=None if used_mib is None else int(used_mib * _MIB),
        utilisation_percent=number("utilisation_percent", busy),
        driver=driver,
        cuda=cuda,
    )


def _docker_disk(report: Mapping[str, Any]) -> DockerDisk:
    def total(listed: str, size: str) -> int:
        # The engine writes -1 where it did not compute a size.
        return sum(max(0, int(one.get(size) or 0)) for one in report.get(listed) or [])

    volumes = report.get("Volumes") or []
    return DockerDisk(
        images_bytes=int(report.get("LayersSize") or 0),
        containers_bytes=total("Containers", "SizeRw"),
        volumes_bytes=sum(max(0, int((one.get("UsageData") or {}).get("Size") or 0)) for one in volumes),
        build_cache_bytes=total("BuildCache", "Size"),
    )
