"""What a sandbox itself takes: summed up from its containers, and read beside the effects."""

import asyncio

import pytest

from reconciler.apply.measure import Weighed, build_delta
from reconciler.errors import ReadFailed
from reconciler.host.memory.faults import EffectFault, ReadFault, Slow
from reconciler.host.memory.host import MemoryHost
from reconciler.host.memory.parts import Behaviour
from reconciler.model.delta import OwnUse, ProvisionDelta
from reconciler.model.effect import Existing, RemoveContainer, StopContainer
from reconciler.model.names import sandbox_uid
from reconciler.model.plan import Action, Apply, Measure, Verb
from reconciler.model.snapshot import SandboxUse, Weight
from tests import builders as b
from tests.unit.apply.stage import Stage, acting, ends, measured, play

MIB = 1 << 20
FIELDS = (
    "memory_working_set_bytes",
    "memory_current_bytes",
    "cpu_usage_ns",
    "network_bytes",
    "layer_bytes",
    "image_bytes",
)


class Weighty(MemoryHost):
    """Remember who was weighed, and take `weigh_s` for it."""

    weigh_s = 0.0

    def __init__(self, host: MemoryHost) -> None:
        super().__init__("h1", host.world, sleep=asyncio.sleep, latency_s=0.1)
        self.asked: list[tuple[str, ...]] = []

    async def weigh(self, containers: tuple[str, ...]) -> dict[str, Weight]:
        self.asked.append(containers)
        await asyncio.sleep(self.weigh_s)
        return await super().weigh(containers)


def weighty(stage: Stage) -> Weighty:
    host = Weighty(stage.host())
    stage.hosts["h1"] = host
    return host


def a_weight(name: str = "main", **over: object) -> Weight:
    use = SandboxUse(cpu_usage_ns=7, memory_current_bytes=40, memory_working_set_bytes=30, network_bytes=5)
    given = {
        "full_id": name.ljust(64, "0"),
        "name": name,
        "image_id": "sha256:one",
        "runs": True,
        "use": use,
        "layer_bytes": 100,
        "image_bytes": 1000,
    }
    return Weight(**{**given, **over})  # type: ignore[arg-type]  # fields of Weight


def delta_of(*weights: Weight, asked: tuple[str, ...] | None = None) -> ProvisionDelta:
    names = tuple(weight.name for weight in weights)
    weighed = Weighed(at=b.T0, asked=asked or names, weights=dict(zip(names, weights, strict=True)))
    return build_delta(verb="create", before="no", after="no", own=weighed)


def destroying(sandbox: str, full_id: str) -> Action:
    target = Existing(full_id, b.docker_name(sandbox), sandbox_uid(b.FLEET, sandbox))
    dos = (Measure("before"), Apply(StopContainer(target, 1)), Apply(RemoveContainer(target)), Measure("after"))
    return acting(sandbox, *dos, verb=Verb.DESTROY, removes=True)


def test_containers_add_up_and_an_image_that_they_share_counts_once() -> None:
    other = a_weight("side", image_id="sha256:two", image_bytes=1)
    delta = delta_of(a_weight("main"), a_weight("again"), other)
    assert delta.own == OwnUse(
        at=b.T0,
        containers=3,
        memory_working_set_bytes=90,
        memory_current_bytes=120,
        cpu_usage_ns=21,
        network_bytes=15,
        layer_bytes=300,
        image_bytes=1001,
    )
    assert not [name for name in delta.missing if name.startswith("own")]


def test_what_does_not_run_takes_no_memory_and_its_counters_are_not_known() -> None:
    over = {"runs": False, "use": None, "missing": {"use": "it does not run"}}
    delta = delta_of(a_weight("main"), a_weight("once", **over))
    assert delta.own is not None
    assert (delta.own.memory_working_set_bytes, delta.own.layer_bytes) == (30, 200)
    assert (delta.own.cpu_usage_ns, delta.own.network_bytes) == (None, None)
    assert delta.missing["own.cpu_usage_ns"] == "once does not run, and its counters went with it"


@pytest.mark.parametrize("field", FIELDS)
def test_a_sum_of_which_a_part_is_not_known_is_not_known_and_says_whose(field: str) -> None:
    use = SandboxUse(cpu_usage_ns=7, memory_current_bytes=40, memory_working_set_bytes=30, network_bytes=5)
    if hasattr(use, field):
        over = {
            "use": SandboxUse(**{**dict.fromkeys(FIELDS[:4], 1), field: None}),
            "missing": {f"use.{field}": "dark"},
        }
    else:
        over = {field: None, "missing": {field: "dark"}, "image_id": "sha256:two"}
    delta = delta_of(a_weight("main"), a_weight("side", **over))
    assert delta.own is not None
    assert [name for name in FIELDS if getattr(delta.own, name) is None] == [field]
    assert delta.missing[f"own.{field}"] == "side: dark"


