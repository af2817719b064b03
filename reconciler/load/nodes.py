"""Hold a YAML document as a tree in which everything knows where it was written."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final, TypeAlias

import msgspec

from reconciler.model.source import SourceRef
from reconciler.spec.scalar import Scalar

UNKNOWN: Final = "unknown"
"""Stands for a value that cannot be told: what is wrong with it is a problem already."""


class Entry(msgspec.Struct, frozen=True):
    """Bind a key to its value; `at` is where the key stands."""

    key: str
    at: SourceRef
    value: Node


class MapNode(msgspec.Struct, frozen=True):
    """Hold a mapping in the order it was written, keyed by text."""

    entries: dict[str, Entry]
    at: SourceRef

    def get(self, key: str) -> Node | None:
        """Give the value under `key`, or None when it is not there or is null."""
        entry = self.entries.get(key)
        return None if entry is None or is_null(entry.value) else entry.value


class ListNode(msgspec.Struct, frozen=True):
    """Hold a sequence."""

    items: tuple[Node, ...]
    at: SourceRef


Node: TypeAlias = Scalar | MapNode | ListNode


def is_null(node: Node) -> bool:
    """Say whether a node is YAML's null: `null`, or nothing at all, unquoted."""
    return isinstance(node, Scalar) and node.plain and node.text in ("null", "")


def plain_data(node: Node, whole: tuple[str, ...] = ()) -> object:
    """Turn a tree into dicts, tuples and scalars for the models; null entries are as if not written.

    `whole` is the path, `*` for any key, to values that are not ours to read: below it, a null is a value and stays.
    """
    if isinstance(node, Scalar):
        return node
    if isinstance(node, ListNode):
        return tuple([plain_data(item) for item in node.items])
    if not whole:
        return {key: plain_data(entry.value) for key, entry in node.entries.items() if not is_null(entry.value)}
    first, rest = whole[0], whole[1:]
    found: dict[str, object] = {}
    for key, entry in node.entries.items():
        if is_null(entry.value):
            continue
        if first not in ("*", key):
            found[key] = plain_data(entry.value)
        else:
            found[key] = plain_data(entry.value, rest) if rest else _whole_data(entry.value)
    return found


def _whole_data(node: Node) -> object:
    if isinstance(node, MapNode):
        return {key: _whole_data(entry.value) for key, entry in node.entries.items()}
    return tuple([_whole_data(item) for item in node.items]) if isinstance(node, ListNode) else node


def find(node: Node, path: tuple[str | int, ...]) -> SourceRef:
    """Give the place of the deepest part of `path` that exists: the key when the value is a collection."""
    at = node.at
    for part in path:
        if isinstance(node, MapNode):
            entry = node.entries.get(str(part))
            if entry is None:
                return at
            node = entry.value
            at = node.at if isinstance(node, Scalar) and not is_null(node) else entry.at
        elif isinstance(node, ListNode) and isinstance(part, int) and part < len(node.items):
            node = node.items[part]
            at = node.at
        else:
            return at
    return at


def find_key(node: Node, path: tuple[str | int, ...]) -> SourceRef:
    """Give the place of the key that `path` ends with, or of the deepest part that exists."""
    for part in path[:-1]:
        inner = node.entries.get(str(part)) if isinstance(node, MapNode) else None
        if inner is None:
            return find(node, path)
        node = inner.value
    last = node.entries.get(str(path[-1])) if path and isinstance(node, MapNode) else None
    return last.at if last is not None else find(node, path[-1:])


def faulty_paths(node: Node, faults: Collection[SourceRef], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the paths of what stands at one of `faults`; a list is told of as a whole."""
    if isinstance(node, Scalar):
        if node.at in faults:
            yield path
    elif isinstance(node, ListNode):
        if any(True for item in node.items for _ in faulty_paths(item, faults)):
            yield path
    else:
        for key, entry in node.entries.items():
            if entry.at in faults:
                yield (*path, key)
            yield from faulty_paths(entry.value, faults, (*path, key))


def walk(node: Node, prefix: str = "") -> Iterator[tuple[str, SourceRef]]:
    """Yield every dotted field below `node` with its place, outer fields first."""
    if isinstance(node, MapNode):
        for key, entry in node.entries.items():
            field = f"{prefix}.{key}" if prefix else key
            yield field, entry.value.at if isinstance(entry.value, Scalar) else entry.at
            yield from walk(entry.value, field)
    elif isinstance(node, ListNode):
        for index, item in enumerate(node.items):
            field = f"{prefix}[{index}]"
            yield field, item.at
            yield from walk(item, field)


def text_under(node: MapNode, key: str) -> str:
    """Give a text as written; empty where there is none."""
    value = node.get(key)
    return value.text if isinstance(value, Scalar) and not is_null(value) else ""


def child(node: Node, *path: str) -> Node | None:
    """Give what stands at a path of keys; None where nothing does."""
    found: Node | None = node
    for part in path:
        found = found.get(part) if isinstance(found, MapNode) else None
    return found


def without(node: MapNode, key: str) -> MapNode:
    """Give a mapping without one of its keys."""
    return MapNode({name: entry for name, entry in node.entries.items() if name != key}, node.at)


def without_spec(node: MapNode) -> MapNode:
    """Give the document with an empty spec, to check the rest of it."""
    entries = {name: entry for name, entry in node.entries.items() if name != "spec"}
    return MapNode(entries | {"spec": Entry("spec", node.at, MapNode({}, node.at))}, node.at)


def mentions(node: Node, text: str) -> bool:
    """Tell whether a scalar anywhere below `node` has this text in it."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Scalar):
            if text in node.text:
                return True
        elif isinstance(node, ListNode):
            waiting += node.items
        else:
            waiting += (entry.value for entry in node.entries.values())
    return False
