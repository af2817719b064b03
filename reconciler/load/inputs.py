"""Check what a sandbox gives a profile against the JSON Schema that the profile declares."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import PydanticCustomError

from reconciler.load.nodes import ListNode, MapNode, Node, find, is_null
from reconciler.load.text import shown
from reconciler.load.typed import field_name, is_secret_key
from reconciler.model.nearest import did_you_mean
from reconciler.model.pattern import PatternRefused, compile_pattern
from reconciler.model.problem import Problem
from reconciler.model.source import SourceRef
from reconciler.spec.content import json_scalar
from reconciler.spec.refusal import text_of
from reconciler.spec.scalar import quoted

if TYPE_CHECKING:
    from collections.abc import Callable

_FIELD: Final = ("spec", "inputs")
_TYPES: Final = ("array", "boolean", "integer", "null", "number", "object", "string")
# They would fetch, name things from elsewhere, or match keys with an engine that backtracks.
_UNUSED: Final = ("$anchor", "$dynamicAnchor", "$dynamicRef", "$id", "$vocabulary", "patternProperties")
# A few references that double at each step are followed more often than there are atoms.
_REFERENCES_MAX: Final = 10_000


class _Endless(Exception):
    """Leave a schema that would be followed for ever."""


class InputSchema:
    """Hold one profile's inputs: their schema, their defaults with places, and the check."""

    def __init__(self, node: Node | None, at: SourceRef) -> None:
        self.node = node if isinstance(node, MapNode) else MapNode({}, at)
        self.problems: list[Problem] = []
        self._schema: dict[str, Any] = _json(self.node, {}, self.problems, _FIELD)
        told = {problem.at for problem in self.problems}
        self.problems.extend([problem for problem in self._faults() if problem.at not in told])

    @property
    def properties(self) -> dict[str, Any]:
        """Give the schemas of the declared inputs by name."""
        declared = self._schema.get("properties")
        return declared if isinstance(declared, dict) else {}

    @property
    def required(self) -> list[str]:
        """Give the names of the inputs that must be given."""
        named = self._schema.get("required")
        return named if isinstance(named, list) else []

    def values(self, given: Node | None, at: SourceRef, problems: list[Problem]) -> dict[str, Node]:
        """Give each input's node, defaults filled in, after adding every problem to `problems`.

        `at` is where to point when something required is missing.
        """
        if given is not None and not isinstance(given, MapNode):
            message = "a mapping is wanted here"
            problems.append(Problem("E_TYPE", given.at, message, field=field_name(_FIELD), hint="write {name: value}"))
            return self._defaults
        tree = given if given is not None else MapNode({}, at)
        nodes = {**self._defaults, **{k: e.value for k, e in tree.entries.items() if not is_null(e.value)}}
        if self.problems:
            return nodes
        self._undeclared(tree, problems)
        data: dict[str, Any] = {}
        refused = False
        for name, node in nodes.items():
            before = len(problems)
            value = _json(node, self.properties.get(name), problems, (*_FIELD, name))
            if len(problems) == before:
                data[name] = value
            else:
                refused = True
        try:
            errors = list(self._check(data))
        except (_Endless, RecursionError):
            message = "the schemas of these inputs refer to each other without end"
            problems.append(Problem("E_INPUTS_SCHEMA", self.node.at, message, field=field_name(_FIELD)))
            return nodes
        for error in sorted(errors, key=lambda error: [str(part) for part in error.absolute_path]):
            path = tuple(error.absolute_path)
            if refused and not path:
                continue  # it may be about an input that was refused already
            place = find(nodes[str(path[0])], path[1:]) if path else at
            rule = find(self.node, tuple(error.absolute_schema_path))
            problems.append(_input_problem(error, path, place, rule=rule))
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
        if "additionalProperties" in self._schema:
            return
        for key, entry in tree.entries.items():
            if key not in self.properties:
                hint = did_you_mean(key, self.properties, otherwise="its inputs") or "it has none at all"
                message = f"the profile has no input {shown(key)}"
                problems.append(Problem("E_INPUT", entry.at, message, field=field_name((*_FIELD, key)), hint=hint))

    @cached_property
    def _check(self) -> Callable[[Any], Iterator[Any]]:
        from jsonschema import Draft202012Validator, ValidationError  # noqa: PLC0415 - 0.3 s, only where inputs are
        from jsonschema.validators import extend  # noqa: PLC0415 - same
        from referencing import Registry  # noqa: PLC0415 - same

        followed = 0

        def pattern(_: Any, text: str, instance: Any, __: Any) -> Iterator[Any]:
            # Python's own engine can be held up for years by a few characters.
            if isinstance(instance, str) and not compile_pattern(text)(instance):
                yield ValidationError("no match")

        def reference(validator: Any, target: str, instance: Any, schema: Any) -> Iterator[Any]:
            nonlocal followed
            followed += 1
            if followed > _REFERENCES_MAX:
                raise _Endless
            yield from Draft202012Validator.VALIDATORS["$ref"](validator, target, instance, schema)

        own = {"pattern": pattern, "$ref": reference}
        bounded = extend(Draft202012Validator, own)  # type: ignore[no-untyped-call]  # jsonschema has no types for it
        validator = bounded(self._schema, registry=Registry())  # empty: nothing is ever fetched

        def check(data: Any) -> Iterator[Any]:
            nonlocal followed
            followed = 0
            yield from validator.iter_errors(data)

        return check

    def _faults(self) -> Iterator[Problem]:
        if not self._schema:
            return
        for path, key, value in _keywords(self._schema, ()):
            message = self._keyword_fault(key, value)
            if message is not None:
                yield Problem("E_INPUTS_SCHEMA", find(self.node, path), message, field=field_name((*_FIELD, *path)))
        from jsonschema import Draft202012Validator  # noqa: PLC0415 - as above

        for error in Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(self._schema):
            path = tuple(error.absolute_path)
            message = f"this is no JSON Schema: it fails `{error.validator}` of the 2020-12 draft"
            hint = f"types are {', '.join(_TYPES)}" if path and path[-1] == "type" else None
            field = field_name((*_FIELD, *path))
            yield Problem("E_INPUTS_SCHEMA", find(self.node, path), message, field=field, hint=hint)

    def _keyword_fault(self, key: str, value: Any) -> str | None:
        """Say why a keyword cannot stand in a schema of inputs, or None."""
        if key in _UNUSED:
            return f"{key} is not used in a schema of inputs"
        if key == "pattern":
            try:
                compile_pattern(value)
            except PatternRefused as refused:
                return f"this is no regular expression (RE2): {shown(str(refused))}"
        if key == "$ref":
            if not value.startswith("#"):
                return "a schema of inputs refers to nothing outside itself"
            found: Any = self._schema
            for part in value.split("/")[1:]:
                found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
            if found is None or not value.startswith("#/"):
                return f"there is no {shown(value)} here: write #/$defs/NAME, and declare it"
        return None


