"""Deploy a tree as a bounded sandbox, and tell what that did to its host and what else is rotting there."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from reconciler.cli import exits, report
from reconciler.cli.ground import lay_ground, load_desired, question_of
from reconciler.cli.options import (
    SPECS,
    STATUS,
    AcceptRevision,
    HostForm,
    HostOutput,
    LockTimeout,
    Specs,
    Status,
    folder,
)
from reconciler.errors import UsageError
from reconciler.model.names import NAME_LENGTH_MAX
from reconciler.model.nearest import did_you_mean

if TYPE_CHECKING:
    from reconciler.cli.ground import Ground
    from reconciler.model.delta import ProvisionDelta
    from reconciler.model.desired import Desired
    from reconciler.model.status import SandboxStatus
    from reconciler.passes import Passed

PROFILE = "sandbox-canary"
REPO_VARIABLE = "RECONCILE_REPO_ROOT"
_DOCUMENT = "(canary)"
_DIGEST_CHARS = 8


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what the command line says of canaries."""

    specs: Path
    status: Path
    hosts: tuple[str, ...]
    repo: Path
    profile: str
    compose: str | None
    accepted: list[str] | None


def canary(
    *,
    host: Annotated[
        str | None, typer.Argument(metavar="HOST", help="Where; the only host there is, when left out.")
    ] = None,
    everywhere: Annotated[bool, typer.Option("--all", help="On every host.")] = False,
    repo: Annotated[
        Path | None,
        typer.Option(
            "--repo",
            metavar="PATH",
            parser=folder,
            help=f"The tree to deploy; else {REPO_VARIABLE} names it; else this checkout, or this program's folder.",
        ),
    ] = None,
    profile: Annotated[str, typer.Option("--profile", help="Make it from this profile.")] = PROFILE,
    compose: Annotated[
        str | None, typer.Option("--compose", metavar="FILE", help="Bring up this compose file of the tree, too.")
    ] = None,
    destroy: Annotated[bool, typer.Option("--destroy", help="Take it away again, and tell what that did.")] = False,
    specs: Specs = SPECS,
    status: Status = STATUS,
    accept_revision: AcceptRevision = None,
    lock_timeout: LockTimeout = 0,
    output: HostForm = HostOutput.TABLE,
) -> int:
    """Deploy a tree to a host for a while, wait until it is ready, and tell what that did there.

    It needs no image and no registry. It is recorded as ad hoc: what is not destroyed goes with its ttl.
    """
    for text in (profile, compose or ""):
        _want_utf8(text)
    hosts = _hosts(load_desired(specs), host, everywhere=everywhere)
    asked = Asked(
        specs=specs,
        status=status,
        hosts=hosts,
        repo=_repo(repo),
        profile=profile,
        compose=compose,
        accepted=accept_revision,
    )
    came, passed = _carry(asked, destroying=False, lock_timeout_s=lock_timeout)
    gone = None
    if destroy and came != exits.INTERRUPTED:
        ended, gone = _carry(asked, destroying=True, lock_timeout_s=lock_timeout)
        came = exits.worst([came, ended])
    if passed is not None:
        _tell(asked, passed, gone, output)
        known = passed.statuses.sandboxes
        if not all(name in known and known[name].is_ready for name in map(canary_name, asked.hosts)):
            came = exits.worst([came, exits.ERROR])
    return came


def canary_name(host: str) -> str:
    """Name the canary of a host; one name for each, so that a second run finds the first."""
    name = f"canary-{host}"
    if len(name) <= NAME_LENGTH_MAX:
        return name
    digest = hashlib.sha256(host.encode()).hexdigest()[:_DIGEST_CHARS]
    return f"{name[: NAME_LENGTH_MAX - _DIGEST_CHARS - 1].rstrip('-')}-{digest}"


def _hosts(desired: Desired, host: str | None, *, everywhere: bool) -> tuple[str, ...]:
    names = tuple(sorted(desired.hosts))
    if host is not None and everywhere:
        raise UsageError("a host and --all: give one of the two", hint="leave one out")
    if host is not None:
        if host not in names:
            hint = did_you_mean(host, names, otherwise="there are") or "the specs name none"
            raise UsageError(f"no host is named {host!r}", hint=hint, code="E_NO_MATCH")
        return (host,)
    if not names:
        raise UsageError("the specs name no host", hint="reconcile host add NAME ALIAS")
    if len(names) > 1 and not everywhere:
        raise UsageError(f"there are {len(names)} hosts: say which", hint=f"one of {', '.join(names[:5])}; or --all")
    return names


def _repo(given: Path | None) -> Path:
    """Choose the tree: what was said, then the variable, then this checkout, then the program's own folder."""
    from reconciler.cli.revision import top_of

    named = os.environ.get(REPO_VARIABLE)
    if given is None and named:
        given = Path(named)
    if given is None:
        import reconciler

        given = top_of(Path.cwd()) or Path(reconciler.__file__).parent
    if not given.is_dir():
        raise UsageError(f"{given} is no folder", hint="name the tree with --repo PATH")
    found = given.resolve()
    _want_utf8(str(found))
    return found


