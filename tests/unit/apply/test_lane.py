"""The lock of a host that is lost in the middle of a walk: taken again, unless somebody else had it meanwhile."""

import asyncio

from msgspec.structs import replace

from reconciler.host.interface import Busy
from reconciler.host.memory.host import MemoryHost
from tests.unit.apply.stage import Stage, Watcher, creating, ends, play


def test_a_lock_that_another_pass_had_meanwhile_ends_ours() -> None:
    """What it planned rests on a host that the other one may have changed."""

    async def scene() -> None:
        stage = Stage()
        host = stage.host()
        other = MemoryHost("h1", host.world, sleep=asyncio.sleep)
        happened: list[str] = []

        def let_another_in(name: str, _step: str) -> None:
            if name.endswith("before_send") and not happened:
                happened.append(name)
                host.cut()
                asyncio.get_running_loop().call_soon(asyncio.ensure_future, another())

        async def another() -> None:
            lease = await other.hold("them")
            assert not isinstance(lease, Busy)
            await lease.release()

        stage.watcher = Watcher(on_point=let_another_in)
        passed = await stage.walk(creating("web-1"))
        (ended,) = passed.actions
        assert (ended.end, ended.code) == ("failed", "E_LOCKED")
        assert "them" in ended.message
        assert not host.world.containers
        assert "them" in passed.locked["h1"]

    play(scene)


async def _turn(host: MemoryHost, owner: str) -> None:
    """Let another pass have the host once."""
    lease = await MemoryHost("h1", host.world, sleep=asyncio.sleep).hold(owner)
    assert not isinstance(lease, Busy)
    await lease.release()


def test_a_host_that_another_pass_had_since_the_look_is_left_alone() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host()
        await _turn(host, "earlier")
        seen = host.see_lock()
        await _turn(host, "them")
        passed = await stage.walk(creating("web-1"), locks={"h1": seen})
        assert (passed.actions[0].end, passed.actions[0].code) == ("skipped", "E_LOCKED")
        assert "them" in passed.actions[0].message
        assert not host.world.containers

    play(scene)


def test_a_host_that_another_pass_held_during_the_look_is_left_alone_though_it_is_free_now() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host()
        lease = await MemoryHost("h1", host.world, sleep=asyncio.sleep).hold("them")
        assert not isinstance(lease, Busy)
        seen = host.see_lock()
        await lease.release()
        passed = await stage.walk(creating("web-1"), locks={"h1": seen})
        assert (passed.actions[0].end, passed.actions[0].code) == ("skipped", "E_LOCKED")
        assert "them" in passed.locked["h1"]
        assert not host.world.containers

    play(scene)


def test_our_own_lost_session_is_outlived_where_the_host_keeps_it_for_a_while() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host()
        cut: list[str] = []

        def cut_and_linger(name: str, step: str) -> None:
            if name.endswith("before_send") and not cut:
                cut.append(step)
                ((key, lock),) = host.world.locks.items()
                host.cut()
                host.world.locks[key] = replace(lock, token=lock.token + 1)
                asyncio.get_running_loop().call_later(30, host.world.locks.clear)

        stage.watcher = Watcher(on_point=cut_and_linger)
        assert ends(await stage.walk(creating("web-1"))) == {"h1/web-1": "done"}
        assert cut

    play(scene)


def test_a_lock_lost_while_an_effect_is_on_its_way_is_taken_again() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host()
        sent: list[str] = []

        def cut_once(name: str, step: str) -> None:
            if name.endswith("before_send") and not sent:
                sent.append(step)
                host.cut()

        stage.watcher = Watcher(on_point=cut_once)
        passed = await stage.walk(creating("web-1"))
        assert ends(passed) == {"h1/web-1": "done"}
        assert passed.actions[0].steps[0].tries == 2

    play(scene)
