"""Judge every plan, by what it was made from and by what the simulation knows."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec.structs import replace

from reconciler.model.desired import Desired
from reconciler.model.digest import canonical_json
from reconciler.model.effect import CreateContainer, Existing, Made, RemoveContainer, RenameContainer, StopContainer
from reconciler.model.marker import Marker
from reconciler.model.names import parse_derived
from reconciler.model.observed import HostView, Observed, Reachable, SeenContainer, SeenNetwork
from reconciler.model.ownership import derived_from
from reconciler.model.plan import Action, Apply, Bucket, Plan, Verb
from reconciler.model.record import Records
from reconciler.plan import PlanRequest, plan
from tests.simulate import catalogue
from tests.simulate.honesty import i24_what_was_made_is_known
from tests.simulate.pools import as_placed, i26_stays_where_it_is

if TYPE_CHECKING:
    from tests.simulate.controller import Controller
    from tests.simulate.play import Play

PlanInputs = tuple[Desired, Observed, Records, PlanRequest]
PURITY_SHARE = 0.1


def look_at_plan(play: Play, controller: Controller, made: Plan, inputs: PlanInputs) -> None:
    """Ask every invariant that a plan could break."""
    for held in made.held:
        play.tally[f"held/{held.reason}"] += 1
    destroying = inputs[3].destroying
    removals = [action for action in made.actions if action.removes and action.sandbox not in destroying]
    play.last_removals[controller.name] = len(removals)
    i06_budget(play, made, inputs, removals)
    i07_nothing_from_silence(play, controller, made, inputs)
    i11_names_and_ports_are_unique(play, made)
    i26_stays_where_it_is(play, controller, made, inputs)
    i24_what_was_made_is_known(play, controller, inputs[2])
    placed = (as_placed(inputs[0], made), *inputs[1:])
    for action in made.actions:
        i18_destroy_is_last(play, action)
        i21_what_is_kept_stays(play, action, placed)
        i23_newer_work_is_left_alone(play, action, inputs)
    if play.dice("purity").random() < PURITY_SHARE:
        i04_plan_is_pure(play, made, inputs)
        i17_order_does_not_matter(play, made, inputs)


def i06_budget(play: Play, made: Plan, inputs: PlanInputs, removals: list[Action]) -> None:
    """I6: no plan that may be applied removes more than max(2, 30 %) of what is owned, or of a day's budget."""
    if made.refused or made.removals_allowed is not None:
        return
    _, observed, records, request = inputs
    owned = _owned(observed, records)
    percent = 30
    budget = max(2, sum(owned.values()) * percent // 100)
    play.demand("I6", len(removals) <= budget, f"{len(removals)} removals of {sum(owned.values())}, allowed {budget}")
    for host, count in Counter(action.host for action in removals).items():
        most = max(2, owned[host] * percent // 100)
        play.demand("I6", count <= most, f"{count} removals of {owned[host]} on {host}")
    if removals:
        recent = sum(1 for one in records.removals if (request.now - one.at).total_seconds() < 24 * 3600)
        most = max(10, (sum(owned.values()) + recent) * percent // 100)
        play.demand("I6", len(removals) + recent <= most, f"{len(removals)} removals after {recent} within a day")
    play.demand("I6", not (removals and not inputs[0].sandboxes), "everything is undesired, and removals are planned")


def _owned(observed: Observed, records: Records) -> Counter[str]:
    """Count per host the sandboxes of which anything is there or remembered: never fewer than the product counts."""
    found: set[tuple[str, str]] = {(one.host, one.sandbox) for one in records.sandboxes}
    for host, state in observed.hosts.items():
        if isinstance(state, Reachable):
            seen_here: tuple[SeenContainer | SeenNetwork, ...] = (*state.view.containers, *state.view.networks)
            parsed = [name for one in seen_here if (name := derived_from(one.name, one.labels)) is not None]
            found |= {(host, name.sandbox) for name in parsed if name.fleet == catalogue.FLEET}
            found |= {(host, seen.marker.sandbox) for seen in state.view.markers if seen.marker is not None}
    return Counter(host for host, _ in found)


def i07_nothing_from_silence(play: Play, controller: Controller, made: Plan, inputs: PlanInputs) -> None:
    """I7: nothing at all is done to a host that did not answer in full, or that is another machine than it was.

    Nor to two hosts that are one machine.
    """
    _, observed, records, _ = inputs
    for action in made.actions:
        if not any(isinstance(step.do, Apply) for step in action.steps):
            continue
        state = observed.hosts.get(action.host)
        heard = isinstance(state, Reachable) and action.host not in controller.unheard
        play.demand("I7", heard, f"{action.id} is planned, and its host did not answer in full")
        twins = [
            name
            for name, other in observed.hosts.items()
            if name != action.host
            and isinstance(other, Reachable)
            and play.machine_of(name) is play.machine_of(action.host)
        ]
        play.demand("I7", not twins, f"{action.id} is planned, and {twins} is the same machine")
        known = records.hosts.get(action.host)
        if isinstance(state, Reachable) and known is not None and known.host_id is not None:
            identity = state.view.identity
            same = (identity.host_id, identity.docker_root) == (known.host_id, known.docker_root)
            play.demand("I7", same, f"{action.id} is planned on another machine than it was")


def i11_names_and_ports_are_unique(play: Play, made: Plan) -> None:
    """I11: no two actions of a plan make a container of one name, or want one fixed port of one host."""
    names: Counter[tuple[str, str]] = Counter()
    ports: dict[tuple[str, int], set[str]] = {}
    for action in made.actions:
        for step in action.steps:
            if isinstance(step.do, Apply) and isinstance(step.do.effect, CreateContainer):
                effect = step.do.effect
                names[action.host, effect.name] += 1
                for published in effect.container.ports.values():
                    if published.host_port is not None:
                        ports.setdefault((action.host, published.host_port), set()).add(action.id)
    play.demand("I11", all(count == 1 for count in names.values()), f"names twice: {names}")
    play.demand("I11", all(len(ids) == 1 for ids in ports.values()), f"ports twice: {ports}")


def i18_destroy_is_last(play: Play, action: Action) -> None:
    """I18: what an action replaces is stopped only after its replacement was created, and so could be."""
    created: set[str] = set()
    replaced = {item.key for item in action.resources if item.verb is Verb.REPLACE}
    for step in action.steps:
        if not isinstance(step.do, Apply):
            continue
        effect = step.do.effect
        if isinstance(effect, CreateContainer):
            name = parse_derived(effect.name)
            created.add("" if name is None else f"containers/{name.resource}")
        if isinstance(effect, StopContainer | RemoveContainer) and isinstance(effect.target, Existing):
            name = parse_derived(effect.target.name)
            key = "" if name is None or not name.settled else f"containers/{name.resource}"
            early = key in replaced and key not in created
            play.demand("I18", not early, f"{action.id} stops {effect.target.name} before its replacement is made")
        if isinstance(effect, RenameContainer) and isinstance(effect.target, Made):
            play.demand("I18", bool(created), f"{action.id} renames what it did not make")


def i21_what_is_kept_stays(play: Play, action: Action, inputs: PlanInputs) -> None:
    """I21: what is protected is never ended or replaced, what its marker keeps stays, an orphan goes in its time."""
    desired, observed, _, request = inputs
    state = observed.hosts.get(action.host)
    if not isinstance(state, Reachable):
        return
    want = desired.sandboxes.get(action.sandbox)
    if want is not None and (want.host != action.host or action.sandbox in request.destroying):
        want = None
    kept = want is not None and want.protected and action.verb in (Verb.REPLACE, Verb.DESTROY, Verb.REAP)
    play.demand("I21", not kept, f"{action.id}: {action.verb}, and its spec protects it")
    marker = _marker(state.view, action)
    if want is None and marker is not None and action.verb in (Verb.DESTROY, Verb.REAP):
        kept = marker.protected or marker.deletion == "Retain"
        play.demand("I21", not kept, f"{action.id}: {action.verb}, and its marker keeps it")
    if action.verb is Verb.REAP and action.bucket is Bucket.ORPHAN:
        clock_s, machine = state.view.host_clock_epoch_s, play.machine_of(action.host)
        for seen in state.view.containers:
            name = parse_derived(seen.name)
            if name is None or name.sandbox != action.sandbox or seen.full_id not in machine.made:
                continue
            young = clock_s - seen.created_at.timestamp() < desired.reap.older_than_s
            play.demand("I21", not young, f"{action.id} reaps {seen.name} before it is old enough")
            graced = name.tomb_epoch_s is not None and clock_s - name.tomb_epoch_s < desired.reap.grace_s
            removed = any(
                isinstance(step.do, Apply)
                and isinstance(step.do.effect, RemoveContainer)
                and getattr(step.do.effect.target, "full_id", "") == seen.full_id
                for step in action.steps
            )
            settled = name.tomb_epoch_s is None
            play.demand(
                "I21", not (removed and (graced or settled)), f"{action.id} removes {seen.name} without a grace"
            )


def _marker(view: HostView, action: Action) -> Marker | None:
    return next((seen.marker for seen in view.markers if seen.folder == action.uid and seen.marker is not None), None)


def i23_newer_work_is_left_alone(play: Play, action: Action, inputs: PlanInputs) -> None:
    """I23: a checkout that does not contain the commit that a sandbox was made from does nothing to it."""
    state = inputs[1].hosts.get(action.host)
    marker = _marker(state.view, action) if isinstance(state, Reachable) else None
    if marker is not None and action.verb not in (Verb.ADOPT, Verb.FORGET):
        known = marker.revision.partition("+")[0] in {"none", *inputs[3].ancestors}
        play.demand("I23", known, f"{action.id}: {action.verb}, and it was made from {marker.revision[:12]}")


def i04_plan_is_pure(play: Play, made: Plan, inputs: PlanInputs) -> None:
    """I4: the same inputs give the same bytes."""
    again = plan(*inputs)
    play.demand("I4", canonical_json(made) == canonical_json(again), "planning twice gave two plans")


def i17_order_does_not_matter(play: Play, made: Plan, inputs: PlanInputs) -> None:
    """I17: the order of specs, hosts and of what hosts answer changes no byte of the plan."""
    desired, observed, records, request = inputs
    dice = play.dice("purity")

    def mixed(mapping: dict[str, object]) -> dict[str, object]:
        items = list(mapping.items())
        dice.shuffle(items)
        return dict(items)

    def turned(view: HostView) -> HostView:
        parts: dict[str, object] = {}
        for field in ("containers", "neighbours", "networks", "volumes", "markers"):
            items = list(getattr(view, field))
            dice.shuffle(items)
            parts[field] = tuple(items)
        return replace(view, **parts)

    hosts = {
        name: replace(state, view=turned(state.view)) if isinstance(state, Reachable) else state
        for name, state in mixed(dict(observed.hosts)).items()
    }
    shuffled = plan(
        replace(
            desired,
            sandboxes=mixed(dict(desired.sandboxes)),
            hosts=mixed(dict(desired.hosts)),
            choices=mixed(dict(desired.choices)),
        ),
        Observed(hosts=hosts),  # type: ignore[arg-type]  # a mixed mapping has the same values
        replace(records, sandboxes=tuple(reversed(records.sandboxes))),
        request,
    )
    play.demand("I17", canonical_json(made) == canonical_json(shuffled), "another order gave another plan")
