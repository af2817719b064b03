"""One holder at a time, whatever becomes of its connection, its machine or the files that the lock leaves behind."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from reconciler.errors import ReadFailed
from reconciler.host.files.look import look_at_files
from reconciler.host.interface import Busy
from reconciler.host.lock import HostLease, hold
from reconciler.host.scripts import load_script
from reconciler.host.shell import Shell
from reconciler.host.shell.local import LocalShell
from reconciler.model.observed import SeenLock
from tests.integration.ways import linked, way_to
from tests.lab.host import LabHost
from tests.lab.world import wait_until

SINCE = "2026-01-02T03:04:05Z"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "home" / ".reconciler" / "lab"


def made(base: Path, *, mode: int = 0o700) -> Path:
    base.mkdir(parents=True)
    base.chmod(mode)
    return base


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def is_lost(lease: HostLease) -> bool:
    return lease.lost


async def until_lost(lease: HostLease) -> None:
    await asyncio.to_thread(wait_until, lambda: lease.lost, timeout_s=10, what="the loss of the lock")


async def take(shell: Shell, base: Path | str, holder: str = "ann on desk") -> HostLease | Busy:
    return await hold(shell, base_dir=str(base), holder=holder, since=SINCE)


async def taken(shell: Shell, base: Path | str, holder: str = "ann on desk") -> HostLease:
    lease = await take(shell, base, holder)
    assert isinstance(lease, HostLease)
    return lease


async def seen(shell: Shell, base: Path) -> SeenLock:
    return (await look_at_files(shell, host="h1", base_dir=str(base))).lock


async def test_the_second_learns_who_has_it_and_takes_it_when_it_is_free(base: Path) -> None:
    shell = LocalShell("h1")
    first = await taken(shell, base)
    assert await take(shell, base, "bob") == Busy("ann on desk", SINCE)
    assert not is_lost(first)
    await first.release()
    assert is_lost(first)
    assert first.before == ""
    async with await taken(shell, base, "bob") as second:
        assert not is_lost(second)
        assert second.before == first.line == f"{SINCE} ann on desk"
    assert is_lost(second)
    await second.release()


async def test_only_one_of_many_gets_it(base: Path) -> None:
    shell = LocalShell("h1")
    got = await asyncio.gather(*(take(shell, base, f"holder {number}") for number in range(8)))
    leases = [one for one in got if isinstance(one, HostLease)]
    assert len(leases) == 1
    await leases[0].release()


async def test_the_base_folder_is_made_for_us_alone(base: Path) -> None:
    await (await taken(LocalShell("h1"), base)).release()
    assert mode_of(base) == 0o700


async def refused(base: Path | str) -> ReadFailed:
    with pytest.raises(ReadFailed) as caught:
        await take(LocalShell("h1"), base)
    assert caught.value.hint
    return caught.value


async def test_a_base_folder_behind_a_link_is_refused(tmp_path: Path, base: Path) -> None:
    made(base)
    (tmp_path / "link").symlink_to(base)
    assert (await refused(tmp_path / "link")).code == "E_BASE_DIR"
    (tmp_path / "up").symlink_to(tmp_path / "home")
    assert (await refused(tmp_path / "up/.reconciler/lab")).code == "E_BASE_DIR"
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert (await refused(tmp_path / "dangling")).code == "E_BASE_DIR"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
async def test_a_base_folder_that_others_may_write_into_is_refused(base: Path, mode: int) -> None:
    made(base, mode=mode)
    assert (await refused(base)).code == "E_BASE_DIR"


async def test_a_base_folder_of_another_user_is_refused(base: Path) -> None:
    made(base)
    os.chown(base, 12345, 12345)
    error = await refused(base)
    assert error.code == "E_BASE_DIR"
    assert "another user" in error.message


async def test_a_lock_file_that_is_a_link_or_no_file_is_refused(base: Path, tmp_path: Path) -> None:
    made(base)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (base / ".lock").symlink_to(victim)
    assert (await refused(base)).code == "E_LOCK_FILE"
    (base / ".lock").unlink()
    os.mkfifo(base / ".lock")
    assert (await refused(base)).code == "E_LOCK_FILE"
    assert victim.read_text() == "precious"


async def test_a_host_without_flock_says_so(base: Path, tmp_path: Path) -> None:
    with pytest.raises(ReadFailed) as caught:
        await take(LocalShell("h1", search_path=str(tmp_path)), base)
    assert caught.value.code == "E_LOCK_TOOLS"


async def test_a_holder_that_falls_silent_loses_it(base: Path) -> None:
    shell = LocalShell("h1")
    silent = await shell.start(load_script("lock"), args=(str(base), "silent", SINCE, "0.2"), deadline_s=10)
    assert (await silent.read_until(b"\n", deadline_s=10)).startswith(b"held ")
    await asyncio.wait_for(silent.wait_ended(), 10)
    await silent.close()
    await (await taken(shell, base)).release()


async def test_a_holder_whose_script_is_killed_knows_it_and_the_lock_is_free_at_once(base: Path) -> None:
    shell = LocalShell("h1")
    lease = await taken(shell, base)
    pid = next(
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/fd")  # the kernel's own tables
        if any(str(base / ".lock") == target(fd) for fd in listed(path))
    )
    os.kill(pid, 9)
    await until_lost(lease)
    assert lease.lost
    assert await seen(shell, base) == SeenLock(line=lease.line, is_left=True)
    after = await taken(shell, base, "bob")
    assert await seen(shell, base) == SeenLock(line=after.line, is_held=True)
    await after.release()
    assert await seen(shell, base) == SeenLock(line=after.line)
    await lease.release()


def listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


@pytest.mark.lab
async def test_over_ssh_a_lock_that_is_given_back_leaves_the_connection(lab_hosts: tuple[LabHost, LabHost]) -> None:
    host = lab_hosts[0]
    async with linked(way_to(host)) as ours:
        await (await taken(ours.shell, host.base_dir)).release()
        await (await taken(ours.shell, host.base_dir)).release()
        assert not ours.is_lost


@pytest.mark.lab
async def test_over_ssh_a_lock_that_is_let_go_takes_the_connection_along(lab_hosts: tuple[LabHost, LabHost]) -> None:
    host = lab_hosts[0]
    async with linked(way_to(host)) as ours:
        args = (str(host.base_dir), "ann", SINCE, "30")
        held = await ours.shell.start(load_script("lock"), args=args, deadline_s=10)
        assert (await held.read_until(b"\n", deadline_s=10)).startswith(b"held ")
        await held.close()
        assert ours.ssh is not None
        async with asyncio.timeout(10):
            await ours.ssh.lost.wait()


@pytest.mark.lab
async def test_over_ssh_the_lock_ends_with_the_connection(lab_hosts: tuple[LabHost, LabHost]) -> None:
    host = lab_hosts[0]
    async with linked(way_to(host)) as ours, linked(way_to(host)) as theirs:
        lease = await taken(ours.shell, host.base_dir)
        assert await take(theirs.shell, host.base_dir, "bob") == Busy("ann on desk", SINCE)
        assert ours.ssh is not None
        ours.ssh.connection.abort()
        await until_lost(lease)
        assert lease.lost
        async with asyncio.timeout(10):
            while isinstance(got := await take(theirs.shell, host.base_dir, "bob"), Busy):
                pass
        await got.release()
        await lease.release()
