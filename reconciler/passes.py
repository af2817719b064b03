"""The order of one pass, and nothing else: look, plan, ask, apply, record."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Protocol

import msgspec

from reconciler.apply import apply
from reconciler.apply.ports import Clock, Interrupt, Observer
from reconciler.errors import GuardRefused, HostError, Locked, PlanStale
from reconciler.host.interface import Host, Reader
from reconciler.model.desired import Desired, HostDesired
from reconciler.model.observed import Observed, Reachable
from reconciler.model.outcome import ActionEnded, PassEnded
from reconciler.model.plan import Action, Await, Bucket, Plan, Verb
from reconciler.model.record import Records
from reconciler.model.status import Statuses
from reconciler.observe import Sighting, ask_readiness, close_all, observe
from reconciler.plan import PlanRequest, plan, stale_reads
from reconciler.record.cut import remember_cut
from reconciler.record.fold import fold, records_of
from reconciler.record.journal import Journal
from reconciler.record.store import Loaded, StatusStore

LOCK_POLL_S = 0.1
_ENDINGS = frozenset({Verb.DESTROY, Verb.FORGET, Verb.REAP})

Planner = Callable[[Desired, Observed, Records, PlanRequest], Plan]


class Answer(enum.Enum):
    """Say what became of showing a plan: `ASKED` means that a person took their time over a yes."""

    NO = enum.auto()
    YES = enum.auto()
    ASKED = enum.auto()


class Doors(Protocol):
    """Open hosts, for reading or for changing."""

    def reader(self, host: HostDesired) -> Reader:
        """Open a host through a client that cannot mutate."""

    def host(self, host: HostDesired) -> Host:
        """Open a host that effects may be sent to."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for one pass.

    Attributes:
        request: what the plan is asked for; `ancestors` is filled in once it is known what hosts hold.
        ancestors: tells which of some commits the specs' commit contains.
        only: hosts to ask, or None for all.
        planner: makes the plan from what was seen.
    """

    desired: Desired
    request: PlanRequest
    ancestors: Callable[[frozenset[str]], frozenset[str]]
    only: frozenset[str] | None = None
    planner: Planner = plan


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what a pass is given from outside.

    Attributes:
        owner: who runs the pass, as others will read it on a lock.
        lock_timeout_s: how long to wait for another pass to end.
        agree: shows the plan and says whether to go on; raises where a guard refuses.
    """

    store: StatusStore
    doors: Doors
    clock: Clock
    owner: str
    lock_timeout_s: float
    agree: Callable[[Planned], Answer]
    observer: Observer
    interrupt: Interrupt


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """Hold a plan and what it rests on."""

    plan: Plan
    observed: Observed
    statuses: Statuses
    warnings: tuple[str, ...] = ()


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what one pass came to.

    Attributes:
        ended: what became of the plan's actions; None when nothing was to be done or nobody agreed to it.
        not_ready: sandboxes that are as wanted now, and whose probes were asked and did not pass.
    """

    planned: Planned
    ended: PassEnded | None
    not_ready: tuple[ActionEnded, ...] = ()


def refusal(made: Plan) -> GuardRefused:
    """Say that a guard forbids a plan: the first reason, and the last as a hint."""
    first, *rest = [cause.text for cause in made.refused]
    return GuardRefused("refused: " + first, hint=rest[-1] if rest else None, code="E_BUDGET")


async def plan_pass(question: Question, *, store: StatusStore, doors: Doors, clock: Clock) -> Planned:
    """Look at the hosts through readers that cannot mutate, and plan."""
    loaded = _load(store, clock)
    sighting = await _look(question, records_of(loaded.statuses), doors.reader, clock, with_facts=False)
    try:
        made = _plan(question, sighting, loaded.statuses)
    finally:
        await _close(sighting)
    return Planned(plan=made, observed=sighting.observed, statuses=loaded.statuses, warnings=loaded.warnings)


async def apply_pass(question: Question, setting: Setting, *, saved: Plan | None = None) -> Passed:
    """Hold the status folder, look, plan, ask, apply, and record; apply `saved` instead where one is given.

    Raises:
        Locked: another pass holds the status folder.
        PlanStale: something that `saved` read has changed.
    """
    store, clock = setting.store, setting.clock
    store.open()
    with contextlib.ExitStack() as held:
        await hold_status(held, store, owner=setting.owner, timeout_s=setting.lock_timeout_s, clock=clock)
        loaded = _load(store, clock)
        sighting = await _look(question, records_of(loaded.statuses), setting.doors.host, clock, with_facts=True)
        try:
            fresh = _plan(question, sighting, loaded.statuses)
            planned = Planned(
                plan=fresh if saved is None else _still_good(saved, fresh, was_saved=True),
                observed=sighting.observed,
                statuses=loaded.statuses,
                warnings=loaded.warnings,
            )
            answer = setting.agree(planned)
            if answer is Answer.ASKED:
                # What was read may have changed while a person was reading it: the same path as a saved plan.
                await _close(sighting)
                sighting = await _look(
                    question, records_of(loaded.statuses), setting.doors.host, clock, with_facts=True
                )
                again = _plan(question, sighting, loaded.statuses)
                if _still_good(planned.plan, again, was_saved=False).refused:
                    raise refusal(again)
            with contextlib.ExitStack() as stack:
                ended = None
                if answer is not Answer.NO:
                    journal = stack.enter_context(_journal(store.folder, planned.plan, clock))
                    ended = await _carry_out(planned.plan, question, sighting, setting, journal)
                asked_at = clock.now()
                asked = await _ask_the_others(planned, ended, question, sighting, clock)
                told = _with_readiness(planned.plan, ended, asked, asked_at=asked_at, now=clock.now())
                seen = await _know_new_hosts(sighting, ended)
                store.save(fold(loaded.statuses, planned.plan, seen, told, clock.now(), desired=question.desired))
                if ended is not None:
                    journal.finish(ended)
        finally:
            await _close(sighting)
    return Passed(planned=planned, ended=ended, not_ready=tuple(item for item in asked if item.end == "failed"))


def _load(store: StatusStore, clock: Clock) -> Loaded:
    """Load what is remembered, with what a pass that was cut short may have made."""
    loaded = store.load(now=clock.now())
    return msgspec.structs.replace(loaded, statuses=remember_cut(loaded.statuses, store.folder))


async def _ask_the_others(
    planned: Planned, ended: PassEnded | None, question: Question, sighting: Sighting, clock: Clock
) -> tuple[ActionEnded, ...]:
    """Ask the probes that no action waited for: ready is what answers now, not what once did."""
    made = planned.plan
    known = {name: status.ready_run for name, status in planned.statuses.sandboxes.items()}
    done = {item.id for item in ended.actions if item.end == "done"} if ended is not None else set()
    runs = {item.sandbox: item.run for item in made.matched if item.bucket is Bucket.MATCHING}
    runs |= {item.sandbox: item.run for item in made.actions if _leaves_it_running(item, done)}
    asked_already = {item.sandbox: _waited_for(item) for item in made.actions}
    wanted = [
        want
        for name in sorted(runs)
        if (want := question.desired.sandboxes.get(name)) is not None
        and not asked_already.get(name, frozenset()).issuperset(one.name for one in want.containers)
    ]
    proved = frozenset(name for name, run in runs.items() if run and known.get(name) == run)
    return await ask_readiness(wanted, fleet=made.fleet, readers=sighting.readers, now=clock.now, proved=proved)


def _leaves_it_running(action: Action, done: set[str]) -> bool:
    """Tell whether the sandbox is meant to run after an action: not one that is taken away or merely forgotten."""
    return action.verb is Verb.ADOPT or (action.id in done and action.verb not in _ENDINGS)


def _waited_for(action: Action) -> frozenset[str]:
    """Name the containers whose readiness an action waits for; of those that it does not touch it knows nothing."""
    return frozenset(step.do.probe.container for step in action.steps if isinstance(step.do, Await))


def _with_readiness(
    made: Plan, ended: PassEnded | None, asked: tuple[ActionEnded, ...], *, asked_at: datetime, now: datetime
) -> PassEnded | None:
    """Add to what became of the plan what the probes of the others said."""
    if not asked:
        return ended
    if ended is None:
        return PassEnded(pass_id=made.pass_id, started_at=asked_at, finished_at=now, actions=asked)
    ready = {item.id: item for item in asked}
    done = tuple(_told(item, ready.pop(item.id, None)) for item in ended.actions)
    return msgspec.structs.replace(ended, actions=(*done, *ready.values()))


def _told(done: ActionEnded, asked: ActionEnded | None) -> ActionEnded:
    """Add to an action what its sandbox's probes said after it."""
    if asked is None:
        return done
    not_ready = asked.message if asked.end == "failed" else ""
    return msgspec.structs.replace(done, ready_at=asked.ready_at, not_ready=not_ready)


