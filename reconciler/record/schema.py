"""Describe the status files as JSON Schemas, derived from the nouns that are written."""

from __future__ import annotations

from typing import Any

import msgspec

from reconciler.model.plan import Plan
from reconciler.model.status import FleetStatus, HostStatus, SandboxStatus

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_NOUNS: dict[str, tuple[type[msgspec.Struct], str]] = {
    "status-sandbox.json": (SandboxStatus, "status/sandboxes/<sandbox>.json"),
    "status-host.json": (HostStatus, "status/hosts/<host>.json"),
    "status-fleet.json": (FleetStatus, "status/fleet.json"),
    "plan.json": (Plan, "status/passes/<pass>/plan.json, and what plan --out writes"),
}


def schemas() -> dict[str, bytes]:
    """Give the file name and the text of each schema."""
    return {name: _schema(noun, title) for name, (noun, title) in _NOUNS.items()}


def _schema(noun: type[msgspec.Struct], title: str) -> bytes:
    described: dict[str, Any] = msgspec.json.schema(noun)
    whole = {"$schema": DIALECT, "title": title, **described}
    return msgspec.json.format(msgspec.json.encode(whole, order="sorted"), indent=2) + b"\n"
