"""Break what is remembered, and how it is kept on disk."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable
from typing import Any

from reconciler.model.outcome import ActionEnded, PassEnded
from reconciler.model.plan import Plan
from reconciler.model.record import Record
from reconciler.record import verdict
from reconciler.record.fold import fold
from tests.simulate.mutant import Mutant


class _LooseOs:
    """Be what a module knows as `os`, but for a flush that does nothing."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def fsync(self, file: int) -> None:
        """Flush nothing."""


def _unflushed(module: str) -> Callable[[Any], object]:
    """Let a function of this module work without flushing anything."""

    def make(old: Callable[..., Any]) -> object:
        def loose(*given: Any, **named: Any) -> Any:
            place: Any = importlib.import_module(module)
            real = place.os
            place.os = _LooseOs(real)
            try:
                return old(*given, **named)
            finally:
                place.os = real

        return loose

    return make


def _once_ready(_: object) -> object:
    return verdict._judge


def _nothing_cut(_: object) -> object:
    return lambda statuses, _folder: statuses


def _unwritten(_: object) -> object:
    return lambda *_given: None


def _ended_by_trying(old: Callable[..., Record | None]) -> object:
    def after(before: Record | None, account: Any, action: Any, ended: Any, *, at: Any) -> Record | None:
        if action.verb in ("destroy", "reap"):
            return None
        return old(before, account, action, ended, at=at)

    return after


def _nothing_known(_: object) -> object:
    return lambda *_given: None


def _said_before_done(old: Callable[..., Awaitable[PassEnded]]) -> object:
    async def carry_out(made: Plan, question: Any, sighting: Any, setting: Any, journal: Any) -> PassEnded:
        now = setting.clock.now()
        ends = tuple(ActionEnded(id=action.id, end="done") for action in made.actions)
        hoped = PassEnded(pass_id=made.pass_id, started_at=now, finished_at=now, actions=ends)
        before = setting.store.load(now=now).statuses
        setting.store.save(fold(before, made, sighting.observed, hoped, now, desired=question.desired))
        return await old(made, question, sighting, setting, journal)

    return carry_out


MUTANTS = (
    Mutant(
        name="file-not-flushed",
        breaks="renames a status file into place without flushing its bytes",
        parts={"reconciler.disk.whole:write_whole": _unflushed("reconciler.disk.whole")},
        seed=17,
    ),
    Mutant(
        name="folder-not-flushed",
        breaks="does not flush the folder after renaming status files into place",
        parts={"reconciler.record.store:StatusStore._save_group": _unflushed("reconciler.record.store")},
        seed=23,
    ),
    Mutant(
        name="status-before-effect",
        breaks="writes the status that a pass hopes for before its first effect",
        parts={"reconciler.passes:_carry_out": _said_before_done},
        seed=3,
    ),
    Mutant(
        name="ready-from-before",
        breaks="lets Ready outlive a restart that no probe has seen",
        parts={"reconciler.record.verdict:judge": _once_ready},
        seed=59,
    ),
    Mutant(
        name="killed-pass-forgotten",
        breaks="does not read what a pass that was killed had begun",
        parts={"reconciler.record.cut:remember_cut": _nothing_cut},
        seed=7,
    ),
    Mutant(
        name="no-journal-before",
        breaks="writes nothing down before it sends an effect",
        parts={"reconciler.record.journal:Journal.before": _unwritten},
        seed=50,
    ),
    Mutant(
        name="record-ends-by-trying",
        breaks="ends the record of a sandbox whose removal was tried and did not succeed",
        parts={"reconciler.record.memory:_after": _ended_by_trying},
        seed=116,
    ),
    Mutant(
        name="generation-forgotten",
        breaks="counts generations from what a host says alone, which may have been set back",
        parts={"reconciler.plan.world:World.latest": _nothing_known},
        seed=56,
    ),
)
