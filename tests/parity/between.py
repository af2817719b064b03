"""Reap in this process, as the command wires it, and let something happen between the last look and one effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from reconciler.apply.ports import Interrupt, Observer
from reconciler.cli.doors import RealDoors
from reconciler.cli.ground import lay_ground, question_of
from reconciler.model.legacy import LegacyName
from reconciler.model.plan import Plan
from reconciler.passes import Answer, Passed, Planned, Setting, apply_pass
from reconciler.plan import Selection
from reconciler.plan.reaping import plan_reaping
from reconciler.record.store import StatusStore
from tests.e2e.driver import Driver

Happens = Callable[[str], None]
"""Called with the object of an action just before each of its effects is sent, e.g. `folder//tmp/x`."""


class _Between(Observer):
    def __init__(self, happens: Happens) -> None:
        self._happens = happens

    def point(self, name: str, *, host: str, step: str) -> None:
        if name.endswith(".before_send"):
            self._happens(step.removeprefix(f"{host}/").rpartition("#")[0])


async def reap_between(
    driver: Driver,
    happens: Happens,
    *,
    named: tuple[LegacyName, ...] = (),
    planned: Happens | None = None,
    grace_s: int = 0,
) -> Passed:
    """Reap what is stale, whatever its age; `planned` is called once between the two looks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(driver.home / ".cache"))
        ground = lay_ground(driver.specs, driver.status)

    def planner(*seen: Any) -> Plan:
        return plan_reaping(*seen, named=named)

    def agree(made: Planned) -> Answer:
        if planned is not None:
            planned("")
        return Answer.NO if made.plan.empty else Answer.YES

    asked = question_of(ground, Selection())
    reap = msgspec.structs.replace(asked.desired.reap, mode="apply", older_than_s=0, grace_s=grace_s)
    question = msgspec.structs.replace(
        asked,
        desired=msgspec.structs.replace(asked.desired, reap=reap),
        planner=planner,
        reads_twice=True,
        roots=("${host.baseDir}", *reap.legacy_roots),
    )
    setting = Setting(
        store=StatusStore(driver.status, fleet=ground.desired.fleet),
        doors=RealDoors(ground.desired, secrets={}, now=ground.clock.now),
        clock=ground.clock,
        owner="a test",
        lock_timeout_s=20,
        agree=agree,
        observer=_Between(happens),
        interrupt=Interrupt(),
    )
    return await apply_pass(question, setting)
