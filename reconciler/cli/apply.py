"""Bring hosts to the desired state, or do exactly what a saved plan says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from reconciler.cli.ground import lay_ground, question_of
from reconciler.cli.options import (
    SPECS,
    STATUS,
    AcceptRevision,
    AllowDestroy,
    Exclude,
    JsonLines,
    LockTimeout,
    On,
    Specs,
    Status,
    Yes,
)
from reconciler.errors import PlanDamaged, UsageError

Targets = Annotated[
    list[str] | None, typer.Argument(metavar="NAME... | FILE", help="Sandboxes, or one file that plan --out wrote.")
]


def apply(
    *,
    targets: Targets = None,
    specs: Specs = SPECS,
    status: Status = STATUS,
    on: On = None,
    exclude: Exclude = None,
    yes: Yes = False,
    json_lines: JsonLines = False,
    allow_destroy: AllowDestroy = None,
    accept_revision: AcceptRevision = None,
    update_images: Annotated[
        bool, typer.Option("--update-images", help="Take what tags name in their registries now.")
    ] = False,
    lock_timeout: LockTimeout = 0,
) -> int:
    """Bring hosts to the state that the specs say; ask first.

    With a file that `plan --out` wrote, do exactly what it says, unless something it read has changed.
    """
    from reconciler.cli.carry import Manner, carry
    from reconciler.cli.selection import select_on
    from reconciler.plan import Selection
    from reconciler.record.plan_file import load_plan

    manner = Manner(yes=yes, json_lines=json_lines, lock_timeout_s=lock_timeout)
    file = _plan_file(targets or [])
    ground = lay_ground(specs, status)
    if file is not None:
        if on or exclude or allow_destroy is not None or update_images:
            options = "--on, --exclude, --allow-destroy or --update-images"
            raise UsageError(f"a saved plan is applied as it is: it takes no {options}")
        saved = load_plan(file)
        if saved.fleet != ground.desired.fleet:
            message = f"{file} is a plan of fleet {saved.fleet}, these specs are of fleet {ground.desired.fleet}"
            raise PlanDamaged(message, code="E_PLAN_FLEET", hint="name the spec folder it was made from: --specs DIR")
        ground = msgspec.structs.replace(ground, pass_id=saved.pass_id)
        hosts = frozenset(saved.basis) or None
        selection = Selection(names=frozenset(item.sandbox for item in saved.actions), hosts=hosts)
        question = question_of(ground, selection, updates_images=saved.updates_images, accepted=accept_revision)
        # Only what a person allowed when it was made lifts the budget now: saving a refused plan is no permission.
        request = msgspec.structs.replace(question.request, removals_allowed=saved.removals_allowed)
        return carry(ground, msgspec.structs.replace(question, request=request), manner, saved=saved)
    selection = select_on(ground, names=targets, on=on, exclude=exclude)
    question = question_of(
        ground,
        selection,
        removals_allowed=allow_destroy,
        updates_images=update_images,
        accepted=accept_revision,
    )
    return carry(ground, question, manner)


def _plan_file(targets: list[str]) -> Path | None:
    """Tell whether a plan file is meant: one target that no sandbox could be named."""
    if len(targets) != 1:
        return None
    target = targets[0]
    looks_like_one = "/" in target or "." in target or Path(target).is_file()
    return Path(target) if looks_like_one else None
