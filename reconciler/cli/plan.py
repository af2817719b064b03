"""Show what apply would do, through clients that cannot do it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from reconciler.cli import exits, report
from reconciler.cli.ground import Ground, lay_ground, question_of
from reconciler.cli.options import (
    SPECS,
    STATUS,
    AcceptRevision,
    AllowDestroy,
    Exclude,
    JsonLines,
    Names,
    On,
    Output,
    OutputForm,
    Specs,
    Status,
    file,
)
from reconciler.errors import UsageError

if TYPE_CHECKING:
    from reconciler.passes import PassAsked, Planned


def plan(
    *,
    names: Names = None,
    specs: Specs = SPECS,
    status: Status = STATUS,
    on: On = None,
    exclude: Exclude = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", parser=file, help="Save the plan, for apply FILE.")
    ] = None,
    output: OutputForm = Output.TABLE,
    json_lines: JsonLines = False,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 2 when there are changes.")
    ] = False,
    allow_destroy: AllowDestroy = None,
    accept_revision: AcceptRevision = None,
    check_images: Annotated[
        bool, typer.Option("--check-images", help="Ask registries which tags have moved, and plan to take them.")
    ] = False,
) -> int:
    """Show what apply would do, and why.

    Changes nothing, and cannot: it works through clients that only read.
    """
    from reconciler.cli.selection import select_on

    if json_lines and output is not Output.TABLE:
        hint = f"leave out --json, or -o {output.value}"
        raise UsageError("--json is a stream of lines and --output one document: give one of the two", hint=hint)
    if out is not None:
        _check_place(out)
    ground = lay_ground(specs, status)
    selection = select_on(ground, names=names, on=on, exclude=exclude)
    question = question_of(
        ground,
        selection,
        removals_allowed=allow_destroy,
        updates_images=check_images,
        accepted=accept_revision,
    )
    return show(ground, question, output, json_lines=json_lines, out=out, detailed=detailed_exitcode)


def _check_place(out: Path) -> None:
    """Refuse a file that cannot be written before any host is asked.

    Raises:
        UsageError: there is no such folder, or it is a folder itself.
    """
    if not out.parent.is_dir():
        message = f"cannot save the plan to {out}: there is no folder {out.parent}"
    elif out.is_dir():
        message = f"cannot save the plan to {out}: it is a folder"
    else:
        return
    raise UsageError(message, hint="name a file in a folder that is there, such as --out web.plan", code="E_PLAN_WRITE")


def show(
    ground: Ground,
    question: PassAsked,
    output: Output,
    *,
    json_lines: bool,
    out: Path | None = None,
    detailed: bool = False,
) -> int:
    """Plan, show the plan, save it where that is asked, and give the exit status."""
    import asyncio

    planned = asyncio.run(_plan(ground, question))
    report.warn(planned.warnings)
    if out is not None:
        from reconciler.record.plan_file import save_plan

        save_plan(out, planned.plan)
    _print(ground, planned, output, json_lines=json_lines)
    if out is not None:
        report.say(f"saved to {out}; to do exactly this: reconcile apply {out}")
    return status_of(planned, detailed=detailed)


async def _plan(ground: Ground, question: PassAsked) -> Planned:
    from reconciler.cli.doors import RealDoors
    from reconciler.passes import plan_pass

    doors = RealDoors(ground.desired, secrets=question.request.secrets, now=ground.clock.now)
    return await plan_pass(question, store=ground.store, doors=doors, clock=ground.clock)


def _print(ground: Ground, planned: Planned, output: Output, *, json_lines: bool) -> None:
    from reconciler.model.status import not_ready_in
    from reconciler.show import stream
    from reconciler.show.lock_text import being_changed, left_locked
    from reconciler.show.plan_json import plan_json
    from reconciler.show.plan_text import plan_page
    from reconciler.show.yaml_text import yaml_text

    if json_lines:
        stamp = stream.Stamp(ground.clock.now(), ground.pass_id)
        messages = [
            stream.version(stamp, tool=planned.plan.tool),
            *stream.hosts_observed(stamp, planned.observed),
            *stream.planned(stamp, planned.plan),
        ]
        sys.stdout.write("".join(stream.json_line(message) for message in messages))
        return
    changing = being_changed(planned.observed)
    match output:
        case Output.JSON:
            told = plan_json(planned.plan, changing=changing)
            report.document(msgspec.json.format(msgspec.json.encode(told), indent=2))
        case Output.YAML:
            report.document(yaml_text(plan_json(planned.plan, changing=changing)))
        case Output.NAME:
            report.document("".join(f"{action.address}\n" for action in planned.plan.actions))
        case Output.TABLE | Output.WIDE:
            age_s = (ground.clock.now() - planned.plan.made_at).total_seconds()
            page = plan_page(
                planned.plan,
                width=report.width(),
                age_s=age_s,
                wide=output is Output.WIDE,
                unready=not_ready_in(planned.statuses),
                changing=changing,
                left=left_locked(planned.observed),
            )
            report.show(page)


def status_of(planned: Planned, *, detailed: bool) -> int:
    """Give the exit status of a plan that was only shown."""
    from reconciler.model.plan import AS_ASKED

    found = [exits.FINE]
    if planned.plan.refused:
        found.append(exits.REFUSED)
    if planned.plan.unknown_hosts:
        found.append(exits.PARTIAL)
    unsettled = planned.plan.actions or any(held.reason not in AS_ASKED for held in planned.plan.held)
    if unsettled and detailed:
        found.append(exits.CHANGES)
    return exits.worst(found)
