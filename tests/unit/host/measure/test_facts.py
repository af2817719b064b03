"""What the collector printed becomes a snapshot, or an error: never a snapshot of half a reply."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from reconciler.errors import ReadFailed
from reconciler.host.measure.facts import CpuTicks, add_engine_facts, decode_snapshot, decode_ticks
from reconciler.model.snapshot import DiskUse, DockerDisk, Gpu, HostSnapshot, Pressure, SandboxUse

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ONE, TWO = "1" * 64, "ab" * 32
BOOT = "9de6557d-b7a0-40cc-9f1b-8e13c9a86c06"

CPU_EARLY = ("cpu  100 0 100 700 50 0 30 20 5 0", "cpu0 50 0 50 350 25 0 15 10 5 0", "cpu1 50 0 50 350 25 0 15 10 0 0")
CPU_LATE = ("cpu  110 0 110 715 55 0 30 20 5 0", "cpu0 55 0 55 357 27 0 15 10 5 0", "cpu1 55 0 55 358 28 0 15 10 0 0")


def printed(*extra: str, cpu: tuple[str, ...] = CPU_LATE, boot: str = BOOT, without: str = "\0") -> bytes:
    """Give what the collector prints, as it was seen on a real host."""
    lines = [
        f"/proc/sys/kernel/random/boot_id:{boot}",
        "/proc/uptime:2058.51 3697.29",
        "/proc/loadavg:1.03 0.61 0.34 2/167 9422",
        *(f"/proc/stat:{line}" for line in cpu),
        "/proc/stat:btime 1795303095",
        "/proc/meminfo:MemTotal:       24684096 kB",
        "/proc/meminfo:MemFree:        24426800 kB",
        "/proc/meminfo:MemAvailable:   24392124 kB",
        "/proc/meminfo:Buffers:            3448 kB",
        "/proc/meminfo:Cached:            82100 kB",
        "/proc/meminfo:SwapTotal:          1024 kB",
        "/proc/meminfo:SwapFree:            512 kB",
        "/proc/pressure/cpu:some avg10=7.62 avg60=0.00 avg300=0.34 total=10943730",
        "/proc/pressure/cpu:full avg10=0.00 avg60=0.00 avg300=0.00 total=0",
        "/proc/pressure/memory:some avg10=1.00 avg60=0.00 avg300=0.00 total=0",
        "/proc/pressure/io:some avg10=0.12 avg60=0.15 avg300=0.47 total=7684640",
        "/proc/pressure/io:full avg10=0.11 avg60=0.14 avg300=0.41 total=6676801",
        "at base /home/ops",
        "at docker /var/lib/docker",
        "disk 4096 1000 600 500 400 /",
        "disk 1024 2000 100 50 40 /home/ops",
        *extra,
    ]
    kept = [line for line in lines if without not in line]
    return "\n".join([*kept, f"END {len(kept)}", ""]).encode()


def decoded(second: bytes, *, first: bytes | None = None, **more: Any) -> HostSnapshot:
    earlier = decode_ticks("h1", first or printed(cpu=CPU_EARLY))
    return decode_snapshot("h1", earlier, second, collected_at=NOW, **more)


def test_every_counter_lands_in_its_field_in_its_unit() -> None:
    snapshot = decoded(printed())
    assert snapshot.host == "h1"
    assert snapshot.collected_at == NOW
    assert snapshot.boot_id == BOOT
    assert snapshot.uptime_s == 2058.51
    assert snapshot.clock_epoch_s == 1795303095 + 2058
    assert (snapshot.load_1, snapshot.load_5, snapshot.load_15) == (1.03, 0.61, 0.34)
    assert snapshot.cpu_count == 2
    assert snapshot.memory_total_bytes == 24684096 * 1024
    assert snapshot.memory_available_bytes == 24392124 * 1024
    assert (snapshot.swap_total_bytes, snapshot.swap_free_bytes) == (1024 * 1024, 512 * 1024)
    assert snapshot.pressure_cpu == Pressure(some_avg10_percent=7.62, full_avg10_percent=0.0)
    assert snapshot.pressure_memory == Pressure(some_avg10_percent=1.0, full_avg10_percent=None)
    assert snapshot.disks.base_dir == DiskUse(
        path="/home/ops", total_bytes=2048000, available_bytes=102400, inodes_total=50, inodes_free=40
    )


def test_cpu_share_is_what_was_not_idle_between_the_two_looks() -> None:
    # 10 user, 10 system, 15 idle, 5 waiting for disks: 20 of 40 were busy.
    assert decoded(printed()).cpu_percent == 50.0


def test_cpu_times_alone_are_enough_of_an_earlier_look() -> None:
    alone = f"/proc/sys/kernel/random/boot_id:{BOOT}\n/proc/stat:{CPU_EARLY[0]}\nEND 2\n".encode()
    assert decode_ticks("h1", alone) == decode_ticks("h1", printed(cpu=CPU_EARLY))
    assert decode_ticks("h1", alone) == CpuTicks(boot_id=BOOT, ticks=(100, 0, 100, 700, 50, 0, 30, 20))


@pytest.mark.parametrize("line", ["", "cpu", "cpu0 1 2 3 4 5 6 7 8", "cpu 1 2 3", "cpu 1 2 3 4 5 6 7 x"])
def test_a_line_without_cpu_times_is_an_error_and_never_a_rate(line: str) -> None:
    alone = f"/proc/sys/kernel/random/boot_id:{BOOT}\n/proc/stat:{line}\nEND 2\n".encode()
    with pytest.raises(ReadFailed) as caught:
        decode_ticks("h1", alone)
    assert caught.value.code == "E_FACTS_DECODE"


def test_one_look_gives_no_rate_and_says_why() -> None:
    snapshot = decode_snapshot("h1", None, printed(), collected_at=NOW)
    assert snapshot.cpu_percent is None
    assert "two looks" in snapshot.missing["cpu_percent"]


def test_a_restart_between_the_looks_gives_no_rate_and_says_why() -> None:
    snapshot = decoded(printed(boot="11111111-b7a0-40cc-9f1b-8e13c9a86c06"))
    assert snapshot.cpu_percent is None
    assert "restarted" in snapshot.missing["cpu_percent"]


def test_a_reply_cut_anywhere_is_an_error() -> None:
    whole = printed()
    # All but its last newline is still whole: the closing line is there and counts right.
    for length in range(len(whole) - 1):
        with pytest.raises(ReadFailed) as caught:
            decoded(whole[:length])
        assert caught.value.code == "E_FACTS_CUT", length


def test_a_line_lost_in_the_middle_is_an_error() -> None:
    lines = printed().splitlines(keepends=True)
    for index in range(len(lines) - 1):
        with pytest.raises(ReadFailed):
            decoded(b"".join(lines[:index] + lines[index + 1 :]))


@pytest.mark.parametrize("gone", ["/proc/loadavg", "/proc/uptime", "boot_id", "btime", "MemTotal", "/proc/stat:cpu"])
def test_a_host_without_what_every_linux_has_is_an_error_and_never_a_zero(gone: str) -> None:
    with pytest.raises(ReadFailed) as caught:
        decoded(printed(without=gone))
    assert caught.value.code == "E_FACTS_DECODE"


def test_a_kernel_without_pressure_and_available_memory_is_decoded_with_reasons() -> None:
    lines = printed(without="/proc/pressure").decode().replace("MemAvailable", "MemElse").encode()
    snapshot = decoded(lines)
    assert snapshot.pressure_cpu is snapshot.pressure_memory is snapshot.pressure_io is None
    assert set(snapshot.missing) >= {"pressure_cpu", "pressure_memory", "pressure_io"}
    assert snapshot.memory_available_bytes == (24426800 + 3448 + 82100) * 1024


def test_a_path_that_could_not_be_measured_is_none_with_a_reason() -> None:
    snapshot = decoded(printed())
    assert snapshot.disks.docker_root is None
    assert "/var/lib/docker" in snapshot.missing["disks.docker_root"]


def test_a_path_with_blanks_is_kept_whole() -> None:
    lines = ("disk 1 2 3 4 5 /srv/my disk",)
    snapshot = decoded(printed(*lines).replace(b"at base /home/ops", b"at base /srv/my disk"))
    assert snapshot.disks.base_dir is not None
    assert snapshot.disks.base_dir.path == "/srv/my disk"


@pytest.mark.parametrize(
    "lines",
    [
        (
            f"/sys/fs/cgroup/system.slice/docker-{ONE}.scope/cpu.stat:usage_usec 1234",
            f"/sys/fs/cgroup/system.slice/docker-{ONE}.scope/memory.current:4096",
        ),
        (
            f"/sys/fs/cgroup/docker/{ONE}/cpu.stat:usage_usec 1234",
            f"/sys/fs/cgroup/docker/{ONE}/memory.current:4096",
        ),
        (
            f"/sys/fs/cgroup/cpuacct/docker/{ONE}/cpuacct.usage:1234000",
            f"/sys/fs/cgroup/memory/docker/{ONE}/memory.usage_in_bytes:4096",
        ),
        (
            f"/sys/fs/cgroup/cpuacct/lab7/{ONE}/cpuacct.usage:1234000",
            f"/sys/fs/cgroup/memory/lab7/{ONE}/memory.usage_in_bytes:4096",
        ),
    ],
    ids=["v2-systemd", "v2-cgroupfs", "v1", "v1-own-parent"],
)
def test_a_container_is_measured_whatever_the_layout_of_control_groups(lines: tuple[str, str]) -> None:
    snapshot = decoded(printed(*lines), container_ids=(ONE, TWO))
    assert snapshot.sandboxes == {ONE: SandboxUse(cpu_usage_ns=1234000, memory_current_bytes=4096)}
    assert f"sandboxes.{TWO}" in snapshot.missing


def test_a_counter_that_a_control_group_lacks_is_none_with_a_reason() -> None:
    snapshot = decoded(printed(f"/sys/fs/cgroup/docker/{ONE}/cpu.stat:usage_usec 7"), container_ids=(ONE,))
    assert snapshot.sandboxes[ONE] == SandboxUse(cpu_usage_ns=7000, memory_current_bytes=None)
    assert f"sandboxes.{ONE}.memory_current_bytes" in snapshot.missing


def test_gpus_are_decoded_and_what_a_card_cannot_tell_is_none_with_a_reason() -> None:
    snapshot = decoded(
        printed(
            "cuda 12.4",
            "gpu 0, 24576, 512, 37, 550.54.15, NVIDIA RTX A5000, rev 2",
            "gpu 1, 24576, [N/A], [Not Supported], 550.54.15, NVIDIA RTX A5000",
        )
    )
    mib = 1024 * 1024
    assert snapshot.gpus == (
        Gpu(
            index=0,
            name="NVIDIA RTX A5000, rev 2",
            memory_total_bytes=24576 * mib,
            memory_used_bytes=512 * mib,
            utilisation_percent=37.0,
            driver="550.54.15",
            cuda="12.4",
        ),
        Gpu(
            index=1,
            name="NVIDIA RTX A5000",
            memory_total_bytes=24576 * mib,
            memory_used_bytes=None,
            utilisation_percent=None,
            driver="550.54.15",
            cuda="12.4",
        ),
    )
    assert set(snapshot.missing) >= {"gpus.1.memory_used_bytes", "gpus.1.utilisation_percent"}


def test_no_gpus_and_gpus_not_asked_for_are_told_apart() -> None:
    failed = decoded(printed("nogpu nvidia-smi failed or did not answer in 4 s"))
    assert (failed.gpus, failed.missing["gpus"].split()[:2]) == (None, ["nvidia-smi", "failed"])
    unasked = decoded(printed())
    assert (unasked.gpus, unasked.missing["gpus"]) == (None, "GPUs were not asked for")
    for line in ("cuda 12.4", "cuda unknown"):
        none = decoded(printed(line))
        assert (none.gpus, none.missing.get("gpus")) == ((), None)


def test_the_engines_counts_and_sums_are_added_and_their_reasons_dropped() -> None:
    snapshot = add_engine_facts(
        decoded(printed()),
        containers=[{"State": "running"}, {"State": "exited"}, {"State": "running"}],
        disk={
            "LayersSize": 1000,
            "Containers": [{"SizeRw": 5}, {}],
            "Volumes": [{"UsageData": {"Size": 7}}, {"UsageData": {"Size": -1}}, {"UsageData": None}],
            "BuildCache": None,
        },
    )
    assert (snapshot.containers_running, snapshot.containers_total) == (2, 3)
    assert snapshot.docker_disk == DockerDisk(
        images_bytes=1000, containers_bytes=5, volumes_bytes=7, build_cache_bytes=0
    )
    assert not {"containers_running", "containers_total", "docker_disk"} & set(snapshot.missing)


def test_without_the_engine_its_fields_are_none_with_a_reason() -> None:
    snapshot = add_engine_facts(decoded(printed()), containers=None)
    assert snapshot.containers_running is None
    assert set(snapshot.missing) >= {"containers_running", "containers_total", "docker_disk"}


def test_a_snapshot_survives_json() -> None:
    snapshot = decoded(printed("cuda 12.4", "gpu 0, 1, 1, 1, 5, A"))
    assert msgspec.json.decode(msgspec.json.encode(snapshot), type=HostSnapshot) == snapshot
