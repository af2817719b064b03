"""Put actions in order and tie together those that need each other: dependencies, and sandboxes that move."""

from __future__ import annotations

import msgspec

from reconciler.model.plan import Action, Bucket, Held, Verb
from reconciler.plan.assessment import Trouble
from reconciler.plan.case import held_back
from reconciler.plan.moves import after_move, moves_to
from reconciler.plan.world import Place, World

_RANK = {Verb.FORGET: 0, Verb.ADOPT: 1}


class Ordered(msgspec.Struct, frozen=True):
    """Hold actions in the order to show and start them, and what had to be held back on the way."""

    actions: tuple[Action, ...]
    held: tuple[Held, ...]


def order(world: World, actions: list[Action], *, settled: frozenset[str]) -> Ordered:
    """Order actions by host and name, each after what it depends on.

    Args:
        world: what is wanted where.
        actions: the decided ones.
        settled: ids of places that are as they should be already. What is neither that nor acted upon cannot be
            relied on: it is held back, unknown, not selected, or its host was not asked.
    """
    held: list[Held] = []
    while True:
        ids = {action.id for action in actions}
        stuck = {
            action.id: trouble
            for action in actions
            if (trouble := _stuck(world, action, reliable=ids | settled)) is not None
        }
        if not stuck:
            break
        held += [
            held_back(Place(action.host, action.sandbox), Bucket.HELD, stuck[action.id])
            for action in actions
            if action.id in stuck
        ]
        actions = [action for action in actions if action.id not in stuck]
    ready = [
        _only_planned(action, ids) if (moved := moves_to(world, action)) is None else after_move(action, moved, ids)
        for action in actions
    ]
    return Ordered(tuple(_sorted(ready)), tuple(held))


def _stuck(world: World, action: Action, *, reliable: set[str] | frozenset[str]) -> Trouble | None:
    """Say what an action needs and cannot have in this plan."""
    needed = next((name for name in action.after if name not in reliable), None)
    if needed is not None:
        message = f"it depends on {needed}, which is held back, unknown or not selected"
        return Trouble("DependencyHeld", message, "select it too, or see why it is held back")
    moved = moves_to(world, action)
    if moved is not None and moved.action_id not in reliable:
        message = f"it moves to {moved.host}, where it is not made and ready yet, nor made by this plan"
        return Trouble("MoveBlocked", message, f"select {moved.host} too, or see why it is held back there")
    return None


def _only_planned(action: Action, ids: set[str]) -> Action:
    """Wait only for what this plan changes; what is already as it should be needs no waiting."""
    after = tuple(name for name in action.after if name in ids)
    return msgspec.structs.replace(action, after=after) if after != action.after else action


def _sorted(actions: list[Action]) -> list[Action]:
    """Sort by place, then let each action follow what it comes after."""
    by_id = {action.id: action for action in sorted(actions, key=lambda item: (_RANK.get(item.verb, 2), item.id))}
    placed: dict[str, Action] = {}
    for first in by_id.values():
        # A stack of our own: a chain of dependencies may be longer than Python's.
        waiting = [first]
        while waiting:
            action = waiting[-1]
            before = [by_id[name] for name in action.after if name in by_id and name not in placed]
            if before:
                waiting += before[:1]
            else:
                placed[action.id] = action
                waiting.pop()
    return list(placed.values())
