"""The collector tells the truth on real hosts: in every shell, for an ordinary user, in both control groups."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.errors import ReadFailed
from reconciler.host.measure.collector import collect, look, look_at_ticks, remember_ticks
from reconciler.host.measure.facts import add_engine_facts, decode_snapshot, decode_ticks
from reconciler.host.scripts import load_script
from reconciler.host.shell.held import HeldShell
from reconciler.host.shell.local import LocalShell
from reconciler.model.snapshot import HostSnapshot, SandboxUse
from tests.integration.ways import linked, way_to
from tests.lab.host import LabHost
from tests.lab.packages import programs

pytestmark = pytest.mark.lab

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ID = "ab" * 32


def now() -> datetime:
    return NOW


@pytest.fixture
def busybox_tools(tmp_path: Path) -> Path:
    """Give a search path with busybox's tools only, which stands in for a host such as Alpine."""
    busybox = programs("bookworm").find("busybox")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split():
        (tools / name).symlink_to(busybox)
    return tools


def collected(words: list[str | Path], *, path: str, asked: str) -> HostSnapshot:
    done = subprocess.run(
        [*words, "-c", load_script("collect")],
        input=asked.encode(),
        env={"PATH": path},
        capture_output=True,
        check=True,
        timeout=20,
    )
    return decode_snapshot("h1", decode_ticks("h1", done.stdout), done.stdout, collected_at=NOW, container_ids=(ID,))


def agrees_with_this_machine(snapshot: HostSnapshot) -> None:
    assert snapshot.cpu_count == os.cpu_count()
    assert snapshot.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    memory = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    assert snapshot.memory_total_bytes == int(memory["MemTotal"].split()[0]) * 1024
    assert abs(snapshot.clock_epoch_s - datetime.now(UTC).timestamp()) < 15  # noqa: TID251  # the machine's clock is the truth here
    disk = os.statvfs("/")
    assert snapshot.disks.root is not None
    assert snapshot.disks.root.total_bytes == disk.f_frsize * disk.f_blocks
    assert abs(snapshot.disks.root.available_bytes - disk.f_frsize * disk.f_bavail) < 1 << 30
    assert snapshot.disks.root.inodes_total == disk.f_files


@pytest.mark.parametrize("shell", ["/bin/dash", "/bin/bash"])
def test_the_same_truth_in_every_shell(shell: str) -> None:
    snapshot = collected([shell], path="/usr/bin:/bin", asked="base /nonexistent/a b/c\ndocker /proc\n")
    agrees_with_this_machine(snapshot)
    assert snapshot.disks.base_dir is not None
    assert snapshot.disks.base_dir.path == "/"


def test_the_same_truth_with_busybox_alone(busybox_tools: Path) -> None:
    snapshot = collected(
        [busybox_tools / "sh"], path=str(busybox_tools), asked=f"base {busybox_tools}/x\ndocker /nonexistent\n"
    )
    agrees_with_this_machine(snapshot)
    assert snapshot.disks.base_dir is not None
    assert snapshot.disks.base_dir.path == str(busybox_tools)
    assert snapshot.disks.docker_root is None
    assert "/nonexistent" in snapshot.missing["disks.docker_root"]


def test_input_that_is_no_id_touches_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    asked = f"id ../../../etc\nid $(touch {mark})\nid {'a' * 63}\nid {'A' * 64}\nbase $(touch {mark})\nnonsense\n\n"
    snapshot = collected(["/bin/dash"], path="/usr/bin:/bin", asked=asked)
    assert snapshot.sandboxes == {}
    assert not mark.exists()


@pytest.mark.parametrize("parent", ["docker/ID", "system.slice/docker-ID.scope", "a.slice/b.slice/docker-ID.scope"])
def test_control_groups_of_version_2(tmp_path: Path, parent: str) -> None:
    # Stand-in: this machine runs version 1, so plain files are shown at its place, in a mount space of their own.
    folder = parent.replace("ID", ID)
    script = tmp_path / "script"
    script.write_text(load_script("collect"))
    show = (
        "mount -t tmpfs none /sys/fs/cgroup; cd /sys/fs/cgroup; : >cgroup.controllers; mkdir -p $1 other.slice;"
        "printf 'usage_usec 1234567\nuser_usec 1\n' >$1/cpu.stat; echo 4096 >$1/memory.current;"
        "printf 'anon 1\ninactive_anon 7\ninactive_file 1024\nactive_file 9\n' >$1/memory.stat; exec dash $2"
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", show, "sh", folder, str(script)],
        input=f"id {ID}\n".encode(),
        capture_output=True,
        check=True,
        timeout=20,
    )
    snapshot = decode_snapshot("h1", None, done.stdout, collected_at=NOW, container_ids=(ID,))
    assert snapshot.sandboxes == {
        ID: SandboxUse(cpu_usage_ns=1234567000, memory_current_bytes=4096, memory_working_set_bytes=3072)
    }


