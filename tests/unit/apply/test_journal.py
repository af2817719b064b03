"""The journal: a durable line around each try, and a stop when there cannot be one."""

import pytest

from reconciler.errors import StatusFolderError
from reconciler.host.memory.faults import EffectFault, LostRequest
from reconciler.model.effect import Done, NotDone, Outcome
from reconciler.model.plan import Apply, Step
from tests.unit.apply.stage import Lines, Stage, acting, create, creating, play


def test_the_journal_has_a_line_before_and_after_each_try_with_what_it_came_to() -> None:
    async def scene() -> None:
        stage = Stage()
        stage.host("h1", EffectFault(trouble=LostRequest(), kind="create_container"))
        await stage.walk(creating("web-1"))
        lines = stage.journal.lines
        assert [(when, step.rpartition("/")[2]) for when, _, step, _ in lines] == [
            *[("before", "1"), ("after", "1")] * 2,
            *[("before", "2"), ("after", "2")],
        ]
        lost, made = lines[1][3], lines[3][3]
        assert isinstance(lost, NotDone)
        assert lost.code == "E_NO_REPLY"
        assert isinstance(made, Done)

    play(scene)


def test_each_try_passes_its_four_points_in_order() -> None:
    async def scene() -> None:
        stage = Stage()
        stage.host()
        await stage.walk(acting("web-1", Apply(create("web-1"))))
        moments = ["before_send", "after_effect", "after_reply", "after_journal"]
        assert stage.watcher.points == [f"apply.create_container.{moment}" for moment in moments]

    play(scene)


class _FullDisk(Lines):
    """Be a journal whose disk is full from the `good`-th line on."""

    def __init__(self, good: int) -> None:
        super().__init__()
        self._good = good

    def _check(self) -> None:
        if len(self.lines) >= self._good:
            raise StatusFolderError("no space left for the journal", hint="make room")

    def before(self, step: Step, host: str) -> None:
        self._check()
        super().before(step, host)

    def after(self, step: Step, host: str, outcome: Outcome) -> None:
        self._check()
        super().after(step, host, outcome)


@pytest.mark.parametrize(("good", "sent"), [(0, 0), (1, 1), (2, 1)])
def test_without_a_journal_nothing_more_is_sent(good: int, sent: int) -> None:
    async def scene() -> None:
        stage = Stage()
        host = stage.host()
        stage.journal = _FullDisk(good)
        passed = await stage.walk(creating("web-1"), creating("web-2", after=("h1/web-1",)))
        assert len(host.world.happened) == sent
        assert passed.actions[0].end == "failed"
        assert passed.actions[0].code == "E_STATUS_DIR"
        assert "no space left for the journal" in passed.actions[0].message
        assert passed.actions[1].end == "interrupted"
        assert not passed.interrupted, "nobody asked for it"

    play(scene)
