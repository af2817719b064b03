"""Speak SSH and Docker: the only room that does, and the only door through which a host is ever changed.

`open_reader` gives what plan, status and inspect may have: it cannot change anything, down to the wire. `open_host`
adds the one door for mutations, which opens only while the host's lock is held. Both connect with the first call, and
again after the connection was lost. Reads come back whole or raise; mutations never raise and end as `Done`, `NotDone`
or `Unknown`. The in-memory host in `reconciler.host.memory.host` speaks the same, and one contract suite checks both.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from reconciler.host.docker.registry import RegistryLogin

if TYPE_CHECKING:
    from reconciler.host.interface import Host, Reader
    from reconciler.host.way.dial import Gate
    from reconciler.model.access import HostAccess

__all__ = ["RegistryLogin", "open_gate", "open_host", "open_reader"]


def open_gate() -> Gate:
    """Bound how many logins run at once: one for a whole process, given to every host that it opens."""
    from reconciler.host.way.dial import Gate  # noqa: PLC0415  # it is only wanted where hosts are

    return Gate()


def open_reader(access: HostAccess, *, gate: Gate, logins: tuple[RegistryLogin, ...] = ()) -> Reader:
    """Give a host that can only be read. Arguments as for `open_host`."""
    from reconciler.host.real import DockerReaderHost  # noqa: PLC0415  # same

    return DockerReaderHost(access, gate=gate, logins=logins)


def open_host(
    access: HostAccess,
    *,
    gate: Gate,
    clock: Callable[[], datetime],
    logins: tuple[RegistryLogin, ...] = (),
) -> Host:
    """Give a host that can be read and changed.

    Args:
        access: how to reach it.
        gate: bounds the logins of the whole process.
        clock: the controller's.
        logins: of registries; sent with a question or a pull, stored nowhere.
    """
    from reconciler.host.real import DockerHost  # noqa: PLC0415  # same

    return DockerHost(access, gate=gate, clock=clock, logins=logins)
