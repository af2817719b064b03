"""Outcomes: what is tried again, for how long, and what happens when nobody answers."""

import msgspec
import pytest

from reconciler.errors import ReadFailed
from reconciler.host.interface import Progress
from reconciler.host.memory import faults as fault
from reconciler.host.memory.faults import ByHand, EffectFault, LostReply, LostRequest, ReadFault, Refuse, Trouble
from reconciler.host.memory.host import MemoryHost
from reconciler.host.memory.parts import Behaviour
from reconciler.host.memory.world import World
from reconciler.model.effect import (
    Done,
    Effect,
    Existing,
    MakeDirectory,
    NotDone,
    Outcome,
    PutFile,
    RenameContainer,
    StartContainer,
    StopContainer,
)
from reconciler.model.plan import Apply
from reconciler.model.text import Late, Template
from tests import builders as b
from tests.unit.apply.kinds import EVERY_KIND, NAME, dropping, existing, put_there
from tests.unit.apply.stage import Stage, acting, create, creating, ends, play, start

BUSY = NotDone("E_DOCKER_BUSY", "the engine is busy", transient=True)
CUT = ReadFailed("the connection broke", code="E_DOCKER_CUT", transient=True)


def test_every_kind_of_effect_has_its_case() -> None:
    assert set(EVERY_KIND) == {kind.__struct_config__.tag for kind in Effect.__args__}


@pytest.mark.parametrize("trouble", [LostRequest(), LostReply(), fault.Late(1), fault.Late(2)], ids=repr)
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_an_effect_whose_reply_is_lost_happens_once_and_is_done(kind: str, trouble: Trouble) -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host("h1", EffectFault(trouble=trouble, kind=kind))
        effect = EVERY_KIND[kind](host)
        before = host.world.by_name(NAME)
        await stage.clock.sleep(7)  # so that a start now is another than the one above
        passed = await stage.walk(acting(b.SANDBOX, Apply(effect)))
        assert ends(passed) == {"h1/web-1": "done"}, passed.actions[0].message
        changes = [item.outcome for item in host.world.happened if isinstance(item.outcome, Done)]
        changed = [outcome for outcome in changes if outcome.changed]
        # What is staged or judged twice is staged and judged; nothing rests on it before that.
        # A restart that comes late cannot be told from one that never came: then it happens once more, which is safe.
        twice = kind in {"stage_tree", "judge_compose"} and trouble in (LostReply(), fault.Late(1))
        assert len(changed) == (2 if twice or (kind == "restart_container" and trouble == fault.Late(1)) else 1)
        assert len([seen for seen in host.world.containers.values() if seen.name == NAME]) <= 1
        if kind == "restart_container":
            after = host.world.by_name(NAME)
            assert before is not None
            assert after is not None
            assert after.live.started_at != before.live.started_at

    play(scene)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_lost_reply_is_settled_by_looking_and_not_sent_again(kind: str) -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host("h1", EffectFault(trouble=LostReply(), kind=kind))
        effect = EVERY_KIND[kind](host)
        await stage.clock.sleep(7)
        passed = await stage.walk(acting(b.SANDBOX, Apply(effect)))
        (step,) = passed.actions[0].steps
        repeatable = {"make_directory", "put_file", "put_marker", "pull_image", "create_volume"}
        repeatable |= {"stage_tree", "place_tree", "judge_compose", "up_compose"}
        assert step.tries == (2 if kind in repeatable else 1)

    play(scene)


def test_a_removal_that_cannot_be_looked_at_afterwards_stays_unknown() -> None:
    def close(world: World) -> None:
        world.paths[b.BASE_DIR] = msgspec.structs.replace(world.paths[b.BASE_DIR], mode="0000")

    async def scene() -> None:
        stage = Stage()
        host = stage.host("h1", EffectFault(trouble=LostRequest()), ByHand(change=close, nth=3))
        passed = await stage.walk(acting(b.SANDBOX, Apply(dropping(host))))
        assert ends(passed) == {"h1/web-1": "unknown"}
        assert "cannot be looked at" in passed.actions[0].message

    play(scene)


