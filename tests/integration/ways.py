"""Give the way to a lab host, and follow it, for the tests of connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.errors import ConnectFailed, HostError
from reconciler.host.way.dial import Gate, dial
from reconciler.host.way.link import Link
from reconciler.model.access import HostAccess
from tests.lab.host import LabHost
from tests.lab.world import wait_until


def way_to(host: LabHost, **fields: Any) -> HostAccess:
    """Say how a lab host is reached; every keyword overrides one field."""
    access = HostAccess(
        name=host.name,
        address=host.address,
        port=host.ssh_port,
        user=host.user,
        host_key=host.host_key,
        identity_file=str(host.identity_file),
        docker_socket=str(host.docker_socket),
        base_dir=str(host.base_dir),
    )
    return replace(access, **fields)


@asynccontextmanager
async def linked(access: HostAccess, gate: Gate | None = None) -> AsyncIterator[Link]:
    """Follow a way, and close it at the end."""
    link = await dial(access, gate or Gate())
    try:
        yield link
    finally:
        await link.close()


async def refusal(access: HostAccess, gate: Gate | None = None) -> HostError:
    """Dial a host, and meet its engine, which must fail."""
    with pytest.raises(ConnectFailed) as caught:
        async with linked(access, gate) as link:
            await link.reader()
    assert caught.value.message.startswith(f"host {access.name}: ")
    assert caught.value.hint
    return caught.value


async def appears(path: Path) -> None:
    """Wait for a file that a script makes."""
    await asyncio.to_thread(wait_until, path.exists, timeout_s=10, what=str(path))
