"""Describe the status files and the telemetry as JSON Schemas, derived from the nouns that are written."""

from __future__ import annotations

from datetime import datetime
from typing import Any, get_args

import msgspec

from reconciler.model.delta import ProvisionDelta
from reconciler.model.plan import Plan
from reconciler.model.removal import RemovalRecord
from reconciler.model.snapshot import HostSnapshot
from reconciler.model.stale import SandboxInventory, StaleCandidate
from reconciler.model.status import FleetStatus, HostStatus, SandboxStatus
from reconciler.model.telemetry import Envelope, IntrospectionReport
from reconciler.record.meanings import meanings_of, nouns_in, summary_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_NOUNS: dict[str, tuple[type[msgspec.Struct], str]] = {
    "status-sandbox.json": (SandboxStatus, "status/sandboxes/<sandbox>.json"),
    "status-host.json": (HostStatus, "status/hosts/<host>.json"),
    "status-fleet.json": (FleetStatus, "status/fleet.json"),
    "status-removal.json": (RemovalRecord, "status/removals/<pass>.<host>.<sandbox>.json"),
    "plan.json": (Plan, "status/passes/<pass>/plan.json, and what plan --out writes"),
    "telemetry-envelope.json": (Envelope, "telemetry: one envelope"),
    "telemetry-host-snapshot.json": (HostSnapshot, "telemetry: what a host measures"),
    "telemetry-introspection-report.json": (IntrospectionReport, "telemetry: what a look at a host told"),
    "telemetry-provision-delta.json": (ProvisionDelta, "telemetry: what a change did to its host"),
    "telemetry-sandbox-inventory.json": (SandboxInventory, "telemetry: what a host holds"),
    "telemetry-stale-candidate.json": (StaleCandidate, "telemetry: what may be stale"),
}

_FORMATS = "reconciler-"
"""What says which format a document has begins so."""


def schemas() -> dict[str, bytes]:
    """Give the file name and the text of each schema."""
    return {name: _schema(noun, title) for name, (noun, title) in _NOUNS.items()}


def _schema(noun: type[msgspec.Struct], title: str) -> bytes:
    described: dict[str, Any] = msgspec.json.schema(noun)
    for inner in nouns_in(noun):
        _describe(described["$defs"][inner.__name__], inner)
    whole = {"$schema": DIALECT, "title": title, **described}
    return msgspec.json.format(msgspec.json.encode(whole, order="sorted"), indent=2) + b"\n"


def _describe(definition: dict[str, Any], noun: type[msgspec.Struct]) -> None:
    """Say what a noun and its fields mean, and let nobody take a document for one of another format."""
    definition["description"] = summary_of(noun)
    meanings = meanings_of(noun)
    for field in msgspec.structs.fields(noun):
        about, meaning = definition["properties"][field.encode_name], meanings[field.name]
        if text := " ".join(filter(None, (meaning.text, meaning.unit and f"Unit: {meaning.unit}."))):
            about["description"] = text
        if datetime in (field.type, *get_args(field.type)):
            about["format"] = "date-time"
        if isinstance(field.default, str) and field.default.startswith(_FORMATS):
            about["const"] = about.pop("default")
            definition["required"] = [field.encode_name, *definition.get("required", [])]