@pytest.fixture
def nvidia_smi(tmp_path: Path) -> Callable[[str], str]:
    """Put a stand-in for NVIDIA's tool on a search path: it prints what the real one prints for two cards."""

    def put(body: str) -> str:
        tool = tmp_path / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\n{body}\n")
        tool.chmod(0o755)
        return f"{tmp_path}:/usr/bin:/bin"

    return put


def test_gpus_are_read_from_the_drivers_tool(nvidia_smi: Callable[[str], str]) -> None:
    path = nvidia_smi(
        'case "$*" in *query-gpu*) echo "0, 24576, 512, 37, 550.54, A5000"; echo "1, 24576, 0, 0, 550.54, A5000";;'
        ' *) echo "| NVIDIA-SMI 550.54   Driver Version: 550.54   CUDA Version: 12.4   |";; esac'
    )
    snapshot = collected(["/bin/dash"], path=path, asked="gpu\n")
    assert snapshot.gpus is not None
    assert [(one.index, one.memory_used_bytes, one.cuda) for one in snapshot.gpus] == [
        (0, 512 << 20, "12.4"),
        (1, 0, "12.4"),
    ]


def test_a_host_without_the_tool_has_no_gpu_and_that_is_known(tmp_path: Path) -> None:
    """Whatever this machine has: a search path of its own, with all that the collector runs and without the tool."""
    for name in ("grep", "stat", "sed", "timeout"):
        (tmp_path / name).symlink_to(shutil.which(name) or "")
    snapshot = collected(["/bin/dash"], path=str(tmp_path), asked="gpu\n")
    assert (snapshot.gpus, snapshot.missing.get("gpus")) == ((), None)


@pytest.mark.parametrize("body", ["exit 9", "sleep 60"])
def test_a_gpu_tool_that_fails_or_hangs_costs_no_more_than_its_own_facts(
    nvidia_smi: Callable[[str], str], body: str
) -> None:
    snapshot = collected(["/bin/dash"], path=nvidia_smi(body), asked="gpu\n")
    assert snapshot.gpus is None
    assert "nvidia-smi failed" in snapshot.missing["gpus"]
    agrees_with_this_machine(snapshot)


@pytest.fixture(scope="module")
def busy(engine: LabHost) -> Iterator[tuple[LabHost, str, str]]:
    """Run a container that burns CPU, and keep one that does not run."""
    engine.load_image("lab/busybox:1")
    burns = engine.docker("run", "--detach", "lab/busybox:1", "sh", "-c", "while :; do :; done").strip()
    rests = engine.docker("create", "lab/busybox:1").strip()
    yield engine, burns, rests
    engine.docker("rm", "--force", burns, rests)


async def test_a_real_host_is_seen_by_an_ordinary_user_over_ssh(busy: tuple[LabHost, str, str]) -> None:
    host, burns, rests = busy
    async with linked(way_to(host)) as link:
        reader = await link.reader()
        assert (await link.shell.run("id -u", deadline_s=10)).stdout.strip() != b"0"
        root = (await link.engine()).root
        one = await collect(
            link.held, base_dir=str(host.base_dir), docker_root=root, now=now, container_ids=(burns, rests)
        )
        two = await collect(
            link.held, base_dir=str(host.base_dir), docker_root=root, now=now, container_ids=(burns, rests)
        )
        counted = add_engine_facts(two, containers=await reader.list_containers(), disk=await reader.disk_usage())
    agrees_with_this_machine(one)
    assert one.cpu_percent is not None
    assert one.cpu_percent > 5
    assert set(one.sandboxes) == {burns}
    assert f"sandboxes.{rests}" in one.missing
    early, late = one.sandboxes[burns].cpu_usage_ns, two.sandboxes[burns].cpu_usage_ns
    assert early is not None
    assert late is not None
    assert late > early > 0
    assert (two.sandboxes[burns].memory_current_bytes or 0) > 0
    assert two.sandboxes[burns].network_bytes is not None
    assert two.disks.docker_root is not None
    assert (counted.containers_running, counted.containers_total) == (1, 2)
    assert counted.docker_disk is not None
    assert (counted.docker_disk.images_bytes or 0) > 0


