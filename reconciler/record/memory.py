"""Begin, change and end records: what we remember having made, and what was removed within the last day.

A record begins as soon as some effect of its action may have happened, and ends only when the removal is confirmed:
a record too many is looked at again, a record too few leaks a sandbox.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from reconciler.model.effect import Done, NotDone, RemoveContainer, Unknown
from reconciler.model.observed import Reachable
from reconciler.model.outcome import ActionEnded
from reconciler.model.plan import Action, Apply, Bucket, Matched, Verb
from reconciler.model.record import Record, Removal
from reconciler.record.accounts import Account

REMOVALS_KEPT = timedelta(hours=24)
"""The budget counts the removals of one day."""


def remember(old: tuple[Record, ...], accounts: Iterable[Account], *, at: datetime) -> tuple[Record, ...]:
    """Give the records of one sandbox after what was seen and done; `at` is when the pass ended."""
    records = {record.host: record for record in old}
    for account in accounts:
        _learn_host_id(records, account)
        if isinstance(account.said, Matched):
            _learn_whole(records, account, account.said)
        if not isinstance(account.said, Action) or account.ended is None:
            continue
        changed = _after(records.get(account.host), account, account.said, account.ended, at=at)
        if changed is None:
            records.pop(account.host, None)
        else:
            records[account.host] = changed
    return tuple(records[host] for host in sorted(records))


def removals_after(
    old: Iterable[Removal], accounts: Iterable[Account], records: Iterable[Record], *, at: datetime
) -> tuple[Removal, ...]:
    """Give the removals of the last 24 hours, oldest first. `records` are those from before the pass.

    A removal counts once it may have happened, and once per record, however often it is tried again: an orphan is
    stopped by one pass and removed by a later one.
    """
    applied = {(record.sandbox, record.host): record.applied_at for record in records}
    kept = [removal for removal in old if removal.at > at - REMOVALS_KEPT]
    for account in accounts:
        where = (account.sandbox, account.host)
        said, ended = account.said, account.ended
        if not isinstance(said, Action) or not said.removes or ended is None:
            continue
        if ended.end != "done" and not may_have_happened(said, ended, only=(RemoveContainer,)):
            continue
        made_at = applied.get(where)
        counted = any((one.sandbox, one.host) == where and (made_at is None or one.at >= made_at) for one in kept)
        if not counted:
            kept.append(Removal(sandbox=account.sandbox, host=account.host, at=at))
    return tuple(sorted(kept, key=lambda one: (one.at, one.host, one.sandbox)))


def may_have_happened(action: Action, ended: ActionEnded, *, only: tuple[type[msgspec.Struct], ...] = ()) -> bool:
    """Tell whether some effect of an action (of one of the kinds `only`, if given) holds or may hold."""
    effects = {step.id: step.do.effect for step in action.steps if isinstance(step.do, Apply)}
    for step in ended.steps:
        effect = effects.get(step.step)
        if effect is None or (only and not isinstance(effect, only)):
            continue
        match step.result:
            case Done() | Unknown():
                return True
            case NotDone():
                continue
    return False


def _after(old: Record | None, account: Account, action: Action, ended: ActionEnded, *, at: datetime) -> Record | None:
    done = ended.end == "done"
    if action.verb.ends:
        if not done:
            return old
        expired = action.bucket is Bucket.EXPIRED and action.verb is not Verb.FORGET
        return _expire(old or _record(account, action, at=at), action) if expired else None
    if done or (old is None and may_have_happened(action, ended)):
        return msgspec.structs.replace(_record(account, action, at=at), complete=done)
    if old is None or not may_have_happened(action, ended):
        return old
    # The intent stays that of the last whole action, so that what is left of this one is still told from drift.
    keys = tuple(sorted({*old.keys, *action.keys}))
    return msgspec.structs.replace(old, keys=keys, phase="present")


def _record(account: Account, action: Action, *, at: datetime) -> Record:
    look = account.look
    return Record(
        sandbox=action.sandbox,
        uid=action.uid,
        host=action.host,
        host_id=look.view.identity.host_id if isinstance(look, Reachable) else None,
        generation=action.generation,
        intent=action.intent,
        revision=action.revision,
        run=action.run,
        keys=action.keys,
        applied_at=at,
        profile=action.profile,
    )


def _expire(record: Record, action: Action) -> Record:
    return msgspec.structs.replace(record, phase="expired", intent=action.intent or record.intent)


def _learn_host_id(records: dict[str, Record], account: Account) -> None:
    """Note the identity of a host that had none yet when the record began: our first effect there wrote it."""
    record, look = records.get(account.host), account.look
    if record is not None and record.host_id is None and isinstance(look, Reachable):
        records[account.host] = msgspec.structs.replace(record, host_id=look.view.identity.host_id)


def _learn_whole(records: dict[str, Record], account: Account, said: Matched) -> None:
    """Note what was carried through by a pass that died before it could tell: the marker of what matches says it.

    With an older intent kept, what somebody changes on the host later would pass for a change of the specs; without
    `complete`, what vanishes later would pass for something that never was.
    """
    record, look = records.get(account.host), account.look
    if record is None or said.bucket is not Bucket.MATCHING or not isinstance(look, Reachable):
        return
    found = (seen.marker for seen in look.view.markers if seen.marker is not None and seen.marker.uid == record.uid)
    marker = next(found, None)
    if marker is not None and (marker.intent != record.intent or not record.complete):
        records[account.host] = msgspec.structs.replace(
            record,
            generation=marker.generation,
            intent=marker.intent,
            revision=marker.revision,
            run=marker.run,
            complete=True,
        )
