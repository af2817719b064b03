"""Ask of plans, over any world at all, what must hold of every plan."""

from __future__ import annotations

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.model.desired import Desired, Limits
from reconciler.model.digest import canonical_json
from reconciler.model.effect import (
    DropPath,
    Existing,
    Made,
    MakeDirectory,
    PutFile,
    PutMarker,
    RemoveContainer,
)
from reconciler.model.names import sandbox_uid
from reconciler.model.observed import HostView, Observed, Reachable, Unreachable
from reconciler.model.ownership import Ours, prove_container
from reconciler.model.plan import Action, Matched, Plan, Verb
from reconciler.model.record import HostRecord, Records
from reconciler.plan import PlanRequest, plan
from reconciler.plan.guard import PER_PLAN_MIN
from tests import builders as b
from tests import strategies as worlds
from tests.laws.asking import effects_of, law


class Case(msgspec.Struct, frozen=True):
    """Hold everything that one plan is made from, and the plan."""

    desired: Desired
    observed: Observed
    records: Records
    request: PlanRequest

    @property
    def plan(self) -> Plan:
        return plan(self.desired, self.observed, self.records, self.request)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw any world at all: strangers, copies, orphans, silence, and records that need not be true."""
    rich = draw(worlds.fleets())
    # What says little matches often: adoptions and restarts hide behind no other difference then.
    plain = {name: b.a_sandbox(name, host=want.host) for name, want in rich.sandboxes.items() if draw(st.booleans())}
    desired = replace(rich, sandboxes={**rich.sandboxes, **plain})
    hosts = draw(worlds.hosts_seen(desired))
    remembered = [b.a_record(item) for item in desired.sandboxes.values() if draw(st.booleans())]
    remembered += [b.a_record(b.a_sandbox(name)) for name in ("orphan-0", "gone") if draw(st.booleans())]
    answered = sorted(hosts)
    moved = [replace(item, host=draw(st.sampled_from(answered))) for item in remembered]
    request = PlanRequest(
        now=b.later(hours=draw(st.sampled_from([0, 1, 30, 10_000]))),
        pass_id="p-00000001",
        tool="reconciler 0",
        revision=b.REVISION,
        ancestors=frozenset({b.REVISION}) if draw(st.integers(0, 4)) else frozenset(),
        destroying=frozenset(name for name in desired.sandboxes if draw(st.integers(0, 9)) == 0),
        removals_allowed=draw(st.none() | st.integers(0, 3)),
    )
    reap = replace(desired.reap, mode=draw(st.sampled_from(["report", "apply"])))
    asked = _told_apart({name: state for name, state in hosts.items() if draw(st.integers(0, 9))})
    known = {
        name: HostRecord(name=name, host_id=state.view.identity.host_id if draw(st.integers(0, 9)) else b.full_id(name))
        for name, state in asked.items()
        if isinstance(state, Reachable) and draw(st.booleans())
    }
    records = Records(sandboxes=tuple(moved), hosts=known)
    return Case(replace(desired, reap=reap), Observed(hosts=asked), records, request)


def _told_apart(hosts: dict[str, Reachable | Unreachable]) -> dict[str, Reachable | Unreachable]:
    """Give every answering host but the first ids of its own: otherwise all would be one machine, and held."""
    return {
        name: state if isinstance(state, Unreachable) or n == 0 else replace(state, view=_on_machine(n, state.view))
        for n, (name, state) in enumerate(sorted(hosts.items()))
    }


def _on_machine(number: int, view: HostView) -> HostView:
    return replace(
        view,
        identity=b.an_identity(host_id=f"{number:032}"),
        containers=tuple(replace(seen, full_id=b.full_id((number, seen.full_id))) for seen in view.containers),
        neighbours=tuple(replace(other, full_id=b.full_id((number, other.full_id))) for other in view.neighbours),
    )


def _backwards(case: Case) -> Case:
    """Give the same world with everything that has no order of its own turned round."""

    def turned(view: HostView) -> HostView:
        lists = ("containers", "neighbours", "networks", "volumes", "markers")
        maps = ("images", "paths", "taken_ports")
        return replace(
            view,
            **{field: tuple(reversed(getattr(view, field))) for field in lists},
            **{field: dict(reversed(getattr(view, field).items())) for field in maps},
        )

    hosts: dict[str, Reachable | Unreachable] = {
        name: state if isinstance(state, Unreachable) else replace(state, view=turned(state.view))
        for name, state in reversed(case.observed.hosts.items())
    }
    desired, records = case.desired, case.records
    return Case(
        replace(
            desired,
            hosts=dict(reversed(desired.hosts.items())),
            sandboxes=dict(reversed(desired.sandboxes.items())),
        ),
        Observed(hosts=hosts),
        replace(
            records,
            sandboxes=tuple(reversed(records.sandboxes)),
            hosts=dict(reversed(records.hosts.items())),
            removals=tuple(reversed(records.removals)),
        ),
        case.request,
    )


# Of any world at all --------------------------------------------------------------------------------------------------


def _the_same_world_gives_the_same_bytes_in_whatever_order_it_answers(case: Case) -> None:
    assert canonical_json(_backwards(case).plan) == canonical_json(case.plan) == canonical_json(case.plan)


def _settled(made: Plan) -> tuple[Action | Matched, ...]:
    return (*made.actions, *made.matched)


def _every_object_is_in_exactly_one_bucket(case: Case) -> None:
    made = case.plan
    named = [(item.host, f"sandbox/{item.sandbox}") for item in _settled(made)]
    named += [(item.host, item.address) for item in made.held]
    assert len(named) == len(set(named))
    asked = set(case.observed.hosts)
    wanted = {(item.host, f"sandbox/{name}") for name, item in case.desired.sandboxes.items() if item.host in asked}
    assert wanted <= set(named)
    known = {(record.host, f"sandbox/{record.sandbox}") for record in case.records.sandboxes if record.host in asked}
    assert known <= set(named)


def _what_is_held_back_has_a_reason(case: Case) -> None:
    for held in case.plan.held:
        assert held.reason.isalpha()
        assert held.message


def _nothing_without_our_proof_is_touched(case: Case) -> None:
    for action in case.plan.actions:
        state = case.observed.hosts[action.host]
        effects = effects_of(action)
        assert isinstance(state, Reachable) or not effects
        ours = _proved(state.view) if isinstance(state, Reachable) else {}
        for effect in effects:
            target = getattr(effect, "target", None)
            if isinstance(target, Existing):
                assert ours[target.full_id] == (action.uid, action.sandbox)
                assert target.uid == action.uid
            if isinstance(target, Made):
                assert target.name.startswith(f"sbx-{b.FLEET}.{action.sandbox}.")
            if isinstance(effect, DropPath) and isinstance(state, Reachable):
                assert effect.path.startswith(f"{b.BASE_DIR}/{action.uid}")
                assert action.uid in {found.folder for found in state.view.markers if found.marker is not None}
            if isinstance(effect, MakeDirectory | PutFile):
                assert effect.path.startswith(f"{effect.root}/")
            if isinstance(effect, PutMarker):
                assert effect.marker.uid == action.uid


def _proved(view: HostView) -> dict[str, tuple[str, str]]:
    markers = {found.marker.uid: found.marker for found in view.markers if found.marker is not None}
    found: dict[str, tuple[str, str]] = {}
    for seen in view.containers:
        proof = prove_container(seen, fleet=b.FLEET, images=view.images, markers=markers)
        if isinstance(proof, Ours):
            found[seen.full_id] = (sandbox_uid(b.FLEET, proof.name.sandbox), proof.name.sandbox)
    return found


def _nothing_is_done_on_a_host_that_did_not_answer_in_full(case: Case) -> None:
    made = case.plan
    silent = {name for name in case.desired.hosts if not isinstance(case.observed.hosts.get(name), Reachable)}
    assert not [action for action in made.actions if action.host in silent]


@law(1000)
@given(cases(), st.integers(1, 100))
def test_no_plan_that_is_not_refused_removes_more_than_the_budget(case: Case, percent: int) -> None:
    limited = replace(case.desired, limits=Limits(removals_per_plan_percent=percent))
    made = Case(limited, case.observed, case.records, case.request).plan
    removed = [item for item in made.actions if item.removes and item.sandbox not in case.request.destroying]
    if made.refused:
        return
    if case.request.removals_allowed is not None:
        assert len(removed) == case.request.removals_allowed
    else:
        assert len(removed) <= max(PER_PLAN_MIN, made.owned * percent // 100)
        assert case.desired.sandboxes or not removed or not made.owned


def _what_ends_a_sandbox_counts_as_a_removal(case: Case) -> None:
    for action in case.plan.actions:
        if action.verb not in (Verb.DESTROY, Verb.REAP) or action.removes:
            continue
        present = [one for one in effects_of(action) if isinstance(one, RemoveContainer)]
        moves = any(note.startswith("moves to") for note in action.notes)
        assert not present or moves or action.bucket == "expired"


def _nothing_comes_before_what_it_depends_on(case: Case) -> None:
    made = case.plan
    before: set[str] = set()
    for action in made.actions:
        assert set(action.after) <= before, "it waits for what comes later, or is not planned"
        before.add(action.id)


def _a_plan_survives_json(case: Case) -> None:
    made = case.plan
    assert msgspec.json.decode(msgspec.json.encode(made), type=Plan) == made


@law(1000)
@given(cases(), st.sets(st.sampled_from(["h1", "h2"])), st.data())
def test_a_selection_only_hides_actions(case: Case, hosts: set[str], data: st.DataObject) -> None:
    named = data.draw(st.sets(st.sampled_from([*sorted(case.desired.sandboxes), "orphan-0"])))
    request = replace(
        case.request, selection=replace(case.request.selection, hosts=frozenset(hosts), names=frozenset(named))
    )
    every = {action.id: action for action in case.plan.actions}
    selected = Case(case.desired, case.observed, case.records, request).plan
    for action in selected.actions:
        assert action.id in every
        assert action.host in hosts
        assert action.sandbox in named
    assert selected.owned == case.plan.owned


LAWS_OF_ANY_WORLD = (
    _the_same_world_gives_the_same_bytes_in_whatever_order_it_answers,
    _every_object_is_in_exactly_one_bucket,
    _what_is_held_back_has_a_reason,
    _nothing_without_our_proof_is_touched,
    _nothing_is_done_on_a_host_that_did_not_answer_in_full,
    _what_ends_a_sandbox_counts_as_a_removal,
    _nothing_comes_before_what_it_depends_on,
    _a_plan_survives_json,
)


@law(3000)
@given(cases())
def test_any_world_at_all(case: Case) -> None:
    """Ask every law of each world: making the world is what takes the time."""
    for say in LAWS_OF_ANY_WORLD:
        say(case)


def test_the_laws_are_asked_of_worlds_in_which_something_happens() -> None:
    """A law over empty worlds would hold of everything."""
    verbs: set[str] = set()
    buckets: set[str] = set()

    @settings(max_examples=150, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(cases())
    def gather(case: Case) -> None:
        made = case.plan
        verbs.update(action.verb for action in made.actions)
        buckets.update(item.bucket for item in _settled(made))
        buckets.update(item.bucket for item in made.held)

    gather()
    assert verbs >= {"create", "update", "forget", "destroy"}
    assert buckets >= {"missing", "drifted", "zombie", "orphan", "unknown", "held"}
