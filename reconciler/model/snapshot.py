"""Hold one measured look at a host's load, memory, pressure, disks, sandboxes and GPUs.

A field that could not be measured is None, and `missing` says why under the field's dotted path.
"""

from __future__ import annotations

from datetime import datetime

import msgspec


class Pressure(msgspec.Struct, frozen=True, kw_only=True):
    """Hold pressure stall information: the share of the last 10 s in which some, or all, tasks waited.

    Attributes:
        some_avg10_percent: share in which at least one task waited.
        full_avg10_percent: share in which all tasks that had something to do waited; None where the kernel does not
            tell it.
    """

    some_avg10_percent: float
    full_avg10_percent: float | None


class DiskUse(msgspec.Struct, frozen=True, kw_only=True):
    """Measure the filesystem that holds one path.

    Attributes:
        path: the path measured; the nearest existing parent where the one asked for is not there yet.
        total_bytes: the size of the filesystem.
        available_bytes: what an unprivileged user may still write.
        inodes_total: files that it has room for; inodes_free: those that can still be made.
    """

    path: str
    total_bytes: int
    available_bytes: int
    inodes_total: int
    inodes_free: int


class Disks(msgspec.Struct, frozen=True, kw_only=True):
    """Measure the three filesystems that matter: the root, ours, and the engine's.

    Attributes:
        root: that of `/`; base_dir: that of the host's baseDir; docker_root: that of the engine's data.
    """

    root: DiskUse | None
    base_dir: DiskUse | None
    docker_root: DiskUse | None


class SandboxUse(msgspec.Struct, frozen=True, kw_only=True):
    """Measure one container by its control group.

    Attributes:
        cpu_usage_ns: CPU time used since the container started; only ever grows.
        memory_current_bytes: memory charged to it now, file cache included.
        memory_working_set_bytes: the same without the file cache that the kernel drops first, since nobody used it
            lately.
        network_bytes: received and sent on its own interfaces since it started; None for one that has the host's.
    """

    cpu_usage_ns: int | None
    memory_current_bytes: int | None
    network_bytes: int | None = None
    memory_working_set_bytes: int | None = None


class Weight(msgspec.Struct, frozen=True, kw_only=True):
    """Measure what one container takes by itself, whatever runs beside it.

    Attributes:
        full_id: its 64 hex digits.
        name: Docker's name, without the leading slash.
        image_id: `sha256:…` of the image it really runs.
        runs: it has processes.
        use: by its control group; None where it has none, or where that could not be read.
        layer_bytes: what it wrote into its own layer.
        image_bytes: the layers of its image that no other image on the host has.
        missing: field, or `use.` and its field -> why it is None.
    """

    full_id: str
    name: str
    image_id: str
    runs: bool
    use: SandboxUse | None
    layer_bytes: int | None
    image_bytes: int | None
    missing: dict[str, str] = {}


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """Describe one GPU as the driver's own tool reports it.

    Attributes:
        index: its number on the host, by which the tool knows it.
        name: its model.
        memory_total_bytes: the card's own memory; memory_used_bytes: what of it is in use, by whomever.
        utilisation_percent: share of the tool's last interval in which it computed something.
        driver: the driver's version.
        cuda: the newest CUDA that the driver offers; None where the tool does not name it.
    """

    index: int
    name: str
    memory_total_bytes: int | None
    memory_used_bytes: int | None
    utilisation_percent: float | None
    driver: str
    cuda: str | None


class DockerDisk(msgspec.Struct, frozen=True, kw_only=True):
    """Sum what the engine stores.

    Attributes:
        images_bytes: the layers of all images, each once.
        containers_bytes: what containers wrote into their own layer.
        volumes_bytes: what is in volumes; build_cache_bytes: what builds keep for the next one.
    """

    images_bytes: int | None
    containers_bytes: int | None
    volumes_bytes: int | None
    build_cache_bytes: int | None


class HostSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one complete look at a host.

    Attributes:
        host: its name in the specs.
        collected_at: the controller's clock when the look ended.
        boot_id: the kernel's id of this boot; counters of two boots are never compared.
        uptime_s: time since it booted.
        clock_epoch_s: the host's own clock, for telling its skew.
        load_1, load_5, load_15: tasks that run, or wait for a CPU or a disk: the mean of so many minutes.
        cpu_count: CPUs in use by the kernel.
        cpu_percent: busy share of all CPUs between the two looks, 0..100; None with one look only.
        memory_total_bytes: what the kernel has to give.
        memory_available_bytes: what programs may still take without swapping, as the kernel estimates it.
        swap_total_bytes: all swap space; swap_free_bytes: what of it is not used.
        pressure_cpu, pressure_memory, pressure_io: how much tasks wait for it; None on a kernel that does not tell.
        disks: how full they are.
        containers_running: on the whole engine, whoever made them; containers_total: the same, whatever their state.
        sandboxes: by full 64-hex container id.
        gpus: None where they were not asked for, or their tool failed; none on a host without NVIDIA's `nvidia-smi`.
        docker_disk: None where the engine was not asked; only `inspect host` asks, since it may take long.
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
