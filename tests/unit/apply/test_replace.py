"""Start-first replacement: until the old container is touched, a failure takes the new one back."""

import pytest

from reconciler.host.memory.faults import EffectFault, Refuse
from reconciler.host.memory.host import MemoryHost
from reconciler.host.memory.parts import Behaviour
from reconciler.model.effect import Existing, NotDone, RemoveContainer, RenameContainer, StopContainer
from reconciler.model.observed import SeenContainer
from reconciler.model.plan import Action, Apply, Await, Verb
from tests import builders as b
from tests.unit.apply.stage import Stage, acting, create, play, start

NAME = b.docker_name()
NEXT = f"{NAME}.next-abcdef"
UID = b.a_sandbox().uid


def _old(host: MemoryHost) -> SeenContainer:
    wanted = create("web-1")
    world = host.world
    seen = world.make_container(NAME, wanted.container, labels=wanted.labels, image=world.images[b.IMAGE])
    return world.start(seen.full_id)


def _replacing(old: SeenContainer) -> Action:
    target = Existing(full_id=old.full_id, name=NAME, uid=UID)
    begun = start("web-1", name=NEXT)
    return acting(
        "web-1",
        Apply(create("web-1", name=NEXT)),
        Apply(begun),
        Await(b.a_tcp_probe(timeout_s=5), NEXT),
        Apply(StopContainer(target, 10)),
        Apply(RemoveContainer(target)),
        Apply(RenameContainer(begun.target, NAME)),
        verb=Verb.REPLACE,
        strategy="start-first",
    )


def test_the_new_one_takes_over() -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host()
        old = _old(host)
        passed = await stage.walk(_replacing(old))
        (seen,) = host.world.containers.values()
        assert passed.actions[0].end == "done"
        assert seen.full_id != old.full_id
        assert [(one.name, one.full_id) for one in passed.actions[0].instances or ()] == [(NAME, seen.full_id)]

    play(scene)


@pytest.mark.parametrize("behaviour", [Behaviour(listens=(1,)), Behaviour(start_error="no such program")])
def test_a_new_one_that_does_not_come_up_is_removed_and_the_old_one_runs_on(behaviour: Behaviour) -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host()
        host.world.behaviours[NEXT] = behaviour
        old = _old(host)
        passed = await stage.walk(_replacing(old))
        (ended,) = passed.actions
        (seen,) = host.world.containers.values()
        assert (seen.full_id, seen.live.state) == (old.full_id, "running")
        assert ended.end == "failed"
        assert ended.message.endswith(f"{NEXT} was removed again, and the old one was not touched")
        assert ended.message.count("removed again") == 1
        assert [step.step for step in ended.steps][-2:] == ["h1/web-1/undo-1", "h1/web-1/undo-2"]
        assert stage.journal.steps()[-2:] == ["h1/web-1/undo-1", "h1/web-1/undo-2"]
        assert [(one.name, one.full_id) for one in ended.instances or ()] == [(NAME, old.full_id)]

    play(scene)


def test_after_the_switch_nothing_is_taken_back() -> None:
    async def scene() -> None:
        stage = Stage()
        no = NotDone("E_BUSY", "the engine says no")
        host = stage.host("h1", EffectFault(trouble=Refuse(no), kind="remove_container"))
        passed = await stage.walk(_replacing(_old(host)))
        (ended,) = passed.actions
        assert ended.end == "failed"
        assert f"{NEXT} is left for the next pass" in ended.message
        new = host.world.by_name(NEXT)
        assert new is not None
        assert new.live.state == "running"

    play(scene)


def test_an_old_one_that_certainly_was_not_stopped_is_still_untouched() -> None:
    async def scene() -> None:
        stage = Stage()
        no = NotDone("E_BUSY", "the engine says no")
        host = stage.host("h1", EffectFault(trouble=Refuse(no), kind="stop_container"))
        old = _old(host)
        await stage.walk(_replacing(old))
        assert list(host.world.containers) == [old.full_id]

    play(scene)


def test_a_new_one_that_cannot_be_taken_back_is_named() -> None:
    async def scene() -> None:
        stage = Stage()
        no = NotDone("E_BUSY", "the engine says no")
        host = stage.host("h1", EffectFault(trouble=Refuse(no), kind="remove_container"))
        host.world.behaviours[NEXT] = Behaviour(listens=(1,))
        old = _old(host)
        passed = await stage.walk(_replacing(old))
        assert (
            "could not be removed again (the engine says no); the old one was not touched" in passed.actions[0].message
        )
        assert host.world.containers[old.full_id].live.state == "running"

    play(scene)
