"""Draw what the checks of a host found (`doctor`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from reconciler.model.access import Finding
from reconciler.show.escape import shown
from reconciler.show.page import Page, Span, Style, line
from reconciler.show.words import of_host

_MARKS: dict[bool | None, tuple[str, Style]] = {True: ("ok", "good"), False: ("FAIL", "bad")}


def doctor_page(findings: Mapping[str, Iterable[Finding]]) -> Page:
    """Lay out the findings of each host, in the order in which its checks ran, and the count of those that fail."""
    page: Page = []
    failed = 0
    untried = 0
    for name, checks in findings.items():
        page.append(line(Span(f"host/{shown(name)}", "heading")))
        waiting: list[str] = []
        for finding in checks:
            if finding.ok is None:
                waiting.append(finding.check)
            else:
                page += _finding(finding, host=name)
                failed += not finding.ok
        if waiting:
            page.append(line(Span("  -    ", "held"), f"not tried, for an earlier one failed: {', '.join(waiting)}"))
        untried += len(waiting)
        page.append(())
    page.append(line(Span(f"{failed} failed, {untried} could not be tried.", "heading")))
    return page


def doctor_json(findings: Mapping[str, Iterable[Finding]]) -> dict[str, Any]:
    """Give the document: `format` and, per host, its findings."""
    hosts = [{"name": name, "findings": msgspec.to_builtins(list(checks))} for name, checks in findings.items()]
    return {"format": "reconciler-doctor/1", "hosts": hosts}


def _finding(finding: Finding, *, host: str) -> Page:
    mark, style = _MARKS[finding.ok]
    code = f" [{shown(finding.code)}]" if finding.code is not None else ""
    said = f"{shown(finding.check)}: {shown(of_host(finding.message, host))}{code}"
    page: Page = [line(Span(f"  {mark:<4} ", style), said)]
    if finding.hint is not None:
        page.append(line(f"         hint: {shown(finding.hint)}"))
    return page
