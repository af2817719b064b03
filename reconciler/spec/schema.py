"""Make the JSON Schemas of the language from its models, for editors and for `reconcile schema`."""

from __future__ import annotations

import json
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from reconciler.spec.kinds import KINDS
from reconciler.spec.sandbox import SandboxSpec

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_GAP: Final = {"type": "string", "pattern": "\\$\\{[^{}]+\\}"}
_ONE: Final = "reconciler.json"


def schemas() -> dict[str, bytes]:
    """Give every schema by file name, as canonical JSON: `reconciler.json` for any document, and one for each kind."""
    definitions = _definitions()
    found: dict[str, dict[str, Any]] = {
        _ONE: {
            "title": "Reconciler",
            "description": "Any one document of a spec folder.",
            "type": "object",
            "required": ["apiVersion", "kind"],
            "oneOf": [{"$ref": f"#/$defs/{kind}"} for kind in KINDS],
            "$defs": definitions,
        }
    }
    for kind in KINDS:
        own = {name: definitions[name] for name in sorted(_reachable(definitions, kind)) if name != kind}
        found[f"{kind.lower()}.json"] = {**definitions[kind], "$defs": own}
    return {name: _canonical({"$schema": _DIALECT, **schema}) for name, schema in found.items()}


def _definitions() -> dict[str, Any]:
    models = [(model, "validation") for model in (*KINDS.values(), SandboxSpec)]
    _, schema = models_json_schema(models, by_alias=True)  # type: ignore[arg-type]  # the mode is one of its literals
    definitions: dict[str, Any] = schema["$defs"]
    # A profile holds any part of a sandbox, and a sandbox what its profile left open.
    definitions["ProfileSpec"]["properties"]["sandbox"] = {"$ref": "#/$defs/SandboxSpec"}
    partial = _reachable(definitions, "SandboxSpec")
    for name, definition in definitions.items():
        _finish(definition, partial=name in partial)
    return definitions


def _finish(definition: dict[str, Any], *, partial: bool) -> None:
    properties = definition.get("properties", {})
    if partial:
        definition.pop("required", None)
    required = definition.get("required", [])
    for name, field in properties.items():
        field.pop("title", None)
        if isinstance(field.get("default"), (dict, list)) or field.get("default", "") is None:
            del field["default"]
        if name not in required:
            properties[name] = _open(field, partial=partial)
    if properties:
        definition["patternProperties"] = {"^x-": {}}


def _open(field: dict[str, Any], *, partial: bool) -> dict[str, Any]:
    """Let an optional field be null, and in a sandbox or profile be filled from `${…}`."""
    about: dict[str, Any] = {key: field.pop(key) for key in ("description", "default", "examples") if key in field}
    ways = field["anyOf"] if set(field) == {"anyOf"} else [field]
    for way in ways:
        _open_entries(way, partial=partial)
    extra: list[dict[str, Any]] = [{"type": "null"}]
    if partial and {"type": "string"} not in ways:
        extra.insert(0, _GAP)
    return {**about, "anyOf": [*ways, *[way for way in extra if way not in ways]]}


def _open_entries(way: dict[str, Any], *, partial: bool) -> None:
    """Close a map to other names than its own, and let what is in a map or list of a part be open as well."""
    named = way.get("patternProperties")
    if isinstance(named, dict):
        way["additionalProperties"] = False
    if not partial:
        return
    for values in (named, way):
        for key in list(values or {}) if values is named else ("additionalProperties",):
            if values is not None and isinstance(values.get(key), dict):
                values[key] = _open(values[key], partial=True)
    items = way.get("items")
    if isinstance(items, dict) and items != {"type": "string"}:
        way["items"] = {"anyOf": [items, _GAP]}


def _reachable(definitions: dict[str, Any], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(_references(definitions[name]))
    return found


def _references(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        own = [schema["$ref"].removeprefix("#/$defs/")] if isinstance(schema.get("$ref"), str) else []
        return own + [name for value in schema.values() for name in _references(value)]
    if isinstance(schema, list):
        return [name for item in schema for name in _references(item)]
    return []


def _canonical(schema: dict[str, Any]) -> bytes:
    return (json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
