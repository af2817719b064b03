"""Fill `${…}` in from a closed list of names; there are no expressions, loops or environment."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Final

import msgspec

from reconciler.load.nodes import Entry, ListNode, MapNode, Node
from reconciler.load.text import shown
from reconciler.model.nearest import nearest
from reconciler.model.problem import Problem
from reconciler.model.source import SourceRef
from reconciler.model.text import SECRET_PREFIX
from reconciler.spec.refusal import late_marker
from reconciler.spec.scalar import Scalar

_GAP: Final = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Say what the names in one tree mean.

    Attributes:
        known: names that are known now: text, or the node of an input.
        late: names that stay symbolic.
        secrets: declared secrets, or None when secrets may not stand here.
        open_prefixes: prefixes whose names are taken as known because what declares them has problems itself.
        unset: inputs that are declared and have no value.
        told: names without a value that are a problem already.
    """

    known: Mapping[str, str | Node] = {}
    late: tuple[str, ...] = ()
    secrets: Collection[str] | None = None
    open_prefixes: tuple[str, ...] = ()
    unset: Collection[str] = ()
    told: Collection[str] = ()


def interpolate(node: Node, scope: Scope, problems: list[Problem], field: str = "") -> Node:
    """Fill every gap below `node`; unknown names become problems at their own place.

    A scalar that is one `${inputs.x}` and nothing else becomes the input itself, with its type and its place.
    """
    if isinstance(node, Scalar):
        return _scalar(node, scope, problems, field) if "${" in node.text else node
    if isinstance(node, ListNode):
        items = [interpolate(item, scope, problems, f"{field}[{index}]") for index, item in enumerate(node.items)]
        if all(new is old for new, old in zip(items, node.items, strict=True)):
            return node
        return ListNode(tuple(items), node.at)
    entries = {}
    changed = False
    for key, entry in node.entries.items():
        value = interpolate(entry.value, scope, problems, f"{field}.{key}" if field else key)
        if value is entry.value:
            entries[key] = entry
        else:
            entries[key] = Entry(key, entry.at, value)
            changed = True
    return MapNode(entries, node.at) if changed else node


def _scalar(node: Scalar, scope: Scope, problems: list[Problem], field: str) -> Node:
    whole = _GAP.fullmatch(node.text)
    if whole is not None and whole[1] is not None:
        found = scope.known.get(whole[1])
        if found is not None and not isinstance(found, str):
            return found

    def fill(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        return _fill(match[1], scope, lambda message, hint: problems.append(_problem(node.at, field, message, hint)))

    return Scalar(_GAP.sub(fill, node.text), plain=False, at=node.at)


def _fill(name: str | None, scope: Scope, complain: Callable[[str, str | None], None]) -> str:
    if name is None:
        complain("`${` without a name and `}`", "write $${ where ${ itself is wanted")
        return ""
    found = scope.known.get(name)
    if isinstance(found, str):
        return found
    if isinstance(found, Scalar):
        return found.text
    if found is not None:
        complain(f"${{{shown(name)}}} is a list or a mapping; only a whole value can be one", None)
        return ""
    if name.startswith(SECRET_PREFIX) and scope.secrets is not None:
        secret = name.removeprefix(SECRET_PREFIX)
        if secret not in scope.secrets and SECRET_PREFIX not in scope.open_prefixes:
            complain(f"no secret {shown(secret)} is declared", "declare it in the Fleet: spec.secrets")
        return late_marker(name)
    if name in scope.late:
        return late_marker(name)
    if name in scope.unset:
        complain(f"${{{shown(name)}}} has no value", "give it under spec.inputs, or give it a default in the profile")
    elif name not in scope.told and not name.startswith(scope.open_prefixes or ("\0",)):
        names = [*scope.known, *scope.late, *(f"{SECRET_PREFIX}{secret}" for secret in scope.secrets or ())]
        near = nearest(name, names)
        hint = f"did you mean ${{{near}}}?" if near else f"known here: {', '.join(sorted(names)) or 'nothing'}"
        complain(f"${{{shown(name)}}} is unknown", hint)
    return "unknown"


def _problem(at: SourceRef, field: str, message: str, hint: str | None) -> Problem:
    return Problem("E_INTERPOLATION", at, message, field=field, hint=hint)
