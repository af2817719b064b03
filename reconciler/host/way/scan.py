"""Ask a host for its key, without logging in to it and without trusting it, through a jump host where it takes one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from reconciler.host.foreign import ssh_failure
from reconciler.host.way.dial import CONNECT_S, Gate, connect_tcp, dial

if TYPE_CHECKING:
    from reconciler.model.access import HostAccess


async def scan(access: HostAccess, *, gate: Gate) -> str:
    """Give the key that answers at an address, e.g. `ssh-ed25519 AAAA…`; ed25519 where the host has one.

    Raises:
        ConnectFailed: nothing answers, no SSH server does, or the jump host does not let us in.
    """
    import asyncssh  # noqa: PLC0415  # 0.4 s

    link = None if access.jump is None else await dial(access.jump, gate)
    sock = None if link is not None else await connect_tcp(access)
    try:
        # Only a Host with SSH is taken as a jump host, so a link without it cannot come here.
        way = {"sock": sock} if link is None or link.ssh is None else {"tunnel": link.ssh.connection}
        async with asyncio.timeout(CONNECT_S):
            key = await asyncssh.get_server_host_key(
                access.address,
                access.port,
                **way,
                config=None,
                server_host_key_algs="^ssh-ed25519",
                kex_algs="^curve25519-sha256",
            )
    except (asyncssh.Error, OSError) as error:
        raise ssh_failure(error, access) from error
    finally:
        if sock is not None:
            sock.close()
        if link is not None:
            await link.close()
    if key is None:
        raise ssh_failure(ConnectionResetError("it showed no host key"), access)
    return " ".join(key.export_public_key().decode().split()[:2])
