"""Draw the status of a fleet: a pass that has not ended, a table, why whatever is not well is not, silent hosts."""

from __future__ import annotations

from datetime import datetime

from reconciler.model.plan import address_of
from reconciler.model.size import round_size
from reconciler.model.status import Condition, HostStatus, SandboxStatus, Statuses
from reconciler.model.unfinished import UnfinishedPass
from reconciler.show.escape import shown
from reconciler.show.page import Page, Span, Style, line, table
from reconciler.show.symbols import HELD_SYMBOL
from reconciler.show.unfinished_text import unfinished_page
from reconciler.show.words import ago, count, natural, of_host, on_host, revision

_HEALTH: dict[str, Style] = {"Healthy": "good", "Degraded": "bad", "Missing": "bad", "Progressing": "change"}
_SYNC: dict[str, Style] = {"Synced": "good", "OutOfSync": "change"}
_TELLING = ("Stalled", "Reconciling", "Expired", "Suspended", "CapacityOK", "AwaitingApproval", "DeviceOK", "Drifted")
_NAMED = 3
"""So many are named where one reason holds for more; the table has all."""

_SPARE = ("REVISION", "GEN", "SEEN", "SYNC", "HOST")
"""Columns that a narrow screen does without."""


def status_page(
    statuses: Statuses,
    *,
    now: datetime,
    wide: bool,
    width: int | None = None,
    unfinished: UnfinishedPass | None = None,
) -> Page:
    """Lay it out.

    Args:
        statuses: what to draw.
        now: the controller's clock.
        wide: show every condition, what runs, since when, and what the hosts measure.
        width: columns of the terminal, or None where lines may be of any length.
        unfinished: the newest pass, where it has not come to its end.
    """
    page: Page = [] if unfinished is None else unfinished_page(unfinished, now=now, wide=wide)
    sandboxes = [statuses.sandboxes[name] for name in sorted(statuses.sandboxes, key=natural)]
    hosts = [statuses.hosts[name] for name in sorted(statuses.hosts, key=natural)]
    if not sandboxes and not hosts:
        what = "no pass has been made" if unfinished is None else "no pass has ended"
        return [*page, line(f"Nothing is known yet: {what} with this status folder.")]
    if sandboxes:
        page += [*(_wide_table(sandboxes, now=now) if wide else _table(sandboxes, now=now, width=width)), ()]
    silent = [host for host in hosts if host.stale]
    page += _reasons(sandboxes, told_later=frozenset(host.name for host in silent), wide=wide)
    if wide and hosts:
        head = ("HOST", "REACHABLE", "SINCE", "SEEN", "MEASURED", "LOAD", "MEMORY AVAILABLE", "DISK AVAILABLE")
        page += [*table(head, [_host_row(host, now=now) for host in hosts]), ()]
    page += _silent(silent, now=now)
    page.append(line(Span(_counts(sandboxes, hosts), "heading")))
    return page


def _table(sandboxes: list[SandboxStatus], *, now: datetime, width: int | None) -> Page:
    head = ("SANDBOX", "HOST", "SYNC", "HEALTH", "READY", "GEN", "REVISION", "SEEN", "WHY")
    rows: list[tuple[Span | str, ...]] = [
        (*_place(one), *_verdict(one), *_intent(one), _seen(one, now=now), Span(_reason(one), "quiet"))
        for one in sandboxes
    ]
    return table(head, rows, width=width, spare=_SPARE)


def _wide_table(sandboxes: list[SandboxStatus], *, now: datetime) -> Page:
    head = (
        *("SANDBOX", "HOST", "SYNC", "HEALTH", "READY", "SINCE"),
        *("GEN", "REVISION", "RUN", "SEEN", "LAST", "CONTAINERS"),
    )
    rows: list[tuple[Span | str, ...]] = [
        (
            *_place(one),
            *_verdict(one),
            _since(one.conditions, "Ready", now=now),
            *_intent(one),
            next((shown(record.run) for record in one.records if record.host == one.host), "-"),
            _seen(one, now=now),
            _last(one, now=now),
            ", ".join(f"{shown(part.resource)} {part.full_id[:12]}" for part in one.instances) or "-",
        )
        for one in sandboxes
    ]
    return table(head, rows)


def _place(status: SandboxStatus) -> tuple[str, str]:
    return shown(status.name), shown(status.host)


def _verdict(status: SandboxStatus) -> tuple[Span, Span, str]:
    return (
        Span(status.sync, _SYNC.get(status.sync, "held")),
        Span(status.health, _HEALTH.get(status.health, "held")),
        "Unknown" if status.ready is None else status.ready.status,
    )


def _intent(status: SandboxStatus) -> tuple[str, str]:
    moving = "" if status.generation == status.observed_generation else f" (has {status.observed_generation})"
    return f"{status.generation}{moving}", revision(shown(status.last_applied_revision)) or "-"


