"""Remove named sandboxes, whatever the specs say of them."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.cli.ground import lay_ground, load_records, question_of
from reconciler.cli.options import SPECS, STATUS, AcceptRevision, JsonLines, LockTimeout, On, Specs, Status, Yes
from reconciler.errors import UsageError


def destroy(
    *,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="Sandboxes to remove.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Remove every sandbox that specs or records name.")] = False,
    specs: Specs = SPECS,
    status: Status = STATUS,
    on: On = None,
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
    from reconciler.cli.selection import hosts_on
    from reconciler.plan import Selection

    ground = lay_ground(specs, status)
    recorded = {record.sandbox for record in load_records(ground).sandboxes}
    # A name that neither specs nor records know may be an orphan's: whether it is anything, the hosts say.
    wanted = frozenset({*ground.desired.sandboxes, *recorded} if everything else names or ())
    selection = Selection(names=wanted, hosts=hosts_on(ground.desired, on) if on else None)
    question = question_of(ground, selection, destroying=wanted, accepted=accept_revision)
    return carry(ground, question, Manner(yes=yes, json_lines=json_lines, lock_timeout_s=lock_timeout))
