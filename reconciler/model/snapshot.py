"""Hold one measured look at a host's load, memory, pressure, disks, sandboxes and GPUs.

A field that could not be measured is None, and `missing` says why under the field's dotted path.
"""

from __future__ import annotations

from datetime import datetime

import msgspec


class Pressure(msgspec.Struct, frozen=True, kw_only=True):
    """Hold pressure stall information: the share of the last 10 s in which some, or all, tasks waited."""

    some_avg10_percent: float
    full_avg10_percent: float | None


class DiskUse(msgspec.Struct, frozen=True, kw_only=True):
    """Measure the filesystem that holds one path.

    Attributes:
        path: the path measured; the nearest existing parent where the one asked for is not there yet.
        available_bytes: what an unprivileged user may still write.
    """

    path: str
    total_bytes: int
    available_bytes: int
    inodes_total: int
    inodes_free: int


class Disks(msgspec.Struct, frozen=True, kw_only=True):
    """Measure the three filesystems that matter: the root, ours, and the engine's."""

    root: DiskUse | None
    base_dir: DiskUse | None
    docker_root: DiskUse | None


class SandboxUse(msgspec.Struct, frozen=True, kw_only=True):
    """Measure one container by its control group.

    Attributes:
        cpu_usage_ns: CPU time used since the container started; only ever grows.
        memory_current_bytes: memory charged to it now, file cache included.
        network_bytes: received and sent on its own interfaces since it started; None for one that has the host's.
    """

    cpu_usage_ns: int | None
    memory_current_bytes: int | None
    network_bytes: int | None = None


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """Describe one GPU as the driver's own tool reports it."""

    index: int
    name: str
    memory_total_bytes: int | None
    memory_used_bytes: int | None
    utilisation_percent: float | None
    driver: str
    cuda: str | None


class DockerDisk(msgspec.Struct, frozen=True, kw_only=True):
    """Sum what the engine stores."""

    images_bytes: int | None
    containers_bytes: int | None
    volumes_bytes: int | None
    build_cache_bytes: int | None


class HostSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one complete look at a host.

    Attributes:
        collected_at: the controller's clock when the look ended.
        boot_id: the kernel's id of this boot; counters of two boots are never compared.
        clock_epoch_s: the host's own clock, for telling its skew.
        cpu_percent: busy share of all CPUs between the two looks, 0..100; None with one look only.
        sandboxes: by full 64-hex container id.
        missing: dotted field -> why it is None.
    """

    host: str
    collected_at: datetime
    boot_id: str
    uptime_s: float
    clock_epoch_s: int
    load_1: float
    load_5: float
    load_15: float
    cpu_count: int
    cpu_percent: float | None
    memory_total_bytes: int
    memory_available_bytes: int
    swap_total_bytes: int
    swap_free_bytes: int
    pressure_cpu: Pressure | None
    pressure_memory: Pressure | None
    pressure_io: Pressure | None
    disks: Disks
    containers_running: int | None = None
    containers_total: int | None = None
    sandboxes: dict[str, SandboxUse] = {}
    gpus: tuple[Gpu, ...] | None = None
    docker_disk: DockerDisk | None = None
    missing: dict[str, str] = {}
