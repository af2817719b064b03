"""Fold what was heard of the hosts into their status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from reconciler.model.activity import Activity, activity_after
from reconciler.model.desired import Desired
from reconciler.model.observed import HostIdentity, Observed, Reachable, Unreachable
from reconciler.model.plan import Plan
from reconciler.model.record import HostRecord, Record, Records
from reconciler.model.status import Condition, HostStatus, Statuses


def fold_hosts(
    old: Mapping[str, HostStatus],
    observed: Observed,
    plan: Plan,
    *,
    now: datetime,
    desired: Desired | None,
    remembered: Iterable[Record],
) -> dict[str, HostStatus]:
    """Give the status of every host that is wanted, was heard of, or still holds something we remember."""
    used = {record.host for record in remembered}
    shared = _shared_ids(old, observed)
    doubted = {held.host for held in plan.held if held.reason == "HostIdentity"}
    hosts: dict[str, HostStatus] = {}
    for name in sorted({*old, *observed.hosts}):
        if desired is not None and name not in desired.hosts and name not in used:
            continue
        look = observed.hosts.get(name)
        before = old.get(name)
        if look is not None:
            heard = _heard(before, name, look, fleet=plan.fleet, now=now, used=name in used, shared=shared)
            hosts[name] = _unnoted(before, heard) if name in doubted else heard
        elif before is not None:
            hosts[name] = before
    return hosts


def accept_host(statuses: Statuses, *, name: str, identity: HostIdentity, fleet: str) -> Statuses:
    """Remember that the machine that now answers as `name` is the one meant, as a person said."""
    record = HostRecord(name=name, host_id=identity.host_id, docker_root=identity.docker_root, engine=identity.engine)
    before = statuses.hosts.get(name)
    after = (
        HostStatus(fleet=fleet, name=name, record=record, conditions=())
        if before is None
        else msgspec.structs.replace(before, record=record)
    )
    return msgspec.structs.replace(statuses, hosts={**statuses.hosts, name: after})


def _shared_ids(old: Mapping[str, HostStatus], observed: Observed) -> frozenset[str]:
    """Give the host ids that more than one host is known by: which of them is meant, a person has to say."""
    known = {name: status.record.host_id for name, status in old.items()}
    known |= {name: look.view.identity.host_id for name, look in observed.hosts.items() if isinstance(look, Reachable)}
    counted = Counter(id_ for id_ in known.values() if id_ is not None)
    return frozenset(id_ for id_, count in counted.items() if count > 1)


def _heard(
    before: HostStatus | None,
    name: str,
    look: Reachable | Unreachable,
    *,
    fleet: str,
    now: datetime,
    used: bool,
    shared: frozenset[str],
) -> HostStatus:
    record = HostRecord(name=name, host_id=None) if before is None else before.record
    conditions = () if before is None else before.conditions
    if isinstance(look, Unreachable):
        since = record.unreachable_since or look.since
        said = _reachable(conditions, status="False", message=f"{look.reason} ({look.code})", now=now)
        record = msgspec.structs.replace(record, unreachable_since=since)
        if before is None:
            return HostStatus(fleet=fleet, name=name, record=record, conditions=said, stale=True)
        return msgspec.structs.replace(before, record=record, conditions=said, stale=True)
    identity = look.view.identity
    # An identity once noted stays until a person accepts another: overwriting it would hide a changed machine.
    record = HostRecord(
        name=name,
        host_id=record.host_id or (None if identity.host_id in shared else identity.host_id),
        docker_root=(record.docker_root if used or record.host_id else None) or identity.docker_root,
        engine=identity.engine,
        activity=_activity_after(record, look),
    )
    return HostStatus(
        fleet=fleet,
        name=name,
        record=record,
        conditions=_reachable(conditions, status="True", message="it answered in full", now=now),
        snapshot=look.snapshot or (None if before is None else before.snapshot),
        observed_at=look.view.observed_at,
    )


def _unnoted(before: HostStatus | None, heard: HostStatus) -> HostStatus:
    """Forget again whose host id and data those were: it may be another machine, until a person accepts it."""
    known = HostRecord(name=heard.name, host_id=None) if before is None else before.record
    record = msgspec.structs.replace(heard.record, host_id=known.host_id, docker_root=known.docker_root)
    return msgspec.structs.replace(heard, record=record)


def with_activity(records: Records, observed: Observed) -> Records:
    """Give the records with what these looks tell of who does something, as if they had been recorded."""
    heard = {name: look for name, look in observed.hosts.items() if isinstance(look, Reachable)}
    hosts = {
        name: msgspec.structs.replace(known, activity=_activity_after(known, look))
        for name, look in heard.items()
        for known in (records.hosts.get(name, HostRecord(name=name, host_id=None)),)
    }
    return msgspec.structs.replace(records, hosts={**records.hosts, **hosts})


def _activity_after(record: HostRecord, look: Reachable) -> dict[str, Activity]:
    """Give what is known of the containers that still stand; a look without counters leaves it as it was."""
    if look.snapshot is None:
        return record.activity
    after: dict[str, Activity] = {}
    for full_id, use in sorted(look.snapshot.sandboxes.items()):
        known = activity_after(record.activity.get(full_id), use, look.snapshot.collected_at)
        if known is not None:
            after[full_id] = known
    return after


def _reachable(old: tuple[Condition, ...], *, status: str, message: str, now: datetime) -> tuple[Condition, ...]:
    last = next((one for one in old if one.type == "Reachable"), None)
    since = last.last_transition_time if last is not None and last.status == status else now
    return (
        Condition(
            type="Reachable",
            status="True" if status == "True" else "False",
            reason="HostAnswered" if status == "True" else "HostUnreachable",
            message=message,
            last_transition_time=since,
        ),
    )