async def _know_new_hosts(sighting: Sighting, ended: PassEnded | None) -> Observed:
    """Ask the hosts that had no id who they are now: the pass gave them one, and the record must name it.

    One that does not answer any more stays without, and the next pass wants proof that it is the same machine.
    """
    hosts = dict(sighting.observed.hosts)
    for name, state in sighting.observed.hosts.items() if ended is not None else ():
        if isinstance(state, Reachable) and state.view.identity.host_id is None:
            with contextlib.suppress(HostError):
                identity = await sighting.readers[name].identify()
                view = msgspec.structs.replace(state.view, identity=identity)
                hosts[name] = msgspec.structs.replace(state, view=view)
    return Observed(hosts=hosts)


async def hold_status(
    held: contextlib.ExitStack, store: StatusStore, *, owner: str, timeout_s: float, clock: Clock
) -> None:
    """Hold the status folder until `held` is closed, waiting for another pass to end, but not for longer than this.

    Raises:
        Locked: the other pass goes on.
    """
    deadline_s = clock.monotonic() + timeout_s
    while True:
        try:
            held.enter_context(store.lock(owner, now=clock.now()))
        except Locked:
            if clock.monotonic() >= deadline_s:
                raise
            await clock.sleep(LOCK_POLL_S)
        else:
            return


