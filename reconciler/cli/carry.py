"""Carry one changing pass through: show the plan, ask, walk it, report. All commands that change hosts share it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from reconciler.apply.ports import Interrupt, Observer
from reconciler.cli import exits, report
from reconciler.cli.ask import ask
from reconciler.cli.doors import RealDoors
from reconciler.cli.ground import Ground, owner
from reconciler.cli.progress import JsonStream, Lines, Live
from reconciler.cli.streams import OutputLost
from reconciler.errors import GuardRefused, UsageError
from reconciler.model.nearest import did_you_mean
from reconciler.model.plan import AS_ASKED, Bucket
from reconciler.passes import Answer, PassAsked, Passed, Planned, Setting, apply_pass, plan_pass, refusal
from reconciler.show import stream
from reconciler.show.lock_text import being_changed, left_locked
from reconciler.show.outcome_text import not_ready_page, outcome_page
from reconciler.show.plan_text import plan_page
from reconciler.show.words import count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.model.plan import Plan


_AS_AGREED = AS_ASKED | {"DriftReported"}
"""Reasons for holding back that leave nothing undone which this apply was to do."""

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """Say how a pass talks: whether it asks, and in which form it tells.

    `tell` is told what the pass came to, instead of showing its plan and what became of it.
    """

    yes: bool
    json_lines: bool
    lock_timeout_s: float
    tell: Callable[[Passed], None] | None = None


def carry(
    ground: Ground, question: PassAsked, manner: Manner, *, saved: Plan | None = None, only_hosts_know: bool = False
) -> int:
    """Run the pass and give the exit status.

    `only_hosts_know` says that it may be refused for what was typed once the hosts have answered: where there is no
    status folder yet, they are asked before one is made, since what is refused leaves nothing behind.
    """
    observer = _observer(ground, manner)
    with contextlib.ExitStack() as stack:
        if isinstance(observer, JsonStream):
            observer.write(stream.version(observer.stamp, tool=question.request.tool))
        try:
            if only_hosts_know and not ground.store.folder.exists():
                asyncio.run(_try(ground, question))
            passed = asyncio.run(_carry(ground, question, manner, observer, stack, saved=saved))
        except (asyncio.CancelledError, KeyboardInterrupt):
            report.say("stopped before anything was changed")
            return exits.INTERRUPTED
    # A report that nobody can read takes nothing from what became of the pass; that it was lost is said at the end.
    with contextlib.suppress(OutputLost):
        if manner.tell is None:
            _tell(ground, passed, observer)
        else:
            manner.tell(passed)
    _send_on(ground, passed)
    return _status_of(passed, destroying=question.request.destroying)


def _observer(ground: Ground, manner: Manner) -> Observer:
    if manner.json_lines:
        return JsonStream(ground.clock, ground.pass_id)
    return Live(ground.clock) if sys.stderr.isatty() else Lines()


async def _try(ground: Ground, question: PassAsked) -> None:
    """Plan through clients that only read, and raise what the pass itself would."""
    doors = RealDoors(ground.desired, secrets=question.request.secrets, now=ground.clock.now)
    planned = await plan_pass(question, store=ground.store, doors=doors, clock=ground.clock)
    _check_names(planned.plan, question)


async def _carry(
    ground: Ground,
    question: PassAsked,
    manner: Manner,
    observer: Observer,
    stack: contextlib.ExitStack,
    *,
    saved: Plan | None,
) -> Passed:
    agreed = False

    def agree(planned: Planned) -> Answer:
        nonlocal agreed
        _check_names(planned.plan, question)
        answer = _agree(ground, planned, manner, observer, is_saved=saved is not None)
        agreed = answer is not Answer.NO
        if answer is not Answer.NO and isinstance(observer, Live):
            observer.expect(len(planned.plan.actions))
            stack.enter_context(observer)
        return answer

    interrupt = Interrupt()
    with _signals(interrupt, is_acting=lambda: agreed):
        setting = Setting(
            store=ground.store,
            doors=RealDoors(ground.desired, secrets=question.request.secrets, now=ground.clock.now),
            clock=ground.clock,
            owner=owner(),
            lock_timeout_s=manner.lock_timeout_s,
            agree=agree,
            observer=observer,
            interrupt=interrupt,
        )
        return await apply_pass(question, setting, saved=saved)


@contextlib.contextmanager
def _signals(interrupt: Interrupt, *, is_acting: Callable[[], bool]) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM ask to stop instead of ending the program where it stands, once it changes something."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def press() -> None:
        if not is_acting():
            if task is not None:
                task.cancel()
            return
        if not interrupt.stopping:
            report.say("stopping: what is in flight is finished first; again to stop at once")
        interrupt.press()

    for number in _STOPPING:
        loop.add_signal_handler(number, press)
    try:
        yield
    finally:
        for number in _STOPPING:
            loop.remove_signal_handler(number)


def _agree(ground: Ground, planned: Planned, manner: Manner, observer: Observer, *, is_saved: bool) -> Answer:
    """Show the plan and ask, where there is somebody to ask.

    Raises:
        GuardRefused: a guard forbids the plan, or nobody can agree to it.
    """
    plan = planned.plan
    if manner.tell is None:
        _show_plan(ground, planned, observer)
    if plan.refused:
        raise refusal(plan)
    if plan.empty:
        return Answer.NO
    if manner.yes or is_saved:
        return Answer.YES
    if manner.json_lines or not report.is_interactive():
        raise GuardRefused(
            "there are changes and nobody to agree to them: this is no terminal",
            hint="add --yes; what apply is to do can also be saved, with plan --out FILE, and applied as it is",
            code="E_NO_APPROVAL",
        )
    if ask(f"Apply {count(len(plan.actions), 'action')}?"):
        return Answer.ASKED
    raise GuardRefused("nobody agreed, so nothing was changed", code="E_NO_APPROVAL")


def _check_names(plan: Plan, question: PassAsked) -> None:
    """Refuse to destroy what nobody knows; with hosts unknown, that cannot be told and is left to the plan."""
    known = {item.sandbox for item in plan.actions} | {item.sandbox for item in plan.matched}
    known |= {item.sandbox for item in plan.held}
    missing = sorted(question.request.destroying - known)
    if missing and not plan.unknown_hosts:
        wanted = question.desired.sandboxes
        if missing[0] in wanted or missing[0] in question.desired.choices:
            where = f"on {wanted[missing[0]].host}" if missing[0] in wanted else "elsewhere"
            message = f"sandbox {missing[0]!r} is {where}, and not on what was selected"
            raise UsageError(message, hint="leave --on out, or name its host", code="E_NO_MATCH")
        hint = did_you_mean(missing[0], question.desired.sandboxes, otherwise="the specs want")
        message = f"no spec, record or host knows a sandbox named {missing[0]!r}"
        raise UsageError(message, hint=hint or "reconcile status lists what the records know", code="E_NO_MATCH")


def _show_plan(ground: Ground, planned: Planned, observer: Observer) -> None:
    report.warn(planned.warnings)
    if isinstance(observer, JsonStream):
        for message in (
            *stream.hosts_observed(observer.stamp, planned.observed),
            *stream.planned(observer.stamp, planned.plan),
        ):
            observer.write(message)
        return
    age_s = (ground.clock.now() - planned.plan.made_at).total_seconds()
    changing, left = being_changed(planned.observed), left_locked(planned.observed)
    report.show(plan_page(planned.plan, width=report.width(), age_s=age_s, changing=changing, left=left))


def _tell(ground: Ground, passed: Passed, observer: Observer) -> None:
    if isinstance(observer, JsonStream):
        sandboxes = len(ground.desired.sandboxes)
        observer.write(stream.status_written(observer.stamp, folder=str(ground.store.folder), sandboxes=sandboxes))
        for item in passed.not_ready:
            observer.write(stream.not_ready(observer.stamp, item))
        return
    if passed.ended is not None:
        report.show(outcome_page(passed.planned.plan, passed.ended, deltas=True))
    if passed.not_ready:
        report.show(not_ready_page(passed.not_ready))


def _send_on(ground: Ground, passed: Passed) -> None:
    """Send telemetry where the Fleet says so; what is not delivered is said, and changes no exit status."""
    if ground.desired.telemetry:
        from reconciler.cli.telemetry import send_on

        report.warn(send_on(ground, passed))


def _status_of(passed: Passed, *, destroying: frozenset[str]) -> int:
    """Give the exit status of a pass that was carried through."""
    plan, ended = passed.planned.plan, passed.ended
    found = [exits.FINE]
    if any(item.sandbox in destroying and item.bucket is Bucket.HELD for item in plan.held):
        found.append(exits.REFUSED)
    if plan.unknown_hosts or any(item.reason not in _AS_AGREED for item in plan.held):
        found.append(exits.PARTIAL)
    if passed.not_ready:
        others = len(plan.matched) > len(passed.not_ready) or plan.actions
        found.append(exits.PARTIAL if others else exits.ERROR)
    if ended is None:
        return exits.worst(found)
    ends = [action.end for action in ended.actions]
    if ended.interrupted:
        found.append(exits.INTERRUPTED)
    if any(end in ("failed", "unknown") for end in ends):
        found.append(exits.PARTIAL if "done" in ends else exits.ERROR)
    if ended.locked:
        needed = {action.host for action in plan.actions}
        found.append(exits.LOCKED if needed <= ended.locked.keys() else exits.PARTIAL)
    return exits.worst(found)
