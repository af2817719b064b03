"""Judge one sandbox: is it as wanted, does it work, is it ready, and what stands in the way."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, assert_never

import msgspec

from reconciler.model.effect import NotDone, RemoveContainer, RenameContainer, RestartContainer, StopContainer
from reconciler.model.names import WHAT_RUNS
from reconciler.model.observed import Reachable, Unreachable
from reconciler.model.outcome import ActionEnded
from reconciler.model.plan import Action, Await, Bucket, Held, Matched, Verb
from reconciler.model.rule import Remedy
from reconciler.model.status import Condition, ConditionType, Health, Reason, SandboxStatus, Sync
from reconciler.record.accounts import Account, instances_of, starts_of
from reconciler.record.memory import may_have_happened

REPEATS_MAX = 3
"""So many times in a row the same action for the same reason is a loop, not a repair."""

_DISTURBING = (StopContainer, RestartContainer, RemoveContainer, RenameContainer)
"""A failed action that came to none of these left what was there before in service."""

_MISSING = (Bucket.MISSING, Bucket.ZOMBIE_WANTED)
_NOT_WANTED = (Bucket.LOST_TO_OTHERS, Bucket.RETAINED)
"""Left alone as nobody's: with neither marker nor container, there is nothing that could be as wanted."""


class ConditionSaid(msgspec.Struct, frozen=True):
    """Say one condition, before it is known since when."""

    type: ConditionType
    status: Literal["True", "False", "Unknown"]
    reason: Reason
    message: str


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the judgement of one sandbox.

    `ready` comes first among its conditions; `ready_run` is a run that passed, `proved` says that it did just now.
    """

    sync: Sync
    health: Health
    ready: ConditionSaid
    also: tuple[ConditionSaid, ...] = ()
    ready_run: str = ""
    proved: bool = False


def judge(old: SandboxStatus | None, account: Account, *, started_at: datetime | None, repeated: int) -> Judgement:
    """Judge a sandbox by what is said of it on the host that counts.

    Args:
        old: what was last written of it.
        account: what this pass says.
        started_at: when the pass began or None when nothing was tried: a probe must be newer.
        repeated: how often in a row its action was taken for the same reason, this time included.
    """
    verdict = _judge(old, account, started_at=started_at, repeated=repeated)
    if verdict.ready.reason != "ProbesPassed":
        return verdict
    if _passed(account, started_at=started_at):
        return msgspec.structs.replace(verdict, proved=True)
    if old is not None and old.ready_starts == starts_of(instances_of(account)):
        return verdict
    ready = ConditionSaid("Ready", "Unknown", "NotProbed", "a container was started since its probes passed")
    return msgspec.structs.replace(verdict, ready=ready, health=_health(ready), ready_run="")


def _judge(old: SandboxStatus | None, account: Account, *, started_at: datetime | None, repeated: int) -> Judgement:
    if account.out_of_sight:
        return _out_of_sight(old, account)
    match account.said:
        case Matched() as matched:
            return _matched(old, account, matched, started_at=started_at)
        case Held() as held:
            return _held(old, account, held)
        case Action() as action if account.ended is None:
            return _pending(old, account, action)
        case Action() as action:
            return _ended(old, account, action, started_at=started_at, repeated=repeated)
        case _ as never:
            assert_never(never)


def _out_of_sight(old: SandboxStatus | None, account: Account) -> Judgement:
    look = account.look
    why = look.reason if isinstance(look, Unreachable) else _message(account)
    known = "" if old is None else f"; last known: {old.sync}, {old.health}"
    return Judgement(
        sync="Unknown" if old is None else old.sync,
        health="Unknown" if old is None else old.health,
        ready=ConditionSaid("Ready", "Unknown", "HostUnreachable", f"{why}{known}"),
        also=(
            ConditionSaid("Reachable", "False", "HostUnreachable", why),
            *_kept(old, "Stalled", "Drifted", "Expired"),
        ),
        ready_run="" if old is None else old.ready_run,
    )


def _matched(
    old: SandboxStatus | None, account: Account, matched: Matched, *, started_at: datetime | None
) -> Judgement:
    if matched.bucket is Bucket.EXPIRED:
        return _expired("its ttl has run out; it stays absent until its spec changes")
    if matched.bucket in _NOT_WANTED and not matched.generation and not account.standing:
        return Judgement(
            sync="OutOfSync", health="Missing", ready=ConditionSaid("Ready", "False", "Missing", "it is not there")
        )
    if matched.bucket is Bucket.AD_HOC and (old is None or old.sync == "Unknown"):
        message = "made by a command, and what it was to be is not known here: the pass was cut, or is another's"
        ready = ConditionSaid("Ready", "Unknown", "NotProbed", message)
        return Judgement(sync="Unknown", health="Unknown", ready=ready, also=tuple(_reachable(account)))
    passed = _passed(account, started_at=started_at)
    was_ready = old is not None and old.ready_run != "" and old.ready_run == matched.run
    sick = _sick(account)
    if sick is not None:
        ready = sick
    elif account.ended is not None and account.ended.end == "failed":
        ready = ConditionSaid("Ready", "False", "ProbeFailed", account.ended.message)
    elif isinstance(account.look, Reachable) and not account.standing:
        ready = _NOTHING_TO_ASK
    elif passed or was_ready:
        ready = ConditionSaid("Ready", "True", "ProbesPassed", "its probes passed in this run")
    elif old is not None and _ready_of(old).reason == "ProbeFailed":
        ready = _ready_of(old)
    else:
        ready = ConditionSaid("Ready", "Unknown", "NotProbed", "as wanted, but no probe has passed in this run yet")
    return Judgement(
        sync="Synced",
        health=_health(ready),
        ready=ready,
        also=_reachable(account),
        ready_run=matched.run if passed or was_ready or ready is _NOTHING_TO_ASK else "",
    )


def _sick(account: Account) -> ConditionSaid | None:
    """Name a container that runs and does not work, as Docker sees it."""
    for item in account.standing:
        name, live = item.seen.name, item.seen.live
        if live.health == "unhealthy":
            return ConditionSaid("Ready", "False", "ProbeFailed", f"Docker's health check of {name} fails")
        clock_s = account.look.view.host_clock_epoch_s if isinstance(account.look, Reachable) else 0.0
        if live.keeps_crashing(host_clock_epoch_s=clock_s):
            killed = ", the last time for want of memory" if live.oom_killed else ""
            text = f"{name} ends again and again: restarted {live.restart_count} times{killed}"
            return ConditionSaid("Ready", "False", "CrashLoop", text)
    return None


def _held(old: SandboxStatus | None, account: Account, held: Held) -> Judgement:
    ready = ConditionSaid("Ready", "Unknown", "HeldBack", held.message) if old is None else _ready_of(old)
    down = _down(account)
    if down is not None and ready.status == "True":
        ready = ConditionSaid("Ready", "False", "FieldsDiffer", f"{down}, and it is held back: {held.message}")
    kept = _kept(old, "Stalled", "Drifted", "Expired")
    reachable = ConditionSaid("Reachable", "True", "HostAnswered", "its host answered")
    ready_run = "" if old is None or ready.status == "False" else old.ready_run
    if held.reason == "Suspended":
        also = (ConditionSaid("Suspended", "True", "SuspendedBySpec", held.message), reachable, *kept)
        # What was applied on another host says nothing of this one, to which the specs have moved it since.
        sync: Sync = "Unknown" if old is None or old.host != account.host else old.sync
        return Judgement(sync=sync, health="Suspended", ready=ready, also=also, ready_run=ready_run)
    if held.reason == "DriftReported":
        kept = (*_kept(old, "Stalled", "Expired"), ConditionSaid("Drifted", "True", "FieldsDiffer", held.message))
    also = (reachable, *kept)
    if held.reason in {"AdmissionRefused", "NoHostFits"}:
        also = (*also, ConditionSaid("CapacityOK", "False", "HeldBack", held.message))
    return Judgement(sync="OutOfSync", health=_health(ready), ready=ready, also=also, ready_run=ready_run)


def _down(account: Account) -> str | None:
    """Say which container that ought to run does not; one that is not restarted may have finished well."""
    for item in account.standing:
        live = item.seen.live
        finished = live.state == "exited" and live.exit_code == 0 and item.seen.spec.restart == "no"
        if live.state != "running" and not finished:
            return f"{item.seen.name} is {live.state}"
    return None


def _pending(old: SandboxStatus | None, account: Account, action: Action) -> Judgement:
    """Judge what a plan would change and nobody has tried to, in this pass."""
    also = [*_reachable(account), *_drifted(action), *_kept(old, "Stalled", "Reconciling")]
    if account.lock_holder is not None:
        also = [item for item in also if item.type not in {"Reconciling", "Stalled"}]
        also.append(ConditionSaid("Reconciling", "True", "Locked", f"its host is locked by {account.lock_holder}"))
    if action.bucket is Bucket.EXPIRED:
        also.append(ConditionSaid("Expired", "True", "TtlElapsed", action.cause.text))
    ready = _ready_before(old, action)
    missing = action.bucket in _MISSING
    ready_run = "" if old is None or missing or ready.status == "False" else old.ready_run
    health: Health = "Missing" if missing else _health(ready)
    return Judgement(sync="OutOfSync", health=health, ready=ready, also=tuple(also), ready_run=ready_run)


def _ended(
    old: SandboxStatus | None, account: Account, action: Action, *, started_at: datetime | None, repeated: int
) -> Judgement:
    ended = account.ended
    if ended is None:
        return _pending(old, account, action)
    also = list(_reachable(account))
    if repeated >= REPEATS_MAX and ended.end in {"done", "failed"}:
        text = f"{action.verb} {repeated} times in a row for the same reason: {action.cause.text}"
        also.append(ConditionSaid("Stalled", "True", "Repeating", text))
    match ended.end:
        case "done" if action.verb.ends:
            return _removed(action)
        case "done":
            return _done(old, account, action, also=also, started_at=started_at)
        case "failed":
            return _failed(old, action, ended, also=also)
        case "unknown":
            also.append(ConditionSaid("Reconciling", "True", "OutcomeUnknown", ended.message))
            ready = ConditionSaid("Ready", "Unknown", "OutcomeUnknown", ended.message)
            return Judgement(sync="Unknown", health="Progressing", ready=ready, also=tuple(also))
        case "skipped" | "interrupted":
            locked = account.lock_holder is not None
            reason: Reason = "Locked" if locked else "Interrupted" if ended.end == "interrupted" else "DependencyFailed"
            also += [*_drifted(action), ConditionSaid("Reconciling", "True", reason, ended.message)]
            ready = _ready_before(old, action)
            disturbed = action.bucket not in _MISSING and may_have_happened(action, ended, only=_DISTURBING)
            if disturbed:  # what was ready before may be stopped by now
                ready = ConditionSaid("Ready", "Unknown", reason, ended.message)
            health: Health = "Missing" if action.bucket in _MISSING else _health(ready)
            ready_run = "" if old is None or disturbed or ready.status == "False" else old.ready_run
            return Judgement(sync="OutOfSync", health=health, ready=ready, also=tuple(also), ready_run=ready_run)
        case _ as never:
            assert_never(never)


def _done(
    old: SandboxStatus | None,
    account: Account,
    action: Action,
    *,
    also: list[ConditionSaid],
    started_at: datetime | None,
) -> Judgement:
    if account.ended is not None and account.ended.not_ready:
        ready = ConditionSaid("Ready", "False", "ProbeFailed", account.ended.not_ready)
        return Judgement(sync="Synced", health=_health(ready), ready=ready, also=tuple(also))
    if not any(key.startswith(WHAT_RUNS) for key in action.keys):
        return Judgement(sync="Synced", health="Healthy", ready=_NOTHING_TO_ASK, also=tuple(also), ready_run=action.run)
    passed = _passed(account, started_at=started_at)
    # No container was touched: what held of them before holds still.
    untouched = not any(isinstance(step.do, Await) and step.do.gating for step in action.steps)
    kept = untouched and old is not None and old.ready_run != "" and _ready_of(old).status == "True"
    if passed or kept:
        ready = ConditionSaid("Ready", "True", "ProbesPassed", "its probes passed in this run")
    else:
        ready = ConditionSaid(
            "Ready", "Unknown", "NotProbed", f"{action.verb} was done, but no probe has passed in this run yet"
        )
    ready_run = action.run if ready.status == "True" else ""
    return Judgement(sync="Synced", health=_health(ready), ready=ready, also=tuple(also), ready_run=ready_run)


def _failed(old: SandboxStatus | None, action: Action, ended: ActionEnded, *, also: list[ConditionSaid]) -> Judgement:
    # What was taken back after the failure is not a step of the plan.
    planned = {step.id for step in action.steps}
    last = next((step for step in reversed(ended.steps) if step.step in planned), None)
    asked = {step.id for step in action.steps if isinstance(step.do, Await)}
    probe = last is not None and last.step in asked
    reason: Reason = "ProbeFailed" if probe else "StepFailed"
    if last is not None and isinstance(last.result, NotDone) and last.result.code == "E_STUCK":
        reason = "Stuck"
    transient = last is not None and isinstance(last.result, NotDone) and last.result.transient
    if not any(item.type == "Stalled" for item in also):
        kind: ConditionType = "Reconciling" if transient else "Stalled"
        also.append(ConditionSaid(kind, "True", reason, ended.message))
    touched = may_have_happened(action, ended)
    disturbed = may_have_happened(action, ended, only=_DISTURBING)
    still_there = not disturbed and action.bucket not in _MISSING and action.verb is not Verb.START
    ready = _ready_before(old, action) if still_there else ConditionSaid("Ready", "False", reason, ended.message)
    health: Health = "Missing" if action.bucket in _MISSING and not touched else "Degraded"
    ready_run = old.ready_run if old is not None and ready.status == "True" else ""
    return Judgement(sync="OutOfSync", health=health, ready=ready, also=tuple(also), ready_run=ready_run)


def _removed(action: Action) -> Judgement:
    if action.bucket is Bucket.EXPIRED:
        return _expired(action.cause.text)
    ready = ConditionSaid("Ready", "False", "Destroyed", action.cause.text)
    return Judgement(sync="OutOfSync", health="Missing", ready=ready)


def _expired(message: str) -> Judgement:
    return Judgement(
        sync="Synced",
        health="Missing",
        ready=ConditionSaid("Ready", "False", "TtlElapsed", message),
        also=(ConditionSaid("Expired", "True", "TtlElapsed", message),),
    )


def _ready_before(old: SandboxStatus | None, action: Action) -> ConditionSaid:
    """Tell whether a sandbox that waits for an action is ready meanwhile."""
    if action.bucket in _MISSING:
        return ConditionSaid("Ready", "False", "Missing", action.cause.text)
    down = any(
        change.verb is Verb.CREATE or any(field.remedy is Remedy.START for field in change.changes)
        for change in action.resources
        if change.key.startswith(WHAT_RUNS)
    )
    if action.verb is Verb.START or (down and action.bucket is Bucket.DRIFTED and action.is_drift):
        return ConditionSaid("Ready", "False", "FieldsDiffer", action.cause.text)
    if old is None:
        return ConditionSaid("Ready", "Unknown", "NotProbed", "no probe has passed in this run yet")
    before = _ready_of(old)
    if before.reason == "HostUnreachable":
        return ConditionSaid("Ready", "Unknown", "NotProbed", "its host answers again; no probe has passed since")
    return before


def _drifted(action: Action) -> tuple[ConditionSaid, ...]:
    fields = [change.path for change in action.changes if change.origin == "drift"]
    if not fields:
        return ()
    return (ConditionSaid("Drifted", "True", "FieldsDiffer", "the host differs in " + ", ".join(fields)),)


def _passed(account: Account, *, started_at: datetime | None) -> bool:
    ended = account.ended
    if ended is None or ended.ready_at is None or started_at is None:
        return False
    return ended.ready_at >= started_at


def _reachable(account: Account) -> tuple[ConditionSaid, ...]:
    if account.look is None:
        return ()
    return (ConditionSaid("Reachable", "True", "HostAnswered", "its host answered"),)


def _health(ready: ConditionSaid) -> Health:
    by_status: dict[str, Health] = {"True": "Healthy", "False": "Degraded"}
    return by_status.get(ready.status, "Unknown")


def _ready_of(status: SandboxStatus) -> ConditionSaid:
    return _UNBORN if status.ready is None else _said(status.ready)


def _kept(old: SandboxStatus | None, *types: ConditionType) -> tuple[ConditionSaid, ...]:
    return () if old is None else tuple(_said(one) for one in old.conditions if one.type in types)


def _said(one: Condition) -> ConditionSaid:
    return ConditionSaid(one.type, one.status, one.reason, one.message)


def _message(account: Account) -> str:
    return account.said.message if isinstance(account.said, Held) else f"host {account.host} was not asked"


_NOTHING_TO_ASK = ConditionSaid("Ready", "True", "AsDesired", "as wanted; it has no container to ask")
_UNBORN = ConditionSaid("Ready", "Unknown", "NotProbed", "no probe has passed in this run yet")
