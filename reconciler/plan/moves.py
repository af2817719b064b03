"""Move a sandbox to another host: make it there, see that it is ready, and only then give up its old place."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from reconciler.model.plan import Action, Bucket, Cause, Held, Matched, Verb
from reconciler.plan.steps import prove
from reconciler.plan.world import Place, World

_UNSEEN = "moved here, and not seen to be ready yet"


def moves_to(world: World, action: Action) -> Place | None:
    """Give where a sandbox goes that ends here because its spec now names another host."""
    if action.bucket not in (Bucket.REMOVED, Bucket.ORPHAN):
        return None
    if action.sandbox in world.request.destroying:
        return None
    want = world.desired.sandboxes.get(action.sandbox)
    return Place(want.host, want.name) if want is not None else None


def after_move(action: Action, moved: Place, ids: set[str]) -> Action:
    """Let a removal come after what is made in the new place, and count it as a move."""
    note = f"moves to {moved.host}; data is not moved"
    after = (moved.action_id,) if moved.action_id in ids else ()
    removes = action.removes and action.bucket is not Bucket.REMOVED
    return msgspec.structs.replace(action, after=after, removes=removes, notes=(note, *action.notes))


def proofs(world: World, verdicts: Mapping[Place, Action | Held | Matched]) -> dict[Place, Action]:
    """Give, for new places that stand already, an action that waits until they are ready.

    Only where an old place is to be given up for them, and nothing remembers that they were ready in this run.
    """
    found: dict[Place, Action] = {}
    for verdict in verdicts.values():
        moved = moves_to(world, verdict) if isinstance(verdict, Action) else None
        if moved is None or world.records.ready.get(moved.sandbox) == world.held(moved).run:
            continue
        there = verdicts.get(moved)
        if isinstance(there, Matched) and there.bucket is Bucket.MATCHING:
            found[moved] = _prove(world, moved)
        elif isinstance(there, Action) and there.verb is Verb.ADOPT:
            steps = (*there.steps, *_prove(world, moved).steps)
            numbered = (msgspec.structs.replace(step, id=f"{there.id}#{at:02d}") for at, step in enumerate(steps))
            found[moved] = msgspec.structs.replace(there, steps=tuple(numbered))
    return found


def _prove(world: World, place: Place) -> Action:
    """Wait until a sandbox is ready, and change nothing."""
    want, holding = world.desired.sandboxes[place.sandbox], world.held(place)
    marker = holding.marker
    return Action(
        id=place.action_id,
        sandbox=want.name,
        uid=want.uid,
        host=place.host,
        verb=Verb.UPDATE,
        bucket=Bucket.MATCHING,
        cause=Cause(_UNSEEN, want.at),
        steps=prove(want, fleet=world.desired.fleet, action=place.action_id),
        generation=marker.generation if marker is not None else 0,
        run=holding.run,
        intent=want.intent,
        revision=marker.revision if marker is not None else world.request.revision,
        keys=want.keys,
        profile=want.profile,
    )
