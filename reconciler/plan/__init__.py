"""Decide everything: the difference between what should be and what is, as plain data.

Front door: `plan`. Pure: the same inputs give the same bytes, whatever their order; no clock, no dice, no I/O.
Every object lands in exactly one class; what is held back says why; nothing destructive follows from silence.
"""

from __future__ import annotations

from collections import Counter

from reconciler.model.desired import Desired
from reconciler.model.observed import Observed
from reconciler.model.plan import Action, Bucket, Held, Matched, Plan
from reconciler.model.record import Records
from reconciler.model.uncollected import uncollected
from reconciler.plan.admission import crowded_out
from reconciler.plan.adoption import plan_adoption, require_full_id
from reconciler.plan.basis import stale_reads
from reconciler.plan.case import Verdict, held_back
from reconciler.plan.classify import classify
from reconciler.plan.gpus import brought_by, needs_gpus
from reconciler.plan.header import headed
from reconciler.plan.moves import proofs
from reconciler.plan.order import order
from reconciler.plan.request import PlanRequest, Selection
from reconciler.plan.world import Place, World, lay_out

__all__ = ["PlanRequest", "Selection", "plan", "plan_adoption", "require_full_id", "stale_reads"]


def plan(desired: Desired, observed: Observed, records: Records, request: PlanRequest) -> Plan:
    """Compare three ways and decide what to do about every object.

    Args:
        desired: from a load without a single problem.
        observed: what every asked host answered, or that it did not.
        records: what we remember having made.
        request: clock, names, revision, secrets and selection.

    Returns:
        The plan; `refused` is not empty when a guard forbids applying it.
    """
    with uncollected():
        return _plan(lay_out(desired, observed, records, request))


def _plan(world: World) -> Plan:
    request = world.request
    verdicts = _classified(world)
    verdicts |= proofs(world, verdicts)
    covered = {
        place: verdict
        for place, verdict in verdicts.items()
        if request.selection.covers(sandbox=place.sandbox, host=place.host)
    }
    decided = [verdict for verdict in covered.values() if isinstance(verdict, Action)]
    crowded = crowded_out(world, decided)
    settled = frozenset(place.action_id for place, verdict in verdicts.items() if isinstance(verdict, Matched))
    ordered = order(world, [action for action in decided if action.id not in crowded], settled=settled)
    held = (
        *(verdict for verdict in covered.values() if isinstance(verdict, Held)),
        *(held_back(place, Bucket.HELD, crowded[place.action_id]) for place in covered if place.action_id in crowded),
        *ordered.held,
    )
    matched = tuple(verdict for verdict in covered.values() if isinstance(verdict, Matched))
    return headed(world, ordered.actions, held=held, matched=matched)


def _classified(world: World) -> dict[Place, Verdict]:
    """Decide about every object: on each host, GPUs go to those first that need some, then by name."""
    verdicts: dict[Place, Verdict] = {}
    given: Counter[str] = Counter()
    places = list(world.places())

    def can_wait(place: Place) -> bool:
        want = world.wanted(place)
        return want is None or not needs_gpus(want)

    for place in sorted(places, key=can_wait):
        verdict = verdicts[place] = classify(world, place, gpus_reserved=given[place.host])
        room = world.rooms.get(place.host)
        if isinstance(verdict, Action) and room is not None and room.gpus:
            is_done = world.request.selection.covers(sandbox=place.sandbox, host=place.host)
            given[place.host] += brought_by(verdict, world.held(place), total=room.gpus) if is_done else 0
    return {place: verdicts[place] for place in places}