async def _look(
    question: Question,
    records: Records,
    connect: Callable[[HostDesired], Reader],
    clock: Clock,
    *,
    with_facts: bool,
) -> Sighting:
    return await observe(
        question.desired,
        connect=connect,
        records=records,
        now=clock.now,
        only=question.only,
        with_facts=with_facts,
        with_tags=question.request.updates_images,
    )


def _plan(question: Question, sighting: Sighting, statuses: Statuses) -> Plan:
    found = frozenset(_revisions(sighting.observed))
    request = msgspec.structs.replace(question.request, ancestors=question.ancestors(found))
    return question.planner(question.desired, sighting.observed, records_of(statuses), request)


def _revisions(observed: Observed) -> Iterator[str]:
    """Name every commit that something on a host says it was made from."""
    for state in observed.hosts.values():
        if isinstance(state, Reachable):
            labelled = [seen.labels.get("dev.reconciler.revision", "") for seen in state.view.containers]
            marked = [found.marker.revision for found in state.view.markers if found.marker is not None]
            yield from (revision.partition("+")[0] for revision in (*labelled, *marked) if revision)


def _still_good(made: Plan, fresh: Plan, *, was_saved: bool) -> Plan:
    """Give a plan made before, under the guards as they judge now; refuse it when something it read has changed."""
    changed = stale_reads(made, fresh.basis, specs=fresh.specs)
    if changed:
        raise PlanStale(changed, was_saved=was_saved)
    return msgspec.structs.replace(made, refused=fresh.refused)


async def _carry_out(
    made: Plan, question: Question, sighting: Sighting, setting: Setting, journal: Journal
) -> PassEnded:
    return await apply(
        made,
        hosts=sighting.readers,  # type: ignore[arg-type]  # opened by doors.host, so each is a Host
        secrets=question.request.secrets,
        limits=question.desired.limits,
        journal=journal,
        observer=setting.observer,
        clock=setting.clock,
        owner=setting.owner,
        interrupt=setting.interrupt,
        lock_timeout_s=setting.lock_timeout_s,
    )


@contextlib.contextmanager
def _journal(folder: Path, made: Plan, clock: Clock) -> Iterator[Journal]:
    journal = Journal.begin(folder, made, now=clock.now)
    try:
        yield journal
    finally:
        journal.close()


async def _close(sighting: Sighting) -> None:
    await close_all(sighting.readers.values())
