"""Turn names and selectors of the command line into a selection; what matches nothing is wrong usage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.cli import report
from reconciler.cli.ground import Ground
from reconciler.errors import UsageError
from reconciler.model.desired import Desired, HostDesired
from reconciler.model.nearest import did_you_mean
from reconciler.model.record import Records
from reconciler.plan import Selection
from reconciler.record.fold import records_of


def select_on(ground: Ground, *, names: list[str] | None, on: list[str] | None, exclude: list[str] | None) -> Selection:
    """Give the selection from what the specs and the records know.

    Raises:
        UsageError: for what matches nothing. What is wrong with the records is said first: it may be the reason.
    """
    loaded = ground.store.load(now=ground.clock.now())
    try:
        return select(ground.desired, records_of(loaded.statuses), names=names, on=on, exclude=exclude)
    except UsageError:
        report.warn(loaded.warnings)
        raise


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
        UsageError: for a name or selector that matches nothing, or when nothing is left to select: a typo must not look
            like "nothing to do".
    """
    places: dict[str, set[str]] = {name: {sandbox.host} for name, sandbox in desired.sandboxes.items()}
    places |= {name: set(choice.hosts) for name, choice in desired.choices.items()}
    for record in records.sandboxes:
        places.setdefault(record.sandbox, set()).add(record.host)
    hosts = hosts_on(desired, on) if on else None
    check_names(places, names=names, exclude=exclude, hosts=hosts)
    return Selection(
        names=frozenset(names) if names else None,
        hosts=hosts,
        excluded=frozenset(exclude or ()),
    )


def check_names(
    places: Mapping[str, Iterable[str]],
    *,
    names: list[str] | None,
    exclude: list[str] | None,
    hosts: frozenset[str] | None,
) -> None:
    """Check that every name is known and that something is left to select.

    Args:
        places: on which hosts each known sandbox is wanted or was made.
        names: those that were asked for; none means all.
        exclude: those to leave out.
        hosts: those to stay on, or None for all.

    Raises:
        UsageError: for a name that nothing has, or a selection that is empty.
    """
    for name in (*(names or ()), *(exclude or ())):
        if name not in places:
            hint = did_you_mean(name, places, otherwise="there are") or "there are none"
            raise UsageError(f"no sandbox is named {name!r}", hint=hint, code="E_NO_MATCH")
    asked = set(names or places)
    left = asked - set(exclude or ())
    if asked and not left:
        raise UsageError(
            "--exclude leaves nothing of what is selected", hint="name a sandbox that stays", code="E_NO_MATCH"
        )
    if names and hosts is not None and not any(hosts & set(places[name]) for name in left):
        where = ", ".join(sorted({host for name in left for host in places[name]}))
        raise UsageError(
            f"nothing that is named is on a host that --on selects: it is on {where}",
            hint="leave out --on, or name what is there",
            code="E_NO_MATCH",
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
            raise no_host_matches(selector, desired.hosts)
        found |= matching
    return frozenset(found)


def no_host_matches(selector: str, known: Iterable[str]) -> UsageError:
    """Refuse a selector that no host has the name or the labels of."""
    hint = did_you_mean(selector, known, otherwise="there are") or "there are none"
    return UsageError(f"no host matches --on {selector!r}", hint=hint, code="E_NO_MATCH")


def _matches(host: HostDesired, selector: str) -> bool:
    """Tell whether a host has this name, or every one of these comma-separated labels."""
    if "=" not in selector:
        return host.name == selector
    wanted = (part.partition("=") for part in selector.split(","))
    return all(host.labels.get(key.strip()) == value.strip() for key, _, value in wanted)
