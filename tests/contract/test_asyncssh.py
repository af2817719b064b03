"""Pin down how asyncssh and sshd behave where our design answers to it, so that another version is noticed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncssh
import pytest

from reconciler.host.way.keys import read_identity
from tests.integration.ways import appears, linked, way_to
from tests.lab.host import LabHost
from tests.lab.proxy import Proxy

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def alpha(lab_hosts: tuple[LabHost, LabHost]) -> LabHost:
    return lab_hosts[0]


async def bare(host: LabHost, port: int) -> asyncssh.SSHClientConnection:
    return await asyncssh.connect(
        "127.0.0.1",
        port,
        username=host.user,
        client_keys=[read_identity(way_to(host))],
        known_hosts=([asyncssh.import_public_key(host.host_key)], [], []),
        config=None,
    )


async def test_asyncssh_returns_normally_with_no_status_when_the_link_breaks(alpha: LabHost, tmp_path: Path) -> None:
    mark = alpha.home / f"contract-{tmp_path.name}"
    async with Proxy(alpha.address, alpha.ssh_port) as proxy:
        connection = await bare(alpha, proxy.port)
        run = asyncio.create_task(connection.run(f"touch {mark}; sleep 20", check=True))
        await appears(mark)
        await proxy.cut()
        done = await run
        assert done.exit_status is None
        assert done.stdout == ""


async def test_asyncssh_has_no_keepalive_of_its_own() -> None:
    options = asyncssh.SSHClientConnectionOptions(config=None)
    assert options.keepalive_interval == 0
    assert options.connect_timeout is None


async def test_asyncssh_takes_a_known_hosts_entry_without_a_port_for_any_port(alpha: LabHost) -> None:
    entries = asyncssh.import_known_hosts(f"{alpha.address} {alpha.host_key}\n")
    connection = await asyncssh.connect(
        alpha.address,
        alpha.ssh_port,
        username=alpha.user,
        client_keys=[str(alpha.identity_file)],
        known_hosts=entries,
        config=None,
    )
    connection.abort()


async def test_asyncssh_and_sshd_allow_ten_sessions_and_many_channels(alpha: LabHost) -> None:
    connection = await bare(alpha, alpha.ssh_port) if alpha.address == "127.0.0.1" else None
    if connection is None:
        async with Proxy(alpha.address, alpha.ssh_port) as proxy:
            await count_sessions(await bare(alpha, proxy.port), alpha)
    else:
        await count_sessions(connection, alpha)


async def count_sessions(connection: asyncssh.SSHClientConnection, host: LabHost) -> None:
    runs = await asyncio.gather(*(connection.run("sleep 0.5") for _ in range(25)), return_exceptions=True)
    assert sum(isinstance(one, asyncssh.ChannelOpenError) for one in runs) == 15
    channels = [connection.open_unix_connection(str(host.docker_socket)) for _ in range(60)]
    opened = await asyncio.gather(*channels, return_exceptions=True)
    assert not [one for one in opened if isinstance(one, BaseException)]
    connection.abort()


async def test_asyncssh_sends_no_empty_packet_ahead_of_each_of_ours(alpha: LabHost) -> None:
    """Count what is sent for one request without a reply: one packet by our connection, two by a bare one."""
    async with linked(way_to(alpha)) as link, Proxy(alpha.address, alpha.ssh_port) as proxy:
        assert link.ssh is not None
        bared = await bare(alpha, proxy.port)
        assert await _packets_of_a_request(link.ssh.connection) == 1
        assert await _packets_of_a_request(bared) == 2
        bared.abort()


async def _packets_of_a_request(connection: asyncssh.SSHClientConnection) -> int:
    before = int(connection._send_seq)
    connection._send_global_request(b"keepalive@openssh.com")
    return int(connection._send_seq) - before
