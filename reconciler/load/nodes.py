"""Hold a YAML document as a tree in which everything knows where it was written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import msgspec

from reconciler.model.source import SourceRef
from reconciler.spec.scalar import Scalar


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
