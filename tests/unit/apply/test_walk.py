"""Order, bounds and independence of the actions of one walk."""

import asyncio

import pytest

from reconciler.errors import ConnectFailed
from reconciler.host.memory.faults import EffectFault, LostRequest, ReadFault, Refuse, Slow
from reconciler.host.memory.files import HOST_ID_NAME, see_path
from reconciler.host.memory.host import MemoryHost
from reconciler.host.memory.parts import Behaviour
from reconciler.model.desired import Limits
from reconciler.model.effect import DropPath, NotDone
from reconciler.model.names import sandbox_uid
from reconciler.model.outcome import PassEnded
from reconciler.model.plan import Apply, Await, Note, Verb
from tests import builders as b
from tests.unit.apply.stage import Stage, acting, create, creating, ends, play, start

GONE = ConnectFailed("h2 does not answer", code="E_HOST_TIMEOUT", hint="is it up?", transient=True)


def test_an_action_walks_its_steps_in_order_and_reports_what_it_made() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host()
        passed = await stage.walk(creating("web-1"))
        (ended,) = passed.actions
        made = host.world.by_name(b.docker_name())
        assert made is not None
        assert made.live.state == "running"
        assert ended.end == "done"
        assert ended.message == ""
        assert [(one.name, one.full_id) for one in ended.instances or ()] == [(b.docker_name(), made.full_id)]
        assert ended.ready_at == b.T0
        assert [step.step for step in ended.steps] == ["h1/web-1/1", "h1/web-1/2", "h1/web-1/3"]
        assert stage.journal.steps() == ["h1/web-1/1", "h1/web-1/2"]
        assert not host.world.locks, "the lock is given back"

    play(scene)


def test_a_dependency_ends_before_its_dependent_starts_also_on_another_host() -> None:
    async def scene() -> None:
        stage = Stage()
        stage.limits = Limits(concurrent_hosts=1, creates_per_host=1)
        stage.host("h1", latency_s=1)
        stage.host("h2", latency_s=5)
        moved = creating("web-1", host="h1", after=("h2/web-2",))
        passed = await stage.walk(moved, creating("web-2", host="h2"))
        assert ends(passed) == {"h1/web-1": "done", "h2/web-2": "done"}
        watcher = stage.watcher
        assert watcher.when("action started", "h1/web-1") >= watcher.when("action ended", "h2/web-2")

    play(scene)


def test_what_depends_on_a_failure_is_skipped_down_the_whole_chain() -> None:
    async def scene() -> None:
        stage = Stage()
        no = NotDone("E_IMAGE", "there is no such image")
        stage.host("h1", EffectFault(trouble=Refuse(no), kind="create_container"))
        passed = await stage.walk(
            creating("one"), creating("two", after=("h1/one",)), creating("three", after=("h1/two",)), creating("four")
        )
        assert ends(passed) == {"h1/one": "failed", "h1/two": "skipped", "h1/three": "skipped", "h1/four": "done"}
        one, two, three, _ = passed.actions
        assert one.code == "E_IMAGE"
        assert one.message == "step 1: there is no such image"
        assert two.message == "it comes after h1/one, which failed"
        assert three.message == "it comes after h1/two, which was skipped"

    play(scene)


@pytest.mark.parametrize("after", [("h1/nowhere",), ("h1/web-1",)])
def test_an_action_after_one_that_cannot_come_is_skipped_and_nothing_hangs(after: tuple[str, ...]) -> None:
    async def scene() -> None:
        stage = Stage()
        stage.host()
        passed = await stage.walk(creating("web-1", after=after), creating("web-2"))
        assert ends(passed) == {"h1/web-1": "skipped", "h1/web-2": "done"}
        assert passed.actions[0].code == "E_PLAN_DAMAGED"

    play(scene)


@pytest.mark.parametrize("bound", [1, 3])
def test_a_host_is_changed_by_a_bounded_number_of_actions_at_once(bound: int) -> None:
    async def scene() -> None:
        stage = Stage()
        stage.limits = Limits(creates_per_host=bound)
        stage.host("h1", latency_s=1)
        actions = [acting(f"web-{n}", Apply(create(f"web-{n}")), Apply(start(f"web-{n}"))) for n in range(8)]
        await stage.walk(*actions)
        assert _most_at_once(stage) == bound

    play(scene)


def test_hosts_are_changed_side_by_side_and_bounded() -> None:
    async def scene() -> None:
        stage = Stage()
        stage.limits = Limits(concurrent_hosts=2)
        for n in range(5):
            stage.host(f"h{n}", latency_s=1)
        await stage.walk(*(acting("web", Apply(create("web")), host=f"h{n}", id=f"h{n}/web") for n in range(5)))
        assert _most_at_once(stage) == 2

    play(scene)


