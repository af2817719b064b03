"""The order of one pass, and nothing else: look, plan, ask, apply, record."""

from __future__ import annotations

import asyncio
import contextlib
import enum
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from reconciler.errors import GuardRefused, Locked, PlanStale
from reconciler.host.interface import Host, Reader
from reconciler.model.desired import Desired, HostDesired
from reconciler.model.labels import PREFIX
from reconciler.model.observed import Observed, Reachable
from reconciler.model.outcome import ActionEnded, PassEnded
from reconciler.model.plan import Plan
from reconciler.model.record import Records
from reconciler.model.status import Statuses
from reconciler.observe import Sighting, observe
from reconciler.observe.afterwards import ask_the_others, know_more, with_readiness
from reconciler.plan import PlanRequest, plan, stale_reads
from reconciler.plan.placement import hosts_to_ask, placed_in, settled
from reconciler.plan.stale import Survey, survey
from reconciler.record.cut import remember_cut
from reconciler.record.fold import fold, records_of
from reconciler.record.journal import Journal
from reconciler.record.removals import removals_in
from reconciler.record.reports import with_learned_activity, with_reports
from reconciler.record.store import Loaded, StatusStore

if TYPE_CHECKING:
    from reconciler.apply.ports import Clock, Interrupt, Observer

LOCK_POLL_S = 0.1
HOST_LOCK_POLL_S = 0.5
DYING_S = 1.0
"""The session of a controller that died keeps its lock for a moment longer."""

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


class PassAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for one pass.

    Attributes:
        request: what the plan is asked for; `ancestors` is filled in once it is known what hosts hold.
        ancestors: tells which of some commits the specs' commit contains.
        only: hosts to ask, or None for all.
        planner: makes the plan from what was seen.
        reads_twice: look again before anything is done, also where nobody was asked.
        roots: folders whose entries are listed on every host; `${host.baseDir}` is ours.
    """

    desired: Desired
    request: PlanRequest
    ancestors: Callable[[frozenset[str]], frozenset[str]]
    only: frozenset[str] | None = None
    planner: Planner = plan
    reads_twice: bool = False
    roots: tuple[str, ...] = ()


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
        statuses: what was written of all of it.
        surveyed: what the hosts held when the pass looked, and what of it may be stale; None where nobody is told.
        not_ready: sandboxes that are as wanted now, and whose probes were asked and did not pass.
    """

    planned: Planned
    ended: PassEnded | None
    statuses: Statuses
    surveyed: Survey | None = None
    not_ready: tuple[ActionEnded, ...] = ()


