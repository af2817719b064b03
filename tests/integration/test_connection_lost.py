"""A connection that breaks is never an empty answer, and nothing happens that nobody asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import asyncssh
import pytest

from reconciler.errors import ConnectFailed, OutcomeUnknown, ReadFailed
from reconciler.host.shell import as_read_failure
from tests.integration.ways import appears, linked, refusal, way_to
from tests.lab.host import LabHost
from tests.lab.proxy import Proxy

pytestmark = pytest.mark.lab


# A connection that breaks.


@pytest.mark.parametrize(
    "break_it", [lambda link, _: link.ssh.connection.abort(), lambda _, proxy: proxy.cut()], ids=["us", "net"]
)
async def test_a_script_whose_connection_breaks_has_an_unknown_outcome_and_may_have_run(
    alpha: LabHost, break_it: Callable[..., object], tmp_path: Path
) -> None:
    mark = alpha.home / f"mark-{tmp_path.name}"
    async with (
        Proxy(alpha.address, alpha.ssh_port) as proxy,
        linked(way_to(alpha, address="127.0.0.1", port=proxy.port)) as link,
    ):
        run = asyncio.create_task(link.shell.run('echo ran >"$1"; sleep 20', args=(str(mark),), deadline_s=15))
        await appears(mark)
        broken = break_it(link, proxy)
        if asyncio.iscoroutine(broken):
            await broken
        with pytest.raises(OutcomeUnknown) as caught:
            await run
        assert caught.value.code == "E_EXEC_LOST"
        assert isinstance(as_read_failure(caught.value), ReadFailed)
        await asyncio.wait_for(link.ssh.lost.wait() if link.ssh else asyncio.sleep(0), 5)
        assert link.is_lost
        with pytest.raises(ConnectFailed):
            await link.shell.run("true", deadline_s=5)
    assert mark.read_text() == "ran\n"


async def test_a_half_open_link_hits_the_deadline_and_then_the_keepalive(alpha: LabHost, tmp_path: Path) -> None:
    async with (
        Proxy(alpha.address, alpha.ssh_port) as proxy,
        linked(way_to(alpha, address="127.0.0.1", port=proxy.port)) as link,
    ):
        mark = alpha.home / f"half-open-{tmp_path.name}"
        run = asyncio.create_task(link.shell.run('touch "$1"; sleep 1', args=(str(mark),), deadline_s=1.5))
        await appears(mark)
        proxy.halt()
        with pytest.raises(OutcomeUnknown) as caught:
            await run
        assert caught.value.code == "E_EXEC_DEADLINE"
        with pytest.raises(ConnectFailed):
            await link.shell.run("true", deadline_s=0.5)
        with pytest.raises(ReadFailed):
            await link.held.run("true", deadline_s=0.5)
        assert link.ssh is not None
        await asyncio.wait_for(link.ssh.lost.wait(), 30)


async def test_a_script_that_prints_without_end_is_refused_and_the_connection_stays(alpha: LabHost) -> None:
    async with linked(way_to(alpha)) as link:
        with pytest.raises(ReadFailed) as caught:
            await link.shell.run("yes", deadline_s=20, output_limit_bytes=100_000)
        assert caught.value.code == "E_HOST_REPLY"
        assert (await link.shell.run("exit 3", deadline_s=10)).exit_status == 3


async def test_more_scripts_at_once_than_sshd_allows_all_run(alpha: LabHost) -> None:
    async with linked(way_to(alpha)) as link:
        done = await asyncio.gather(
            *(link.shell.run("sleep 0.05; echo $1", args=(str(n),), deadline_s=20) for n in range(40))
        )
        assert [int(one.stdout) for one in done] == list(range(40))


async def test_a_kept_shell_answers_over_ssh_and_is_replaced_when_it_dies(alpha: LabHost) -> None:
    async with linked(way_to(alpha)) as link:
        first = (await link.held.run("printf %s $$", deadline_s=10)).stdout
        assert (await link.held.run("printf %s $$", deadline_s=10)).stdout == first
        done = await link.held.run('kill -9 "$1" 2>/dev/null; echo fine', args=(first.decode(),), deadline_s=10)
        assert done.stdout == b"fine\n"
        assert (await link.held.run("printf %s $$", deadline_s=10)).stdout != first


# What nobody asked for.


async def test_the_users_ssh_configuration_is_never_read(
    alpha: LabHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "ran"
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text(
        f'Match exec "touch {mark}"\n  User nobody\nHost *\n  ProxyCommand touch {mark}\n  UserKnownHostsFile none\n'
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    async with linked(way_to(alpha)) as link:
        assert (await link.shell.run("id -un", deadline_s=10)).stdout == b"ops\n"
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    assert (await refusal(way_to(alpha, host_key=other))).code == "E_SSH_HOSTKEY"
    assert not mark.exists()


async def test_nothing_of_ours_listens_during_a_connection(alpha: LabHost) -> None:
    before = listeners()
    async with linked(way_to(alpha)) as link:
        await (await link.reader()).list_containers()
        assert listeners() <= before


async def test_nothing_stays_after_a_connection_was_closed(alpha: LabHost) -> None:
    tasks, files = asyncio.all_tasks(), open_files()
    async with linked(way_to(alpha)) as link:
        await (await link.reader()).list_containers()
        await link.held.run("true", deadline_s=5)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == tasks
    assert open_files() == files


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def listeners() -> set[str]:
    """Give the sockets that this process listens on, from the kernel's tables."""
    ours = set()
    for path in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            ours.add(str(path.readlink()).removeprefix("socket:[").removesuffix("]"))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and words[9] in ours:
                found.add(words[1])
    for line in Path("/proc/self/net/unix").read_text().splitlines()[1:]:
        words = line.split()
        if words[3] == "00010000" and words[6] in ours:
            found.add(line)
    return found
