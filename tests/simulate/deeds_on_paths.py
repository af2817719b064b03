"""Change by hand what stands in the folders of sandboxes. Each tells whether there was anything to do."""

from __future__ import annotations

import random

from reconciler.model.marker import MARKER_NAME
from reconciler.model.resource import TREE_NAME
from tests.simulate.machine import Machine


def _own_paths(machine: Machine, *, kind: str) -> list[str]:
    base = f"{machine.world.base_dir}/"
    return [
        path
        for path, node in sorted(machine.world.paths.items())
        if path.startswith(base)
        and node.kind == kind
        and path.count("/") > base.count("/")
        and MARKER_NAME not in path
        and not _is_of_tree(path.removeprefix(base))
    ]


def _is_of_tree(path: str) -> bool:
    """Tell whether a path is in a tree or about one: plans do not read what somebody changed there."""
    parts = path.split("/")
    return TREE_NAME in parts[1:-1] or any(part.startswith(".") for part in parts)


def edit_file(machine: Machine, dice: random.Random) -> bool:
    """Change a file."""
    files = _own_paths(machine, kind="file")
    if files:
        path = dice.choice(files)
        machine.world.add_path(path, content=b"by hand", mode=dice.choice(("0600", "0644")))
    return bool(files)


def delete_path(machine: Machine, dice: random.Random) -> bool:
    """Remove a file, or a directory with all below it."""
    paths = [*_own_paths(machine, kind="file"), *_own_paths(machine, kind="directory")]
    if paths:
        _drop_tree(machine, dice.choice(paths))
    return bool(paths)


def _drop_tree(machine: Machine, path: str) -> None:
    for below in [one for one in machine.world.paths if one == path or one.startswith(f"{path}/")]:
        del machine.world.paths[below]


def delete_marker(machine: Machine, dice: random.Random) -> bool:
    """Remove a marker."""
    markers = [path for path in sorted(machine.world.paths) if path.endswith(MARKER_NAME)]
    if markers:
        del machine.world.paths[dice.choice(markers)]
    return bool(markers)


def damage_marker(machine: Machine, dice: random.Random) -> bool:
    """Cut a marker short, now and then."""
    if dice.random() < 0.8:
        return False
    markers = [path for path in sorted(machine.world.paths) if path.endswith(MARKER_NAME)]
    if markers:
        path = dice.choice(markers)
        machine.world.add_path(path, content=machine.world.paths[path].content[:-9], mode="0600")
    return bool(markers)
