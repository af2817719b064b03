"""Ask a host for its key, without logging in to it and without trusting it, through a jump host where it takes one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from reconciler.host.dial import CONNECT_S, Gate, dial, scan_host_key
from reconciler.host.foreign import ssh_failure

if TYPE_CHECKING:
    from reconciler.model.access import HostAccess


async def scan(access: HostAccess, *, gate: Gate) -> str:
    """Give the key that answers at an address, e.g. `ssh-ed25519 AAAA…`; ed25519 where the host has one.

    Raises:
        ConnectFailed: nothing answers, no SSH server does, or the jump host does not let us in.
    """
    if access.jump is None:
        return await scan_host_key(access)
    import asyncssh  # noqa: PLC0415  # 0.4 s

    link = await dial(access.jump, gate)
    try:
        if link.ssh is None:
            raise AssertionError  # only a Host with SSH is taken as a jump host
        async with asyncio.timeout(CONNECT_S):
            key = await asyncssh.get_server_host_key(
                access.address,
                access.port,
                tunnel=link.ssh.connection,
                config=None,
                server_host_key_algs="^ssh-ed25519",
                kex_algs="^curve25519-sha256",
            )
    except (asyncssh.Error, OSError) as error:
        raise ssh_failure(error, access) from error
    finally:
        await link.close()
    if key is None:
        raise ssh_failure(ConnectionResetError("it showed no host key"), access)
    return " ".join(key.export_public_key().decode().split()[:2])
