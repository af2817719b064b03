"""Decide service by service what a compose file needs, and lower it so that a cut anywhere ends the same."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model.compose import ComposePolicy
from reconciler.model.desired import Desired
from reconciler.model.effect import (
    JudgeCompose,
    PutMarker,
    RestartContainer,
    StageTree,
    UpCompose,
)
from reconciler.model.names import SERVICES, DerivedName, composed_name, name_in_docker
from reconciler.model.observed import SeenContainer
from reconciler.model.plan import Action, Apply, Await, Plan
from reconciler.model.probe import FinishedProbe, RunningProbe
from reconciler.model.resource import TREE_BEGUN, Compose, Tree
from reconciler.plan.steps import prove
from tests import builders as b
from tests.laws.asking import effects_of
from tests.laws.machines import Cut, Machines

CONTENT = "tree1:" + "1" * 64
OTHER = "tree1:" + "2" * 64


def want(
    *services: str, once: tuple[str, ...] = (), content: str = CONTENT, file: str = "compose.yaml", **policy: Any
) -> Desired:
    """Want one sandbox with these services of a compose file."""
    path = f"{b.BASE_DIR}/{b.a_sandbox().uid}/source"
    tree = Tree(path=path, folder="/here", content=content, entries=2, size_bytes=10)
    compose = Compose(
        folder=path, file=file, services=tuple(sorted(services)), once=once, policy=ComposePolicy(**policy)
    )
    return b.a_desired(b.a_sandbox(resources=(tree, compose)))


@pytest.fixture
def machines() -> Machines:
    found = Machines(b.HOST)
    found.worlds[b.HOST].base_dir = b.BASE_DIR
    return found


def container(machines: Machines, service: str) -> SeenContainer:
    found = machines.worlds[b.HOST].by_name(composed_name(DerivedName(b.FLEET, b.SANDBOX, service), SERVICES))
    assert found is not None
    return found


def only(made: Plan) -> Action:
    assert [item.message for item in made.held] == []
    (action,) = made.actions
    return action


def keys(action: Action) -> dict[str, str]:
    """Give what is done to each resource."""
    return {change.key: str(change.verb) for change in action.resources}


def steps(action: Action) -> list[str]:
    """Name the steps in order: effects and waits."""
    named = []
    for step in action.steps:
        if isinstance(step.do, Apply):
            named.append(type(step.do.effect).__name__)
        elif isinstance(step.do, Await):
            named.append(f"Await {step.do.name.removesuffix('-1').rpartition('-')[2]}")
    return named


FIRST = ["PutMarker", "StageTree", "JudgeCompose", "PlaceTree", "PutMarker", "UpCompose", "PutMarker"]


def test_the_first_time_all_is_made_in_order(machines: Machines) -> None:
    action = only(machines.plan(want("web", "db")))
    assert keys(action) == {
        "trees/source": "create",
        "compose/compose": "create",
        "services/db": "create",
        "services/web": "create",
    }
    assert steps(action) == [*FIRST, "Await db", "Await web"]
    assert [effect.marker.compose != "" for effect in effects_of(action) if isinstance(effect, PutMarker)] == [
        False,
        False,
        True,
    ]
    assert [effect.marker.tree for effect in effects_of(action) if isinstance(effect, PutMarker)] == [
        TREE_BEGUN,
        CONTENT,
        CONTENT,
    ]


def test_it_is_judged_where_it_is_staged_and_brought_up_where_it_is_placed(machines: Machines) -> None:
    effects = effects_of(only(machines.plan(want("web"))))
    (staged,) = [effect for effect in effects if isinstance(effect, StageTree)]
    (judged,) = [effect for effect in effects if isinstance(effect, JudgeCompose)]
    (up,) = [effect for effect in effects if isinstance(effect, UpCompose)]
    assert up.project.folder == staged.path
    assert judged.project == replace(up.project, folder=staged.path.replace("/source", "/.new-source"))
    assert up.project.services == ("web",)


def test_nothing_is_done_twice(machines: Machines) -> None:
    machines.apply(want("web", "db"))
    assert machines.plan(want("web", "db")).actions == ()


def test_a_new_tree_brings_all_up_again(machines: Machines) -> None:
    machines.apply(want("web", "db"))
    action = only(machines.plan(want("web", "db", content=OTHER)))
    assert keys(action) == {"trees/source": "update", "compose/compose": "update"}
    assert steps(action) == [*FIRST, "Await db", "Await web"]


@pytest.mark.parametrize(
    "change", [{"file": "other.yaml"}, {"hardened": True}, {"hardened": True, "writable_root": True}]
)
def test_the_same_tree_is_sent_and_judged_again_for_another_file_or_hardening(
    machines: Machines, change: dict[str, Any]
) -> None:
    machines.apply(want("web"))
    action = only(machines.plan(want("web", **change)))
    assert keys(action) == {"trees/source": "update", "compose/compose": "update"}
    assert steps(action) == [*FIRST, "Await web"]
    machines.apply(want("web", **change))
    assert machines.plan(want("web", **change)).actions == ()


def test_a_policy_that_only_allows_other_things_changes_nothing(machines: Machines) -> None:
    machines.apply(want("web"))
    assert machines.plan(want("web", cap_add=("SYS_PTRACE",))).actions == ()


def test_a_service_that_is_gone_is_made_alone(machines: Machines) -> None:
    machines.apply(want("web", "db"))
    world, db = machines.worlds[b.HOST], container(machines, "db").full_id
    world.drop(container(machines, "web").full_id)
    action = only(machines.plan(want("web", "db")))
    assert keys(action) == {"services/web": "create"}
    assert steps(action) == ["PutMarker", "UpCompose", "PutMarker", "Await web"]
    machines.apply(want("web", "db"))
    assert container(machines, "db").full_id == db


def test_a_service_that_stopped_is_started(machines: Machines) -> None:
    machines.apply(want("web", "db"))
    machines.worlds[b.HOST].end(container(machines, "web").full_id, exit_code=3)
    action = only(machines.plan(want("web", "db")))
    assert keys(action) == {"services/web": "start"}
    (change,) = action.changes
    assert (change.path, change.old, change.new) == ("services.web.state", "exited (3)", "running")
    assert steps(action)[-1] == "Await web"
    machines.apply(want("web", "db"))
    assert container(machines, "web").live.state == "running"


def test_a_paused_service_is_restarted_before_it_is_brought_up(machines: Machines) -> None:
    machines.apply(want("web"))
    seen = container(machines, "web")
    machines.worlds[b.HOST].containers[seen.full_id] = replace(seen, live=replace(seen.live, state="paused"))
    action = only(machines.plan(want("web")))
    assert keys(action) == {"services/web": "restart"}
    effects = effects_of(action)
    kinds = [type(effect) for effect in effects]
    assert kinds.index(RestartContainer) < kinds.index(UpCompose)


def test_a_service_that_is_being_removed_holds_the_sandbox(machines: Machines) -> None:
    machines.apply(want("web"))
    seen = container(machines, "web")
    machines.worlds[b.HOST].containers[seen.full_id] = replace(seen, live=replace(seen.live, state="removing"))
    made = machines.plan(want("web"))
    assert made.actions == ()
    assert [item.reason for item in made.held] == ["BeingRemoved"]


@pytest.mark.parametrize(("exit_code", "is_done"), [(0, True), (1, False)])
def test_what_runs_once_may_have_ended_well(machines: Machines, exit_code: int, *, is_done: bool) -> None:
    once = want("job", "web", once=("job",))
    awaits = [step.do for step in only(machines.plan(once)).steps if isinstance(step.do, Await)]
    assert [type(await_.probe) for await_ in awaits] == [FinishedProbe, RunningProbe]
    machines.apply(once)
    world = machines.worlds[b.HOST]
    seen = container(machines, "job")
    if seen.live.state == "running" or exit_code:
        world.containers[seen.full_id] = replace(
            seen, live=replace(seen.live, state="exited", exit_code=exit_code, finished_at=machines.now)
        )
    assert (machines.plan(once).actions == ()) is is_done


def test_a_service_that_the_file_names_no_more_goes(machines: Machines) -> None:
    machines.apply(want("web", "db"))
    then = want("web", content=OTHER)
    machines.apply(then)
    assert machines.plan(then).actions == ()
    assert sorted(seen.name for seen in machines.worlds[b.HOST].containers.values()) == [
        container(machines, "web").name
    ]


# Cuts -----------------------------------------------------------------------------------------------------------------


def _end(machines: Machines) -> tuple[object, ...]:
    world = machines.worlds[b.HOST]
    states = sorted((seen.name, seen.live.state) for seen in world.containers.values())
    tree = world.paths[f"{b.BASE_DIR}/{b.a_sandbox().uid}/source/.tree"].content
    return states, tree, sorted(path for path in world.paths if "/.new-" in path)


@pytest.mark.parametrize("then", [want("web", "db"), want("web", content=OTHER), want("web", "db", file="other.yaml")])
@pytest.mark.parametrize("cut", range(14))
def test_a_cut_after_any_step_leads_to_the_same_end(then: Desired, cut: int) -> None:
    whole, broken = Machines(b.HOST), Machines(b.HOST)
    for machines in (whole, broken):
        machines.worlds[b.HOST].base_dir = b.BASE_DIR
        if then.sandboxes != want("web", "db").sandboxes:
            machines.settle(want("web", "db"))
    whole.settle(then)
    broken.steps_left = cut
    with suppress(Cut):
        broken.carry_out(then, broken.plan(then))
    broken.steps_left = None
    broken.settle(then)
    assert _end(broken) == _end(whole)


def test_whoever_asks_whether_it_is_ready_asks_every_service() -> None:
    sandbox = want("web", "db", once=("db",)).sandboxes[b.SANDBOX]
    names = {str(part.key): part.docker_name for part in sandbox.parts(b.FLEET)}
    assert names == {
        f"services/{one}": composed_name(DerivedName(b.FLEET, b.SANDBOX, one), SERVICES) for one in ("db", "web")
    }
    assert {key: name_in_docker(b.FLEET, b.SANDBOX, key) for key in names} == names
    asked = [step.do for step in prove(sandbox, fleet=b.FLEET, action="h1/web-1") if isinstance(step.do, Await)]
    assert [(one.name, type(one.probe)) for one in asked] == [
        (names["services/db"], FinishedProbe),
        (names["services/web"], RunningProbe),
    ]


def test_what_an_action_leaves_is_named_with_its_services(machines: Machines) -> None:
    action = only(machines.plan(want("web", "db")))
    assert action.keys == ("trees/source", "compose/compose", "services/db", "services/web")
