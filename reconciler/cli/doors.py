"""Open real hosts: in one process, behind one gate that bounds how many log in at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.model.text import bind

if TYPE_CHECKING:
    from reconciler.host.interface import Host, Reader
    from reconciler.model.desired import Desired, HostDesired


class RealDoors:
    """Open the hosts of one fleet."""

    def __init__(self, desired: Desired, *, secrets: dict[str, str]) -> None:
        from reconciler.host.dial import Gate  # noqa: PLC0415 - loads SSH or Docker only once a host is opened

        self._gate = Gate()
        self._registries = tuple(
            (registry.host, registry.username, str(bind(registry.password, secrets))) for registry in desired.registries
        )

    async def reader(self, host: HostDesired) -> Reader:
        """Open a host through a client that cannot mutate."""
        from reconciler.host import open_reader  # noqa: PLC0415 - same

        return await open_reader(host.access, gate=self._gate)

    async def host(self, host: HostDesired) -> Host:
        """Open a host that effects may be sent to."""
        from reconciler.host import open_host  # noqa: PLC0415 - same

        return await open_host(host.access, gate=self._gate, registries=self._registries)
