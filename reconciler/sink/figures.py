"""Fold envelopes into the newest figures of a fleet, by host and by sandbox. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection
from datetime import datetime
from typing import get_args

import msgspec

from reconciler.model.delta import OwnUse, ProvisionDelta
from reconciler.model.snapshot import HostSnapshot
from reconciler.model.stale import StaleKind
from reconciler.model.telemetry import Envelope, IntrospectionReport


class HostFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what the last look at a host told; what it could not measure is None, or missing from its mapping.

    Attributes:
        disk_available_bytes: by `root`, `base_dir` and `docker_root`.
        stale: how many things may be stale, by kind; every kind is there.
    """

    collected_at: datetime
    load_1: float | None
    memory_available_bytes: int | None
    disk_available_bytes: dict[str, int]
    stale: dict[StaleKind, int]


class SandboxFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what the last provision of a sandbox did to its host; None where it could not be told.

    Attributes:
        own: what the sandbox itself took once it was done.
    """

    collected_at: datetime
    host: str
    sandbox: str
    profile: str | None
    memory_available_change_bytes: float | None
    disk_used_change_bytes: float | None
    own: OwnUse | None = None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the newest figures of one fleet.

    Attributes:
        last_pass: when the newest envelope was collected.
        sandboxes: sorted by sandbox and host: one that moves is on two hosts for a while.
    """

    last_pass: datetime | None = None
    hosts: dict[str, HostFigures] = {}
    sandboxes: tuple[SandboxFigures, ...] = ()


def fold(figures: Figures, envelope: Envelope, *, hosts: Collection[str]) -> Figures:
    """Take one envelope in. What is older than what is known of the same thing changes nothing.

    Args:
        figures: before.
        envelope: any event.
        hosts: of the fleet, by name. What is about another one is dropped.
    """
    now = envelope.collected_at
    before = msgspec.structs.replace(
        figures,
        last_pass=now if figures.last_pass is None else max(figures.last_pass, now),
        hosts={host: known for host, known in figures.hosts.items() if host in hosts},
        sandboxes=tuple(known for known in figures.sandboxes if known.host in hosts),
    )
    if envelope.host not in hosts:
        return before
    told = before if envelope.report is None else _looked(before, envelope.report)
    match envelope.event:
        case "provision":
            return told if envelope.delta is None else _provisioned(told, envelope, envelope.delta)
        case "teardown":
            return msgspec.structs.replace(told, sandboxes=_without(told, envelope))
        case "introspection":
            return told


def _looked(figures: Figures, report: IntrospectionReport) -> Figures:
    known = figures.hosts.get(report.host)
    if known is not None and known.collected_at > report.collected_at:
        return figures
    # A thing in the records that is gone from its host is listed too, without an age.
    there = {f.object for f in report.inventory.found if f.owner == "ours" and f.age_s is not None}
    kept = tuple(
        one
        for one in figures.sandboxes
        if one.host != report.host or one.collected_at > report.collected_at or f"sandbox/{one.sandbox}" in there
    )
    hosts = {**figures.hosts, report.host: _host_figures(report)}
    return msgspec.structs.replace(figures, hosts=dict(sorted(hosts.items())), sandboxes=kept)


def _host_figures(report: IntrospectionReport) -> HostFigures:
    kinds = [candidate.kind for candidate in report.stale]
    snapshot = report.snapshot
    return HostFigures(
        collected_at=report.collected_at,
        load_1=None if snapshot is None else _finite(snapshot.load_1),
        memory_available_bytes=None if snapshot is None else snapshot.memory_available_bytes,
        disk_available_bytes={} if snapshot is None else _disks(snapshot),
        stale={kind: kinds.count(kind) for kind in get_args(StaleKind)},
    )


def _disks(snapshot: HostSnapshot) -> dict[str, int]:
    disks = snapshot.disks
    named = {"root": disks.root, "base_dir": disks.base_dir, "docker_root": disks.docker_root}
    return {name: disk.available_bytes for name, disk in named.items() if disk is not None}


def _provisioned(figures: Figures, envelope: Envelope, delta: ProvisionDelta) -> Figures:
    if any(one.collected_at > envelope.collected_at for one in figures.sandboxes if _is_about(one, envelope)):
        return figures
    change = delta.change or {}
    new = SandboxFigures(
        collected_at=envelope.collected_at,
        host=envelope.host,
        sandbox=envelope.sandbox or "",
        profile=envelope.profile_id,
        memory_available_change_bytes=_finite(change.get("memory_available_bytes")),
        disk_used_change_bytes=_finite(change.get("disk_used_bytes")),
        own=delta.own,
    )
    sandboxes = sorted((*_without(figures, envelope), new), key=lambda one: (one.sandbox, one.host))
    return msgspec.structs.replace(figures, sandboxes=tuple(sandboxes))


def _without(figures: Figures, envelope: Envelope) -> tuple[SandboxFigures, ...]:
    """Leave out what an envelope is about, unless it was made anew since."""
    return tuple(
        one for one in figures.sandboxes if not _is_about(one, envelope) or one.collected_at > envelope.collected_at
    )


def _is_about(one: SandboxFigures, envelope: Envelope) -> bool:
    return (one.host, one.sandbox) == (envelope.host, envelope.sandbox or "")


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
