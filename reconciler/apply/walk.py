"""Walk a whole plan: hosts side by side, actions after those they depend on, nothing left behind at the end."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import msgspec

from reconciler.apply.act import ActionRun, stop_reason
from reconciler.apply.lane import Lane
from reconciler.apply.perform import Means
from reconciler.apply.ports import Clock, Interrupt, Journal, Observer
from reconciler.apply.waiting import end_tasks
from reconciler.host.interface import Host
from reconciler.model.desired import Limits
from reconciler.model.effect import NotDone
from reconciler.model.observed import SeenLock
from reconciler.model.outcome import ActionEnded, PassEnded
from reconciler.model.plan import Action, Plan, Verb

# The samples after the last action take about half a second; a host that needs longer gets no "after".
DELTA_LIMIT_S = 3.0


async def apply(
    plan: Plan,
    *,
    hosts: Mapping[str, Host],
    secrets: dict[str, str],
    limits: Limits,
    journal: Journal,
    observer: Observer,
    clock: Clock,
    owner: str,
    interrupt: Interrupt,
    locks: Mapping[str, SeenLock],
) -> PassEnded:
    """Do what `plan` says, and report what became of every one of its actions, in its order.

    Failures of hosts are values in the report. What `observer` or a bug raises ends the walk like a crash: everything
    is cancelled and awaited first.

    Args:
        plan: what to do; it was checked against its specs and hosts already.
        hosts: the way to each host, by name. They stay open.
        secrets: `secret:NAME` to value, for effects that hold symbols.
        limits: how many hosts, and how many actions of one host, act at once.
        journal: keeps a line before and after each try of an effect.
        observer: sees what happens, for people.
        clock: all time there is.
        owner: who holds the hosts' locks, for others to read.
        interrupt: once, steps in flight finish and no new ones start; twice, all is left where it is.
        locks: what was seen of the hosts' locks when this was planned; what another pass had since is left alone.
    """
    means = Means(
        fleet=plan.fleet,
        secrets=secrets,
        clock=clock,
        journal=journal,
        observer=observer,
        interrupt=interrupt,
        faults=[],
    )
    places = asyncio.Semaphore(limits.concurrent_hosts)
    lanes = {
        name: Lane(
            hosts[name],
            owner=owner,
            clock=clock,
            interrupt=interrupt,
            hosts_at_once=places,
            actions_at_once=limits.creates_per_host,
            seen=locks.get(name, SeenLock()),
        )
        for name in dict.fromkeys(action.host for action in plan.actions)
        if name in hosts
    }
    return msgspec.structs.replace(await _Walk(plan, lanes=lanes, means=means).walk(), by=owner)


class _Walk:
    """Hold one walk: the runs of all actions, how they ended, and which profiles are not to be touched further."""

    def __init__(self, plan: Plan, *, lanes: dict[str, Lane], means: Means) -> None:
        self._plan = plan
        self._lanes = lanes
        self._means = means
        self._runs = {action.id: ActionRun(action, lane=lanes.get(action.host), means=means) for action in plan.actions}
        self._by_host: dict[str, list[ActionRun]] = defaultdict(list)
        for run in self._runs.values():
            self._by_host[run.action.host].append(run)
        self._over = {action.id: asyncio.Event() for action in plan.actions}
        self._ended: dict[str, ActionEnded] = {}
        self._broken: dict[str, str] = {}
        self._ordered = _can_be_ordered(plan.actions)

    async def walk(self) -> PassEnded:
        """Run every action in a task of its own; the lanes and `after` do the rest."""
        means = self._means
        started_at = means.clock.now()
        tasks: list[asyncio.Future[Any]] = []
        try:
            tasks += [asyncio.create_task(self._act(action)) for action in self._plan.actions]
            await self._wait(tasks)
            self._end_the_unstarted()
            await self._measure()
        finally:
            await end_tasks(tasks)
            await asyncio.gather(*(lane.close() for lane in self._lanes.values()))
        return PassEnded(
            pass_id=self._plan.pass_id,
            started_at=started_at,
            finished_at=means.clock.now(),
            actions=tuple(self._ended[action.id] for action in self._plan.actions),
            locked={name: holder for name, lane in self._lanes.items() if (holder := lane.holder) is not None},
            interrupted=means.interrupt.stopping and not means.faults,
        )

    async def _wait(self, tasks: list[asyncio.Future[Any]]) -> None:
        """Wait until all have ended, or one broke, or somebody has asked twice to stop: then cancel the others."""
        watch = asyncio.create_task(self._means.interrupt.cancelled())
        everyone = asyncio.gather(*tasks)
        try:
            either: set[asyncio.Future[Any]] = {everyone, watch}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if everyone.done():
                everyone.result()
        finally:
            await end_tasks([watch, *tasks, everyone])

    def _end_the_unstarted(self) -> None:
        """Say of actions that were cancelled before they began that they were."""
        for action in self._plan.actions:
            if action.id not in self._ended:
                self._ended[action.id] = self._runs[action.id].end("interrupted", stop_reason(self._means))

    async def _act(self, action: Action) -> None:
        run = self._runs[action.id]
        self._ended[action.id] = await self._end_of(action, run)
        self._over[action.id].set()

    async def _end_of(self, action: Action, run: ActionRun) -> ActionEnded:
        if action.id not in self._ordered:
            why = f"what it comes after ({', '.join(action.after)}) is not in this plan, or comes after it in turn"
            return run.end("skipped", NotDone("E_PLAN_DAMAGED", why, "plan again"))
        for needed in action.after:
            await self._over[needed].wait()
        held_back = self._held_back(action)
        if held_back is None and run.has_effects:
            await run.enter()
            held_back = self._held_back(action)
        if held_back is not None:
            run.leave()
            return run.end("interrupted" if self._means.interrupt.stopping else "skipped", held_back)
        ended = await run.run()
        if action.verb is Verb.REPLACE and action.profile is not None and ended.end in {"failed", "unknown"}:
            self._broken.setdefault(action.profile, action.address)
        return ended

    def _held_back(self, action: Action) -> NotDone | None:
        """Say why an action must not start now."""
        if self._means.interrupt.stopping:
            return stop_reason(self._means)
        for needed in action.after:
            ended = self._ended[needed]
            if ended.end != "done":
                return NotDone("E_DEPENDENCY", f"it comes after {needed}, which {_PAST[ended.end]}", ended.hint)
        first = self._broken.get(action.profile or "")
        if first is not None and action.verb is Verb.REPLACE:
            return NotDone(
                "E_PROFILE_STOPPED",
                f"{first} could not be replaced, so no further sandbox of profile {action.profile} is",
                f"find out why {first} failed, then apply again",
            )
        return None

    async def _measure(self) -> None:
        """Finish the samples of all hosts, and add to each action what it did to its host."""
        limit_s = 0.0 if self._means.interrupt.cancelling else DELTA_LIMIT_S
        await asyncio.gather(*(lane.sampler.finish(limit_s=limit_s) for lane in self._lanes.values()))
        for action in self._plan.actions:
            run = self._runs[action.id]
            delta = run.measured(self._beside(run)) if run.is_measured else None
            if delta is not None:
                self._ended[action.id] = msgspec.structs.replace(self._ended[action.id], delta=delta)
                self._means.observer.measured(action, delta)

    def _beside(self, run: ActionRun) -> tuple[str, ...]:
        """Name the other actions that ran on the same host while `run` was measured."""
        return tuple(
            other.action.address for other in self._by_host[run.action.host] if other is not run and run.overlaps(other)
        )


_PAST = {
    "failed": "failed",
    "unknown": "ended without anybody knowing how",
    "skipped": "was skipped",
    "interrupted": "was interrupted",
}


def _can_be_ordered(actions: tuple[Action, ...]) -> set[str]:
    """Give the actions that can come at all: what they come after is in the plan, and does not wait for them."""
    able: set[str] = set()
    left = list(actions)
    while left:
        still = [action for action in left if not able.issuperset(action.after)]
        able |= {action.id for action in left} - {action.id for action in still}
        if len(still) == len(left):
            break
        left = still
    return able
