"""Say for people what a canary told of its host: load, memory, what is stale there, and how much disk is left."""

from __future__ import annotations

from collections import Counter

from reconciler.model.delta import ProvisionDelta, Reading
from reconciler.model.size import round_size
from reconciler.model.snapshot import DiskUse
from reconciler.model.status import SandboxStatus
from reconciler.model.telemetry import IntrospectionReport
from reconciler.show.delta_text import delta_line
from reconciler.show.escape import shown
from reconciler.show.page import Page, Span, line
from reconciler.show.words import count

_LOAD, _MEMORY = "load_1", "memory_available_bytes"


def canary_page(status: SandboxStatus, *, teardown: ProvisionDelta | None) -> Page:
    """Lay out one canary: whether it is ready, and what it told; `teardown` is what taking it away did."""
    word = "ready" if status.is_ready else "not ready"
    page: Page = [line(Span(f"{shown(status.name)} on {shown(status.host)}: {word}", "heading"))]
    report = status.report
    if report is None:
        why = "nothing was changed" if status.is_ready else "it was not brought up"
        return [*page, line(f"    nothing was reported: {why}")]
    provision = report.provision
    if provision is not None:
        page += [line(f"    load      {_pair(provision, _LOAD)}"), line(f"    memory    {_pair(provision, _MEMORY)}")]
    page += [line(f"    stale     {_stale(report)}"), line(f"    disk      {_disks(report)}")]
    if teardown is not None:
        page.append(line(f"    teardown  {delta_line(teardown)}"))
    return page


def _pair(delta: ProvisionDelta, name: str) -> str:
    before, after = _of(delta.before, name), _of(delta.after, name)
    change = (delta.change or {}).get(name)
    if before is None or after is None or change is None:
        reasons = {shown(why) for why in delta.missing.values()}
        return f"not known: {'; '.join(sorted(reasons)) or 'it was not measured'}"
    spread = max(reading.spread.get(name, 0.0) for reading in (delta.before, delta.after) if reading is not None)
    noise = ", within its spread" if abs(change) <= spread else ""
    if name == _MEMORY:
        words = f"{round_size(before)} available before, {round_size(after)} after"
        return f"{words} ({round_size(change, signed=True)}{noise})"
    return f"{before:.2f} before, {after:.2f} after ({change:+.2f}{noise})"


def _of(reading: Reading | None, name: str) -> float | None:
    return None if reading is None else reading.median.get(name)


def _stale(report: IntrospectionReport) -> str:
    if not report.stale:
        return "nothing"
    told = Counter(one.suggestion for one in report.stale)
    words = ", ".join(f"{told[word]} to {word}" for word in ("reap", "inspect", "ignore"))
    return f"{count(len(report.stale), 'candidate')}: {words}; see: reconcile inspect stale --on {shown(report.host)}"


def _disks(report: IntrospectionReport) -> str:
    if report.snapshot is None:
        return "not known: the host's counters could not be read"
    disks = report.snapshot.disks
    named = (("/", disks.root), ("baseDir", disks.base_dir), ("Docker's data", disks.docker_root))
    return "; ".join(f"{_room(disk)} on {name}" for name, disk in named if disk is not None) or "not known"


def _room(disk: DiskUse) -> str:
    return f"{round_size(disk.available_bytes)} of {round_size(disk.total_bytes)} free"
