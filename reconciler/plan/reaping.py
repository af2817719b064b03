"""Plan the end of what is stale and provably ours, and nothing else: what `reap-stale` does."""

from __future__ import annotations

import msgspec

from reconciler.model.desired import Desired
from reconciler.model.observed import Observed
from reconciler.model.plan import Action, Bucket, Held, Plan
from reconciler.model.record import Records
from reconciler.plan.classify import classify
from reconciler.plan.header import headed
from reconciler.plan.order import order
from reconciler.plan.request import PlanRequest
from reconciler.plan.world import Place, World, lay_out

_STALE = frozenset({Bucket.ORPHAN, Bucket.ZOMBIE, Bucket.EXPIRED, Bucket.AD_HOC})
_TOLD = frozenset({Bucket.ORPHAN, Bucket.UNKNOWN})


def plan_reaping(
    desired: Desired,
    observed: Observed,
    records: Records,
    request: PlanRequest,
    *,
    older_than_s: int | None = None,
    grace_s: int | None = None,
) -> Plan:
    """Plan to end orphans that are old enough, what is past its ttl, and records of what is gone.

    The classes are those of every plan, with `reap.mode: apply`; the budget and the other guards hold as they do there.
    A second copy of what the specs want on another host is left: a person has to say which of the two is in use.

    Args:
        desired: whose `reap` counts where nothing else is said here.
        observed: as for a plan.
        records: as for a plan.
        request: as for a plan.
        older_than_s: instead of `reap.olderThan`.
        grace_s: instead of `reap.grace`; with 0, the next plan removes what this one stops.
    """
    reap = msgspec.structs.replace(
        desired.reap,
        mode="apply",
        older_than_s=desired.reap.older_than_s if older_than_s is None else older_than_s,
        grace_s=desired.reap.grace_s if grace_s is None else grace_s,
    )
    world = lay_out(msgspec.structs.replace(desired, reap=reap), observed, records, request)
    verdicts = [classify(world, place) for place in world.places() if _is_meant(world, place)]
    actions = [one for one in verdicts if isinstance(one, Action) and one.bucket in _STALE]
    held = tuple(one for one in verdicts if isinstance(one, Held) and one.bucket in _TOLD)
    ordered = order(world, actions, settled=frozenset())
    return headed(world, ordered.actions, held=(*held, *ordered.held))


def _is_meant(world: World, place: Place) -> bool:
    want = world.desired.sandboxes.get(place.sandbox)
    is_second_copy = want is not None and want.host != place.host
    return world.request.selection.covers(sandbox=place.sandbox, host=place.host) and not is_second_copy