@pytest.mark.parametrize("shell", ["/bin/dash", "/bin/bash", "busybox"])
def test_the_cpu_times_alone_are_those_of_the_whole_look(busybox_tools: Path, shell: str) -> None:
    path = str(busybox_tools)
    words = [busybox_tools / "sh" if shell == "busybox" else shell, "-c", load_script("ticks")]
    alone = decode_ticks("h1", subprocess.run(words, env={"PATH": path}, capture_output=True, check=True).stdout)
    words[-1] = load_script("collect")
    whole = subprocess.run(words, input=b"", env={"PATH": path}, capture_output=True, check=True).stdout
    after = decode_ticks("h1", whole)
    assert alone.boot_id == after.boot_id
    assert all(early <= late for early, late in zip(alone.ticks, after.ticks, strict=True))


async def test_an_earlier_look_counts_and_one_long_ago_does_not() -> None:
    held = HeldShell(LocalShell("h1"))
    clock = asyncio.get_running_loop().time
    earlier = await look_at_ticks(held)
    idle = tuple(1_000_000_000 * (at == 3) for at in range(8))
    # As if they had been idle since, but for what they did before: less than nothing was spent in between.
    wrong = replace(earlier, at_s=clock() - 1, ticks=replace(earlier.ticks, ticks=idle))
    assert wrong.is_recent
    counted = await collect(held, base_dir="/", docker_root=None, now=now, gpus=False, earlier=wrong)
    assert counted.cpu_percent is None
    long_ago = replace(wrong, at_s=clock() - 60)
    assert not long_ago.is_recent
    began_s = clock()
    counted = await collect(held, base_dir="/", docker_root=None, now=now, gpus=False, earlier=long_ago)
    assert counted.cpu_percent is not None
    assert clock() - began_s >= 0.2
    await held.close()


def test_a_look_that_tells_no_cpu_times_is_no_earlier_look() -> None:
    assert remember_ticks(boot_id=None, line=None) is None
    assert remember_ticks(boot_id="b", line="cpu 1 2") is None


async def test_looks_through_one_kept_shell_start_no_login_anew(busy: tuple[LabHost, str, str]) -> None:
    host = busy[0]
    log = host.home.parent / "sshd.log"
    async with linked(way_to(host)) as link:
        before = log.read_text().count("Starting session")
        for _ in range(20):
            await look(link.held, base_dir="/tmp", docker_root=None)  # only measured
        assert log.read_text().count("Starting session") == before


async def test_a_look_ends_with_its_deadline_and_the_next_one_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "grep"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr("reconciler.host.measure.collector._LOOK_S", 0.5)
    held = HeldShell(LocalShell("h1", search_path=f"{tmp_path}:/usr/bin:/bin"))
    with pytest.raises(ReadFailed) as caught:
        await look(held, base_dir="/", docker_root=None)
    assert caught.value.code == "E_EXEC_DEADLINE"
    slow.unlink()
    monkeypatch.setattr("reconciler.host.measure.collector._LOOK_S", 10)
    assert (await look(held, base_dir="/", docker_root=None)).splitlines()[-1].startswith(b"END")
    await held.close()


async def test_a_host_without_a_tool_is_an_error_and_never_a_zero(tmp_path: Path) -> None:
    held = HeldShell(LocalShell("h1", search_path=str(tmp_path)))
    with pytest.raises(ReadFailed) as caught:
        await collect(held, base_dir="/", docker_root=None, now=now)
    assert caught.value.code == "E_FACTS_DECODE"
    await held.close()


async def test_many_looks_at_once_share_the_kept_shell_in_turn() -> None:
    held = HeldShell(LocalShell("h1"))
    looks = await asyncio.gather(*(look(held, base_dir="/", docker_root=None) for _ in range(10)))
    assert all(b"END" in one for one in looks)
    await held.close()
