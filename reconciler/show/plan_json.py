"""Write a plan as the JSON document that scripts may rely on (`plan -o json`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from reconciler.model.plan import Action, FieldChange, Held, Plan
from reconciler.model.source import SourceRef

FORMAT = "reconciler-plan-view/1"
"""Not the format of a saved plan: this document is for reading, and `apply` refuses it."""


def plan_json(plan: Plan, *, changing: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Give the document, with the keys that scripts may rely on; more may be added, none goes.

    `changing` names the hosts that another pass was changing during the look, and who that is.
    """
    return {
        "format": FORMAT,
        "fleet": plan.fleet,
        "revision": plan.revision,
        "summary": msgspec.to_builtins(plan.summary),
        "actions": [action_json(action) for action in plan.actions],
        "held_back": [held_json(held) for held in plan.held],
        "owned": plan.owned,
        "foreign": plan.foreign,
        "unknown_hosts": plan.unknown_hosts,
        "being_changed": dict(changing or {}),
        "refused": [cause.text for cause in plan.refused],
    }


def action_json(action: Action) -> dict[str, Any]:
    """Give one action: `address`, `host`, `action`, `cause`, `changes`, `steps`, `notes`."""
    changes = [_change("", change) for change in action.marker]
    for resource in action.resources:
        if not resource.changes:
            changes.append({**_nothing(resource.key), "verb": resource.verb.value, "note": resource.note})
        changes += [_change(resource.key, change) for change in resource.changes]
    return {
        "address": action.address,
        "host": action.host,
        "action": action.verb.value,
        "cause": {"text": action.cause.text, "at": _at(action.cause.at)},
        "changes": changes,
        "steps": [{"id": step.id, "title": step.title} for step in action.steps],
        "notes": list(action.notes),
    }


def held_json(held: Held) -> dict[str, Any]:
    """Give one thing held back: `address`, `host`, `reason`, `message`, and a `hint` or null."""
    return {
        "address": held.address,
        "host": held.host,
        "reason": held.reason,
        "message": held.message,
        "hint": held.hint,
    }


def _nothing(key: str) -> dict[str, Any]:
    return {"resource": key, "path": None, "old": None, "new": None, "remedy": None, "origin": None, "at": None}


def _change(key: str, change: FieldChange) -> dict[str, Any]:
    return {
        "resource": key or None,
        "path": change.path,
        "old": change.old,
        "new": change.new,
        "remedy": change.remedy.value,
        "origin": change.origin,
        "at": _at(change.at),
    }


def _at(at: SourceRef | None) -> str | None:
    return None if at is None else str(at)
