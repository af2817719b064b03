"""Put actions under the header of a plan: what it was made from, what guards say of it, and what it adds up to."""

from __future__ import annotations

from collections import Counter

from reconciler.model.observed import Unreachable
from reconciler.model.plan import Action, Held, Matched, Plan, Summary, Verb
from reconciler.plan.basis import bases
from reconciler.plan.guard import refusals
from reconciler.plan.world import Place, World, unreachable_reason

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


def headed(
    world: World, actions: tuple[Action, ...], *, held: tuple[Held, ...] = (), matched: tuple[Matched, ...] = ()
) -> Plan:
    """Give the whole plan of these actions."""
    request, owned, unknown_hosts = world.request, _owned(world), _unknown_hosts(world)
    return Plan(
        tool=request.tool,
        fleet=world.desired.fleet,
        revision=request.revision,
        specs=world.desired.digest,
        pass_id=request.pass_id,
        made_at=request.now,
        basis=bases(world, actions),
        actions=actions,
        held=held,
        matched=matched,
        refused=refusals(world, list(actions), owned=owned),
        updates_images=request.updates_images,
        removals_allowed=request.removals_allowed,
        unknown_hosts=unknown_hosts,
        summary=_summarise(actions, held, unknown_hosts),
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
