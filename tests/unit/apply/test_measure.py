"""Deltas: what one action did to its host, sampled beside the effects and never in their way."""

import asyncio
from collections.abc import Callable
from datetime import datetime

import pytest

from reconciler.apply.measure import build_delta, read_samples
from reconciler.apply.sampler import Sampler
from reconciler.errors import ReadFailed
from reconciler.host.memory.faults import ReadFault
from reconciler.host.memory.host import MemoryHost
from reconciler.host.memory.parts import Behaviour
from reconciler.model.desired import Limits
from reconciler.model.plan import Verb
from reconciler.model.snapshot import HostSnapshot
from tests import builders as b
from tests.unit.apply.stage import Stage, creating, ends, measured, play


class Counting(MemoryHost):
    """Count how often the counters are read, and take `facts_s` for each."""

    facts_s = 0.2
    reads = 0

    async def facts(
        self,
        container_ids: tuple[str, ...],
        *,
        now: Callable[[], datetime],
        with_docker_disk: bool = False,
        with_gpus: bool = True,
    ) -> HostSnapshot:
        self.reads += 1
        await asyncio.sleep(self.facts_s)
        return await super().facts(container_ids, now=now, with_docker_disk=with_docker_disk, with_gpus=with_gpus)


def _counting(stage: Stage, *, latency_s: float = 0.0) -> Counting:
    host = stage.host()
    counting = Counting("h1", host.world, sleep=asyncio.sleep, latency_s=latency_s)
    stage.hosts["h1"] = counting
    return counting


def test_a_reading_holds_median_and_spread_of_what_could_be_measured() -> None:
    reading = read_samples(tuple(b.a_snapshot(load_1=load) for load in (1.0, 9.0, 2.0)))
    assert (reading.samples, reading.median["load_1"], reading.spread["load_1"]) == (3, 2.0, 8.0)
    assert reading.median["disk_used_bytes"] == 40 << 30
    assert "pressure_cpu" not in reading.median


def test_a_change_is_after_minus_before() -> None:
    after = b.a_reading(median={"memory_available_bytes": float(10 << 30), "load_1": 0.5})
    delta = build_delta(verb="create", before=b.a_reading(), after=after, own="no")
    assert delta.change == {"memory_available_bytes": float(-2 << 30), "load_1": 0.4}
    assert delta.missing["pressure_io"] == "the host does not report it"


def test_a_reboot_leaves_no_change_and_says_so() -> None:
    delta = build_delta(verb="create", before=b.a_reading(), after=b.a_reading(boot_id="another"), own="no")
    assert delta.change is None
    assert "rebooted" in delta.missing["change"]


def test_samples_of_an_earlier_boot_are_dropped() -> None:
    reading = read_samples((b.a_snapshot(boot_id="old", load_1=99.0), b.a_snapshot(boot_id="new", load_1=1.0)))
    assert (reading.boot_id, reading.samples, reading.median["load_1"]) == ("new", 1, 1.0)


def test_an_absent_side_leaves_no_change_and_says_why() -> None:
    delta = build_delta(verb="create", before="the connection broke", after=b.a_reading(), own="no")
    assert (delta.before, delta.change, delta.missing) == (None, None, {"before": "the connection broke", "own": "no"})


def test_a_creation_shows_its_container_and_its_memory() -> None:
    async def scene() -> None:
        stage = Stage()
        _counting(stage, latency_s=0.1)
        passed = await stage.walk(measured("web-1"))
        delta = passed.actions[0].delta
        assert delta is not None
        assert delta.verb == Verb.CREATE
        assert delta.change is not None
        assert delta.change["containers_running"] == 1
        assert delta.change["memory_available_bytes"] == -(64 << 20)
        assert delta.after is not None
        assert delta.after.samples == 3
        assert delta.also == ()
        assert stage.watcher.deltas == {"h1/web-1": delta}

    play(scene)


@pytest.mark.parametrize("facts_s", [0.2, 4.0, 1000.0])
def test_sampling_never_delays_an_effect_and_is_waited_for_in_bounds(facts_s: float) -> None:
    async def scene(*, sampled: bool) -> tuple[float, float]:
        stage = Stage()
        _counting(stage, latency_s=0.1).facts_s = facts_s
        await stage.walk(measured("web-1") if sampled else creating("web-1"))
        return stage.watcher.when("action ended", "h1/web-1"), stage.clock.monotonic()

    ended_s, over_s = play(lambda: scene(sampled=True))
    assert ended_s == play(lambda: scene(sampled=False))[0]
    assert over_s - ended_s < 3.1


