"""Draw the status of a fleet as tables."""

from __future__ import annotations

from datetime import datetime

from reconciler.model.status import Condition, HostStatus, SandboxStatus, Statuses
from reconciler.show.escape import shown
from reconciler.show.page import Page, Span, Style, line, table
from reconciler.show.words import ago, count, natural, revision, size

_HEALTH: dict[str, Style] = {"Healthy": "good", "Degraded": "bad", "Missing": "bad", "Progressing": "change"}
_SYNC: dict[str, Style] = {"Synced": "good", "OutOfSync": "change"}
_TELLING = ("Stalled", "Reconciling", "Expired", "Suspended", "CapacityOK", "AwaitingApproval", "DeviceOK", "Drifted")


def status_page(statuses: Statuses, *, now: datetime, wide: bool) -> Page:
    """Lay it out: sandboxes, then hosts that do not answer (all hosts when wide), then the counts.

    `wide` adds reasons, containers and hosts' measurements.
    """
    sandboxes = [statuses.sandboxes[name] for name in sorted(statuses.sandboxes, key=natural)]
    hosts = [statuses.hosts[name] for name in sorted(statuses.hosts, key=natural)]
    if not sandboxes and not hosts:
        return [line("Nothing is known yet: no pass has been made with this status folder.")]
    page: Page = []
    if sandboxes:
        head: tuple[str, ...] = ("SANDBOX", "HOST", "SYNC", "HEALTH", "READY", "GEN", "REVISION", "SEEN")
        head += ("CONTAINERS", "WHY") if wide else ("WHY",)
        page += [*table(head, [_sandbox_row(status, now=now, wide=wide) for status in sandboxes]), ()]
    silent = hosts if wide else [host for host in hosts if host.stale]
    if silent:
        head = ("HOST", "REACHABLE", "SEEN", "LOAD", "MEMORY AVAILABLE", "WHY")
        page += [*table(head, [_host_row(host, now=now) for host in silent]), ()]
    page.append(line(Span(_counts(sandboxes, hosts), "heading")))
    return page


def _sandbox_row(status: SandboxStatus, *, now: datetime, wide: bool) -> tuple[Span | str, ...]:
    ready = _find(status.conditions, "Ready")
    moving = "" if status.generation == status.observed_generation else f" (has {status.observed_generation})"
    row: tuple[Span | str, ...] = (
        shown(status.name),
        shown(status.host),
        Span(status.sync, _SYNC.get(status.sync, "held")),
        Span(status.health, _HEALTH.get(status.health, "held")),
        "Unknown" if ready is None else ready.status,
        f"{status.generation}{moving}",
        revision(shown(status.last_applied_revision)) or "-",
        _seen(status.observed_at, stale=status.stale, now=now),
    )
    containers = ("-" if not status.instances else ", ".join(one.full_id[:12] for one in status.instances),)
    return (*row, *(containers if wide else ()), Span(_why(status, wide=wide), "quiet"))


def _why(status: SandboxStatus, *, wide: bool) -> str:
    """Say the one thing that matters most, or all of them when wide; nothing when all is well."""
    ready = _find(status.conditions, "Ready")
    telling = [one for one in (_find(status.conditions, kind) for kind in _TELLING) if one is not None]
    if ready is not None and ready.status != "True":
        telling.append(ready)
    if wide:
        return "; ".join(f"{one.type}={one.status} {one.reason}: {shown(one.message)}" for one in telling)
    return "" if not telling else telling[0].reason


def _host_row(status: HostStatus, *, now: datetime) -> tuple[Span | str, ...]:
    reachable = _find(status.conditions, "Reachable")
    facts = status.snapshot
    answered = reachable is not None and reachable.status == "True"
    return (
        shown(status.name),
        Span("Unknown" if reachable is None else reachable.status, "good" if answered else "bad"),
        _seen(status.observed_at, stale=status.stale, now=now),
        "-" if facts is None else f"{facts.load_1:.2f}/{facts.cpu_count}",
        "-" if facts is None else f"{size(facts.memory_available_bytes)} of {size(facts.memory_total_bytes)}",
        "" if reachable is None or answered else Span(shown(reachable.message), "quiet"),
    )


def _seen(moment: datetime | None, *, stale: bool, now: datetime) -> str:
    return f"{ago(moment, now=now)}{' (stale)' if stale else ''}"


def _counts(sandboxes: list[SandboxStatus], hosts: list[HostStatus]) -> str:
    ready = sum(1 for one in sandboxes if (found := _find(one.conditions, "Ready")) and found.status == "True")
    synced = sum(1 for one in sandboxes if one.sync == "Synced")
    stale = sum(1 for one in sandboxes if one.stale)
    silent = sum(1 for one in hosts if one.stale)
    silence = f"{count(silent, 'host')} of {len(hosts)} not answering"
    return f"{count(len(sandboxes), 'sandbox')}: {synced} synced, {ready} ready, {stale} stale. {silence}."


def _find(conditions: tuple[Condition, ...], kind: str) -> Condition | None:
    return next((one for one in conditions if one.type == kind), None)