def _want_utf8(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{text!a} is not UTF-8, as all specs are", hint="give it another name") from error


def _carry(asked: Asked, *, destroying: bool, lock_timeout_s: float) -> tuple[int, Passed | None]:
    """Carry one pass over the canaries alone; give its exit status and what it came to."""
    from reconciler.cli.carry import Manner, carry
    from reconciler.plan import Selection

    names = frozenset(canary_name(host) for host in asked.hosts)
    ground = lay_ground(asked.specs, asked.status) if destroying else _ground(asked)
    question = question_of(
        ground,
        Selection(names=names, hosts=frozenset(asked.hosts)),
        destroying=names if destroying else frozenset(),
        accepted=asked.accepted,
    )
    came: list[Passed] = []
    manner = Manner(yes=True, json_lines=False, lock_timeout_s=lock_timeout_s, tell=came.append)
    status = carry(ground, question, manner)
    return status, came[0] if came else None


def _ground(asked: Asked) -> Ground:
    """Lay the ground with the canaries among what is desired: read, checked and judged as every spec is."""
    from reconciler.load.folder import SpecFile

    data = b"\n---\n".join(msgspec.json.encode(_document(asked, host)) for host in asked.hosts)
    document = SpecFile(_DOCUMENT, data, hashlib.sha256(data).hexdigest())
    ground = lay_ground(asked.specs, asked.status, more=(document,))
    sandboxes = dict(ground.desired.sandboxes)
    for host in asked.hosts:
        want = sandboxes[canary_name(host)]
        sandboxes[want.name] = msgspec.structs.replace(want, origin="adhoc", observability="canary")
    desired = msgspec.structs.replace(ground.desired, sandboxes=sandboxes)
    return msgspec.structs.replace(ground, desired=desired)


def _document(asked: Asked, host: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"profile": asked.profile, "host": host, "source": {"path": _meant(str(asked.repo))}}
    if asked.compose is not None:
        spec["compose"] = {"file": _meant(asked.compose)}
    return {
        "apiVersion": "reconciler/v1",
        "kind": "Sandbox",
        "metadata": {"name": canary_name(host)},
        "spec": spec,
    }


def _meant(text: str) -> str:
    """Write a text so that a spec means just that by it."""
    return text.replace("${", "$${")


def _tell(asked: Asked, passed: Passed, gone: Passed | None, output: HostOutput) -> None:
    """Tell of each canary; of what did not come up or go away, why."""
    from reconciler.show.canary_text import canary_page

    names = [canary_name(host) for host in asked.hosts]
    known = passed.statuses.sandboxes
    down = {name: _teardown(gone, name) for name in names}
    if output is not HostOutput.TABLE:
        told = [
            _document_of(known[name], down[name])
            | {"deployed": _end_of(passed, name), "destroyed": _end_of(gone, name)}
            for name in names
            if name in known
        ]
        report.answer(output, {"format": "reconciler-canary/1", "canaries": told}, list)
        return
    for one in (passed, gone):
        if one is not None:
            _tell_trouble(one)
    for name in names:
        if name in known:
            report.show(canary_page(known[name], teardown=down[name]))


def _tell_trouble(passed: Passed) -> None:
    """Tell what one pass could not do, as every pass does."""
    from reconciler.show.outcome_text import not_ready_page, outcome_page
    from reconciler.show.plan_text import plan_page

    ended, plan = passed.ended, passed.planned.plan
    report.warn(passed.planned.warnings)
    if plan.held or plan.unknown_hosts:
        report.show(plan_page(plan, width=report.width(), age_s=None))
    if ended is not None and any(action.end != "done" for action in ended.actions):
        report.show(outcome_page(plan, ended, deltas=False))
    if passed.not_ready:
        report.show(not_ready_page(passed.not_ready))


def _end_of(passed: Passed | None, name: str) -> str | None:
    """Say how the one action of a canary ended, that it was held back, or None where there was nothing to do."""
    if passed is None:
        return None
    plan = passed.planned.plan
    if any(held.sandbox == name for held in plan.held):
        return "held"
    mine = {action.id for action in plan.actions if action.sandbox == name}
    ended = passed.ended.actions if passed.ended is not None else ()
    return next((one.end for one in ended if one.id in mine), None)


def _teardown(gone: Passed | None, name: str) -> ProvisionDelta | None:
    """Give what taking a canary away did to its host."""
    if gone is None or gone.ended is None:
        return None
    actions = {action.id: action.sandbox for action in gone.planned.plan.actions}
    return next((one.delta for one in gone.ended.actions if actions.get(one.id) == name), None)


def _document_of(status: SandboxStatus, teardown: ProvisionDelta | None) -> dict[str, Any]:
    told = None if status.report is None else msgspec.structs.replace(status.report, teardown=teardown)
    return {"name": status.name, "host": status.host, "ready": status.is_ready, "report": msgspec.to_builtins(told)}
