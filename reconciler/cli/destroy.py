"""Remove named sandboxes, whatever the specs say of them."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli.ground import lay_ground, load_records, question_of
from reconciler.cli.options import SPECS, STATUS, JsonLines, LockTimeout, Specs, Status, Yes
from reconciler.errors import UsageError


def destroy(
    *,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="Sandboxes to remove.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Remove every sandbox of the fleet.")] = False,
    specs: Specs = SPECS,
    status: Status = STATUS,
    yes: Yes = False,
    json_lines: JsonLines = False,
    lock_timeout: LockTimeout = 0,
) -> int:
    """Remove sandboxes from their hosts; data stays.

    Containers, networks and their own folders go. Volumes and directories under storage roots are data.
    """
    if bool(names) == everything:
        raise UsageError("name the sandboxes to destroy, or give --all, and not both")
    from reconciler.cli.carry import Manner, carry  # noqa: PLC0415 - loads the rooms that reach hosts
    from reconciler.cli.selection import select  # noqa: PLC0415 - same

    ground = lay_ground(specs, status)
    records = load_records(ground)
    known = {*ground.desired.sandboxes, *(record.sandbox for record in records.sandboxes)}
    wanted = sorted(known) if everything else list(names or ())
    selection = select(ground.desired, records, names=wanted, on=None, exclude=None)
    question = question_of(ground, selection, destroying=frozenset(wanted))
    return carry(ground, question, Manner(yes=yes, json_lines=json_lines, lock_timeout_s=lock_timeout))