def _most_at_once(stage: Stage) -> int:
    at_once, most = 0, 0
    for _, what, _ in stage.watcher.seen:
        at_once += {"action started": 1, "action ended": -1}.get(what, 0)
        most = max(most, at_once)
    return most


def test_waiting_for_readiness_lets_the_next_creation_act() -> None:
    async def scene() -> float:
        stage = Stage()
        stage.limits = Limits(creates_per_host=1)
        host = stage.host()
        actions = []
        for n in range(10):
            name = b.docker_name(f"web-{n}")
            host.world.behaviours[name] = Behaviour(ready_after=6)
            actions.append(creating(f"web-{n}"))
        await stage.walk(*actions)
        return stage.clock.monotonic()

    assert play(scene) < 10


def test_a_dead_host_fails_by_itself_once_and_delays_nobody() -> None:
    async def scene() -> None:
        stage = Stage()
        stage.host("h1", latency_s=0.01)
        dead = stage.host("h2")
        dead.outage = GONE
        passed = await stage.walk(
            *(creating(f"dead-{n}", host="h2") for n in range(20)), *(creating(f"web-{n}") for n in range(4))
        )
        assert {ended.end for ended in passed.actions[:20]} == {"failed"}
        assert {ended.code for ended in passed.actions[:20]} == {"E_HOST_TIMEOUT"}
        assert {ended.hint for ended in passed.actions[:20]} == {"is it up?"}
        assert {ended.end for ended in passed.actions[20:]} == {"done"}
        assert max(stage.watcher.when("action ended", f"h1/web-{n}") for n in range(4)) < 1
        assert stage.clock.monotonic() < 60, "twenty actions find out once that the host is dead"

    play(scene)


def test_a_host_that_answers_again_is_not_given_up() -> None:
    async def scene() -> None:
        stage = Stage()
        stage.host("h1", ReadFault(error=GONE, verb="hold", times=2))
        assert ends(await stage.walk(creating("web-1"))) == {"h1/web-1": "done"}

    play(scene)


def test_a_slow_host_delays_nobody() -> None:
    async def scene() -> None:
        stage = Stage()
        stage.host("h1")
        stage.host("h2", EffectFault(trouble=Slow(300), times=99))
        passed = await stage.walk(creating("slow", host="h2"), creating("web-1"))
        assert set(ends(passed).values()) == {"done"}
        assert stage.watcher.when("action ended", "h1/web-1") < 1

    play(scene)


def test_a_locked_host_is_skipped_whole_and_named_with_its_holder() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host("h1")
        stage.host("h2")
        await host.hold("somebody else")
        passed = await stage.walk(creating("web-1"), creating("web-2"), creating("web-3", host="h2"))
        assert ends(passed) == {"h1/web-1": "skipped", "h1/web-2": "skipped", "h2/web-3": "done"}
        assert list(passed.locked) == ["h1"]
        assert passed.locked["h1"].startswith("somebody else ")
        assert " since 2025-06-01T12:00:00" in passed.locked["h1"]
        assert passed.actions[0].code == "E_LOCKED"
        assert host.world.happened == []

    play(scene)


def test_a_lock_lost_on_the_way_is_taken_again() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host()
        host.world.behaviours[b.docker_name("web-1")] = Behaviour(ready_after=2)
        action = creating("web-1", Apply(create("web-1", name=b.docker_name("web-1", "late"))))
        asyncio.get_running_loop().call_later(0.05, host.cut)
        passed = await stage.walk(action)
        assert ends(passed) == {"h1/web-1": "done"}
        assert stage.clock.monotonic() > 0.05

    play(scene)


def test_a_lock_lost_to_another_pass_ends_what_was_under_way() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host()
        other = MemoryHost("h1", host.world)
        host.world.behaviours[b.docker_name("web-1")] = Behaviour(ready_after=2)

        async def take_over() -> None:
            await asyncio.sleep(0.05)
            host.cut()
            await other.hold("somebody else")

        action = creating("web-1", Apply(create("web-1", name=b.docker_name("web-1", "late"))))
        passed, _ = await asyncio.gather(stage.walk(action), take_over())
        assert ends(passed) == {"h1/web-1": "failed"}
        assert passed.actions[0].code == "E_LOCKED"
        assert list(passed.locked) == ["h1"]

    play(scene)


