"""Wrap what a pass measured into the envelopes that telemetry sinks are sent. Pure: no clock, no dice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType

import msgspec

from reconciler.model.delta import ProvisionDelta
from reconciler.model.outcome import ActionEnded, PassEnded
from reconciler.model.plan import Action, Plan, address_of
from reconciler.model.snapshot import HostSnapshot
from reconciler.model.stale import SandboxInventory, StaleCandidate
from reconciler.model.telemetry import Envelope, IntrospectionReport


def envelopes_of(
    plan: Plan,
    ended: PassEnded | None,
    *,
    inventories: Mapping[str, SandboxInventory],
    stale: tuple[StaleCandidate, ...],
    snapshots: Mapping[str, HostSnapshot],
    reports: Mapping[str, IntrospectionReport] = MappingProxyType({}),
) -> tuple[Envelope, ...]:
    """Give one envelope for each action that was measured and each host that answered, oldest first.

    An id tells the pass, the host and the sandbox, so that the same envelope has the same id whenever it is made.

    Args:
        plan: what the pass planned.
        ended: what became of it, or None when nothing was to be done.
        inventories: what each host that answered held when the pass looked at it. What the pass took away since is
            left out, here and in `stale`; what it made has an envelope of its own.
        stale: what of that may be stale.
        snapshots: what the pass measured of hosts, where it could.
        reports: of canaries, by sandbox: what bringing one up told of its host goes with the event of that.
    """
    done = tuple(_done(plan, ended))
    gone = {_where(action) for action, one in done if one.end == "done" and action.verb.ends and not action.buries}
    profiles = {(host, one.object): one.profile for host, seen in inventories.items() for one in seen.found}
    changes = (
        _change(
            plan,
            action,
            one.delta,
            at=_moment(one, one.delta, ended),
            profile=profiles.get(_where(action)),
            report=None if action.verb.ends or one.end != "done" else reports.get(action.sandbox),
        )
        for action, one in done
        if one.delta is not None and ended is not None
    )
    made = (*_looks(plan, inventories, stale, snapshots, gone=gone), *changes)
    return tuple(sorted(made, key=lambda envelope: (envelope.collected_at, envelope.id)))


def _done(plan: Plan, ended: PassEnded | None) -> Iterator[tuple[Action, ActionEnded]]:
    """Give what became of each action; what only probes said is about none."""
    actions = {action.id: action for action in plan.actions}
    for one in () if ended is None else ended.actions:
        if one.id in actions:
            yield actions[one.id], one


def _looks(
    plan: Plan,
    inventories: Mapping[str, SandboxInventory],
    stale: tuple[StaleCandidate, ...],
    snapshots: Mapping[str, HostSnapshot],
    *,
    gone: set[tuple[str, str]],
) -> Iterator[Envelope]:
    for host, inventory in sorted(inventories.items()):
        found = tuple(one for one in inventory.found if (host, one.object) not in gone)
        candidates = (one for one in stale if one.host == host and (host, one.found.object) not in gone)
        report = IntrospectionReport(
            host=host,
            collected_at=inventory.collected_at,
            snapshot=snapshots.get(host),
            inventory=msgspec.structs.replace(inventory, found=found),
            stale=tuple(candidates),
        )
        yield Envelope(
            id=f"{plan.pass_id}/{host}",
            event="introspection",
            host=host,
            sandbox_id=None,
            profile_id=None,
            collected_at=inventory.collected_at,
            report=report,
        )


def _change(
    plan: Plan,
    action: Action,
    delta: ProvisionDelta,
    *,
    at: datetime,
    profile: str | None,
    report: IntrospectionReport | None,
) -> Envelope:
    return Envelope(
        id=f"{plan.pass_id}/{action.id}",
        event="teardown" if action.verb.ends else "provision",
        host=action.host,
        sandbox_id=f"{plan.fleet}/{action.sandbox}",
        profile_id=action.profile or profile,
        collected_at=at,
        delta=delta,
        report=report,
    )


def _moment(action: ActionEnded, delta: ProvisionDelta, ended: PassEnded) -> datetime:
    """Tell when the last was known of an action: its delta comes after its end."""
    readings = (reading.at for reading in (delta.before, delta.after, delta.own) if reading is not None)
    return max((*readings, *(step.finished_at for step in action.steps)), default=ended.finished_at)


def _where(action: Action) -> tuple[str, str]:
    return action.host, address_of(action.sandbox)