def _last(status: SandboxStatus, *, now: datetime) -> str:
    if not status.history:
        return "-"
    entry = status.history[-1]
    return f"{shown(entry.verb)} {shown(entry.end)} {ago(entry.at, now=now)}"


def _telling(status: SandboxStatus) -> list[Condition]:
    """Give what keeps a sandbox from being well, what matters most first."""
    telling = [one for one in (_find(status.conditions, kind) for kind in _TELLING) if one is not None]
    return telling if status.ready is None or status.ready.status == "True" else [*telling, status.ready]


def _reason(status: SandboxStatus) -> str:
    return next((one.reason for one in _telling(status)), "")


def _reasons(sandboxes: list[SandboxStatus], *, told_later: frozenset[str], wide: bool) -> Page:
    """Say in sentences why sandboxes are not well; silent hosts are told of later, once for all they hold."""
    said: dict[tuple[bool, str], list[SandboxStatus]] = {}
    for status in sandboxes:
        is_told = status.host in told_later and not wide
        telling = [one for one in _telling(status) if not (is_told and one.reason == "HostUnreachable")]
        for one in telling if wide else telling[:1]:
            kind = f"{one.type}={one.status} " if wide else ""
            said.setdefault((one.type == "Stalled", f"{kind}{one.reason}: {shown(one.message)}"), []).append(status)
    page: Page = []
    for (is_stalled, why), those in said.items():
        mark = Span("  ! ", "bad") if is_stalled else Span(f"  {HELD_SYMBOL} ", "held")
        page.append(line(mark, f"{_these(those)}   {why}"))
    return [line(Span("Reasons", "heading")), (), *page, ()] if page else []


def _these(sandboxes: list[SandboxStatus]) -> str:
    """Name the sandboxes that one reason holds for; of many, the first few."""
    if len(sandboxes) == 1:
        return on_host(address_of(sandboxes[0].name), sandboxes[0].host)
    names = ", ".join(shown(one.name) for one in sandboxes[:_NAMED])
    more = f" and {len(sandboxes) - _NAMED} more" if len(sandboxes) > _NAMED else ""
    return f"{count(len(sandboxes), 'sandbox')} ({names}{more})"


def _host_row(status: HostStatus, *, now: datetime) -> tuple[Span | str, ...]:
    reachable = _find(status.conditions, "Reachable")
    facts = status.snapshot
    answered = reachable is not None and reachable.status == "True"
    disk = None if facts is None else facts.disks.docker_root or facts.disks.base_dir or facts.disks.root
    load = "-" if facts is None else f"{facts.load_1:.2f}/{facts.cpu_count}"
    memory = "-" if facts is None else _share(facts.memory_available_bytes, facts.memory_total_bytes)
    return (
        shown(status.name),
        Span("Unknown" if reachable is None else reachable.status, "good" if answered else "bad"),
        _since(status.conditions, "Reachable", now=now),
        _seen(status, now=now),
        "-" if facts is None else ago(facts.collected_at, now=now),
        load,
        memory,
        "-" if disk is None else _share(disk.available_bytes, disk.total_bytes),
    )


def _share(part_bytes: int, whole_bytes: int) -> str:
    return f"{round_size(part_bytes)} of {round_size(whole_bytes)}"


def _silent(hosts: list[HostStatus], *, now: datetime) -> Page:
    page: Page = []
    for host in hosts:
        reachable = _find(host.conditions, "Reachable")
        why = "it did not answer" if reachable is None else shown(of_host(reachable.message, host.name))
        page += [
            line(Span(f"  {HELD_SYMBOL} ", "held"), f"host/{shown(host.name)}   {why}; {_last_seen(host, now=now)}"),
            line(Span(f"      hint: reconcile doctor {shown(host.name)}", "quiet")),
        ]
    return [line(Span("Hosts that did not answer", "heading")), (), *page, ()] if page else []


def _since(conditions: tuple[Condition, ...], kind: str, *, now: datetime) -> str:
    found = _find(conditions, kind)
    return "-" if found is None else ago(found.last_transition_time, now=now)


def _last_seen(host: HostStatus, *, now: datetime) -> str:
    return "never seen" if host.observed_at is None else f"last seen {ago(host.observed_at, now=now)}"


def _seen(status: SandboxStatus | HostStatus, *, now: datetime) -> str:
    return f"{ago(status.observed_at, now=now)}{' (stale)' if status.stale else ''}"


def _counts(sandboxes: list[SandboxStatus], hosts: list[HostStatus]) -> str:
    ready = sum(1 for one in sandboxes if one.is_ready)
    synced = sum(1 for one in sandboxes if one.sync == "Synced")
    stale = sum(1 for one in sandboxes if one.stale)
    silent = sum(1 for one in hosts if one.stale)
    silence = f"{count(silent, 'host')} of {len(hosts)} not answering"
    return f"{count(len(sandboxes), 'sandbox')}: {synced} synced, {ready} ready, {stale} stale. {silence}."


def _find(conditions: tuple[Condition, ...], kind: str) -> Condition | None:
    return next((one for one in conditions if one.type == kind), None)