def test_twenty_creations_share_their_samples() -> None:
    async def scene() -> None:
        stage = Stage()
        host = _counting(stage, latency_s=0.1)
        passed = await stage.walk(*(measured(f"web-{n}") for n in range(20)))
        assert set(ends(passed).values()) == {"done"}
        assert all(ended.delta is not None and ended.delta.change is not None for ended in passed.actions)
        assert host.reads <= 8

    play(scene)


def test_a_sample_under_way_counts_as_before_and_not_as_after() -> None:
    async def scene() -> None:
        stage = Stage()
        host = _counting(stage)
        host.facts_s = 1.0
        sampler = Sampler(host, stage.clock, is_busy=lambda: False)
        first = sampler.before()
        await asyncio.sleep(0.5)
        joined, late = sampler.before(), sampler.after()
        await sampler.finish(limit_s=60)
        assert [len(window.samples) for window in (first, joined, late)] == [3, 3, 3]
        assert host.reads == 6
        assert joined.from_s == 0
        assert joined.until_s < late.until_s
        assert late.from_s == 0.5

    play(scene)


def test_samples_overlap_and_so_cost_little_more_than_one() -> None:
    async def scene() -> None:
        stage = Stage()
        _counting(stage)
        sampler = Sampler(stage.hosts["h1"], stage.clock, is_busy=lambda: False)
        window = sampler.after()
        await sampler.finish(limit_s=60)
        assert len(window.samples) == 3
        assert stage.clock.monotonic() == pytest.approx(0.1 + 0.1 + 0.2)

    play(scene)


def test_a_slow_host_is_never_asked_for_more_than_one_reading_at_once() -> None:
    async def scene() -> None:
        stage = Stage()
        host = _counting(stage)
        host.facts_s = 2.0
        sampler = Sampler(host, stage.clock, is_busy=lambda: False)
        windows = [sampler.after()]
        for _ in range(20):
            await asyncio.sleep(0.05)
            windows.append(sampler.after())
        assert host.reads == 3
        await sampler.finish(limit_s=60)
        assert {len(window.samples) for window in windows} == {3}
        assert host.reads <= 6

    play(scene)


def test_a_before_takes_a_sample_that_was_just_taken_and_none_that_is_older() -> None:
    async def scene() -> None:
        stage = Stage()
        host = _counting(stage)
        sampler = Sampler(host, stage.clock, is_busy=lambda: True)
        sampler.before()
        await sampler.finish(limit_s=60)
        fresh = sampler.before()
        fresh.cut()
        assert fresh.is_full
        await asyncio.sleep(5)
        late = sampler.before()
        late.cut()
        assert not late.is_full
        await sampler.close()

    play(scene)


def test_others_that_ran_meanwhile_are_named_and_earlier_ones_are_not() -> None:
    async def scene() -> None:
        stage = Stage()
        stage.limits = Limits(creates_per_host=2)
        _counting(stage, latency_s=0.5)
        stage.host("h2")
        passed = await stage.walk(
            measured("web-1"),
            creating("web-2"),
            creating("web-3", host="h2"),
            creating("web-4", after=("h1/web-1", "h1/web-2", "h2/web-3")),
            measured("web-5", after=("h1/web-4",)),
        )
        first, last = passed.actions[0].delta, passed.actions[4].delta
        assert first is not None
        assert last is not None
        assert "sandbox/web-2" in first.also
        assert "sandbox/web-3" not in first.also
        assert "sandbox/web-2" not in last.also

    play(scene)


def test_a_reboot_on_the_way_gives_no_numbers() -> None:
    async def scene() -> None:
        stage = Stage()
        host = _counting(stage)
        host.world.behaviours[b.docker_name()] = Behaviour(ready_after=3)
        asyncio.get_running_loop().call_later(0.35, host.world.reboot)
        passed = await stage.walk(measured("web-1"))
        delta = passed.actions[0].delta
        assert delta is not None
        assert delta.change is None
        assert "rebooted" in delta.missing["change"]

    play(scene)


def test_counters_that_cannot_be_read_cost_nothing_but_the_numbers() -> None:
    async def scene() -> None:
        stage = Stage()
        broken = ReadFailed("the reply was cut short", code="E_FACTS_CUT")
        stage.host("h1", ReadFault(error=broken, verb="facts", times=99))
        passed = await stage.walk(measured("web-1"))
        (ended,) = passed.actions
        assert ended.end == "done"
        assert ended.delta is not None
        assert ended.delta.change is None
        assert ended.delta.missing == {"before": "the reply was cut short", "after": "the reply was cut short"}

    play(scene)
