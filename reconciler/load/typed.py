"""Turn node trees into the models of `spec`, and what the models refuse into problems with a place."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Iterator
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from reconciler.load.nodes import MapNode, Node, find, find_key, plain_data
from reconciler.load.text import shown
from reconciler.model.problem import Problem
from reconciler.spec.refusal import readable
from reconciler.spec.scalar import quoted

M = TypeVar("M", bound=BaseModel)

_SECRET_KEY: Final = re.compile(r"pass(word|wd|phrase)?$|secret|token|api_?key|private_?key|credential", re.IGNORECASE)
# What people write from habit for things that are deliberately no fields here.
_NOT_OFFERED: Final = {
    "privileged": "there is no such field: give the one capability or device that is needed, and allow it in the Fleet",
    "pid": "there is no such field: a container keeps its own processes",
    "userns": "there is no such field: a container keeps its own user namespace",
    "network": "write networkMode, or networks",
    "ports": "ports stand inside a container",
    "image": "an image stands inside a container: containers.main.image",
    "securityOpt": "there is no such field: the Fleet's policy decides",
    "sysctls": "there is no such field",
    "cgroupParent": "there is no such field",
}


def typed(model: type[M], node: Node, problems: list[Problem], prefix: tuple[str, ...] = ()) -> M | None:
    """Validate a tree; give the model, or None after adding every problem found.

    `prefix` is where `node` stands in its document, for the names of fields.
    """
    try:
        return model.model_validate(plain_data(node))
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        problems.extend(_problem(model, node, detail, prefix) for detail in details)
        return None


def unknown_keys(model: type[BaseModel], node: Node, prefix: tuple[str, ...]) -> Iterator[Problem]:
    """Yield a problem for every key of a part of a document that its model does not know, and check nothing else."""
    if not isinstance(node, MapNode):
        return
    known = _aliases(model)
    for key, entry in node.entries.items():
        path = (*prefix, key)
        if key in known:
            yield from _unknown_below(known[key], entry.value, path)
        elif not key.startswith("x-"):
            message, hint = _unknown(model, key)
            yield Problem("E_UNKNOWN_FIELD", entry.at, message, field=field_name(path), hint=hint)


def field_name(path: tuple[str | int, ...]) -> str:
    """Write a path as operators do: `spec.containers.main.command[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return shown(text, 200)


def is_secret_key(path: tuple[str | int, ...]) -> bool:
    """Say whether the last name in a path sounds as if its value should not be shown."""
    return bool(path) and _SECRET_KEY.search(str(path[-1])) is not None


def _problem(model: type[BaseModel], node: Node, detail: Any, prefix: tuple[str, ...]) -> Problem:
    loc = tuple(part for part in detail["loc"] if part != "[key]")
    path = (*prefix, *loc)
    about_key = detail["type"] == "extra_forbidden" or "[key]" in detail["loc"]
    at = find_key(node, loc) if about_key else find(node, loc)
    match detail["type"]:
        case "refused":
            context = detail["ctx"]
            hide = is_secret_key(path)
            written = shown(readable(context["got"]))
            got = "(hidden)" if hide else f"`{written}`"
            hint = context["hint"].replace("{quoted}", "it in quotes" if hide else quoted(written))
            message = context["message"].replace("{got}", got)
            return Problem(context["code"], at, message, field=field_name(path), hint=hint or None)
        case "extra_forbidden":
            owner = _model_at(model, loc[:-1])
            message, hint = _unknown(owner, str(loc[-1]))
            return Problem("E_UNKNOWN_FIELD", at, message, field=field_name(path), hint=hint)
        case "missing":
            message = f"{shown(str(loc[-1]))} is required here"
            return Problem("E_REQUIRED", at, message, field=field_name(path))
        case "literal_error":
            message = f"one of {detail['ctx']['expected'].replace(chr(39), '')} is wanted here"
            return Problem("E_VALUE", at, message, field=field_name(path))
        case "tuple_type" | "list_type":
            return Problem("E_TYPE", at, "a list is wanted here", field=field_name(path), hint="write [ … ]")
        case "dict_type" | "model_type" | "model_attributes_type":
            return Problem("E_TYPE", at, "a mapping is wanted here", field=field_name(path))
        case _:
            return Problem("E_TYPE", at, "this value has the wrong type", field=field_name(path))


def _unknown(owner: type[BaseModel] | None, key: str) -> tuple[str, str | None]:
    message = f"there is no field {shown(key)} here"
    names = list(_aliases(owner)) if owner is not None else []
    near = difflib.get_close_matches(key, [*names, *_NOT_OFFERED], n=2, cutoff=0.7)
    folded = [name for name in names if name.lower() == key.replace("_", "").replace("-", "").lower()]
    for name in [*folded, *near]:
        if name in names:
            return message, f"did you mean {name}?"
        return message, _NOT_OFFERED[name] if name == key else f"if {name} was meant: {_NOT_OFFERED[name]}"
    return message, f"known here: {', '.join(sorted(names))}" if names else None


def _aliases(model: type[BaseModel]) -> dict[str, Any]:
    return {info.alias or name: info.annotation for name, info in model.model_fields.items()}


def _model_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> type[BaseModel] | None:
    kind: Any = model
    for part in loc:
        owner = _as_model(kind)
        if owner is not None:
            kind = _aliases(owner).get(str(part))
        else:
            arguments = get_args(_bare(kind))
            kind = arguments[-1] if get_origin(_bare(kind)) is dict else arguments[0] if arguments else None
    return _as_model(kind)


def _bare(kind: Any) -> Any:
    """Take `Annotated` and `| None` off."""
    while True:
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        elif get_origin(kind) in (Union, types.UnionType):
            kind = next(member for member in get_args(kind) if member is not type(None))
        else:
            return kind


def _as_model(kind: Any) -> type[BaseModel] | None:
    bare = _bare(kind)
    return bare if isinstance(bare, type) and issubclass(bare, BaseModel) else None


def _unknown_below(kind: Any, node: Node, path: tuple[str, ...]) -> Iterator[Problem]:
    owner = _as_model(kind)
    if owner is not None:
        yield from unknown_keys(owner, node, path)
    elif get_origin(_bare(kind)) is dict and isinstance(node, MapNode):
        for key, entry in node.entries.items():
            yield from _unknown_below(get_args(_bare(kind))[1], entry.value, (*path, key))
