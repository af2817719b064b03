"""Tell the kinds of documents apart, and refuse what is none of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final

from reconciler.load.documents import RawDocument
from reconciler.load.nodes import MapNode, find
from reconciler.load.text import shown
from reconciler.model.nearest import did_you_mean
from reconciler.model.problem import Problem
from reconciler.model.source import SourceRef
from reconciler.spec.kinds import API_VERSIONS, KINDS
from reconciler.spec.scalar import Scalar

_NAME: Final = re.compile(r"""\bname["']?\s*:\s*["']?([^\s"',}]+)""")


def names_in(data: bytes) -> frozenset[str]:
    """Give all that may be the name of a document in a file, of which not every document could be read."""
    # In UTF-16, every other byte is 0.
    return frozenset(_NAME.findall(data.replace(b"\0", b"").decode("utf-8", "replace")))


def classified(
    trees: Sequence[MapNode], problems: list[Problem], faults: Collection[SourceRef] = ()
) -> list[RawDocument]:
    """Give the documents of one file by kind; those without a known kind and version become problems.

    `faults` are the places in this file where something is wrong with how it is written.
    """
    found = []
    for number, tree in enumerate(trees, start=1):
        kind = _text(tree, "kind")
        version = _text(tree, "apiVersion")
        at = find(tree, ("kind",))
        last = trees[number].at.line if number < len(trees) else None
        has_faults = any(tree.at.line <= at.line and (last is None or at.line < last) for at in faults)
        if kind is None and version is None and has_faults:
            continue  # a template, or something else that is not for us, which is told already
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
