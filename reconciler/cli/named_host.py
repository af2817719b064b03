"""Find one host of the specs by its name; a name that is none is wrong usage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.errors import UsageError
from reconciler.model.nearest import did_you_mean

if TYPE_CHECKING:
    from reconciler.model.desired import Desired, HostDesired


def named_host(desired: Desired, name: str) -> HostDesired:
    """Give the host of this name.

    Raises:
        UsageError: the specs hold no such host.
    """
    host = desired.hosts.get(name)
    if host is not None:
        return host
    none = "the specs hold no Host: reconcile host add NAME ALIAS"
    hint = did_you_mean(name, desired.hosts, otherwise="there are") or none
    raise UsageError(f"no host is named {name!r}", hint=hint, code="E_NO_MATCH")
