"""Fold a plan, a look and what became of the pass into the status of the fleet. Pure: `now` is an argument."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from reconciler.model.desired import Desired
from reconciler.model.digest import fingerprint
from reconciler.model.observed import Observed, Reachable
from reconciler.model.outcome import Instance, PassEnded
from reconciler.model.plan import Action, Matched, Plan, Verb
from reconciler.model.record import Records
from reconciler.model.status import (
    Condition,
    FleetStatus,
    HistoryEntry,
    SandboxLine,
    SandboxStatus,
    Statuses,
)
from reconciler.record.accounts import Account, gather, instances_of, starts_of
from reconciler.record.hosts import fold_hosts
from reconciler.record.memory import remember, removals_after
from reconciler.record.verdict import ConditionSaid, Judgement, judge

HISTORY_KEPT = 5
"""A status file is read by people; all of it is in the passes."""


def fold(
    old: Statuses,
    plan: Plan,
    observed: Observed,
    ended: PassEnded | None,
    now: datetime,
    *,
    desired: Desired | None = None,
) -> Statuses:
    """Give the status of the fleet after a pass.

    Args:
        old: what was written last.
        plan: what the pass planned; it names every sandbox that is wanted, remembered or found.
        observed: what the hosts answered.
        ended: what became of the plan, or None when it was only planned. An entry for a sandbox that the plan says
            matches (its id is `<host>/<sandbox>`) reports a probe of it.
        now: the controller's clock.
        desired: the specs. Without them nothing that the plan does not name is ever dropped.
    """
    accounts = gather(plan, observed, ended)
    at = now if ended is None else ended.finished_at
    records = records_of(old)
    sandboxes: dict[str, SandboxStatus] = {}
    for name in sorted({*old.sandboxes, *accounts}):
        status = _fold_sandbox(old.sandboxes.get(name), accounts.get(name, ()), plan, ended, now=now)
        if status is not None and _is_worth_keeping(status, accounts.get(name, ()), desired):
            sandboxes[name] = status
    seen = [account for items in accounts.values() for account in items]
    fleet = FleetStatus(
        fleet=plan.fleet,
        revision=plan.revision,
        last_pass=plan.pass_id if ended is not None else (old.fleet.last_pass if old.fleet is not None else ""),
        updated_at=now,
        sandboxes=tuple(_line(status) for status in sandboxes.values()),
        hosts_unreachable=tuple(
            sorted(name for name, look in observed.hosts.items() if not isinstance(look, Reachable))
        ),
        removals=removals_after(records.removals, seen, records.sandboxes, at=at),
    )
    remembered = [record for status in sandboxes.values() for record in status.records]
    hosts = fold_hosts(old.hosts, observed, plan, now=now, desired=desired, remembered=remembered)
    return Statuses(fleet=fleet, sandboxes=sandboxes, hosts=hosts)


def records_of(statuses: Statuses) -> Records:
    """Give what a plan needs of what was written."""
    return Records(
        sandboxes=tuple(record for name in sorted(statuses.sandboxes) for record in statuses.sandboxes[name].records),
        ready={name: status.ready_run for name, status in sorted(statuses.sandboxes.items()) if status.is_ready},
        hosts={name: status.record for name, status in sorted(statuses.hosts.items())},
        removals=() if statuses.fleet is None else statuses.fleet.removals,
    )


def conditions_after(
    old: Iterable[Condition], said: Iterable[ConditionSaid], *, now: datetime
) -> tuple[Condition, ...]:
    """Give conditions their times: the old one while the status stays what it was, `now` when it moves."""
    before = {condition.type: condition for condition in old}
    found: dict[str, Condition] = {}
    for one in said:
        last = before.get(one.type)
        since = last.last_transition_time if last is not None and last.status == one.status else now
        found[one.type] = Condition(
            type=one.type, status=one.status, reason=one.reason, message=one.message, last_transition_time=since
        )
    return tuple(found.values())


def _fold_sandbox(
    old: SandboxStatus | None, accounts: tuple[Account, ...], plan: Plan, ended: PassEnded | None, *, now: datetime
) -> SandboxStatus | None:
    if not accounts:
        return old
    first = accounts[0]
    at = now if ended is None else ended.finished_at
    records = remember(() if old is None else old.records, accounts, at=at)
    evidence, repeated = _repeats(old, first)
    verdict = judge(old, first, started_at=None if ended is None else ended.started_at, repeated=repeated)
    base = _born(first, plan) if old is None else old
    changes = _progress(base, first, plan, verdict, applied=ended is not None)
    progressed = msgspec.structs.replace(base, **changes)
    return msgspec.structs.replace(
        progressed,
        fleet=plan.fleet,
        sync=verdict.sync,
        health=verdict.health,
        conditions=conditions_after(base.conditions, (verdict.ready, *verdict.also), now=now),
        records=records,
        ready_run=verdict.ready_run,
        ready_starts=starts_of(progressed.instances) if verdict.proved else base.ready_starts,
        evidence=evidence,
        repeated=repeated,
        history=_history(base.history, accounts, plan, at=at),
        delta=next((item.ended.delta for item in accounts if item.ended and item.ended.delta), base.delta),
        stale=first.out_of_sight,
    )


def _born(first: Account, plan: Plan) -> SandboxStatus:
    return SandboxStatus(
        fleet=plan.fleet,
        name=first.sandbox,
        host=first.host,
        sync="Unknown",
        health="Unknown",
        generation=0,
        observed_generation=0,
        last_attempted_revision="",
        last_applied_revision="",
        conditions=(),
    )


def _progress(
    base: SandboxStatus, first: Account, plan: Plan, verdict: Judgement, *, applied: bool
) -> Mapping[str, object]:
    """Give the fields that say how far the sandbox is; nothing moves while its host does not answer."""
    if first.out_of_sight:
        return {"host": base.host}
    look = first.look
    changes: dict[str, object] = {"host": first.host}
    if isinstance(look, Reachable):
        changes["observed_at"] = look.view.observed_at
        changes["instances"] = instances_of(first)
    said, result = first.said, first.ended
    # A marker that was set back says less than we know; what was removed for good counts anew.
    known = 0 if _was_removed(base) else base.generation
    if isinstance(said, Matched):
        generation = max(said.generation, known)
        changes |= {"generation": generation, "observed_generation": generation}
        if applied and verdict.sync == "Synced":
            changes |= {"last_attempted_revision": plan.revision, "last_applied_revision": plan.revision}
    elif isinstance(said, Action):
        changes["generation"] = max(said.generation, known)
        if result is not None and result.end != "skipped":
            changes["last_attempted_revision"] = plan.revision
            changes["instances"] = _instances_after(first, result.instances)
        if result is not None and result.end == "done":
            changes["last_applied_revision"] = plan.revision
            changes["observed_generation"] = max(said.generation, base.observed_generation if known else 0)
    return changes


def _was_removed(base: SandboxStatus) -> bool:
    """Tell whether the last thing that was done about a sandbox was to remove it, and nothing of it is remembered."""
    last = base.history[-1] if base.history else None
    endings = {verb for verb in Verb if verb.ends}
    return not base.records and last is not None and last.verb in endings and last.end == "done"


def _instances_after(first: Account, read_back: tuple[Instance, ...] | None) -> tuple[Instance, ...]:
    if read_back is not None:
        return read_back
    if isinstance(first.said, Action) and first.said.removes and first.ended is not None and first.ended.end == "done":
        return ()
    return instances_of(first)


def _repeats(old: SandboxStatus | None, first: Account) -> tuple[str, int]:
    """Count how often in a row the same action was taken for the same reason; a look that matches ends the row."""
    said, ended = first.said, first.ended
    before = ("", 0) if old is None else (old.evidence, old.repeated)
    if isinstance(said, Matched):
        return "", 0
    if not isinstance(said, Action) or ended is None or ended.end in {"skipped", "interrupted"}:
        return before
    fields = [(one.key, one.verb, [(f.path, f.old, f.new) for f in one.changes]) for one in said.resources]
    evidence = fingerprint((said.host, said.verb, said.intent, said.cause.text, fields))
    return evidence, before[1] + 1 if evidence == before[0] else 1


def _history(
    old: tuple[HistoryEntry, ...], accounts: tuple[Account, ...], plan: Plan, *, at: datetime
) -> tuple[HistoryEntry, ...]:
    new = [
        HistoryEntry(
            pass_id=plan.pass_id,
            verb=item.said.verb,
            end=item.ended.end,
            cause=item.said.cause.text,
            at=at,
            message=item.ended.message,
        )
        for item in reversed(accounts)
        if isinstance(item.said, Action) and item.ended is not None and item.ended.end != "skipped"
    ]
    return (*old, *new)[-HISTORY_KEPT:]


def _is_worth_keeping(status: SandboxStatus, accounts: tuple[Account, ...], desired: Desired | None) -> bool:
    """Tell whether a status says something: we remember the sandbox, or the specs want it."""
    if status.records:
        return True
    if desired is not None:
        return status.name in desired.sandboxes
    ended = [item.ended.end for item in accounts if isinstance(item.said, Action) and item.said.removes and item.ended]
    forgotten = [item for item in accounts if isinstance(item.said, Action) and item.said.verb == "forget"]
    unknown_to_us = all(item.said.bucket in {"orphan", "ad_hoc", "retained"} for item in accounts) and accounts
    return not (unknown_to_us or forgotten or (ended and all(end == "done" for end in ended)))


def _line(status: SandboxStatus) -> SandboxLine:
    ready = "Unknown" if status.ready is None else status.ready.status
    return SandboxLine(name=status.name, host=status.host, sync=status.sync, health=status.health, ready=ready)
