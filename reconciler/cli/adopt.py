"""Take over a container that stands under a name the specs want."""

from __future__ import annotations

import functools
from typing import Annotated

import msgspec
import typer

from reconciler.cli.ground import lay_ground, question_of
from reconciler.cli.options import SPECS, STATUS, JsonLines, LockTimeout, On, Specs, Status, Yes


def adopt(
    *,
    full_id: Annotated[str, typer.Argument(metavar="FULL_ID", help="The container's 64 hex digits.")],
    specs: Specs = SPECS,
    status: Status = STATUS,
    on: On = None,
    yes: Yes = False,
    json_lines: JsonLines = False,
    lock_timeout: LockTimeout = 0,
) -> int:
    """Take over a container that has a wanted name.

    It goes on as it is; the next plan shows how it differs from its spec.
    """
    from reconciler.cli.carry import Manner, carry
    from reconciler.cli.selection import hosts_on
    from reconciler.plan import Selection, plan_adoption, require_full_id

    require_full_id(full_id)
    ground = lay_ground(specs, status)
    selection = Selection(hosts=hosts_on(ground.desired, on) if on else None)
    question = msgspec.structs.replace(
        question_of(ground, selection), planner=functools.partial(plan_adoption, full_id=full_id)
    )
    manner = Manner(yes=yes, json_lines=json_lines, lock_timeout_s=lock_timeout)
    return carry(ground, question, manner, only_hosts_know=True)
