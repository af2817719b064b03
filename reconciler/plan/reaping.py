"""Plan the end of what is stale and provably ours, and nothing else: what `reap-stale` does."""

from __future__ import annotations

from reconciler.model.desired import Desired
from reconciler.model.legacy import LegacyName
from reconciler.model.observed import Observed
from reconciler.model.plan import Action, Bucket, Held, HeldReason, Plan
from reconciler.model.record import Records
from reconciler.plan.case import Verdict, held_back
from reconciler.plan.classify import classify
from reconciler.plan.header import headed
from reconciler.plan.legacy import judge_legacy, with_reads
from reconciler.plan.order import order
from reconciler.plan.request import PlanRequest
from reconciler.plan.unwanted import second_copy
from reconciler.plan.world import Place, World, lay_out

_STALE = frozenset({Bucket.ORPHAN, Bucket.ZOMBIE, Bucket.EXPIRED, Bucket.AD_HOC})
_TOLD = frozenset({Bucket.ORPHAN, Bucket.UNKNOWN})
_DOUBTS: frozenset[HeldReason] = frozenset(
    {"AnotherRevision", "HostIdentity", "MarkerDamaged", "StorageOverlap", "Unprovable"}
)
"""Reasons that may keep an orphan from being reaped, and that nobody asked for."""


def plan_reaping(
    desired: Desired,
    observed: Observed,
    records: Records,
    request: PlanRequest,
    *,
    named: tuple[LegacyName, ...] = (),
) -> Plan:
    """Plan to end orphans that are old enough, what is past its ttl, and records of what is gone.

    The classes are those of every plan; the budget and the other guards hold as they do there. Orphans are meant only
    with `reap.mode: apply`. A second copy of what the specs want on another host is held: a person has to say which of
    the two is in use. What nothing proves to be ours goes only where it is `named`.
    """
    world = lay_out(desired, observed, records, request)
    verdicts = [
        _verdict(world, place)
        for place in world.places()
        if request.selection.covers(sandbox=place.sandbox, host=place.host)
    ]
    actions = [one for one in verdicts if isinstance(one, Action) and one.bucket in _STALE]
    held = tuple(one for one in verdicts if isinstance(one, Held) and _is_told(world, one))
    finds = [judge_legacy(world, one) for one in sorted(set(named))]
    actions += [one for one in finds if isinstance(one, Action)]
    held += tuple(one for one in finds if isinstance(one, Held))
    ordered = order(world, actions, settled=frozenset())
    return with_reads(headed(world, ordered.actions, held=(*held, *ordered.held)), world, named)


def _is_told(world: World, held: Held) -> bool:
    """Tell whether what is held back may be stale, so that silence about it would look like "nothing to do"."""
    place = Place(held.host, held.sandbox)
    is_ours = world.wanted(place) is None and world.recorded(place) is None
    return held.bucket in _TOLD or (is_ours and held.reason in _DOUBTS)


def _verdict(world: World, place: Place) -> Verdict:
    """Decide as a plan does, but hold a second copy of what the specs want on another host."""
    verdict = classify(world, place)
    want = world.desired.sandboxes.get(place.sandbox)
    if verdict.bucket is Bucket.ORPHAN and want is not None:
        return held_back(place, Bucket.ORPHAN, second_copy(place, want))
    return verdict
