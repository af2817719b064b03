"""Attach to canaries what bringing them up told of their hosts. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from reconciler.model.outcome import PassEnded
from reconciler.model.plan import Plan
from reconciler.model.record import Records
from reconciler.model.stale import SandboxInventory, StaleCandidate
from reconciler.model.status import HostStatus, SandboxStatus, Statuses
from reconciler.model.telemetry import IntrospectionReport


def with_reports(
    statuses: Statuses,
    plan: Plan,
    ended: PassEnded,
    *,
    inventories: Mapping[str, SandboxInventory],
    stale: tuple[StaleCandidate, ...],
    canaries: frozenset[str],
) -> Statuses:
    """Give statuses in which every canary that this pass brought up, or changed, has its report.

    Args:
        statuses: as folded, with what the hosts' counters were after the pass.
        plan: what was planned.
        ended: what became of it.
        inventories: what the hosts held when the pass looked.
        stale: what of that may be stale.
        canaries: sandboxes whose hosts are reported on.
    """
    ends = {one.id: one for one in ended.actions if one.end == "done" and one.delta is not None}
    sandboxes: dict[str, SandboxStatus] = {}
    for action in plan.actions:
        status, inventory = statuses.sandboxes.get(action.sandbox), inventories.get(action.host)
        is_meant = action.sandbox in canaries and action.id in ends and not action.verb.ends
        if not is_meant or status is None or inventory is None:
            continue
        host = statuses.hosts.get(action.host)
        report = IntrospectionReport(
            host=action.host,
            collected_at=inventory.collected_at,
            snapshot=host.snapshot if host is not None else None,
            inventory=inventory,
            stale=tuple(one for one in stale if one.host == action.host),
            provision=ends[action.id].delta,
        )
        sandboxes[action.sandbox] = replace(status, report=report)
    return replace(statuses, sandboxes={**statuses.sandboxes, **sandboxes}) if sandboxes else statuses


def with_learned_activity(records: Records, hosts: Mapping[str, HostStatus]) -> Records:
    """Give the records from before a pass with what it learned of who does something."""
    known = {
        name: replace(host, activity=hosts[name].record.activity) if name in hosts else host
        for name, host in records.hosts.items()
    }
    return replace(records, hosts=known)
