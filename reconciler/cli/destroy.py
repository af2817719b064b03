"""Remove named sandboxes, whatever the specs say of them."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli.ground import lay_ground, load_records, question_of
from reconciler.cli.options import (
    SPECS,
    STATUS,
    AcceptRevision,
    Exclude,
    JsonLines,
    LockTimeout,
    On,
    Specs,
    Status,
    Yes,
)
from reconciler.errors import UsageError
from reconciler.model.names import name_fault


def destroy(
    *,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="Sandboxes to remove.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Remove every sandbox that specs or records name.")] = False,
    specs: Specs = SPECS,
    status: Status = STATUS,
    on: On = None,
    exclude: Exclude = None,
    yes: Yes = False,
    json_lines: JsonLines = False,
    accept_revision: AcceptRevision = None,
    lock_timeout: LockTimeout = 0,
) -> int:
    """Remove sandboxes from their hosts; data stays.

    Containers, networks and their own folders go. Volumes and directories under storage roots are data.
    """
    if bool(names) == everything:
        hint = "reconcile status lists them; for one: reconcile destroy NAME"
        raise UsageError("name the sandboxes to destroy, or give --all, and not both", hint=hint)
    from reconciler.cli.carry import Manner, carry
    from reconciler.cli.selection import check_names, hosts_on
    from reconciler.plan import Selection

    ground = lay_ground(specs, status)
    known = {*ground.desired.sandboxes, *(record.sandbox for record in load_records(ground).sandboxes)}
    # A name that neither specs nor records know may be an orphan's: whether it is anything, the hosts say.
    orphans = {name for name in names or () if name not in known and name_fault(name) is None}
    check_names(dict.fromkeys(known | orphans, ()), names=names, exclude=exclude, hosts=None)
    wanted = frozenset(known if everything else names or ()).difference(exclude or ())
    selection = Selection(names=wanted, hosts=hosts_on(ground.desired, on) if on else None)
    question = question_of(ground, selection, destroying=wanted, accepted=accept_revision)
    manner = Manner(yes=yes, json_lines=json_lines, lock_timeout_s=lock_timeout)
    return carry(ground, question, manner, only_hosts_know=bool(orphans))
