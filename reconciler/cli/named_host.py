"""Find one host of the specs by its name; a name that is none is wrong usage."""

from __future__ import annotations

import difflib

from reconciler.errors import UsageError
from reconciler.model.desired import Desired, HostDesired


def named_host(desired: Desired, name: str) -> HostDesired:
    """Give the host of this name.

    Raises:
        UsageError: the specs hold no such host.
    """
    host = desired.hosts.get(name)
    if host is not None:
        return host
    names = sorted(desired.hosts)
    near = difflib.get_close_matches(name, names, n=1)
    known = f"there are: {', '.join(names[:10])}" if names else "the specs hold no Host: reconcile host add NAME ALIAS"
    hint = f"did you mean {near[0]}?" if near else known
    raise UsageError(f"no host is named {name!r}", hint=hint, code="E_NO_MATCH")
