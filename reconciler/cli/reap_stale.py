"""End what is stale and provably ours; without --apply, only show it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from reconciler.cli.ground import lay_ground, question_of
from reconciler.cli.options import (
    SPECS,
    STATUS,
    AcceptRevision,
    AllowDestroy,
    JsonLines,
    LockTimeout,
    On,
    Output,
    Specs,
    Status,
    Yes,
    file,
    span_s,
)
from reconciler.cli.verify_removal import verify_removal
from reconciler.errors import UsageError
from reconciler.model.legacy import LegacyName, parse_legacy
from reconciler.model.nearest import did_you_mean

if TYPE_CHECKING:
    from reconciler.cli.carry import Manner
    from reconciler.cli.ground import Ground
    from reconciler.model.desired import Desired
    from reconciler.model.plan import Plan
    from reconciler.passes import PassAsked


def reap_stale(
    *,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without this it is only shown.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show it, which is what happens anyway.")] = False,
    older_than: Annotated[
        int | None,
        typer.Option(
            "--older-than", metavar="SPAN", parser=span_s, help="Leave younger orphans alone; else reap.olderThan does."
        ),
    ] = None,
    grace: Annotated[
        int | None,
        typer.Option(
            "--grace",
            metavar="SPAN",
            parser=span_s,
            help="Remove what was stopped once this is over, with 0 at once; else reap.grace counts.",
        ),
    ] = None,
    legacy: Annotated[
        list[str] | None,
        typer.Option(
            "--legacy",
            metavar="HOST:KIND/NAME",
            help="Also end this find, which nothing proves to be ours, named as inspect stale prints it; repeatable.",
        ),
    ] = None,
    verify: Annotated[
        Path | None,
        typer.Option(
            "--verify", metavar="RECORD", parser=file, help="Check a record of a removal again, and do nothing."
        ),
    ] = None,
    specs: Specs = SPECS,
    status: Status = STATUS,
    on: On = None,
    yes: Yes = False,
    json_lines: JsonLines = False,
    allow_destroy: AllowDestroy = None,
    accept_revision: AcceptRevision = None,
    lock_timeout: LockTimeout = 0,
) -> int:
    """Remove what nobody needs any more, where it is provably ours and old enough.

    Orphans are stopped and marked first, and removed once the grace is over by the next reap-stale, or by apply where
    reap.mode is apply. What is past its ttl ends at once, and records of what is gone are forgotten. Everything is read
    twice. `inspect stale` shows more: what nobody can prove to be ours is left alone, unless --legacy names it. Then it
    must be listed, old enough, the SSH user's own and at rest.
    """
    if verify is not None:
        return verify_removal(verify)
    if apply and dry_run:
        raise UsageError("--apply and --dry-run: give one of the two")
    from reconciler.cli.carry import Manner
    from reconciler.cli.plan import show

    given = _Given(
        specs=specs,
        status=status,
        on=on,
        accepted=accept_revision,
        allow_destroy=allow_destroy,
        older_than_s=older_than,
        grace_s=grace,
        legacy=tuple(_legacy_of(text) for text in legacy or ()),
    )
    if not apply:
        return show(*_ask(given, []), Output.TABLE, json_lines=json_lines)
    return _carry_out(given, Manner(yes=yes, json_lines=json_lines, lock_timeout_s=lock_timeout))


class _Given(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what the command line says of what is to be reaped."""

    specs: Path
    status: Path
    on: list[str] | None
    accepted: list[str] | None
    allow_destroy: int | None
    older_than_s: int | None
    grace_s: int | None
    legacy: tuple[LegacyName, ...] = ()


def _legacy_of(text: str) -> LegacyName:
    """Read which legacy find is meant.

    Raises:
        UsageError: it is not written as one.
    """
    named = parse_legacy(text)
    if named is None:
        hint = "write alpha:compose/e2e-12, or alpha:folder//tmp/sandboxer/x, as reconcile inspect stale prints it"
        raise UsageError(f"--legacy {text!r} names no legacy find", hint=hint)
    return named


def _carry_out(given: _Given, manner: Manner) -> int:
    """Reap; with no grace, in two passes, of which the second takes exactly what the first has stopped."""
    from reconciler.cli import exits
    from reconciler.cli.carry import carry

    plans: list[Plan] = []
    ground, question = _ask(given, plans)
    ended_with = carry(ground, question, manner)
    buried = frozenset(action.sandbox for made in plans[-1:] for action in made.actions if action.buries)
    # What is held back, or failed, keeps nothing else from its end.
    if ended_with not in (exits.FINE, exits.PARTIAL) or question.desired.reap.grace_s > 0 or not buried:
        return ended_with
    ground, question = _ask(msgspec.structs.replace(given, legacy=()), plans)
    selection = msgspec.structs.replace(question.request.selection, names=buried)
    allowed = None if given.allow_destroy is None else len(buried)
    request = msgspec.structs.replace(question.request, selection=selection, removals_allowed=allowed)
    return exits.worst([ended_with, carry(ground, msgspec.structs.replace(question, request=request), manner)])


def _ask(given: _Given, plans: list[Plan]) -> tuple[Ground, PassAsked]:
    """Ask for a pass that reaps; each plan that it makes is noted in `plans`."""
    from reconciler.cli.selection import select_on
    from reconciler.plan.reaping import plan_reaping

    def planner(*seen: Any) -> Plan:
        plans.append(plan_reaping(*seen, named=given.legacy))
        return plans[-1]

    ground = lay_ground(given.specs, given.status)
    selection = select_on(ground, names=None, on=given.on, exclude=None)
    for one in given.legacy:
        if one.host not in ground.desired.hosts:
            hint = did_you_mean(one.host, ground.desired.hosts, otherwise="there are")
            raise UsageError(f"--legacy names host {one.host!r}, which no spec knows", hint=hint, code="E_NO_MATCH")
        if selection.hosts is not None and one.host not in selection.hosts:
            raise UsageError(f"--legacy names {one.host}, which --on does not select", hint="leave out --on")
    asked = question_of(ground, selection, removals_allowed=given.allow_destroy, accepted=given.accepted)
    desired = _reaping(asked.desired, older_than_s=given.older_than_s, grace_s=given.grace_s)
    asked = msgspec.structs.replace(asked, desired=desired, planner=planner, reads_twice=True)
    if given.legacy:
        asked = msgspec.structs.replace(asked, roots=("${host.baseDir}", *desired.reap.legacy_roots))
    return ground, asked


def _reaping(desired: Desired, *, older_than_s: int | None, grace_s: int | None) -> Desired:
    """Let orphans go as the command line says, and as the Fleet does where that says nothing."""
    said = desired.reap
    reap = msgspec.structs.replace(
        said,
        mode="apply",
        older_than_s=said.older_than_s if older_than_s is None else older_than_s,
        grace_s=said.grace_s if grace_s is None else grace_s,
    )
    return msgspec.structs.replace(desired, reap=reap)
