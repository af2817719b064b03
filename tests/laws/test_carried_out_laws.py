"""Ask of plans that are carried out, whole or cut anywhere, what must have become of the machines."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.desired import Desired
from reconciler.model.digest import canonical_json
from reconciler.model.effect import (
    ConnectNetwork,
    Made,
    RemoveContainer,
    RemoveNetwork,
    RenameContainer,
    StopContainer,
)
from reconciler.model.names import sandbox_uid
from reconciler.model.plan import Action, Plan, Verb
from tests import builders as b
from tests.laws.asking import effects_of, law
from tests.laws.machines import CANARY, Cut, Machines
from tests.laws.scenes import DEEDS, SANDBOXES, fleets, meddle

deeds = st.lists(st.tuples(st.sampled_from(DEEDS), st.integers(0, 99)), max_size=3)


def _play(first: Desired, done: list[tuple[str, int]]) -> Machines:
    """Bring a fleet about, beside strangers, and let others meddle."""
    machines = Machines("h1", "h2")
    for world in machines.worlds.values():
        world.add_foreign_container("postgres")
        world.add_foreign_container("sbx-other.web-1.main", labels={"com.docker.compose.project": "other"})
    machines.settle(first)
    for deed, pick in done:
        meddle(machines, deed, pick)
    return machines


def _check_whole(machines: Machines, desired: Desired, made: Plan, *, done: set[str]) -> None:
    """Check that everything stands as wanted or was held back for a reason, and that nothing else is left."""
    held = {(item.host, item.address.removeprefix("sandbox/")) for item in made.held}
    listed = {(item.host, item.sandbox) for item in made.matched if item.listed}
    for host, world in machines.worlds.items():
        names = sorted(seen.name for seen in world.containers.values())
        assert "postgres" in names
        assert "sbx-other.web-1.main" in names
        for name in SANDBOXES:
            if (host, name) in held | listed:
                continue
            want = desired.sandboxes.get(name)
            here = want if want is not None and want.host == host else None
            wanted = sorted(b.docker_name(name, item.name) for item in here.containers) if here is not None else []
            prefix = f"sbx-{b.FLEET}.{name}."
            assert [item for item in names if item.startswith(prefix)] == wanted
            networks = sorted(item.name for item in world.networks.values() if item.name.startswith(prefix))
            assert networks == sorted(b.docker_name(name, net.name) for net in (here.networks if here else ()))
            folder = f"{world.base_dir}/{sandbox_uid(b.FLEET, name)}"
            assert folder in world.paths or here is None
            # Whoever removes a marker by hand removes the proof that the folder is ours: then it stays.
            assert folder not in world.paths or here is not None or "marker" in done


@law(100)
@given(fleets(), deeds, fleets())
def test_a_plan_carried_out_leaves_nothing_to_do(first: Desired, done: list[tuple[str, int]], then: Desired) -> None:
    machines = _play(first, done)
    machines.apply(then)
    made = machines.plan(then)
    assert [(action.id, action.verb, action.cause.text) for action in made.actions] == []
    _check_whole(machines, then, made, done={deed for deed, _ in done})


@law(100)
@given(fleets(), deeds, fleets(), st.integers(0, 60))
def test_a_plan_cut_anywhere_is_finished_by_the_next(
    first: Desired, done: list[tuple[str, int]], then: Desired, steps: int
) -> None:
    machines = _play(first, done)
    data = _data(machines)
    machines.steps_left = steps
    with suppress(Cut):
        machines.carry_out(then, machines.plan(then))
    machines.steps_left = None
    _check_whole(machines, then, machines.settle(then), done={deed for deed, _ in done})
    assert data <= _data(machines), "data is never removed"


def _data(machines: Machines) -> set[tuple[str, str]]:
    paths = {(host, path) for host, world in machines.worlds.items() for path in world.paths if "/srv/data" in path}
    return paths | {(host, name) for host, world in machines.worlds.items() for name in world.volumes}


@law(100)
@given(fleets(), deeds, fleets())
def test_plans_for_machines_that_were_meddled_with(first: Desired, done: list[tuple[str, int]], then: Desired) -> None:
    machines = _play(first, done)
    for desired in (first, then):
        made = machines.plan(desired)
        _holds_no_secret(made)
        for action in made.actions:
            _old_runs_until_the_new_is_made(action)
            _frees_a_network_before_removing_it(action)


def _holds_no_secret(made: Plan) -> None:
    assert CANARY.encode() not in canonical_json(made)


def _old_runs_until_the_new_is_made(action: Action) -> None:
    effects = effects_of(action)
    for index, effect in enumerate(effects):
        if isinstance(effect, RenameContainer) and isinstance(effect.target, Made):
            earlier = effects[:index]
            created = next(n for n, one in enumerate(earlier) if getattr(one, "name", "") == effect.target.name)
            stops = [n for n, one in enumerate(earlier) if isinstance(one, StopContainer)]
            assert any(created < stop for stop in stops)


def _frees_a_network_before_removing_it(action: Action) -> None:
    effects = effects_of(action)
    first = next((n for n, one in enumerate(effects) if isinstance(one, RemoveNetwork)), len(effects))
    assert not [one for one in effects[first:] if isinstance(one, RemoveContainer | ConnectNetwork)]


@law(100)
@given(fleets(), fleets(), st.sampled_from(["h1", "h2"]))
def test_a_plan_after_silence_and_with_nothing_remembered(first: Desired, then: Desired, silent: str) -> None:
    machines = _play(first, [])
    before = {item.sandbox: item.generation for item in machines.plan(first).matched}
    running = _running(machines)
    meddle(machines, "status", 0)
    _never_lowers_a_generation(machines.plan(then), then, before)
    machines.apply(first)
    assert _running(machines) == running, "adopting restarts nothing"
    assert not machines.plan(first).actions
    machines.silent.add(silent)
    untouched = sorted(machines.worlds[silent].containers), sorted(machines.worlds[silent].paths)
    made = machines.apply(then)
    assert (sorted(machines.worlds[silent].containers), sorted(machines.worlds[silent].paths)) == untouched
    assert silent in made.unknown_hosts


def _never_lowers_a_generation(made: Plan, desired: Desired, before: dict[str, int]) -> None:
    for action in made.actions:
        moved = action.sandbox in desired.sandboxes and action.bucket in ("missing", "zombie_wanted")
        assert moved or action.verb is Verb.REAP or action.generation >= before.get(action.sandbox, 0)


def _running(machines: Machines) -> list[tuple[str, Any]]:
    return sorted(
        (key, seen.live.started_at) for world in machines.worlds.values() for key, seen in world.containers.items()
    )
