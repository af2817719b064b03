"""Write the generated parts of the reference pages from the code itself, or check that they are fresh.

A part stands between `<!-- generated: NAME ARGUMENT -->` and `<!-- end -->`; what is around it is written by hand.
Run `python docs/generate.py` after a change, or with `--check` to write nothing and fail where a page is stale.
"""
# ruff: noqa: INP001 - docs is a folder of pages with one script, not a package

import argparse
import inspect
import json
import os
import re
import sys
import textwrap
import types
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import typer.main
from pydantic import BaseModel
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from reconciler.cli.app import app
from reconciler.model.resource import Container, Directory, File
from reconciler.model.rule import Remedy, rules
from reconciler.model.telemetry import Envelope
from reconciler.record.meanings import meanings_of, nouns_in, summary_of
from reconciler.spec import (
    addresses,
    container,
    fields,
    fleet,
    images,
    leaf,
    names,
    paths,
    profile,
    readiness,
    sandbox,
)
from reconciler.spec.kinds import KINDS

DOCS: Final = Path(__file__).parent
WIDTH: Final = 110

_PART = re.compile(r"(<!-- generated: (\w+) ?([^>]*?) ?-->\n).*?(<!-- end -->)", re.DOTALL)

# How people write a value of each type; the first that fits is taken.
_WORDS: Final[tuple[tuple[Any, str], ...]] = (
    (leaf.Memory, "size, such as `512MiB`"),
    (leaf.Size, "size, such as `512MiB`"),
    (leaf.Duration, "duration, such as `60s`"),
    (leaf.DurationOrZero, "duration, such as `60s`, or `0s`"),
    (leaf.Milliseconds, "duration, such as `500ms`"),
    (leaf.Percent, 'share, such as `"30%"`'),
    (leaf.Mode, 'mode, such as `"0750"`'),
    (leaf.Cpus, "number"),
    (leaf.Load, "number"),
    (leaf.Bool, "`true` or `false`"),
    (leaf.SecretText, '`"${secret:NAME}"`'),
    (leaf.Argv, "list of words"),
    (leaf.Moment, "date and time"),
    (container.Entrypoint, "list of words"),
    (container.HealthTest, "list of words"),
    (container.User, "text"),
    (container.UlimitName, "name"),
    (leaf.LateText, "text"),
    (names.Name, "name"),
    (names.ResourceName, "name"),
    (names.Reference, "name"),
    (names.SecretName, "name"),
    (names.EnvName, "name"),
    (names.LabelKey, "key"),
    (names.FreeLabelKey, "key"),
    (paths.BaseDir, "path"),
    (paths.StorageRoot, "path"),
    (paths.ManagedPath, "path"),
    (paths.MountTarget, "path"),
    (paths.DockerSocket, "path"),
    (paths.KeyFile, "path"),
    (paths.SecretFile, "path"),
    (paths.AbsolutePath, "path"),
    (addresses.HostAddress, "address"),
    (addresses.IpAddress, "IP address"),
    (addresses.HostUser, "name"),
    (addresses.Port, "port"),
    (addresses.PublicKey, "public key"),
    (addresses.Url, "URL"),
    (images.ImageRef, "image reference"),
    (container.Capability, "capability"),
    (container.Device, "path"),
    (addresses.NameForHosts, "name"),
    (addresses.RegistryHost, "text"),
    (readiness.StatusRange, "status or range"),
    (profile.AnyMapping, "mapping"),
    (leaf.Text, "text"),
    (Any, "any value"),
)

# The language holds it and this version refuses it whole: its fields would only mislead.
_LATER: Final = (fleet.Alert,)


def fresh(text: str) -> str:
    """Give a page's text with every generated part made anew."""

    def part(found: re.Match[str]) -> str:
        return f"{found[1]}\n{_PARTS[found[2]](found[3])}\n{found[4]}"

    return _PART.sub(part, text)


def field_tables(kind: str) -> str:
    """Write a table of each mapping of fields that a kind holds: its own first, then those below, each once."""
    root: Any = KINDS[kind].model_fields["spec"].annotation
    waiting, done = [root], []
    while waiting:
        model = waiting.pop(0)
        if model not in done:
            done.append(model)
            waiting += list(_below(model))
    return "\n".join(_table(model, top=model is root) for model in done)


def metadata_table(_: str) -> str:
    """Write the table of what stands under `metadata`."""
    return _rows(fields.Metadata)


def _table(model: type[BaseModel], *, top: bool) -> str:
    name = "spec" if top else model.__name__
    return f"### {name}\n\n{inspect.cleandoc(model.__doc__ or '')}\n\n{_rows(model)}"


def _rows(model: type[BaseModel]) -> str:
    hints = get_type_hints(model, include_extras=True)
    lines = ["| field | type | default | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        cells = (f"`{field.alias or name}`", _type(hints[name]), _default(field), _meaning(hints[name], field))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _type(hint: Any) -> str:
    """Say a type as an operator would."""
    known = next((words for kind, words in _WORDS if kind == hint), None)
    if known is not None:
        return known
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _annotated(arguments[0], arguments[1:])
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in arguments)
    if origin in (Union, types.UnionType):
        return _type(next(one for one in arguments if one is not type(None)))
    if origin is tuple:
        return f"list of {_many(_type(arguments[0]))}"
    if origin is dict:
        return f"{_type(arguments[0])} → {_type(arguments[1])}"
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return "mapping" if hint in _LATER else f"[{hint.__name__}](#{hint.__name__.lower()})"
    return "text" if hint is str else "mapping"


