"""Check what a sandbox gives a profile against the JSON Schema that the profile declares."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import PydanticCustomError

from reconciler.load.nodes import ListNode, MapNode, Node, find, is_null
from reconciler.load.text import shown
from reconciler.load.typed import field_name, is_secret_key
from reconciler.model.problem import Problem
from reconciler.model.source import SourceRef
from reconciler.spec.content import json_scalar
from reconciler.spec.refusal import text_of
from reconciler.spec.scalar import quoted

if TYPE_CHECKING:
    from collections.abc import Callable

_FIELD: Final = ("spec", "inputs")


class InputSchema:
    """Hold one profile's inputs: their schema, their defaults with places, and the check."""

    def __init__(self, node: Node | None, at: SourceRef) -> None:
        self.node = node if isinstance(node, MapNode) else MapNode({}, at)
        self.problems: list[Problem] = []
        self._schema: dict[str, Any] = _json(self.node, {}, self.problems, _FIELD)
        if not self.problems:
            self.problems.extend(self._faults())

    @property
    def properties(self) -> dict[str, Any]:
        """Give the schemas of the declared inputs by name."""
        declared = self._schema.get("properties")
        return declared if isinstance(declared, dict) else {}

    def values(self, given: Node | None, at: SourceRef, problems: list[Problem]) -> dict[str, Node]:
        """Give each input's node, defaults filled in, after adding every problem to `problems`.

        `at` is where to point when something required is missing.
        """
        tree = given if isinstance(given, MapNode) else MapNode({}, at)
        nodes = {**self._defaults, **{k: e.value for k, e in tree.entries.items() if not is_null(e.value)}}
        if self.problems:
            return nodes
        self._undeclared(tree, problems)
        before = len(problems)
        data = {name: _json(node, self.properties.get(name), problems, (*_FIELD, name)) for name, node in nodes.items()}
        if len(problems) > before:
            return nodes
        for error in sorted(self._check(data), key=lambda error: [str(part) for part in error.absolute_path]):
            path = tuple(error.absolute_path)
            place = find(nodes[str(path[0])], path[1:]) if path else at
            problems.append(_input_problem(error, path, place))
        return nodes

    @cached_property
    def _defaults(self) -> dict[str, Node]:
        properties = self.node.get("properties")
        if not isinstance(properties, MapNode):
            return {}
        found = {}
        for name, entry in properties.entries.items():
            default = entry.value.get("default") if isinstance(entry.value, MapNode) else None
            if default is not None:
                found[name] = default
        return found

    def _undeclared(self, tree: MapNode, problems: list[Problem]) -> None:
        if "additionalProperties" in self._schema or "patternProperties" in self._schema:
            return
        for key, entry in tree.entries.items():
            if key not in self.properties:
                near = difflib.get_close_matches(key, list(self.properties), n=1)
                known = ", ".join(sorted(self.properties)) or "none"
                hint = f"did you mean {near[0]}?" if near else f"inputs of this profile: {known}"
                message = f"the profile has no input {shown(key)}"
                problems.append(Problem("E_INPUT", entry.at, message, field=field_name((*_FIELD, key)), hint=hint))

    @cached_property
    def _check(self) -> Callable[[Any], Iterator[Any]]:
        from jsonschema import Draft202012Validator  # noqa: PLC0415 - 0.3 s, only where a profile declares inputs
        from referencing import Registry  # noqa: PLC0415 - same

        # An empty registry: nothing is ever fetched.
        check: Callable[[Any], Iterator[Any]] = Draft202012Validator(self._schema, registry=Registry()).iter_errors
        return check

    def _faults(self) -> Iterator[Problem]:
        if not self._schema:
            return
        for path, reference in _references(self._schema, ()):
            if not (isinstance(reference, str) and reference.startswith("#")):
                message = "a schema of inputs refers to nothing outside itself"
                yield Problem("E_INPUTS_SCHEMA", find(self.node, path), message, field=field_name((*_FIELD, *path)))
        from jsonschema import Draft202012Validator  # noqa: PLC0415 - as above

        for error in Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(self._schema):
            path = tuple(error.absolute_path)
            message = f"this is no JSON Schema: it fails `{error.validator}` of the 2020-12 draft"
            yield Problem("E_INPUTS_SCHEMA", find(self.node, path), message, field=field_name((*_FIELD, *path)))


def _references(schema: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key in ("$ref", "$dynamicRef", "$id", "$schema") and not isinstance(value, dict):
                if key in ("$ref", "$dynamicRef"):
                    yield (*path, key), value
            else:
                yield from _references(value, (*path, key))
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from _references(value, (*path, index))


def _json(node: Node, schema: Any, problems: list[Problem], path: tuple[str | int, ...]) -> Any:
    """Give the JSON value of a tree; where the schema wants a string, text that YAML might misread is refused."""
    rules = schema if isinstance(schema, dict) else {}
    if isinstance(node, MapNode):
        inner = rules.get("properties") if isinstance(rules.get("properties"), dict) else {}
        return {
            key: _json(entry.value, inner.get(key) if inner else None, problems, (*path, key))
            for key, entry in node.entries.items()
        }
    if isinstance(node, ListNode):
        return [_json(item, rules.get("items"), problems, (*path, index)) for index, item in enumerate(node.items)]
    try:
        return text_of(node, late=True) if rules.get("type") == "string" else json_scalar(node)
    except PydanticCustomError as refusal:
        context = refusal.context or {}
        hide = is_secret_key(path)
        got = "(hidden)" if hide else f"`{shown(node.text)}`"
        message = context["message"].replace("{got}", got)
        hint = context["hint"].replace("{quoted}", "it in quotes" if hide else quoted(shown(node.text)))
        problems.append(Problem(context["code"], node.at, message, field=field_name(path), hint=hint))
        return None


def _input_problem(error: Any, path: tuple[str | int, ...], at: SourceRef) -> Problem:
    """Say what the schema wanted, never what was given: an input may be a secret's name or worse."""
    wanted = error.validator_value
    match error.validator:
        case "type":
            types = wanted if isinstance(wanted, str) else " or ".join(wanted)
            message = f"the profile wants {types} here"
        case "required":
            missing = [name for name in wanted if name not in error.instance]
            message = f"the profile requires the input {', '.join(missing)}"
        case "enum":
            message = f"the profile wants one of {', '.join(str(item) for item in wanted)}"
        case _:
            message = f"the profile wants {error.validator}: {shown(str(wanted), 100)}"
    hint = None
    if error.validator == "type" and wanted in ("integer", "number", "boolean") and isinstance(error.instance, str):
        hint = "remove the quotes"
    return Problem("E_INPUT", at, message, field=field_name((*_FIELD, *path)), hint=hint)
