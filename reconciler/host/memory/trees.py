"""Bring trees to an in-memory host. No files are sent: one that holds a tree's digest stands for all of it."""

from __future__ import annotations

from reconciler.host.files.change import find_spot
from reconciler.host.memory.files import refuse
from reconciler.host.memory.world import World
from reconciler.model.effect import Done, NotDone, Outcome, PlaceTree, StageTree
from reconciler.model.resource import STAGED

_STANDS_FOR_ALL = ".tree"


def stage_tree(world: World, effect: StageTree) -> Outcome:
    """Put a tree into a fresh folder beside its place."""
    fresh = _fresh(world, effect.path, effect.root)
    if isinstance(fresh, NotDone):
        return fresh
    _remove(world, fresh)
    world.add_path(fresh, kind="directory")
    world.add_path(f"{fresh}/{_STANDS_FOR_ALL}", content=effect.content.encode())
    return Done()


def place_tree(world: World, effect: PlaceTree) -> Outcome:
    """Exchange a tree for what is staged; without a content, remove it. What containers wrote beside it stays."""
    fresh = _fresh(world, effect.path, effect.root)
    if isinstance(fresh, NotDone):
        return fresh
    node = world.paths.get(effect.path)
    if node is not None and node.kind != "directory":
        return NotDone("E_PATH_KIND", f"{effect.path} is not a folder")
    if not effect.content:
        changed = node is not None or fresh in world.paths
        world.paths.pop(f"{effect.path}/{_STANDS_FOR_ALL}", None)
        if not _below(world, effect.path):
            _remove(world, effect.path)
        _remove(world, fresh)
        return Done(changed=changed)
    staged = world.paths.get(f"{fresh}/{_STANDS_FOR_ALL}")
    if staged is None:
        placed = world.paths.get(f"{effect.path}/{_STANDS_FOR_ALL}")
        if placed is not None and placed.content == effect.content.encode():
            return Done(changed=False)
        return NotDone("E_TREE_MISSING", f"{effect.path} was not staged")
    if staged.content != effect.content.encode():
        return NotDone("E_TREE_CHANGED", "what is staged is not what was planned", "plan again")
    if node is None:
        world.add_path(effect.path, kind="directory")
    world.add_path(f"{effect.path}/{_STANDS_FOR_ALL}", content=staged.content)
    _remove(world, fresh)
    return Done()


def _fresh(world: World, path: str, root: str) -> str | NotDone:
    """Name the fresh folder of a tree, whose own folder must be there."""
    refused, spot = refuse(world, path, root=root), find_spot(path, root=root)
    if refused is not None:
        return refused
    if isinstance(spot, NotDone):
        return spot
    folder = path.rpartition("/")[0]
    if folder not in world.paths:
        return NotDone("E_PATH_MISSING", f"{folder} is not there")
    return f"{folder}/{STAGED}{spot.name}"


def _below(world: World, path: str) -> list[str]:
    return [below for below in world.paths if below.startswith(f"{path}/")]


def _remove(world: World, path: str) -> None:
    for gone in (*_below(world, path), path):
        world.paths.pop(gone, None)