def test_what_runs_once_and_is_over_is_not_started_twice() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host("h1", EffectFault(trouble=LostReply(), kind="start_container"))
        host.world.behaviours[NAME] = Behaviour(exit_code=0)
        wanted = create(b.SANDBOX, restart="no")
        passed = await stage.walk(acting(b.SANDBOX, Apply(wanted), Apply(start(b.SANDBOX))))
        assert ends(passed) == {"h1/web-1": "done"}
        assert [type(item.effect).__name__ for item in host.world.happened] == ["CreateContainer", "StartContainer"]

    play(scene)


def test_a_name_taken_by_another_after_a_lost_request_is_no_success() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host("h1", EffectFault(trouble=LostRequest(), kind="create_container"))
        host.world.add_foreign_container(NAME)
        passed = await stage.walk(creating("web-1"))
        assert ends(passed) == {"h1/web-1": "failed"}
        assert passed.actions[0].code == "E_NAME_CONFLICT"

    play(scene)


def test_a_no_after_a_lost_reply_is_settled_by_looking_as_well() -> None:
    class Forgetful(MemoryHost):
        """Do the second try, and say no: as when the first one had landed meanwhile."""

        async def effect(self, effect: Effect, *, secrets: dict[str, str], progress: Progress | None = None) -> Outcome:
            outcome = await super().effect(effect, secrets=secrets, progress=progress)
            return NotDone("E_TARGET_CHANGED", "it has another name") if isinstance(outcome, Done) else outcome

    async def scene() -> None:
        stage = Stage()
        host = stage.host()
        effect = RenameContainer(existing(put_there(host)), f"{NAME}.tomb-1")
        lost = EffectFault(trouble=LostRequest())
        stage.hosts["h1"] = Forgetful("h1", host.world, lost, sleep=stage.clock.sleep)
        passed = await stage.walk(acting(b.SANDBOX, Apply(effect)))
        assert ends(passed) == {"h1/web-1": "done"}
        assert passed.actions[0].steps[0].tries == 2

    play(scene)


def test_a_second_start_is_told_from_the_first() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host("h1", EffectFault(trouble=LostRequest(), kind="start_container", nth=2))
        begun = start("web-1")
        stop = StopContainer(begun.target, 10)
        action = acting("web-1", Apply(create("web-1")), Apply(begun), Apply(stop), Apply(begun))
        passed = await stage.walk(action)
        assert ends(passed) == {"h1/web-1": "done"}
        seen = host.world.by_name(NAME)
        assert seen is not None
        assert seen.live.state == "running"

    play(scene)


def test_when_looking_fails_too_the_outcome_stays_unknown_and_nothing_is_sent_again() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host(
            "h1",
            EffectFault(trouble=LostReply(), kind="create_container"),
            ReadFault(error=CUT, verb="find", times=99),
        )
        passed = await stage.walk(creating("web-1"))
        (ended,) = passed.actions
        assert ended.end == "unknown"
        assert ended.code == "E_OUTCOME_UNKNOWN"
        assert "looking again failed too: the connection broke" in ended.message
        assert ended.instances is None
        assert len(host.world.happened) == 1
        assert stage.clock.monotonic() < 70

    play(scene)


def test_a_look_that_fails_for_a_moment_is_repeated() -> None:
    async def scene() -> None:
        stage = Stage()
        faults = (
            EffectFault(trouble=LostReply(), kind="create_container"),
            ReadFault(error=CUT, verb="find", times=3),
        )
        stage.host("h1", *faults)
        assert ends(await stage.walk(creating("web-1"))) == {"h1/web-1": "done"}

    play(scene)


def test_a_transient_no_is_tried_again_and_a_lasting_one_is_not() -> None:
    async def scene() -> None:
        stage = Stage()
        stage.host(
            "h1",
            EffectFault(trouble=Refuse(BUSY), kind="start_container", times=3),
            EffectFault(trouble=Refuse(NotDone("E_FULL", "no room")), kind="create_container", nth=2),
        )
        passed = await stage.walk(creating("web-1"), creating("web-2", after=("h1/web-1",)))
        assert ends(passed) == {"h1/web-1": "done", "h1/web-2": "failed"}
        assert [step.tries for step in passed.actions[0].steps] == [1, 4, 1]
        assert [step.tries for step in passed.actions[1].steps] == [1]

    play(scene)


