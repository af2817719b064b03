"""Decide everything: the difference between what should be and what is, as plain data.

Front door: `plan`. Pure: the same inputs give the same bytes, whatever their order; no clock, no dice, no I/O.
Every object lands in exactly one class; what is held back says why; nothing destructive follows from silence.
"""

from __future__ import annotations

from collections import Counter

from reconciler.model.desired import Desired
from reconciler.model.observed import Observed, Unreachable
from reconciler.model.plan import Action, Bucket, Held, Matched, Plan, Summary, Verb
from reconciler.model.record import Records
from reconciler.plan.admission import crowded_out
from reconciler.plan.adoption import plan_adoption, require_full_id
from reconciler.plan.basis import bases, stale_reads
from reconciler.plan.case import held_back
from reconciler.plan.classify import classify
from reconciler.plan.guard import refusals
from reconciler.plan.order import order
from reconciler.plan.request import PlanRequest, Selection
from reconciler.plan.world import Place, World, lay_out, unreachable_reason

__all__ = ["PlanRequest", "Selection", "plan", "plan_adoption", "require_full_id", "stale_reads"]

_COUNTED_AS = {
    Verb.CREATE: "create",
    Verb.START: "update",
    Verb.RESTART: "update",
    Verb.UPDATE: "update",
    Verb.REPLACE: "replace",
    Verb.ADOPT: "adopt",
    Verb.FORGET: "forget",
    Verb.DESTROY: "destroy",
    Verb.REAP: "reap",
}


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
    world = lay_out(desired, observed, records, request)
    verdicts = {place: classify(world, place) for place in world.places()}
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
    unknown_hosts = _unknown_hosts(world)
    owned = _owned(world)
    return Plan(
        tool=request.tool,
        fleet=desired.fleet,
        revision=request.revision,
        specs=desired.digest,
        pass_id=request.pass_id,
        made_at=request.now,
        basis=bases(world, ordered.actions),
        actions=ordered.actions,
        held=held,
        matched=tuple(verdict for verdict in covered.values() if isinstance(verdict, Matched)),
        refused=refusals(world, list(ordered.actions), owned=owned),
        updates_images=request.updates_images,
        removals_allowed=request.removals_allowed,
        unknown_hosts=unknown_hosts,
        summary=_summarise(ordered.actions, held, unknown_hosts),
        owned=owned.total(),
        foreign=sum(len(holdings.others) for holdings in world.holdings.values()),
    )


def _owned(world: World) -> Counter[str]:
    """Count per host the sandboxes that are ours: seen where the host answered, remembered where it did not."""
    owned: set[Place] = {
        Place(host, name)
        for host, holdings in world.holdings.items()
        for name, holding in holdings.sandboxes.items()
        if holding.exists
    }
    owned |= {
        Place(record.host, record.sandbox)
        for record in world.records.sandboxes
        if record.host not in world.holdings and record.phase == "present"
    }
    return Counter(place.host for place in owned)


def _unknown_hosts(world: World) -> dict[str, str]:
    """Name every host that did not answer in full, or that only the records know, and why."""
    silent = {name: state.reason for name, state in world.observed.hosts.items() if isinstance(state, Unreachable)}
    lost = {record.host for record in world.records.sandboxes} - world.desired.hosts.keys()
    return dict(sorted((silent | {name: unreachable_reason(world, name).message for name in lost}).items()))


def _summarise(actions: tuple[Action, ...], held: tuple[Held, ...], unknown_hosts: dict[str, str]) -> Summary:
    counts = Counter(_COUNTED_AS[action.verb] for action in actions)
    return Summary(
        create=counts["create"],
        update=counts["update"],
        replace=counts["replace"],
        destroy=counts["destroy"],
        adopt=counts["adopt"],
        forget=counts["forget"],
        reap=counts["reap"],
        unknown=len(unknown_hosts),
        held_back=sum(1 for item in held if item.bucket != "unknown"),
    )
