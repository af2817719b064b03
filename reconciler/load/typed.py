"""Turn node trees into the models of `spec`, and what the models refuse into problems with a place."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from reconciler.load.nodes import MapNode, Node, find, find_key, plain_data
from reconciler.load.text import shown
from reconciler.model.nearest import nearest
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

# How a mapping is written that people know as a list or as one text.
_AS_MAPPING: Final = {
    "ports": "write {web: {container: 80, host: 8080}}",
    "env": 'write {NAME: "value"}',
    "volumes": "write {data: /path/inside}",
    "mounts": "write {/path/inside: {directory: data}}",
    "networks": "write {inside: {}}",
    "labels": 'write {name: "value"}',
    "extraHosts": "write {name: 10.0.0.1}",
    "ulimits": "write {nofile: {soft: 1024, hard: 4096}}",
    "containers": "write {main: {image: …}}",
    "directories": "write {data: {path: data}}",
    "files": 'write {settings: {path: settings.txt, content: "…"}}',
    "readiness": "write {up: {http: {container: main, port: web}}}",
    "resources": "write {memory: 512MiB, cpus: 1.5}",
    "healthcheck": "write {test: [CMD, program]}",
    "storageRoots": "write {data: /srv/data}",
    "secrets": "write {name: {file: /path}}",
    "metadata": "write {name: …}",
    "suspend": "write {reason: …}",
    "gpu": 'write {policy: require, count: 1}, or {policy: "off"}',
    "annotations": 'write {name: "value"}',
    "ssh": "write {user: …, hostKey: …, agent: true}",
}
_AS_ENTRY: Final = {
    "ports": "write {container: 80}",
    "mounts": "write {directory: data}",
    "networks": "write {}",
    "ulimits": "write {soft: 1024, hard: 4096}",
    "containers": "write {image: …}",
    "directories": "write {path: data}",
    "files": 'write {path: settings.txt, content: "…"}',
    "readiness": "write {http: {container: main, port: web}}",
    "secrets": "write {file: /path}",
}
_REQUIRED: Final = {
    "image": "write image: registry.example/name:tag, here or in the profile",
    "path": "write path: NAME, in the sandbox's own folder, or ${storage.NAME}/…",
    "spec": "write spec: and what it is, below it",
    "reason": "write reason: and why; people see it wherever this holds something back",
}


def typed(
    model: type[M],
    node: Node,
    problems: list[Problem],
    prefix: tuple[str, ...] = (),
    *,
    whole: tuple[str, ...] = (),
) -> M | None:
    """Validate a tree; give the model, or None after adding every problem found.

    `prefix` is where `node` stands in its document, for the names of fields; `whole` is as for `plain_data`.
    """
    try:
        return model.model_validate(plain_data(node, whole))
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
            at = context["at"] or at
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
            name = str(loc[-1])
            hint = _REQUIRED.get(name) or _AS_MAPPING.get(name)
            message = f"{shown(name)} is required here"
            return Problem("E_REQUIRED", at, message, field=field_name(path), hint=hint)
        case "literal_error":
            message = f"one of {detail['ctx']['expected'].replace(chr(39), '')} is wanted here"
            return Problem("E_VALUE", at, message, field=field_name(path))
        case "tuple_type" | "list_type":
            return Problem("E_TYPE", at, "a list is wanted here", field=field_name(path), hint="write [ … ]")
        case "dict_type" | "model_type" | "model_attributes_type":
            here, above = (("", "", *(str(part) for part in loc))[index] for index in (-1, -2))
            hint = _AS_MAPPING.get(here) or _AS_ENTRY.get(above)
            return Problem("E_TYPE", at, "a mapping is wanted here", field=field_name(path), hint=hint)
        case _:
            return Problem("E_TYPE", at, "this value has the wrong type", field=field_name(path))


def _unknown(owner: type[BaseModel] | None, key: str) -> tuple[str, str | None]:
    message = f"there is no field {shown(key)} here"
    names = list(_aliases(owner)) if owner is not None else []
    bare = key.replace("_", "").replace("-", "").lower()
    folded = next((name for name in names if name.lower() == bare), None)
    name = folded or nearest(key, {*names, *_NOT_OFFERED}, likeness=0.7)
    if name is None:
        return message, f"known here: {', '.join(sorted(names))}" if names else None
    if name in names:
        return message, f"did you mean {name}?"
    return message, _NOT_OFFERED[name] if name == key else f"if {name} was meant: {_NOT_OFFERED[name]}"


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
