"""Readiness: how often is asked, until when, and what a failure brings along."""

from datetime import datetime, timedelta

from reconciler.errors import ReadFailed
from reconciler.host.memory.faults import ReadFault
from reconciler.host.memory.parts import Behaviour
from reconciler.model.effect import NotDone, UpdateContainer
from reconciler.model.outcome import StepEnded
from reconciler.model.plan import Action, Apply, Await
from tests import builders as b
from tests.unit.apply.stage import Stage, Watcher, acting, create, creating, ends, play, start

NAME = b.docker_name()
CUT = ReadFailed("the connection broke", code="E_DOCKER_CUT", transient=True)


def _waiting(*awaits: Await) -> tuple[Apply, Apply, *tuple[Await, ...]]:
    return (Apply(create("web-1")), Apply(start("web-1")), *awaits)


def test_pauses_grow_to_the_interval_and_the_moment_of_readiness_is_kept() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host()
        host.world.behaviours[NAME] = Behaviour(ready_after=7)
        passed = await stage.walk(acting("web-1", *_waiting(Await(b.a_tcp_probe(interval_s=0.5), NAME))))
        (ended,) = passed.actions
        assert ended.steps[-1].tries == 8
        assert ended.ready_at == b.T0 + timedelta(seconds=0.02 + 0.04 + 0.08 + 0.16 + 0.32 + 0.5 + 0.5)

    play(scene)


def test_a_start_that_lands_after_a_probe_passed_is_not_the_one_that_passed() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host()
        host.world.behaviours[NAME] = Behaviour(ready_after=3)
        begun: list[datetime | None] = []

        class LateStart(Watcher):
            def step_ended(self, action: Action, ended: StepEnded) -> None:
                (seen,) = host.world.containers.values()
                if ended.step == action.steps[-1].id:
                    begun.append(seen.live.started_at)
                    host.world.end(seen.full_id, exit_code=0)
                    begun.append(host.world.start(seen.full_id).live.started_at)

        stage.watcher = LateStart()
        wanted = acting("web-1", *_waiting(Await(b.a_tcp_probe(), NAME)), keys=("containers/main",))
        (ended,) = (await stage.walk(wanted)).actions
        assert ended.instances is not None
        assert ended.instances[0].started_at == begun[0] != begun[1]

    play(scene)


def test_what_exits_early_fails_at_once_with_its_last_lines() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host()
        lines = tuple(f"line {n}" for n in range(60))
        host.world.behaviours[NAME] = Behaviour(exit_code=3, exits_after_s=2.0, output=lines, ready_after=1000)
        wanted = create("web-1", restart="no")
        ready = Await(b.an_http_probe(timeout_s=600), NAME)
        passed = await stage.walk(acting("web-1", Apply(wanted), Apply(start("web-1")), ready))
        (ended,) = passed.actions
        assert (ended.end, ended.code) == ("failed", "E_NOT_READY")
        assert "exited with 3" in ended.message
        assert f"{NAME} is left for the next pass" in ended.message
        assert ended.logs == lines[-50:]
        assert ended.ready_at is None
        assert stage.clock.monotonic() < 4

    play(scene)


def test_what_never_answers_fails_at_its_deadline() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host()
        host.world.behaviours[NAME] = Behaviour(listens=(1,))
        passed = await stage.walk(acting("web-1", *_waiting(Await(b.an_http_probe(timeout_s=30), NAME))))
        assert passed.actions[0].message.startswith("step 3: not ready after 30 s: port 8080 refuses connections")
        assert 30 <= stage.clock.monotonic() < 31

    play(scene)


def test_probes_count_their_time_from_one_start_of_waiting() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host()
        host.world.behaviours[NAME] = Behaviour(ready_after=23)
        first = Await(b.a_tcp_probe(name="first", timeout_s=60), NAME)
        second = Await(b.a_tcp_probe(name="second", timeout_s=25), NAME)
        passed = await stage.walk(acting("web-1", *_waiting(first, second)))
        assert [type(step.result).__name__ for step in passed.actions[0].steps] == ["Done", "Done", "Done", "NotDone"]
        assert 25 <= stage.clock.monotonic() < 26

    play(scene)


def test_an_effect_between_two_probes_begins_another_waiting() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host()
        host.world.behaviours[NAME] = Behaviour(ready_after=23)
        first = Await(b.a_tcp_probe(name="first", timeout_s=60), NAME)
        second = Await(b.a_tcp_probe(name="second", timeout_s=25), NAME)
        update = Apply(UpdateContainer(start("web-1").target, "no", None, None, 99))
        assert ends(await stage.walk(acting("web-1", *_waiting(first), update, second))) == {"h1/web-1": "done"}

    play(scene)


def test_an_optional_container_that_is_not_ready_is_a_warning() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host()
        host.world.behaviours[NAME] = Behaviour(listens=(1,), output=("cannot bind",))
        optional = Await(b.a_tcp_probe(timeout_s=5), NAME, gating=False)
        passed = await stage.walk(acting("web-1", *_waiting(optional, Await(b.a_running_probe(), NAME))))
        (ended,) = passed.actions
        assert ended.end == "done"
        assert ended.warnings == ("step 3: not ready after 5 s: port 8080 refuses connections",)
        assert ended.logs == ("cannot bind",)
        assert ended.ready_at is not None
        assert isinstance(ended.steps[2].result, NotDone)

    play(scene)


def test_a_host_that_answers_again_in_time_is_asked_on() -> None:
    async def scene() -> None:
        stage = Stage()
        stage.host("h1", ReadFault(error=CUT, verb="probe", times=3))
        assert ends(await stage.walk(creating("web-1"))) == {"h1/web-1": "done"}

    play(scene)


def test_a_host_that_cannot_be_asked_leaves_readiness_unknown() -> None:
    async def scene() -> None:
        stage = Stage()
        stage.host("h1", ReadFault(error=CUT, verb="probe", times=999))
        passed = await stage.walk(creating("web-1"))
        (ended,) = passed.actions
        assert ended.end == "unknown"
        assert "the connection broke" in ended.message
        assert ended.ready_at is None

    play(scene)
