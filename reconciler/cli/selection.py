"""Turn names and selectors of the command line into a selection; what matches nothing is wrong usage."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from reconciler.errors import UsageError
from reconciler.model.desired import Desired, HostDesired
from reconciler.model.record import Records
from reconciler.plan import Selection


def select(
    desired: Desired,
    records: Records,
    *,
    names: list[str] | None,
    on: list[str] | None,
    exclude: list[str] | None,
) -> Selection:
    """Check that every name and selector means something, and give the selection.

    Raises:
        UsageError: for a name or selector that matches nothing: a typo must not look like "nothing to do".
    """
    known = {*desired.sandboxes, *(record.sandbox for record in records.sandboxes)}
    for name in (*(names or ()), *(exclude or ())):
        if name not in known:
            raise UsageError(f"no sandbox is named {name!r}", hint=_near(name, known), code="E_NO_MATCH")
    return Selection(
        names=frozenset(names) if names else None,
        hosts=hosts_on(desired, on) if on else None,
        excluded=frozenset(exclude or ()),
    )


def hosts_on(desired: Desired, on: list[str]) -> frozenset[str]:
    """Give the hosts that any of the selectors names.

    Raises:
        UsageError: for a selector that matches no host.
    """
    found: set[str] = set()
    for selector in on:
        matching = {host.name for host in desired.hosts.values() if _matches(host, selector)}
        if not matching:
            hint = _near(selector, desired.hosts)
            raise UsageError(f"no host matches --on {selector!r}", hint=hint, code="E_NO_MATCH")
        found |= matching
    return frozenset(found)


def _matches(host: HostDesired, selector: str) -> bool:
    """Tell whether a host has this name, or every one of these comma-separated labels."""
    if "=" not in selector:
        return host.name == selector
    wanted = (part.partition("=") for part in selector.split(","))
    return all(host.labels.get(key.strip()) == value.strip() for key, _, value in wanted)


def _near(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"there are: {', '.join(names[:10])}" if names else "there are none"
