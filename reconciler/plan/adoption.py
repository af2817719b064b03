"""Plan to take over one container that stands under a name we need: by its full id, and by a person's word."""

from __future__ import annotations

import msgspec

from reconciler.errors import UsageError
from reconciler.model.desired import Desired
from reconciler.model.effect import PutMarker
from reconciler.model.names import DerivedName, Key, is_full_id, parse_derived
from reconciler.model.observed import Observed, SeenContainer, Unreachable
from reconciler.model.ownership import Ours
from reconciler.model.plan import Action, Apply, Bucket, Cause, Note, Plan, ResourceChange, Step, Verb
from reconciler.model.record import Records
from reconciler.plan.case import Case
from reconciler.plan.header import headed
from reconciler.plan.request import PlanRequest
from reconciler.plan.wanted import fresh_marker
from reconciler.plan.world import Place, World, lay_out, unreachable_reason


def require_full_id(full_id: str) -> None:
    """Refuse what is no full container id: a name or a part of an id may mean another container tomorrow.

    Raises:
        UsageError: with the command that tells the id.
    """
    if not is_full_id(full_id):
        hint = "docker inspect --format '{{.Id}}' NAME tells it"
        raise UsageError(f"{full_id!r} is no full container id: 64 hex digits", hint=hint, code="E_ADOPT")


def plan_adoption(
    desired: Desired, observed: Observed, records: Records, request: PlanRequest, *, full_id: str
) -> Plan:
    """Plan the adoption of one container: its id goes into the sandbox's marker, and nothing else changes.

    Raises:
        UsageError: it is not found, is another fleet's, or stands under no name that the specs want.
    """
    require_full_id(full_id)
    world = lay_out(desired, observed, records, request)
    host, seen = _find(world, full_id)
    meant = parse_derived(seen.name)
    if meant is not None and meant.sandbox in desired.choices:
        there = msgspec.structs.replace(request, placed={meant.sandbox: host})
        world = lay_out(desired, observed, records, there)
    name = _wanted_name(world, host, seen)
    place = Place(host, name.sandbox)
    state = world.reachable(host)
    trouble = world.host_troubles.get(host)
    if state is None or trouble is not None:
        held = trouble or unreachable_reason(world, host)
        raise UsageError(f"{host} cannot be changed: {held.message}", hint=held.hint, code="E_ADOPT")
    doubts = [text for text in world.held(place).doubts if full_id in text]
    if doubts:
        hint = "rename or remove what is not ours by hand"
        raise UsageError(f"it cannot be told whose it is: {doubts[0]}", hint=hint, code="E_ADOPT")
    case = Case(world=world, place=place, state=state, holding=world.held(place), record=world.recorded(place))
    want = world.desired.sandboxes[name.sandbox]
    key = str(Key("containers", name.resource))
    old, fresh = case.holding.marker, fresh_marker(case, want)
    # One that has expired begins anew: what a person puts in its place is not to end by the old one's time.
    marker = old if old is not None and old.phase == "present" else fresh
    known = old.adopted if old is not None else {}
    marker = msgspec.structs.replace(marker, adopted={**known, key: full_id})
    steps = (
        Step(id=f"{place.action_id}#00", do=Note("adopted"), title="remember it as ours"),
        Step(
            id=f"{place.action_id}#01",
            do=Apply(PutMarker(state.view.identity.base_dir, marker)),
            title=f"write {full_id[:12]} into the marker",
        ),
    )
    action = Action(
        id=place.action_id,
        sandbox=name.sandbox,
        uid=want.uid,
        host=host,
        verb=Verb.ADOPT,
        bucket=Bucket.CLASH,
        cause=Cause(f"asked to adopt {full_id}"),
        resources=(ResourceChange(key=key, verb=Verb.ADOPT, note=f"container {seen.name}, kept running as it is"),),
        steps=steps,
        generation=marker.generation,
        run=marker.run,
        intent=marker.intent,
        revision=request.revision,
        keys=(key,),
    )
    return headed(world, (action,))


def _find(world: World, full_id: str) -> tuple[str, SeenContainer]:
    for host in world.holdings:
        state = world.reachable(host)
        for seen in state.view.containers if state is not None else ():
            if seen.full_id == full_id:
                return host, seen
        for neighbour in state.view.neighbours if state is not None else ():
            if neighbour.full_id == full_id:
                raise UsageError(
                    f"container {neighbour.name} on {host} stands under no name of this fleet",
                    hint="rename it first: docker rename, to sbx-<fleet>.<sandbox>.<container> of a wanted sandbox",
                    code="E_ADOPT",
                )
    silent = [name for name, seen in sorted(world.observed.hosts.items()) if isinstance(seen, Unreachable)]
    hint = f"these hosts did not answer: {', '.join(silent)}" if silent else "docker ps --no-trunc on its host tells it"
    raise UsageError(f"no host that answered has a container {full_id}", hint=hint, code="E_ADOPT")


def _wanted_name(world: World, host: str, seen: SeenContainer) -> DerivedName:
    """Check that the specs want a container of this name on this host, and that nobody else owns it."""
    name = parse_derived(seen.name)
    want = world.wanted(Place(host, name.sandbox)) if name is not None else None
    if name is None or not name.settled or want is None or want.find(Key("containers", name.resource)) is None:
        raise UsageError(
            f"the specs want no container named {seen.name} on {host}",
            hint="write the Sandbox first; adopting puts this container in its place",
            code="E_ADOPT",
        )
    owned = world.held(Place(host, name.sandbox)).settled.get(name.resource)
    if owned is not None and isinstance(owned.proof, Ours):
        raise UsageError(f"container {seen.name} on {host} is ours already", code="E_ADOPT")
    other = world.holdings[host].others.get(seen.name)
    if other is not None and other.owner.startswith("fleet "):
        raise UsageError(f"container {seen.name} on {host} belongs to {other.owner}", code="E_ADOPT")
    return name
