"""Write what happens as JSON lines, one message each (`--json`).

Every message has `type`, `@timestamp`, `@level`, `@message`, `pass_id` and, where it is about one object, `address`.
A minor version of the stream only adds.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

import msgspec

from reconciler.model.delta import ProvisionDelta
from reconciler.model.observed import Observed, Reachable, Unreachable
from reconciler.model.outcome import ActionEnded
from reconciler.model.plan import Action, Plan, address_of
from reconciler.model.problem import Problem
from reconciler.show.delta_text import delta_line
from reconciler.show.lock_text import holder_of
from reconciler.show.plan_json import action_json, held_json
from reconciler.show.plan_text import summary_line
from reconciler.show.symbols import SIGNS

STREAM_VERSION = "1.0"

Level = Literal["info", "warn", "error"]
Message = dict[str, Any]


class Stamp(msgspec.Struct, frozen=True):
    """Hold what every message carries: when by the controller's clock, and in which pass ("" before there is one)."""

    at: datetime
    pass_id: str


def json_line(message: Message) -> str:
    """Write one message as a line, with its newline; control characters are escaped as JSON escapes them."""
    return msgspec.json.encode(message).decode() + "\n"


def version(stamp: Stamp, *, tool: str) -> Message:
    """Open the stream."""
    return _message(stamp, "version", f"reconciler {tool}", tool=tool, stream=STREAM_VERSION)


def diagnostic(stamp: Stamp, problem: Problem) -> Message:
    """Report one problem of the specs."""
    where = {"file": problem.at.file, "line": problem.at.line, "col": problem.at.col}
    text = f"{problem.at}: {problem.message}"
    said = {"code": problem.code, "field": problem.field, "hint": problem.hint, **where}
    return _message(stamp, "diagnostic", text, level="error", **said)


def failure(stamp: Stamp, message: str, *, code: str, hint: str | None) -> Message:
    """Report why the whole operation cannot go on."""
    return _message(stamp, "diagnostic", message, level="error", code=code, hint=hint)


def hosts_observed(stamp: Stamp, observed: Observed) -> Iterator[Message]:
    """Report each host that was asked, by name."""
    for name, look in sorted(observed.hosts.items()):
        yield host_observed(stamp, name, look)


def host_observed(stamp: Stamp, name: str, look: Reachable | Unreachable) -> Message:
    """Report one host that answered, or did not."""
    address = f"host/{name}"
    if isinstance(look, Unreachable):
        said = {"reachable": False, "code": look.code, "hint": look.hint}
        return _message(stamp, "host_observed", look.reason, level="warn", address=address, **said)
    containers = len(look.view.containers)
    text = f"{name} answered with {containers} containers of this fleet"
    by = holder_of(look.view.lock) if look.view.lock.is_held else None
    if by is not None:
        text = f"{text}; it is being changed just now, by {by}"
    return _message(
        stamp, "host_observed", text, address=address, reachable=True, containers=containers, being_changed_by=by
    )


def planned(stamp: Stamp, plan: Plan) -> Iterator[Message]:
    """Report a plan: drift, changes, what is held back, and the counts."""
    for action in plan.actions:
        kind = "resource_drift" if action.is_drift else "planned_change"
        text = f"{action.address} on {action.host}: {action.verb}: {action.cause.text}"
        yield _message(stamp, kind, text, **action_json(action))
    for held in plan.held:
        text = f"{held.address} on {held.host} is held back: {held.message}"
        yield _message(stamp, "held_back", text, level="warn", **held_json(held))
    counts = msgspec.to_builtins(plan.summary)
    refused = [cause.text for cause in plan.refused]
    level: Level = "error" if refused else "info"
    yield _message(stamp, "change_summary", summary_line(plan), level=level, changes=counts, refused=refused)


def apply_start(stamp: Stamp, action: Action) -> Message:
    """Report that an action begins."""
    text = f"{action.address} on {action.host}: {action.verb}"
    return _message(stamp, "apply_start", text, **_whose(action))


def apply_progress(stamp: Stamp, action: Action, *, step: str, text: str) -> Message:
    """Report that a step begins, or how far it is."""
    return _message(stamp, "apply_progress", text, **_whose(action), step=step)


def apply_ended(stamp: Stamp, action: Action, ended: ActionEnded) -> Message:
    """Report how an action ended: `apply_complete` when done, else `apply_errored`."""
    said = {**_whose(action), "end": ended.end, "steps": len(ended.steps)}
    if ended.end == "done":
        text = f"{action.address} on {action.host}: {SIGNS[action.verb].done}"
        return _message(stamp, "apply_complete", text, **said, ready=ended.ready_at is not None)
    said |= {"code": ended.code, "hint": ended.hint, "logs": list(ended.logs)}
    level: Level = "warn" if ended.end in {"skipped", "interrupted"} else "error"
    text = f"{action.address} on {action.host}: {ended.end}: {ended.message}"
    return _message(stamp, "apply_errored", text, level=level, **said)


def host_delta(stamp: Stamp, action: Action, delta: ProvisionDelta) -> Message:
    """Report what an action did to its host."""
    return _message(stamp, "host_delta", delta_line(delta), **_whose(action), delta=msgspec.to_builtins(delta))


def not_ready(stamp: Stamp, found: ActionEnded) -> Message:
    """Report a sandbox that is as wanted and does not answer its probes."""
    host, _, name = found.id.partition("/")
    said = {"address": address_of(name), "host": host, "code": found.code}
    return _message(stamp, "not_ready", found.message, level="error", **said)


def status_written(stamp: Stamp, *, folder: str, sandboxes: int) -> Message:
    """Report that the status files are on disk."""
    return _message(stamp, "status_written", f"status written to {folder}", folder=folder, sandboxes=sandboxes)


def _whose(action: Action) -> dict[str, Any]:
    return {"address": action.address, "host": action.host, "action": action.verb.value}


def _message(stamp: Stamp, kind: str, text: str, *, level: Level = "info", **said: Any) -> Message:
    return {
        "type": kind,
        "@timestamp": stamp.at.isoformat(),
        "@level": level,
        "@message": text,
        "pass_id": stamp.pass_id,
        **said,
    }
