"""Show what the last passes recorded; asks no host."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from reconciler.cli import exits, report
from reconciler.cli.clock import SystemClock
from reconciler.cli.options import SPECS, STATUS, Exclude, Names, On, Output, OutputForm, Specs, Status
from reconciler.errors import StatusFolderError

if TYPE_CHECKING:
    from reconciler.model.status import Statuses
    from reconciler.model.unfinished import UnfinishedPass


def status(
    *,
    names: Names = None,
    specs: Specs = SPECS,
    status: Status = STATUS,
    on: On = None,
    exclude: Exclude = None,
    output: OutputForm = Output.TABLE,
) -> int:
    """Show what the last passes recorded; ask no host.

    The specs are read only for the labels of hosts that --on may name.
    """
    from reconciler.record.store import StatusStore
    from reconciler.record.unfinished import find_unfinished
    from reconciler.show.status_json import status_json, status_names
    from reconciler.show.status_text import status_page
    from reconciler.show.yaml_text import yaml_text

    clock = SystemClock()
    loaded = StatusStore(status).load(now=clock.now())
    report.warn(loaded.warnings)
    summary = loaded.statuses.fleet
    unfinished = find_unfinished(status, looked_at=None if summary is None else summary.updated_at)
    fleet = loaded.fleet or (None if unfinished is None else unfinished.fleet)
    if fleet is None:
        raise _nothing(status, unfinished)
    statuses = _narrowed(loaded.statuses, specs, names=names, on=on, exclude=exclude)
    match output:
        case Output.JSON:
            text = msgspec.json.encode(status_json(statuses, fleet=fleet, unfinished=unfinished))
            report.document(msgspec.json.format(text, indent=2))
        case Output.YAML:
            report.document(yaml_text(status_json(statuses, fleet=fleet, unfinished=unfinished)))
        case Output.NAME:
            report.document(status_names(statuses))
        case Output.TABLE | Output.WIDE:
            wide = output is Output.WIDE
            width = report.terminal_width()
            report.show(status_page(statuses, now=clock.now(), wide=wide, width=width, unfinished=unfinished))
    return exits.FINE


def _nothing(folder: Path, unfinished: UnfinishedPass | None) -> StatusFolderError:
    """Say that nothing is on record, and of a first pass that cannot be read even that."""
    if unfinished is None:
        return StatusFolderError(f"nothing is recorded in {folder} yet", hint="the first apply does: reconcile apply")
    why = "; ".join((f"pass {unfinished.id} has not ended", *unfinished.unreadable))
    return StatusFolderError(
        f"nothing is recorded in {folder} yet, and {why}", hint="run `reconcile apply` again: it looks first"
    )


def _narrowed(
    statuses: Statuses, specs: Path, *, names: list[str] | None, on: list[str] | None, exclude: list[str] | None
) -> Statuses:
    """Leave out what was not asked for: sandboxes, and hosts that hold none of those that stay.

    Raises:
        UsageError: for a name or a selector that nothing on record has.
    """
    if not (names or on or exclude):
        return statuses
    from reconciler.cli.selection import check_names

    places = {name: {one.host, *(record.host for record in one.records)} for name, one in statuses.sandboxes.items()}
    hosts = _hosts_on(statuses, specs, on) if on else None
    check_names(places, names=names, exclude=exclude, hosts=hosts)
    kept = {
        name: one
        for name, one in statuses.sandboxes.items()
        if (not names or name in names) and name not in (exclude or ()) and (hosts is None or hosts & places[name])
    }
    used = {host for name in kept for host in places[name]}
    shown = used if hosts is None else hosts
    return msgspec.structs.replace(
        statuses, sandboxes=kept, hosts={name: one for name, one in statuses.hosts.items() if name in shown}
    )


def _hosts_on(statuses: Statuses, specs: Path, on: list[str]) -> frozenset[str]:
    """Find hosts by their names on record; their labels stand in the specs alone."""
    from reconciler.cli.ground import load_desired
    from reconciler.cli.selection import hosts_on, no_host_matches

    known = {*statuses.hosts, *(one.host for one in statuses.sandboxes.values())}
    for name in on:
        if "=" not in name and name not in known:
            raise no_host_matches(name, known)
    labels = [selector for selector in on if "=" in selector]
    found = hosts_on(load_desired(specs), labels) if labels else frozenset()
    return found | {name for name in on if "=" not in name}