def test_a_running_container_without_a_control_group_is_not_taken_for_one_without_memory() -> None:
    delta = delta_of(a_weight(use=None, missing={"use": "none was found"}))
    assert delta.own is not None
    assert delta.own.memory_working_set_bytes is None
    assert delta.missing["own.memory_working_set_bytes"] == "main: none was found"


def test_a_part_that_went_leaves_no_sum() -> None:
    delta = delta_of(a_weight("main"), asked=("main", "side"))
    assert delta.own is None
    assert delta.missing["own"] == "1 of its 2 containers went before it was measured"


def test_a_creation_tells_what_its_container_takes() -> None:
    async def scene() -> None:
        stage = Stage()
        host = weighty(stage)
        hog = Behaviour(memory_bytes=300 * MIB, idle_cache_bytes=100 * MIB, written_bytes=50 * MIB)
        host.world.behaviours[b.docker_name("web-1")] = hog
        passed = await stage.walk(measured("web-1"))
        delta = passed.actions[0].delta
        assert delta is not None
        assert delta.own is not None
        assert delta.own.memory_working_set_bytes == 200 * MIB
        assert delta.own.memory_current_bytes == 300 * MIB
        assert delta.own.layer_bytes == 50 * MIB
        assert host.asked == [(b.docker_name("web-1"),)]

    play(scene)


def test_what_is_destroyed_is_weighed_by_its_id_before_it_stops() -> None:
    async def scene() -> None:
        stage = Stage()
        host = weighty(stage)
        host.world.behaviours[b.docker_name("web-1")] = Behaviour(memory_bytes=9 * MIB)
        await stage.walk(measured("web-1"))
        (full_id,) = host.world.containers
        host.script.add(EffectFault(kind="stop_container", trouble=Slow(seconds=0.5)))
        passed = await stage.walk(destroying("web-1", full_id))
        delta = passed.actions[0].delta
        assert host.world.containers == {}
        assert delta is not None
        assert delta.own is not None
        assert delta.own.memory_current_bytes == 9 * MIB
        assert host.asked[-1] == (full_id,)

    play(scene)


def test_what_stopped_before_it_was_weighed_is_not_said_to_have_taken_nothing() -> None:
    async def scene() -> None:
        stage = Stage()
        host = weighty(stage)
        host.world.behaviours[b.docker_name("web-1")] = Behaviour(written_bytes=5)
        await stage.walk(measured("web-1"))
        (full_id,) = host.world.containers
        host.weigh_s = 0.15
        passed = await stage.walk(destroying("web-1", full_id))
        delta = passed.actions[0].delta
        assert delta is not None
        assert delta.own is not None
        assert (delta.own.memory_working_set_bytes, delta.own.cpu_usage_ns, delta.own.layer_bytes) == (None, None, 5)
        assert "ended before it was measured" in delta.missing["own.memory_working_set_bytes"]

    play(scene)


@pytest.mark.parametrize("weigh_s", [0.0, 2.0, 1000.0])
def test_weighing_never_delays_an_effect_and_is_waited_for_in_bounds(weigh_s: float) -> None:
    async def scene() -> tuple[float, float, ProvisionDelta | None]:
        stage = Stage()
        host = weighty(stage)
        await stage.walk(measured("web-1"))
        (full_id,) = host.world.containers
        host.weigh_s = weigh_s
        began_s = stage.clock.monotonic()
        passed = await stage.walk(destroying("web-1", full_id))
        ended_s = next(at for at, kind, _ in reversed(stage.watcher.seen) if kind == "action ended")
        return ended_s - began_s, stage.clock.monotonic() - began_s, passed.actions[0].delta

    took_s, over_s, delta = play(scene)
    assert took_s == pytest.approx(0.5), "a lock, a stop and a removal; nothing waits for the scales"
    assert over_s - took_s < 3.1
    assert delta is not None
    if weigh_s == 1000.0:
        assert delta.missing["own"] == "it was not measured in time"


def test_what_is_done_while_others_are_weighed_is_weighed_together() -> None:
    async def scene() -> None:
        stage = Stage()
        host = weighty(stage)
        host.weigh_s = 1.0
        passed = await stage.walk(*(measured(f"web-{n}") for n in range(20)))
        assert set(ends(passed).values()) == {"done"}
        assert len(host.asked) <= 4
        assert sum(map(len, host.asked)) == 20

    play(scene)


def test_scales_that_fail_cost_nothing_but_the_numbers() -> None:
    async def scene() -> None:
        stage = Stage()
        broken = ReadFailed("the reply was cut short", code="E_FACTS_CUT")
        stage.host("h1", ReadFault(error=broken, verb="weigh", times=99))
        passed = await stage.walk(measured("web-1"))
        (ended,) = passed.actions
        assert ended.end == "done"
        assert ended.delta is not None
        assert ended.delta.change is not None
        assert ended.delta.own is None
        assert ended.delta.missing["own"] == "the reply was cut short"

    play(scene)
