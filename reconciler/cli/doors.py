"""Open real hosts: in one process, behind one gate that bounds how many log in at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.host import RegistryLogin, open_gate, open_host, open_reader
from reconciler.host.redacted import RedactedHost, RedactedReader
from reconciler.model.redaction import redactor_of
from reconciler.model.text import bind

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from reconciler.host.interface import Host, Reader
    from reconciler.model.desired import Desired, HostDesired


class RealDoors:
    """Open the hosts of one fleet. What comes back from them holds none of `secrets`, but where values are compared."""

    def __init__(self, desired: Desired, *, secrets: dict[str, str], now: Callable[[], datetime]) -> None:
        self._gate = open_gate()
        self._now = now
        self._redactor = redactor_of(tuple(secrets.values()))
        self._logins = tuple(
            RegistryLogin(host=one.host, username=one.username, password=str(bind(one.password, secrets)))
            for one in desired.registries
        )

    def reader(self, host: HostDesired) -> Reader:
        """Give a host through a client that cannot mutate."""
        return RedactedReader(open_reader(host.access, gate=self._gate, logins=self._logins), self._redactor)

    def host(self, host: HostDesired) -> Host:
        """Give a host that effects may be sent to."""
        opened = open_host(host.access, gate=self._gate, clock=self._now, logins=self._logins)
        return RedactedHost(opened, self._redactor)