def test_records_alone_are_changed_without_the_host() -> None:
    async def scene() -> None:
        stage = Stage()
        passed = await stage.walk(
            acting("gone", Note("forgotten"), host="h9", verb=Verb.FORGET), creating("web-1", host="h9")
        )
        assert ends(passed) == {"h9/gone": "done", "h9/web-1": "failed"}
        assert passed.actions[1].code == "E_HOST_UNKNOWN"

    play(scene)


def test_a_failed_replacement_stops_later_ones_of_its_profile_only() -> None:
    async def scene() -> None:
        stage = Stage()
        stage.limits = Limits(creates_per_host=1)
        host = stage.host()
        host.world.behaviours[b.docker_name("one")] = Behaviour(start_error="no such program")
        passed = await stage.walk(
            *(creating(name, verb=Verb.REPLACE, profile="service") for name in ("one", "two")),
            creating("three", verb=Verb.REPLACE, profile="other"),
            creating("four", verb=Verb.CREATE, profile="service"),
        )
        assert ends(passed) == {"h1/one": "failed", "h1/two": "skipped", "h1/three": "done", "h1/four": "done"}
        assert passed.actions[1].code == "E_PROFILE_STOPPED"
        assert "sandbox/one could not be replaced" in passed.actions[1].message

    play(scene)


def test_a_replacement_that_waits_keeps_the_next_one_of_its_profile_from_beginning() -> None:
    async def scene() -> None:
        stage = Stage()
        stage.limits = Limits(creates_per_host=1)
        host = stage.host()
        ready = Await(b.an_http_probe(), b.docker_name("one"))
        host.world.behaviours[b.docker_name("one")] = Behaviour(listens=(1,))
        first = acting("one", Apply(create("one")), Apply(start("one")), ready, verb=Verb.REPLACE, profile="service")
        passed = await stage.walk(first, creating("two", verb=Verb.REPLACE, profile="service"))
        assert ends(passed) == {"h1/one": "failed", "h1/two": "skipped"}

    play(scene)


def test_the_same_walk_takes_the_same_course() -> None:
    async def scene() -> tuple[PassEnded, list[tuple[float, str, str]]]:
        stage = Stage()
        for n in range(3):
            faults = (
                EffectFault(trouble=LostRequest(), kind="start_container", nth=n + 1),
                ReadFault(error=GONE, verb="find", nth=2),
            )
            stage.host(f"h{n}", *faults, latency_s=0.1 * n)
        actions = [creating(f"web-{n}", host=f"h{n % 3}") for n in range(12)]
        return await stage.walk(*actions), stage.watcher.seen

    assert play(scene) == play(scene)


def test_a_crash_of_the_observer_ends_everything_and_leaves_no_task() -> None:
    class PulledPlugError(Exception):
        pass

    async def scene() -> None:
        stage = Stage()

        def pull(name: str, step: str) -> None:
            if name == "apply.start_container.after_effect":
                raise PulledPlugError

        stage.watcher = type(stage.watcher)(on_point=pull)
        stage.host("h1")
        stage.host("h2", latency_s=9)
        with pytest.raises(PulledPlugError):
            await stage.walk(creating("web-1"), creating("web-2", host="h2"))
        assert stage.clock.monotonic() < 3

    play(scene)


def test_a_cancelled_walk_leaves_no_task_and_no_lock() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host(latency_s=5)
        walk = asyncio.ensure_future(stage.walk(creating("web-1"), creating("web-2", after=("h1/web-1",))))
        await asyncio.sleep(12)
        assert host.world.locks
        walk.cancel()
        with pytest.raises(asyncio.CancelledError):
            await walk
        assert not host.world.locks

    play(scene)


def test_what_a_person_has_left_to_do_after_a_step_is_a_warning_of_its_action() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host()
        base, uid = host.world.base_dir, sandbox_uid(b.FLEET, "web-1")
        folder = f"{base}/{uid}"
        for path, owner in ((folder, None), (f"{folder}/data", None), (f"{folder}/data/theirs", 0)):
            host.world.add_path(path, kind="directory", mode="0755", uid=owner)
        host.world.add_path(f"{folder}/data/theirs/file", uid=0)
        host.world.add_path(f"{base}/{HOST_ID_NAME}", content=b"an id")
        inode = see_path(host.world, folder, hashed=False).inode
        (ended,) = (await stage.walk(acting("web-1", Apply(DropPath(folder, base, inode))))).actions
        assert ended.end == "done"
        (warning,) = ended.warnings
        assert warning.startswith(f"step 1: {folder} is gone, but for what the SSH user may not remove")
        assert "sudo rm -rf -- '" in warning

    play(scene)