def _annotated(kind: Any, metadata: tuple[Any, ...]) -> str:
    plain = tuple(one for one in metadata if not isinstance(one, FieldInfo))
    if plain != metadata:
        return _type(Annotated[kind, *plain] if plain else kind)
    whole = next((one for one in metadata if isinstance(one, leaf.Whole)), None)
    if whole is not None:
        return f"whole number, {whole.at_least} to {whole.at_most}"
    if kind is str or get_origin(kind) is Literal or isinstance(None, type(kind)):
        return _type(kind)
    schema: dict[str, Any] = next((one.json_schema for one in metadata if hasattr(one, "json_schema")), {})
    ways = [way["type"] for way in schema.get("anyOf", [])]
    spoken = {"string": "text", "object": "mapping", "array": "list"}
    return " or ".join(spoken[way] for way in ways) or _type(kind)


def _many(word: str) -> str:
    if word.startswith(("[", "`")):
        return word
    return {"capability": "capabilities"}.get(word, word if word == "text" else f"{word}s")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    extra = field.json_schema_extra
    value = extra["default"] if isinstance(extra, dict) and "default" in extra else field.get_default()
    if value is None or value in ("", (), {}) or isinstance(value, BaseModel) or field.default_factory is not None:
        return ""
    if isinstance(value, tuple):
        return f"`{json.dumps(value)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _meaning(hint: Any, field: FieldInfo) -> str:
    if field.description:
        return field.description
    model = next(iter(_models(hint)), None)
    return (model.__doc__ or "").split("\n", 1)[0] if model is not None else ""


def _models(hint: Any) -> Iterator[type[BaseModel]]:
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        yield hint
    for argument in get_args(hint):
        yield from _models(argument)


def _below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for hint in get_type_hints(model, include_extras=True).values():
        yield from (one for one in _models(hint) if one not in _LATER)


# The plain types of what is written as JSON.
_JSON: Final[dict[Any, str]] = {
    str: "text",
    int: "whole number",
    float: "number",
    datetime: "date and time",
    type(None): "`null`",
}


def struct_table(name: str) -> str:
    """Say what a noun of the telemetry is, and write the table of its fields."""
    noun = next(one for one in nouns_in(Envelope) if one.__name__ == name)
    meanings = meanings_of(noun)
    lines = [textwrap.fill(summary_of(noun), WIDTH), "", "| field | type | unit | meaning |", "|---|---|---|---|"]
    for field in msgspec.structs.fields(noun):
        meaning = meanings[field.name]
        cells = (f"`{field.encode_name}`", _json_type(field.type), meaning.unit, meaning.text)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _json_type(hint: Any) -> str:
    """Say a type of JSON as a reader would."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(_json_type(one) for one in arguments)
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in arguments)
    if origin is tuple:
        return f"list of {_json_type(arguments[0])}"
    if origin is dict:
        return f"{_json_type(arguments[0])} → {_json_type(arguments[1])}"
    return _JSON.get(hint) or f"[{hint.__name__}](#{hint.__name__.lower()})"


_CHANGING: Final = (
    ("containers", Container, container.Container),
    ("files", File, sandbox.File),
    ("directories", Directory, sandbox.Directory),
)


def cost_table(_: str) -> str:
    """Write what changing each field of a container, a file or a directory forces."""
    found: dict[Remedy, list[str]] = {}
    for where, noun, model in _CHANGING:
        for name, rule in rules(noun).items():
            written = rule.path or to_camel(name)
            # What no field sets (log options, say) is ours, not the operator's.
            if written.partition(".")[0] in {field.alias for field in model.model_fields.values()}:
                found.setdefault(rule.remedy, []).append(f"`{where}.{written}`")
    words = {Remedy.IN_PLACE: "changed in place, nothing restarts", Remedy.REPLACE: "the container is replaced"}
    rows = [f"| {words[remedy]} | {', '.join(found[remedy])} |" for remedy in words]
    return "\n".join(["| a change of | fields |", "|---|---|", *rows]) + "\n"


def command_pages(_: str) -> str:
    """Write the help of every command, as the command itself says it."""
    return "\n".join(_command("reconcile", typer.main.get_command(app), parent=None))


def _command(name: str, command: Any, *, parent: Any) -> Iterator[str]:
    wide = {} if parent is not None else {"terminal_width": WIDTH, "max_content_width": WIDTH}
    with command.make_context(name, [], parent=parent, resilient_parsing=True, **wide) as context:
        title = f"## {context.command_path}\n\n" if parent is not None else ""
        yield f"{title}```\n{context.get_help().strip()}\n```\n"
        for word, below in sorted(getattr(command, "commands", {}).items()):
            yield from _command(word, below, parent=context)


_PARTS: Final[dict[str, Callable[[str], str]]] = {
    "fields": field_tables,
    "metadata": metadata_table,
    "cost": cost_table,
    "struct": struct_table,
    "commands": command_pages,
}


def main(arguments: list[str]) -> int:
    """Make every page fresh, or with `--check` name those that are not."""
    reader = argparse.ArgumentParser(description="Write the generated parts of the reference pages from the code.")
    reader.add_argument("--check", action="store_true", help="write nothing; fail where a page is stale")
    only_check: bool = reader.parse_args(arguments).check
    stale = [page for page in sorted(DOCS.rglob("*.md")) if fresh(text := page.read_text()) != text]
    for page in stale:
        if only_check:
            sys.stderr.write(f"error: {page.relative_to(DOCS.parent)} is stale\n")
        else:
            page.write_text(fresh(page.read_text()))
            sys.stdout.write(f"{page.relative_to(DOCS.parent)}\n")
    if stale and only_check:
        sys.stderr.write("hint: python docs/generate.py writes it anew\n")
        return 1
    return 0


if __name__ == "__main__":
    os.environ["COLUMNS"] = str(WIDTH)
    sys.exit(main(sys.argv[1:]))