def _keywords(schema: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str, Any]]:
    """Yield every keyword with a text, and those that are not used, with path and value."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            if isinstance(value, str) or key in _UNUSED:
                yield (*path, key), key, value
            else:
                yield from _keywords(value, (*path, key))
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from _keywords(value, (*path, index))


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
        wanted = rules.get("type")
        if wanted in ("integer", "number", "boolean"):
            message, hint = f"the profile wants {wanted} here, got {got}", None
        problems.append(Problem(context["code"], node.at, message, field=field_name(path), hint=hint))
        return None


def _input_problem(error: Any, path: tuple[str | int, ...], at: SourceRef, *, rule: SourceRef) -> Problem:
    """Say what the schema wanted, never what was given: an input may be a secret's name or worse."""
    wanted = error.validator_value
    hint = f"the schema of the profile's inputs says so: {rule}"
    match error.validator:
        case "type":
            types = wanted if isinstance(wanted, str) else " or ".join(wanted)
            message = f"the profile wants {types} here"
        case "required":
            missing = [name for name in wanted if name not in error.instance]
            message = f"the profile requires the input {', '.join(missing)}"
            hint = f"write inputs: {{{', '.join(f'{name}: …' for name in missing)}}}" if not path else hint
        case "enum":
            message = f"the profile wants one of {', '.join(str(item) for item in wanted)}"
        case _:
            message = f"the profile wants {error.validator}: {shown(str(wanted), 100)}"
    if error.validator == "type" and wanted in ("integer", "number", "boolean") and isinstance(error.instance, str):
        hint = "remove the quotes"
    return Problem("E_INPUT", at, message, field=field_name((*_FIELD, *path)), hint=hint)
