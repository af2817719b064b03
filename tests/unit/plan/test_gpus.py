"""Give GPUs to those that ask, by number: held back where they are missing, or made without, and why."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from reconciler.model.desired import SandboxDesired
from reconciler.model.digest import canonical_json, container_digest
from reconciler.model.effect import CreateContainer
from reconciler.model.labels import PREFIX
from reconciler.model.observed import Reachable
from reconciler.model.plan import Action, Plan, Verb
from reconciler.model.resource import Container, Gpus
from reconciler.model.snapshot import HostSnapshot
from reconciler.plan import stale_reads
from tests import builders as b
from tests.unit.plan.deciding import altered, decide, effects, remembered, standing, the_action, the_held, wanted
from tests.unit.plan.placing import a_machine, a_pool, placed_on

REQUIRE, AUTO = Gpus(count=1), Gpus(count=1, policy="auto")
ALL = Gpus()
NONE = msgspec.UNSET


def asking(gpu: Gpus | msgspec.UnsetType, name: str = "web-1", **over: Any) -> SandboxDesired:
    return b.a_sandbox(name, resources=(b.a_container(gpu=gpu),), **over)


def having(total: int, *sandboxes: SandboxDesired, **card: Any) -> dict[str, Reachable]:
    """Show h1 with so many GPUs, on which these sandboxes stand."""
    facts = b.a_snapshot(gpus=b.some_gpus(total, **card))
    return {b.HOST: b.a_reachable(standing(*sandboxes), snapshot=facts)}


def measured(seen: dict[str, Reachable], facts: HostSnapshot | None) -> dict[str, Reachable]:
    return {b.HOST: replace(seen[b.HOST], snapshot=facts)}


def made_with(action: Action) -> dict[str, Gpus | msgspec.UnsetType]:
    created = [effect for effect in effects(action) if isinstance(effect, CreateContainer)]
    return {effect.container.name: effect.container.gpu for effect in created}


def given(made: Plan) -> dict[str, list[Gpus | msgspec.UnsetType]]:
    return {action.sandbox: list(made_with(action).values()) for action in made.actions}


# What a host has -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gpu", "there", "words"),
    [
        (Gpus(count=2), {}, "h1 has no GPU: 2 missing"),
        (ALL, {}, "h1 has no GPU: at least 1 missing"),
        (Gpus(count=2), {"total": 1}, "h1 has 1 of 2 GPUs: 1 missing"),
        (Gpus(cuda="12.9"), {"total": 1, "cuda": "12.4"}, "h1 offers CUDA 12.4, and 12.9 or newer is asked for"),
        (Gpus(cuda="12.9"), {"total": 1, "cuda": "9.10"}, "h1 offers CUDA 9.10, and 12.9 or newer is asked for"),
    ],
    ids=["none", "none for all", "fewer", "older", "older by number, not by text"],
)
def test_where_gpus_are_missing_it_is_held_back_or_made_without_and_says_what_is_missing(
    gpu: Gpus, there: dict[str, Any], words: str
) -> None:
    seen = having(**{"total": 0, **there})
    held = the_held(decide(wanted(asking(gpu)), seen))
    assert (held.reason, held.message) == ("AdmissionRefused", words)
    action = the_action(decide(wanted(asking(replace(gpu, policy="auto"))), seen))
    assert made_with(action) == {"main": NONE}
    assert action.notes == (f"main is made without GPUs: {words}",)


@pytest.mark.parametrize("gpu", [REQUIRE, AUTO, ALL, Gpus(cuda="12.9"), Gpus(cuda="12.8", policy="auto")])
def test_where_they_are_it_gets_them_and_an_equal_cuda_will_do(gpu: Gpus) -> None:
    action = the_action(decide(wanted(asking(gpu)), having(1)))
    assert made_with(action) == {"main": Gpus(count=gpu.count)}
    assert action.notes == ()


@pytest.mark.parametrize("gpu", [Gpus(count=1, cuda="12.9"), Gpus(count=1, cuda="12.9", policy="auto")])
@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (None, "h1 did not tell its GPUs"),
        (
            b.a_snapshot(gpus=None, missing={"gpus": "nvidia-smi failed"}),
            "h1 could not tell its GPUs: nvidia-smi failed",
        ),
        (b.a_snapshot(gpus=b.some_gpus(1, cuda=None)), "h1 could not tell which CUDA it offers"),
    ],
    ids=["no facts", "failed", "no CUDA"],
)
def test_what_nobody_knows_is_neither_there_nor_missing(gpu: Gpus, facts: HostSnapshot | None, words: str) -> None:
    held = the_held(decide(wanted(asking(gpu)), measured(having(0), facts)))
    assert held.reason == "AdmissionRefused"
    assert held.message.startswith(words)


def test_who_asks_for_none_needs_no_facts() -> None:
    action = the_action(decide(wanted(asking(NONE)), measured(having(0), None)))
    assert made_with(action) == {"main": NONE}


# Who has them --------------------------------------------------------------------------------------------------------


def test_what_others_there_asked_for_is_taken() -> None:
    other = asking(Gpus(count=2), "box-0")
    made = decide(wanted(asking(Gpus(count=2)), other), having(3, other), remembered(other))
    assert the_words(made) == "h1 has 1 of 2 GPUs free: 1 missing (3 there, 2 taken)"


def test_who_has_all_leaves_none_and_who_asks_for_all_needs_each() -> None:
    whole, part = asking(ALL, "box-0"), asking(REQUIRE, "box-1")
    made = decide(wanted(part, whole), having(4, whole), remembered(whole))
    assert the_words(made) == "h1 has 0 of 1 GPUs free: 1 missing (4 there, 4 taken)"
    made = decide(wanted(part, whole), having(4, part), remembered(part))
    assert the_words(made) == "h1 has 3 of 4 GPUs free: 1 missing (4 there, 1 taken)"


def the_words(made: Plan) -> str:
    (held,) = made.held
    assert made.actions == ()
    return held.message


def test_what_is_made_first_is_taken_by_name_and_who_can_do_without_comes_last() -> None:
    boxes = (asking(AUTO, "box-0"), asking(REQUIRE, "box-1"), asking(REQUIRE, "box-2"), asking(AUTO, "box-3"))
    made = decide(wanted(*boxes), having(3))
    assert given(made) == {"box-0": [REQUIRE], "box-1": [REQUIRE], "box-2": [REQUIRE], "box-3": [NONE]}
    assert made.actions[3].notes == (
        "main is made without GPUs: h1 has 0 of 1 GPUs free: 1 missing (3 there, 3 taken)",
    )
    made = decide(wanted(*boxes), having(1))
    assert given(made) == {"box-0": [NONE], "box-1": [REQUIRE], "box-3": [NONE]}
    assert [held.sandbox for held in made.held] == ["box-2"]


def test_what_is_held_back_for_something_else_takes_none() -> None:
    first, second = asking(REQUIRE, "box-0", depends_on=()), asking(REQUIRE, "box-1")
    blocked = replace(having(1)[b.HOST], view=replace(b.a_view(), neighbours=(b.a_neighbour(b.docker_name(first)),)))
    made = decide(wanted(first, second), {b.HOST: blocked})
    assert [(held.sandbox, held.reason) for held in made.held] == [("box-0", "NameTaken")]
    assert given(made) == {"box-1": [REQUIRE]}


def test_what_ended_for_good_gives_its_gpus_back() -> None:
    done = replace(asking(REQUIRE, "box-0"), resources=(b.a_container(gpu=REQUIRE, run="once", restart="no"),))
    seen = having(1, done)
    view = seen[b.HOST].view
    ended = tuple(replace(one, live=b.an_exited_live(0)) for one in view.containers)
    finished = {b.HOST: replace(seen[b.HOST], view=replace(view, containers=ended))}
    made = decide(wanted(done, asking(REQUIRE)), finished, remembered(done))
    assert given(made) == {"web-1": [REQUIRE]}
    assert decide(wanted(done, asking(REQUIRE)), seen, remembered(done)).actions == ()


def test_containers_of_one_sandbox_add_up_and_share_with_one_that_has_all() -> None:
    def pair(one: Gpus, other: Gpus) -> SandboxDesired:
        return b.a_sandbox(resources=(b.a_container("a", gpu=one), b.a_container("b", gpu=other)))

    assert the_words(decide(wanted(pair(REQUIRE, REQUIRE)), having(1))).startswith("h1 has 0 of 1 GPUs free")
    action = the_action(decide(wanted(pair(AUTO, REQUIRE)), having(1)))
    assert made_with(action) == {"a": NONE, "b": REQUIRE}
    action = the_action(decide(wanted(pair(ALL, REQUIRE)), having(2)))
    assert made_with(action) == {"a": ALL, "b": REQUIRE}


def test_what_stands_is_counted_beside_what_its_sandbox_adds_though_there_are_too_few_for_it_now() -> None:
    """Two cards are gone: who has two keeps them, and nobody gets the one that is left."""
    before = b.a_sandbox(resources=(b.a_container("a", gpu=Gpus(count=2)),))
    after = b.a_sandbox(resources=(b.a_container("a", gpu=Gpus(count=2)), b.a_container("b", gpu=REQUIRE)))
    held = the_held(decide(wanted(after), having(1, before), remembered(before)))
    assert held.message == "h1 has 0 of 1 GPUs free: 1 missing (1 there, 1 taken)"


# What stands ---------------------------------------------------------------------------------------------------------

NEVER = (b.a_snapshot(gpus=()), b.a_snapshot(gpus=b.some_gpus(4)), b.a_snapshot(gpus=None), None)


@pytest.mark.parametrize("facts", NEVER, ids=["none there", "some there", "not known", "not measured"])
@pytest.mark.parametrize("stands", [NONE, REQUIRE], ids=["without", "with"])
def test_what_auto_decided_once_stays(stands: Gpus | msgspec.UnsetType, facts: HostSnapshot | None) -> None:
    want = asking(AUTO)
    view = standing(want)
    view = replace(view, containers=tuple(altered(one, gpu=stands) for one in view.containers))
    made = decide(wanted(want), {b.HOST: b.a_reachable(view, snapshot=facts)}, remembered(want))
    assert (made.actions, made.held) == ((), ())


@pytest.mark.parametrize("facts", NEVER, ids=["none there", "some there", "not known", "not measured"])
def test_what_was_required_and_stands_needs_no_more_of_its_host(facts: HostSnapshot | None) -> None:
    want = asking(REQUIRE)
    made = decide(wanted(want), {b.HOST: b.a_reachable(standing(want), snapshot=facts)}, remembered(want))
    assert (made.actions, made.held) == ((), ())


@pytest.mark.parametrize(
    ("gpu", "stands", "old", "new"),
    [
        (REQUIRE, NONE, None, "1 GPU"),
        (REQUIRE, ALL, "all GPUs", "1 GPU"),
        (NONE, Gpus(count=2), "2 GPUs", None),
        (AUTO, Gpus(count=2), "2 GPUs", "1 GPU"),
    ],
)
def test_what_stands_against_what_is_asked_is_drift(
    gpu: Gpus | msgspec.UnsetType, stands: Gpus | msgspec.UnsetType, old: str | None, new: str | None
) -> None:
    want = asking(gpu)
    view = standing(want)
    view = replace(view, containers=tuple(altered(one, gpu=stands) for one in view.containers))
    facts = b.a_snapshot(gpus=b.some_gpus(2))
    action = the_action(decide(wanted(want), {b.HOST: b.a_reachable(view, snapshot=facts)}, remembered(want)))
    (change,) = action.changes
    assert (action.verb, change.path, change.old, change.new) == (Verb.REPLACE, "containers.main.gpu", old, new)
    assert change.origin == "drift"
    assert made_with(action) == {"main": gpu if gpu is NONE else REQUIRE}


def test_a_spec_that_asks_for_auto_now_is_decided_once() -> None:
    """Where GPUs are they are given; where none are, nothing is replaced, and that stays so."""
    before, after = asking(NONE), asking(AUTO)
    action = the_action(decide(wanted(after), having(1, before), remembered(before)))
    assert (action.verb, made_with(action)) == (Verb.REPLACE, {"main": REQUIRE})
    assert action.changes[0].origin == "intent"
    action = the_action(decide(wanted(after), having(0, before), remembered(before)))
    assert [change.path for change in action.marker] == ["generation"]
    assert action.resources == ()
    told = having(1, before)[b.HOST].view
    applied = replace(told, markers=tuple(b.a_seen_marker(b.a_marker(after)) for _ in told.markers))
    made = decide(
        wanted(after), {b.HOST: b.a_reachable(applied, snapshot=b.a_snapshot(gpus=b.some_gpus(1)))}, remembered(after)
    )
    assert (made.actions, made.held) == ((), ())


def test_another_change_decides_anew_and_its_own_gpus_are_not_in_its_way() -> None:
    before = asking(AUTO)
    newer = replace(before, resources=(b.a_container(gpu=AUTO, env={"MODE": "slow"}),))
    after = replace(newer, intent=b.a_sandbox(resources=newer.resources).intent)
    action = the_action(decide(wanted(after), having(1, before), remembered(before)))
    assert (action.verb, made_with(action)) == (Verb.REPLACE, {"main": REQUIRE})
    action = the_action(decide(wanted(after), having(0, before), remembered(before)))
    assert made_with(action) == {"main": NONE}
    held = the_held(decide(wanted(after), measured(having(1, before), None), remembered(before)))
    assert held.message.startswith("h1 did not tell its GPUs")


def test_what_auto_decided_is_in_no_digest() -> None:
    action = the_action(decide(wanted(asking(AUTO)), having(0)))
    (creation,) = [effect for effect in effects(action) if isinstance(effect, CreateContainer)]
    assert creation.labels[f"{PREFIX}digest"] == container_digest(b.a_container(gpu=AUTO))


def test_a_saved_plan_is_stale_once_auto_decides_otherwise() -> None:
    saved = decide(wanted(asking(AUTO)), having(1))
    fresh = decide(wanted(asking(AUTO)), having(0))
    assert stale_reads(saved, fresh.basis, specs=fresh.specs) == ("h1: GPUs for main",)
    assert stale_reads(saved, decide(wanted(asking(AUTO)), having(2)).basis, specs=saved.specs) == ()


def test_who_asks_for_none_is_written_as_before_there_were_any() -> None:
    assert b"gpu" not in canonical_json(b.a_sandbox())
    assert msgspec.json.decode(canonical_json(b.a_container()), type=Container) == b.a_container()


# Where it goes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gpu", [REQUIRE, AUTO])
def test_it_is_placed_where_its_gpus_are(gpu: Gpus) -> None:
    crowd = tuple(b.a_sandbox(f"box-{number}", host="h2") for number in range(3))
    seen = {"h1": a_machine("h1", gpus=()), "h2": a_machine("h2", *crowd, gpus=b.some_gpus(1))}
    records = b.a_records(*(b.a_record(one, host_id=b.full_id("h2")[:32]) for one in crowd))
    action = the_action(decide(a_pool(asking(gpu), pinned=crowd), seen, records))
    assert (action.host, made_with(action)) == ("h2", {"main": REQUIRE})
    assert "left out: h1 has no GPU: 1 missing" in action.notes


@pytest.mark.parametrize("strategy", ["spread", "pack"])
def test_each_placed_one_counts_the_gpus_of_those_before_it(strategy: Any) -> None:
    boxes = tuple(asking(REQUIRE, f"box-{number}") for number in range(4))
    seen = {"h1": a_machine("h1", gpus=b.some_gpus(1)), "h2": a_machine("h2", gpus=b.some_gpus(2))}
    made = decide(a_pool(*boxes, strategy=strategy), seen)
    assert sorted(placed_on(made).values()) == ["h1", "h2", "h2"]
    (held,) = made.held
    assert (held.sandbox, held.reason) == ("box-3", "NoHostFits")
    assert "h1 has 0 of 1 GPUs free: 1 missing (1 there, 1 taken)" in held.message
    assert "h2 has 0 of 1 GPUs free: 1 missing (2 there, 2 taken)" in held.message


def test_one_that_can_do_without_goes_anywhere_once_none_is_left() -> None:
    boxes = (asking(AUTO, "box-0"), asking(REQUIRE, "box-1"))
    seen = {"h1": a_machine("h1", gpus=b.some_gpus(1)), "h2": a_machine("h2", gpus=())}
    made = decide(a_pool(*boxes), seen)
    assert placed_on(made) == {"box-0": "h2", "box-1": "h1"}
    assert given(made) == {"box-0": [NONE], "box-1": [REQUIRE]}


def test_a_host_of_which_nothing_is_known_is_not_chosen() -> None:
    seen = {"h1": a_machine("h1", gpus=None), "h2": a_machine("h2", gpus=b.some_gpus(1))}
    assert the_action(decide(a_pool(asking(AUTO)), seen)).host == "h2"
