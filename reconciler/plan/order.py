"""Put actions in order and tie together those that need each other: dependencies, and sandboxes that move."""

from __future__ import annotations

import msgspec

from reconciler.model.plan import Action, Bucket, Held, Verb
from reconciler.plan.assess import Trouble
from reconciler.plan.case import held_back
from reconciler.plan.world import Place, World

_RANK = {Verb.FORGET: 0, Verb.ADOPT: 1}


class Ordered(msgspec.Struct, frozen=True):
    """Hold actions in the order to show and start them, and what had to be held back on the way."""

    actions: tuple[Action, ...]
    held: tuple[Held, ...]


def order(world: World, actions: list[Action], *, blocked: frozenset[str]) -> Ordered:
    """Order actions by host and name, each after what it depends on.

    Args:
        world: what is wanted where.
        actions: the decided ones.
        blocked: ids of places that are held back or unknown, so that nothing can rely on them.
    """
    ids = {action.id for action in actions}
    ready: list[Action] = []
    held: list[Held] = []
    for action in actions:
        moved = _moves_to(world, action)
        stuck = next((name for name in action.after if name in blocked), None)
        if stuck is not None:
            trouble = Trouble("DependencyHeld", f"it depends on {stuck}, which is held back or unknown", None)
            held.append(held_back(Place(action.host, action.sandbox), Bucket.HELD, trouble))
        elif moved is None:
            ready.append(_only_planned(action, ids))
        elif moved.action_id in blocked:
            trouble = Trouble("MoveBlocked", f"it moves to {moved.host}, where it cannot be made yet", None)
            held.append(held_back(Place(action.host, action.sandbox), Bucket.HELD, trouble))
        else:
            ready.append(_after_move(action, moved, ids))
    return Ordered(tuple(_sorted(ready)), tuple(held))


def _moves_to(world: World, action: Action) -> Place | None:
    """Give where a sandbox goes that ends here because its spec now names another host."""
    if action.verb is not Verb.DESTROY or action.bucket is not Bucket.REMOVED:
        return None
    if action.sandbox in world.request.destroying:
        return None
    want = world.desired.sandboxes.get(action.sandbox)
    return Place(want.host, want.name) if want is not None else None


def _after_move(action: Action, moved: Place, ids: set[str]) -> Action:
    note = f"moves to {moved.host}; data is not moved"
    after = (moved.action_id,) if moved.action_id in ids else ()
    return msgspec.structs.replace(action, after=after, removes=False, notes=(note, *action.notes))


def _only_planned(action: Action, ids: set[str]) -> Action:
    """Wait only for what this plan changes; what is already as it should be needs no waiting."""
    after = tuple(name for name in action.after if name in ids)
    return msgspec.structs.replace(action, after=after) if after != action.after else action


def _sorted(actions: list[Action]) -> list[Action]:
    """Sort by place, then let each action follow what it comes after."""
    by_id = {action.id: action for action in sorted(actions, key=lambda item: (_RANK.get(item.verb, 2), item.id))}
    placed: dict[str, Action] = {}

    def place(action: Action) -> None:
        if action.id in placed:
            return
        for name in action.after:
            if name in by_id and name not in placed:
                place(by_id[name])
        placed[action.id] = action

    for action in by_id.values():
        place(action)
    return list(placed.values())
