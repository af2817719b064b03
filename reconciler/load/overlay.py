"""Lay one tree over another: maps merge, everything else replaces, `null` removes. Positions are kept."""

from __future__ import annotations

from reconciler.load.nodes import Entry, MapNode, Node


def overlay(below: Node, above: Node) -> Node:
    """Merge `above` over `below`; a null in `above` stays as a null.

    The models take it for "not written", except in the content of a file, where it is what it says.
    """
    if not (isinstance(below, MapNode) and isinstance(above, MapNode)):
        return above
    entries = dict(below.entries)
    for key, entry in above.entries.items():
        under = entries.get(key)
        if under is None:
            entries[key] = entry
        else:
            entries[key] = Entry(key, entry.at, overlay(under.value, entry.value))
    return MapNode(entries, above.at)
