"""Ask of placing, over any pool of hosts, what must hold of it whatever the hosts hold, and whoever is silent."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Literal

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.model.desired import Admission, Choice, Desired, SandboxDesired, Suspend
from reconciler.model.digest import canonical_json
from reconciler.model.effect import CreateContainer
from reconciler.model.observed import Observed, Reachable, Unreachable
from reconciler.model.plan import Action, Plan, Verb
from reconciler.model.record import Records
from reconciler.model.resource import Container, Gpus
from reconciler.plan import PlanRequest, plan
from reconciler.plan.placement import placed_in, settled
from tests import builders as b
from tests.laws.asking import law
from tests.unit.plan.deciding import effects, request
from tests.unit.plan.placing import GIB, a_machine

HOSTS = ("h1", "h2", "h3", "h4")
NAMES = ("box-a", "box-b", "box-c", "box-d")


class Pool(msgspec.Struct, frozen=True, dict=True):
    """Hold one world in which something is to be placed, and the plan of it."""

    desired: Desired
    observed: Observed
    records: Records
    request: PlanRequest

    @cached_property
    def plan(self) -> Plan:
        return plan(self.desired, self.observed, self.records, self.request)


flags = st.booleans()


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    """Draw hosts with bounds and none, sandboxes that are there, gone, doubled, forgotten or new, and silence."""
    hosts = {name: draw(_hosts(name)) for name in HOSTS}
    wanted = {name: draw(_sandboxes(name)) for name in NAMES if draw(st.integers(0, 4))}
    choices: dict[str, Choice] = {}
    for name, one in wanted.items():
        if draw(st.integers(0, 3)):
            candidates = draw(st.lists(st.sampled_from(HOSTS), min_size=1, unique=True))
            strategy: Literal["spread", "pack"] = draw(st.sampled_from(["spread", "pack"]))
            choices[name] = Choice(strategy=strategy, forms=(one,), hosts=dict.fromkeys(sorted(candidates), 0))
    first = {
        name: replace(one, host=min(choices[name].hosts)) if name in choices else one for name, one in wanted.items()
    }
    standing: dict[str, list[SandboxDesired]] = {name: [] for name in HOSTS}
    records = []
    for one in wanted.values():
        for host in HOSTS:
            if draw(st.integers(0, 3)) == 0:
                standing[host].append(one)
            if draw(st.integers(0, 3)) == 0:
                records.append(b.a_record(replace(one, host=host), host_id=b.full_id(host)[:32]))
    seen: dict[str, Reachable | Unreachable] = {}
    for name in HOSTS:
        memory_bytes = draw(st.sampled_from([2 * GIB, 4 * GIB, 12 * GIB, None]))
        silent = draw(st.integers(0, 5)) == 0
        counted = draw(st.sampled_from([None, 0, 1, 1, 2]))
        gpus = None if counted is None else b.some_gpus(counted)
        machine = a_machine(name, *standing[name], memory_bytes=memory_bytes, gpus=gpus)
        seen[name] = b.an_unreachable() if silent else machine
    desired = b.a_desired(*first.values(), hosts=hosts, choices=choices)
    return Pool(desired, Observed(hosts=seen), b.a_records(*records), request())


@st.composite
def _hosts(draw: st.DrawFn, name: str) -> object:
    bounds = Admission(
        sandboxes_max=draw(st.sampled_from([None, None, 0, 1, 2])),
        memory_available_min_bytes=draw(st.sampled_from([None, None, GIB])),
    )
    return b.a_host(name, admission=bounds, suspend=Suspend("off") if draw(st.integers(0, 7)) == 0 else None)


@st.composite
def _sandboxes(draw: st.DrawFn, name: str) -> SandboxDesired:
    memory_bytes = draw(st.sampled_from([None, GIB, 2 * GIB]))
    gpu = draw(st.sampled_from([msgspec.UNSET, msgspec.UNSET, Gpus(count=1), Gpus(), Gpus(count=1, policy="auto")]))
    container = b.a_container(memory_bytes=memory_bytes, gpu=gpu)
    return b.a_sandbox(name, host=draw(st.sampled_from(HOSTS)), resources=(container,))


def created(action: Action) -> list[Container]:
    """Give the containers that an action creates, as the engine will be asked for them."""
    return [effect.container for effect in effects(action) if isinstance(effect, CreateContainer)]


def _readable(pool: Pool, host: str) -> bool:
    return isinstance(pool.observed.hosts.get(host), Reachable)


def _stands_on(pool: Pool, name: str) -> set[str]:
    """Tell which hosts that answered hold a sandbox."""
    found = set()
    for host, state in pool.observed.hosts.items():
        if isinstance(state, Reachable) and any(seen.name == b.docker_name(name) for seen in state.view.containers):
            found.add(host)
    return found


def _made_on(pool: Pool) -> dict[str, str]:
    return {action.sandbox: action.host for action in pool.plan.actions if action.verb is Verb.CREATE}


def _the_order_of_things_decides_nothing(pool: Pool) -> None:
    turned = Pool(
        replace(
            pool.desired,
            hosts=dict(reversed(pool.desired.hosts.items())),
            sandboxes=dict(reversed(pool.desired.sandboxes.items())),
            choices={
                name: replace(choice, hosts=dict(reversed(choice.hosts.items())))
                for name, choice in reversed(pool.desired.choices.items())
            },
        ),
        Observed(hosts=dict(reversed(pool.observed.hosts.items()))),
        replace(pool.records, sandboxes=tuple(reversed(pool.records.sandboxes))),
        pool.request,
    )
    assert canonical_json(turned.plan) == canonical_json(pool.plan)


def _it_is_placed_on_a_host_of_its_own_that_answers(pool: Pool) -> None:
    for name, host in _made_on(pool).items():
        choice = pool.desired.choices.get(name)
        assert choice is None or host in choice.hosts
        assert _readable(pool, host)
        assert pool.desired.hosts[host].suspend is None


def _what_stands_on_a_host_of_its_own_stays(pool: Pool) -> None:
    made = _made_on(pool)
    for name, choice in pool.desired.choices.items():
        if _stands_on(pool, name) & choice.hosts.keys():
            assert name not in made


def _none_is_made_that_may_be_where_nobody_can_look(pool: Pool) -> None:
    for name in _made_on(pool):
        choice = pool.desired.choices.get(name)
        if choice is None:
            continue
        recorded = {record.host for record in pool.records.sandboxes if record.sandbox == name}
        assert all(_readable(pool, host) for host in recorded)
        assert recorded or all(_readable(pool, host) for host in choice.hosts)


def _what_is_made_fits(pool: Pool) -> None:
    made = _made_on(pool)
    for host, spec in pool.desired.hosts.items():
        new = [pool.desired.sandboxes[name] for name, where in made.items() if where == host]
        state = pool.observed.hosts[host]
        if not new or not isinstance(state, Reachable):
            continue
        there = {seen.name for seen in state.view.containers}
        most, least_bytes = spec.admission.sandboxes_max, spec.admission.memory_available_min_bytes
        assert most is None or len(there) + len(new) <= most
        if least_bytes is not None:
            assert state.snapshot is not None
            needs = sum(container.memory_bytes or 0 for one in new for container in one.containers)
            assert state.snapshot.memory_available_bytes - needs >= least_bytes


def _gpus_of(containers: Iterable[Container], *, total: int) -> int:
    """Count what containers of one sandbox each have asked for; all of them is all there are."""
    asked = [one.gpu for one in containers if one.gpu is not msgspec.UNSET]
    return sum(total if one.count is None else one.count for one in asked)


def _no_gpu_is_given_twice(pool: Pool) -> None:
    for host, state in pool.observed.hosts.items():
        new = [container for action in pool.plan.actions if action.host == host for container in created(action)]
        if not isinstance(state, Reachable) or all(one.gpu is msgspec.UNSET for one in new):
            continue
        assert state.snapshot is not None
        assert state.snapshot.gpus is not None
        total = len(state.snapshot.gpus)
        there = _gpus_of((seen.spec for seen in state.view.containers), total=total)
        assert there + _gpus_of(new, total=total) <= total


def _who_can_do_without_gpus_is_never_held_back_for_their_number(pool: Pool) -> None:
    for held in pool.plan.held:
        want = pool.desired.sandboxes[held.sandbox]
        policies = {one.gpu.policy for one in want.containers if one.gpu is not msgspec.UNSET}
        assert "missing" not in held.message or held.reason != "AdmissionRefused" or policies != {"auto"}


def _what_was_made_before_is_made_again_where_it_was(pool: Pool) -> None:
    for name, host in _made_on(pool).items():
        choice = pool.desired.choices.get(name)
        recorded = {record.host for record in pool.records.sandboxes if record.sandbox == name}
        known = recorded & choice.hosts.keys() if choice is not None else set()
        assert not known or host in known


def _none_is_placed_where_it_is_refused_then(pool: Pool) -> None:
    for held in pool.plan.held:
        if held.reason == "AdmissionRefused" and held.sandbox in pool.desired.choices:
            recorded = {record.host for record in pool.records.sandboxes if record.sandbox == held.sandbox}
            assert held.host in recorded | _stands_on(pool, held.sandbox)


def _one_that_could_be_made_is_made(pool: Pool) -> None:
    """Where nobody else comes, and any host is free and answers, nothing new is held back."""
    made = pool.plan
    told = {item.sandbox for item in made.actions} | {item.sandbox for item in made.held}
    told |= {item.sandbox for item in made.matched}
    assert pool.desired.choices.keys() <= told
    for held in made.held:
        if held.reason != "NoHostFits":
            continue
        for host in pool.desired.choices[held.sandbox].hosts:
            spec = pool.desired.hosts[host]
            asks = any(one.gpu is not msgspec.UNSET for one in pool.desired.sandboxes[held.sandbox].containers)
            assert asks or not _readable(pool, host) or spec.suspend is not None or spec.admission != Admission()


def _a_second_look_finds_the_same(pool: Pool) -> None:
    first = pool.plan
    placed = placed_in(first, pool.desired)
    again = replace(pool.request, placed=placed)
    assert plan(pool.desired, pool.observed, pool.records, again).basis == first.basis
    known = settled(pool.desired, placed)
    assert all(known.sandboxes[name].host == host for name, host in placed.items())


LAWS = (
    _the_order_of_things_decides_nothing,
    _it_is_placed_on_a_host_of_its_own_that_answers,
    _what_stands_on_a_host_of_its_own_stays,
    _none_is_made_that_may_be_where_nobody_can_look,
    _what_is_made_fits,
    _no_gpu_is_given_twice,
    _who_can_do_without_gpus_is_never_held_back_for_their_number,
    _what_was_made_before_is_made_again_where_it_was,
    _none_is_placed_where_it_is_refused_then,
    _one_that_could_be_made_is_made,
    _a_second_look_finds_the_same,
)


@law(300)
@given(pools())
def test_any_pool_at_all(pool: Pool) -> None:
    for say in LAWS:
        say(pool)


@law(120)
@given(pools())
def test_once_it_was_made_it_stays_and_is_made_nowhere_else(pool: Pool) -> None:
    """Let a plan come true, forget everything, and let the hosts be as empty or full as they now are."""
    made = _made_on(pool)
    seen: dict[str, Reachable | Unreachable] = {}
    for host, state in pool.observed.hosts.items():
        if isinstance(state, Unreachable):
            seen[host] = state
            continue
        stands = [one for name, one in pool.desired.sandboxes.items() if host in _stands_on(pool, name)]
        new = [pool.desired.sandboxes[name] for name, where in made.items() if where == host]
        seen[host] = a_machine(host, *stands, *new)
    for records in (pool.records, Records()):
        after = Pool(pool.desired, Observed(hosts=seen), records, pool.request)
        assert not _made_on(after).keys() & made.keys()


def test_the_laws_are_asked_of_pools_in_which_something_happens() -> None:
    reasons: set[str] = set()
    verbs: set[str] = set()
    chosen: set[str] = set()
    gpus: set[object] = set()

    @law(400)
    @given(pools())
    def gather(pool: Pool) -> None:
        made = pool.plan
        reasons.update(held.reason for held in made.held)
        verbs.update(action.verb for action in made.actions)
        gpus.update(one.gpu for action in made.actions for one in created(action))
        gpus.update("without" for action in made.actions if "made without GPUs" in "".join(action.notes))
        chosen.update(note.split(":")[0] for action in made.actions for note in action.notes)

    gather()
    assert verbs >= {"create", "adopt", "destroy"}
    assert reasons >= {"NoHostFits", "AdmissionRefused", "HostUnreachable", "SecondCopy", "Suspended"}
    assert {f"placed on {host}" for host in HOSTS} <= chosen
    assert {Gpus(count=1), Gpus(), "without"} <= gpus
