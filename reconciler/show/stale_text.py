"""Draw what may be stale on the asked hosts (`inspect stale`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from reconciler.model.observed import Unreachable
from reconciler.model.stale import SandboxInventory, StaleCandidate, Suggestion
from reconciler.show.escape import shown
from reconciler.show.page import Page, Span, Style, line, table
from reconciler.show.words import count, natural, of_host, span

HEAD = ("HOST", "OBJECT", "KIND", "AGE", "IDLE", "DO", "WHY")
_STYLES: dict[Suggestion, Style] = {"reap": "remove", "inspect": "held", "ignore": "quiet"}
_ORDER: tuple[Suggestion, ...] = ("reap", "inspect", "ignore")


def stale_json(
    inventories: Mapping[str, SandboxInventory],
    stale: tuple[StaleCandidate, ...],
    silent: Mapping[str, Unreachable],
    *,
    fleet: str,
) -> dict[str, Any]:
    """Give the document: `candidates`, the `hosts` that answered with what they hold, and those that did not."""
    return {
        "format": "reconciler-stale/1",
        "fleet": fleet,
        "candidates": [_candidate(one) for one in stale],
        "hosts": msgspec.to_builtins(dict(inventories)),
        "unreachable": {name: {"code": one.code, "reason": one.reason} for name, one in sorted(silent.items())},
    }


def _candidate(one: StaleCandidate) -> dict[str, Any]:
    """Write one candidate as scripts may rely on it: flat, its class apart from what kind of thing it is."""
    kind, _, name = one.found.object.partition("/")
    return {
        "host": one.host,
        "kind": kind,
        "name": name,
        "class": one.kind,
        "evidence": one.evidence,
        "age_s": one.found.age_s,
        "idle_s": one.found.idle_s,
        "state": one.found.state,
        "owner": one.found.owner,
        "profile": one.found.profile,
        "suggestion": one.suggestion,
        "reason": one.reason,
    }


def stale_page(
    inventories: Mapping[str, SandboxInventory],
    stale: tuple[StaleCandidate, ...],
    silent: Mapping[str, Unreachable],
    *,
    width: int | None,
) -> Page:
    """Lay the candidates out, those to be reaped first; silent hosts are named, since nothing is known of them."""
    ordered = sorted(stale, key=lambda one: (natural(one.host), _ORDER.index(one.suggestion), one.found.object))
    page: Page = []
    if ordered:
        page += [*table(HEAD, [_row(one) for one in ordered], width=width, spare=("IDLE", "AGE", "KIND")), ()]
    for name, state in sorted(silent.items()):
        page.append(line(Span(f"{shown(name)} did not answer in full: {shown(of_host(state.reason, name))}", "held")))
    for name, one in sorted(inventories.items()):
        for path in one.unread:
            page.append(line(Span(f"{shown(name)}: {shown(path)} could not be listed", "held")))
    counted = ", ".join(f"{sum(1 for one in stale if one.suggestion == word)} to {word}" for word in _ORDER)
    looked = count(len(inventories), "host")
    unknown = f" {count(len(silent), 'host')} unknown." if silent else ""
    page.append(line(f"Stale: {counted}, on {looked} that answered.{unknown}"))
    return page


def _row(one: StaleCandidate) -> tuple[Span | str, ...]:
    return (
        shown(one.host),
        shown(one.found.object),
        one.kind,
        "-" if one.found.age_s is None else span(one.found.age_s),
        "-" if one.found.idle_s is None else span(one.found.idle_s),
        Span(one.suggestion, _STYLES[one.suggestion]),
        shown(one.reason),
    )
