"""Tell the kinds of documents apart, and refuse what is none of them."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.load.documents import RawDocument
from reconciler.load.nodes import MapNode, find
from reconciler.load.text import shown
from reconciler.model.nearest import did_you_mean
from reconciler.model.problem import Problem
from reconciler.spec.kinds import API_VERSIONS, KINDS
from reconciler.spec.scalar import Scalar


def classified(trees: Iterable[MapNode], problems: list[Problem]) -> list[RawDocument]:
    """Give the documents of one file by kind; those without a known kind and version become problems."""
    found = []
    for number, tree in enumerate(trees, start=1):
        kind = _text(tree, "kind")
        version = _text(tree, "apiVersion")
        at = find(tree, ("kind",))
        if kind is None:
            message = f"document {number} of this file has no kind"
            other = next((key for key in tree.entries if key != "kind" and key.lower() == "kind"), None)
            near = f"one of {', '.join(KINDS)}" if other is None else f"write kind: instead of {other}:"
            if tree.get("kind") is not None:
                message = "a kind is one word"
            problems.append(Problem("E_SPEC_KIND", at, message, field="kind", hint=near))
            continue
        if kind not in KINDS:
            hint = did_you_mean(kind, KINDS, otherwise="one of")
            problems.append(Problem("E_SPEC_KIND", at, f"there is no kind {shown(kind)}", field="kind", hint=hint))
            continue
        if version not in API_VERSIONS:
            place = find(tree, ("apiVersion",))
            said = f"{shown(version)} is not supported" if version else "apiVersion is missing"
            hint = f"write apiVersion: {API_VERSIONS[0]}"
            problems.append(Problem("E_SPEC_KIND", place, said, field="apiVersion", hint=hint))
            continue
        metadata = tree.get("metadata")
        name = _text(metadata, "name") if isinstance(metadata, MapNode) else None
        found.append(RawDocument(kind, name or "", tree))
    return found


def _text(tree: MapNode, key: str) -> str | None:
    value = tree.get(key)
    return value.text if isinstance(value, Scalar) else None
