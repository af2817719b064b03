"""Stopping: once lets the steps in flight finish, twice leaves everything where it is."""

import asyncio

from reconciler.host.memory.faults import EffectFault, Refuse
from reconciler.host.memory.parts import Behaviour
from reconciler.model.desired import Limits
from reconciler.model.effect import NotDone, Unknown
from tests import builders as b
from tests.unit.apply.stage import Stage, creating, ends, measured, play


def test_once_lets_the_step_in_flight_finish_and_starts_no_other() -> None:
    async def scene() -> None:
        stage = Stage()
        stage.limits = Limits(creates_per_host=1)
        host = stage.host(latency_s=1)
        asyncio.get_running_loop().call_later(3, stage.interrupt.press)  # the create is under way
        passed = await stage.walk(creating("web-1"), creating("web-2"), creating("web-3", after=("h1/web-1",)))
        assert passed.interrupted
        assert set(ends(passed).values()) == {"interrupted"}
        first, second, third = passed.actions
        assert [step.step for step in first.steps] == ["h1/web-1/1"]
        seen = host.world.by_name(b.docker_name())
        assert seen is not None
        assert [(one.name, one.full_id) for one in first.instances or ()] == [(b.docker_name(), seen.full_id)]
        assert second.steps == third.steps == ()
        assert stage.journal.steps("after") == ["h1/web-1/1"]
        assert not host.world.locks

    play(scene)


def test_once_ends_a_wait_for_readiness() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host()
        host.world.behaviours[b.docker_name()] = Behaviour(ready_after=1000)
        asyncio.get_running_loop().call_later(5, stage.interrupt.press)
        passed = await stage.walk(creating("web-1"))
        assert ends(passed) == {"h1/web-1": "interrupted"}
        assert passed.actions[0].ready_at is None
        assert stage.clock.monotonic() == 5

    play(scene)


def test_once_ends_the_pauses_between_tries() -> None:
    async def scene() -> None:
        stage = Stage()
        busy = NotDone("E_BUSY", "the engine is busy", transient=True)
        stage.host("h1", EffectFault(trouble=Refuse(busy), kind="create_container", times=99))
        asyncio.get_running_loop().call_later(0.7, stage.interrupt.press)
        passed = await stage.walk(creating("web-1"))
        assert ends(passed) == {"h1/web-1": "interrupted"}
        assert stage.clock.monotonic() == 0.7

    play(scene)


def test_twice_leaves_what_is_in_flight_and_says_that_nobody_knows() -> None:
    async def scene() -> None:
        stage = Stage()
        stage.limits = Limits(creates_per_host=1)
        host = stage.host(latency_s=100)
        loop = asyncio.get_running_loop()
        loop.call_later(150, stage.interrupt.press)
        loop.call_later(160, stage.interrupt.press)
        passed = await stage.walk(measured("web-1"), creating("web-2"), creating("web-3", after=("h1/web-2",)))
        assert passed.interrupted
        assert set(ends(passed).values()) == {"interrupted"}
        assert isinstance(passed.actions[0].steps[-1].result, Unknown)
        assert (stage.journal.steps("before"), stage.journal.steps("after")) == (["h1/web-1/2"], [])
        assert stage.clock.monotonic() == 160
        assert not host.world.locks

    play(scene)


def test_twice_at_once_before_anything_began() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host()
        stage.interrupt.press()
        stage.interrupt.press()
        passed = await stage.walk(creating("web-1"), creating("web-2"))
        assert ends(passed) == {"h1/web-1": "interrupted", "h1/web-2": "interrupted"}
        assert host.world.happened == []

    play(scene)


def test_the_next_walk_goes_on_where_this_one_was_left() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host(latency_s=1)
        loop = asyncio.get_running_loop()
        loop.call_later(4.5, stage.interrupt.press)
        loop.call_later(4.5, stage.interrupt.press)
        await stage.walk(creating("web-1"))
        again = Stage()
        again.hosts = stage.hosts
        assert ends(await again.walk(creating("web-1"))) == {"h1/web-1": "done"}
        assert len(host.world.containers) == 1

    play(scene)