@pytest.mark.parametrize(
    ("code", "tries", "seconds"), [("E_DOCKER_BUSY", 5, 60), ("E_NAME_PHANTOM", 3, 30), ("E_HOST_DISK", 2, 30)]
)
def test_tries_are_bounded_in_number_and_in_time(code: str, tries: int, seconds: float) -> None:
    async def scene() -> None:
        stage = Stage()
        no = NotDone(code, "not now", hint="wait", transient=True)
        stage.host("h1", EffectFault(trouble=Refuse(no), kind="create_container", times=99))
        passed = await stage.walk(creating("web-1"))
        (ended,) = passed.actions
        assert (ended.end, ended.code, ended.hint) == ("failed", code, "wait")
        assert ended.steps[0].tries == tries
        assert stage.clock.monotonic() < seconds

    play(scene)


def test_a_slow_no_runs_out_of_time_before_it_runs_out_of_tries() -> None:
    async def scene() -> None:
        stage = Stage()
        stage.host("h1", EffectFault(trouble=LostRequest(), kind="make_directory", times=99), latency_s=20)
        passed = await stage.walk(acting("web-1", Apply(MakeDirectory("/srv/data/x", "0750", "/srv/data"))))
        assert passed.actions[0].end == "unknown"
        assert passed.actions[0].steps[0].tries == 3

    play(scene)


def test_secrets_reach_the_host_and_nothing_else() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host()
        symbolic = Template(("token=", Late("secret:hub")))
        effect = PutFile("/srv/data/token", "0400", symbolic, "/srv/data")
        passed = await stage.walk(acting("web-1", Apply(effect)), secrets={"secret:hub": "canary"})
        assert host.world.paths["/srv/data/token"].content == b"token=canary"
        assert "canary" not in repr((passed, stage.journal.lines, stage.watcher.seen))

    play(scene)


def test_a_step_that_aims_at_nothing_made_is_a_damaged_plan() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host()
        passed = await stage.walk(acting("web-1", Apply(start("web-1"))))
        assert passed.actions[0].code == "E_PLAN_DAMAGED"
        assert host.world.happened == []

    play(scene)


def test_a_made_container_is_followed_through_its_renaming() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host()
        first = f"{NAME}.next-abcdef"
        begun = start("web-1", name=first)
        action = acting(
            "web-1",
            Apply(create("web-1", name=first)),
            Apply(RenameContainer(begun.target, NAME)),
            Apply(start("web-1")),
        )
        passed = await stage.walk(action)
        assert ends(passed) == {"h1/web-1": "done"}
        seen = host.world.by_name(NAME)
        assert seen is not None
        assert seen.live.state == "running"
        assert [(one.name, one.full_id) for one in passed.actions[0].instances or ()] == [(NAME, seen.full_id)]

    play(scene)


def test_an_id_that_is_not_whole_is_never_acted_on() -> None:
    class Short(MemoryHost):
        async def effect(self, effect: Effect, *, secrets: dict[str, str], progress: Progress | None = None) -> Outcome:
            outcome = await super().effect(effect, secrets=secrets, progress=progress)
            if isinstance(outcome, Done) and outcome.value is not None:
                return msgspec.structs.replace(outcome, value=outcome.value[:12])
            return outcome

    async def scene() -> None:
        stage = Stage()
        host = stage.host()
        stage.hosts["h1"] = Short("h1", host.world, sleep=stage.clock.sleep)
        assert ends(await stage.walk(creating("web-1"))) == {"h1/web-1": "done"}
        starts = [item.effect for item in host.world.happened if isinstance(item.effect, StartContainer)]
        assert [len(item.target.full_id) for item in starts if isinstance(item.target, Existing)] == [64]

    play(scene)