class _Prospect(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one look at the hosts, with what was planned from it."""

    sighting: Sighting
    plan: Plan


def refusal(made: Plan) -> GuardRefused:
    """Say that guards forbid a plan: every reason, and the last sentence, which tells the way out, as a hint."""
    reasons = [cause.text for cause in made.refused]
    hint = reasons.pop() if len(reasons) > 1 else None
    return GuardRefused("refused: " + "; ".join(reasons), hint=hint, code="E_BUDGET")


async def plan_pass(question: PassAsked, *, store: StatusStore, doors: Doors, clock: Clock) -> Planned:
    """Look at the hosts through readers that cannot mutate, and plan."""
    loaded = _load(store, clock)
    prospect = await _look_and_plan(question, loaded.statuses, doors.reader, clock)
    await prospect.sighting.close()
    return _planned(prospect, prospect.plan, loaded)


async def apply_pass(question: PassAsked, setting: Setting, *, saved: Plan | None = None) -> Passed:
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

        async def look_and_plan(known: Plan | None) -> _Prospect:
            return await _look_until_free(_placed_as_in(question, known), loaded.statuses, setting)

        prospect = await look_and_plan(saved)
        try:
            made = prospect.plan if saved is None else _still_good(saved, prospect.plan, was_saved=True)
            planned = _planned(prospect, made, loaded)
            answer = setting.agree(planned)
            if answer is Answer.ASKED or (answer is Answer.YES and question.reads_twice):
                # What was read may have changed, as while a person was reading it: the same path as a saved plan.
                await prospect.sighting.close()
                prospect = await look_and_plan(made)
                if _still_good(made, prospect.plan, was_saved=False).refused:
                    raise refusal(prospect.plan)
            looks = (planned.observed, prospect.sighting.observed)
            journal = None if answer is Answer.NO else _begin_journal(held, store.folder, made, clock)
            ended = None if journal is None else await _carry_out(made, question, prospect.sighting, setting, journal)
            return await _record(
                planned,
                ended,
                question=question,
                setting=setting,
                sighting=prospect.sighting,
                looks=looks if looks[0] is not looks[1] else looks[:1],
                journal=journal,
            )
        finally:
            await prospect.sighting.close()


async def _record(
    planned: Planned,
    ended: PassEnded | None,
    *,
    question: PassAsked,
    setting: Setting,
    sighting: Sighting,
    looks: tuple[Observed, ...],
    journal: Journal | None,
) -> Passed:
    """Ask who is ready, and write what was seen and done; `looks` are those that the plan rests on."""
    from reconciler.apply.waiting import unless_cancelled  # noqa: PLC0415  # a plan carries nothing out

    clock, interrupt = setting.clock, setting.interrupt
    desired = settled(question.desired, placed_in(planned.plan, question.desired))
    asked_at = clock.now()
    asking = ask_the_others(
        planned.plan,
        ended,
        desired=desired,
        statuses=planned.statuses,
        readers=sighting.readers,
        now=clock.now,
    )
    seen = sighting.observed
    counting = know_more(seen, sighting.readers, ended=ended, now=clock.now)
    asked, seen = await asyncio.gather(
        unless_cancelled(interrupt, asking, otherwise=()), unless_cancelled(interrupt, counting, otherwise=seen)
    )
    told = with_readiness(planned.plan, ended, asked, desired=desired, asked_at=asked_at, now=clock.now())
    if journal is not None:
        journal.make_room()
    if ended is not None:
        known = records_of(planned.statuses)
        setting.store.keep_removals(removals_in(planned.plan, ended, looks, desired=desired, records=known))
    statuses = fold(planned.statuses, planned.plan, seen, told, clock.now(), desired=desired)
    surveyed = _survey(question, planned, statuses) if desired.telemetry or _canaries(desired) else None
    if surveyed is not None and ended is not None:
        statuses = with_reports(
            statuses,
            planned.plan,
            ended,
            inventories=surveyed.inventories,
            stale=surveyed.stale,
            canaries=_canaries(desired),
        )
    setting.store.save(statuses)
    if journal is not None and ended is not None:
        journal.finish(ended)
    not_ready = tuple(item for item in asked if item.end == "failed")
    return Passed(planned=planned, ended=ended, statuses=statuses, surveyed=surveyed, not_ready=not_ready)


def _canaries(desired: Desired) -> frozenset[str]:
    """Name the sandboxes whose hosts are reported on."""
    return frozenset(name for name, want in desired.sandboxes.items() if want.observability == "canary")


def _survey(question: PassAsked, planned: Planned, statuses: Statuses) -> Survey:
    """Survey what the pass saw when it began, with what it learned of who does something. No secret is needed."""
    seen = planned.observed
    records = with_learned_activity(records_of(planned.statuses), statuses.hosts)
    ancestors = question.ancestors(frozenset(revisions_in(seen)))
    request = msgspec.structs.replace(question.request, ancestors=ancestors, secrets={}, destroying=frozenset())
    return survey(question.desired, seen, records, request)


async def _look_until_free(question: PassAsked, statuses: Statuses, setting: Setting) -> _Prospect:
    """Look and plan; where another pass changes a host just now, look again once it has ended.

    What it changes after the look would be in no plan. Nobody is waited for whose host has nothing to be done.
    """
    from reconciler.apply.waiting import pause  # noqa: PLC0415  # a plan carries nothing out

    clock = setting.clock
    deadline_s = clock.monotonic() + max(setting.lock_timeout_s, DYING_S)
    while True:
        prospect = await _look_and_plan(question, statuses, setting.doors.host, clock)
        is_late = clock.monotonic() >= deadline_s or setting.interrupt.stopping
        locks = prospect.sighting.locks
        if is_late or not any(locks[action.host].is_held for action in prospect.plan.actions):
            return prospect
        await prospect.sighting.close()
        await pause(clock, HOST_LOCK_POLL_S, setting.interrupt)


async def _look_and_plan(
    question: PassAsked,
    statuses: Statuses,
    connect: Callable[[HostDesired], Reader],
    clock: Clock,
) -> _Prospect:
    """Look and plan; the connections stay open, unless planning fails."""
    records = records_of(statuses)
    sighting = await observe(
        question.desired,
        connect=connect,
        records=records,
        now=clock.now,
        only=None if question.only is None else hosts_to_ask(question.desired, records, only=question.only),
        with_tags=question.request.updates_images,
        roots=question.roots
        or (("${host.baseDir}", *question.desired.reap.legacy_roots) if _canaries(question.desired) else ()),
    )
    try:
        found = frozenset(revisions_in(sighting.observed))
        request = msgspec.structs.replace(question.request, ancestors=question.ancestors(found))
        made = question.planner(question.desired, sighting.observed, records, request)
    except BaseException:
        await sighting.close()
        raise
    return _Prospect(sighting=sighting, plan=made)


def _placed_as_in(question: PassAsked, known: Plan | None) -> PassAsked:
    """Ask again for what a plan was made of, with what it chose by itself."""
    if known is None:
        return question
    request = msgspec.structs.replace(question.request, placed=placed_in(known, question.desired))
    return msgspec.structs.replace(question, request=request)


def _planned(prospect: _Prospect, made: Plan, loaded: Loaded) -> Planned:
    return Planned(plan=made, observed=prospect.sighting.observed, statuses=loaded.statuses, warnings=loaded.warnings)


def _load(store: StatusStore, clock: Clock) -> Loaded:
    """Load what is remembered, with what a pass that was cut short may have made."""
    loaded = store.load(now=clock.now())
    return msgspec.structs.replace(loaded, statuses=remember_cut(loaded.statuses, store.folder))


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


def revisions_in(observed: Observed) -> Iterator[str]:
    """Name every commit that something on a host says it was made from."""
    for state in observed.hosts.values():
        if isinstance(state, Reachable):
            labelled = [seen.labels.get(f"{PREFIX}revision", "") for seen in state.view.containers]
            marked = [found.marker.revision for found in state.view.markers if found.marker is not None]
            yield from (revision.partition("+")[0] for revision in (*labelled, *marked) if revision)


def _still_good(made: Plan, fresh: Plan, *, was_saved: bool) -> Plan:
    """Give a plan made before, under the guards as they judge now; refuse it when something it read has changed."""
    changed = stale_reads(made, fresh.basis, specs=fresh.specs)
    if changed:
        raise PlanStale(changed, was_saved=was_saved)
    return msgspec.structs.replace(made, refused=fresh.refused)


async def _carry_out(
    made: Plan, question: PassAsked, sighting: Sighting, setting: Setting, journal: Journal
) -> PassEnded:
    from reconciler.apply import apply  # noqa: PLC0415  # a plan carries nothing out

    return await apply(
        made,
        hosts=sighting.readers,  # type: ignore[arg-type]  # opened by doors.host, so each is a Host
        locks=sighting.locks,
        secrets=question.request.secrets,
        limits=question.desired.limits,
        journal=journal,
        observer=setting.observer,
        clock=setting.clock,
        owner=setting.owner,
        interrupt=setting.interrupt,
    )


def _begin_journal(held: contextlib.ExitStack, folder: Path, made: Plan, clock: Clock) -> Journal:
    """Begin the journal of a pass, which is closed when the status folder is given back."""
    journal = Journal.begin(folder, made, now=clock.now)
    held.callback(journal.close)
    return journal
