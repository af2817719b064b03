"""Read of a compose file what a plan has to know: which services it names. The host's compose resolves the rest.

And what it would read on the host to do so, since that is not to be seen in what it prints.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from reconciler.disk.tree import TreeRead
from reconciler.disk.unreadable import TreeUnreadable
from reconciler.model.names import SERVICE_PATTERN
from reconciler.model.resource import Compose, Tree

SIZE_MAX_BYTES = 256 * 1024
"""Ruamel's own parser, which knows all of YAML 1.2, takes some 20 s for a MiB."""

_NAME = re.compile(SERVICE_PATTERN)
_DEPTH_MAX = 100
_FILE_FIELDS = ("env_file", "label_file")
_COMPLETED = "service_completed_successfully"
_SIZE = re.compile(r"([0-9]{1,18}(?:[.][0-9]{1,9})?) *([bkmgt]?)b?", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def with_services(compose: Compose, tree: Tree, read: TreeRead) -> Compose:
    """Give a compose resource with the services that its file in this tree names.

    Raises:
        TreeUnreadable: there is no such file, or it is none that can be brought up service by service.
    """
    path = Path(tree.folder) / compose.file
    files = _Files(Path(tree.folder), frozenset(entry.path for entry in read.entries))
    services = files.services(compose.file)
    for name, said in services.items():
        files.follow(compose.file, name, said)
    wanted = {name: said for name, said in services.items() if not said.get("profiles")}
    if not wanted:
        raise TreeUnreadable(f"{path} names no service that is always brought up", "give it one without `profiles`")
    for name in wanted:
        if _NAME.fullmatch(name) is None:
            message = f"{path}: the service name {name!a} is not made of lower-case letters, digits, - and _"
            raise TreeUnreadable(message, "rename the service")
    once = {other for said in wanted.values() for other in _awaited(said) if other in wanted}
    limits = {name: _memory_limit(said) for name, said in sorted(wanted.items())}
    return replace(
        compose,
        services=tuple(sorted(wanted)),
        once=tuple(sorted(once)),
        memory={name: limit_bytes for name, limit_bytes in limits.items() if limit_bytes},
    )


class _Files:
    """Follow a compose file to all that compose reads while it resolves it: nothing of that may be outside of the tree.

    Compose runs as the SSH user, and gives what it reads there to containers, where no policy can see it any more.
    """

    def __init__(self, folder: Path, paths: frozenset[str]) -> None:
        self._folder = folder
        self._paths = paths
        self._read: dict[str, dict[str, dict[str, Any]]] = {}
        self._followed: set[tuple[str, str]] = set()

    def services(self, file: str) -> dict[str, dict[str, Any]]:
        """Read what a file of the tree names."""
        if file not in self._read:
            path = self._folder / file
            if file not in self._paths:
                raise TreeUnreadable(
                    f"{path} is no file of the tree that is sent",
                    "name it relative to the tree's folder; does a .gitignore or `exclude` leave it out?",
                )
            self._read[file] = _services(path)
        return self._read[file]

    def follow(self, file: str, name: str, said: dict[str, Any]) -> None:
        """Follow one service of a file, with those that it extends."""
        if (file, name) in self._followed:
            return
        self._followed.add((file, name))
        for field in _FILE_FIELDS:
            for other in _listed(said.get(field)):
                self._inside(file, f"services.{name}.{field}", other.get("path") if isinstance(other, dict) else other)
        extended = said.get("extends")
        if extended is None:
            return
        other = extended if isinstance(extended, dict) else {"service": extended}
        where = f"services.{name}.extends"
        into = file if other.get("file") is None else self._inside(file, where, other["file"])
        base = self.services(into).get(str(other.get("service")))
        if base is not None:
            self.follow(into, str(other.get("service")), base)

    def _inside(self, file: str, where: str, other: object) -> str:
        """Give a path that a file names as one of the tree."""
        path = posixpath.normpath(posixpath.join(posixpath.dirname(file), str(other)))
        if not isinstance(other, str) or "$" in other or other[:1] in ("/", "~") or path.partition("/")[0] == "..":
            message = f"{self._folder / file}: {where} names {other!a}, which is not certain to be in the tree"
            raise TreeUnreadable(
                message, "name a file of the tree, relative to the one that names it, without variables"
            )
        return path


def _listed(said: object) -> list[Any]:
    if said is None:
        return []
    return said if isinstance(said, list) else [said]


def _services(path: Path) -> dict[str, dict[str, Any]]:
    document = _document(path)
    if "include" in document:
        raise TreeUnreadable(f"{path}: `include` is not followed", "write all services into one file")
    services = document.get("services")
    if not isinstance(services, dict) or not all(isinstance(said, dict) for said in services.values()):
        raise TreeUnreadable(f"{path} has no `services:` that names some", "is it a compose file?")
    return {str(name): said for name, said in services.items()}


def _document(path: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML  # noqa: PLC0415  # only a sandbox with a compose file needs it
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415  # same

    hint = "name a compose file: in the source tree, or without one relative to the spec folder"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TreeUnreadable(f"{path} cannot be read: {error.strerror}", hint) from error
    if len(data) > SIZE_MAX_BYTES:
        raise TreeUnreadable(f"{path} has {len(data)} bytes; a compose file has at most {SIZE_MAX_BYTES}", hint)
    try:
        yaml = YAML(typ="safe", pure=True)
        yaml.max_depth = _DEPTH_MAX
        # An anchor may be named anew in YAML 1.2, and nobody wants a warning of Python's about it.
        yaml.composer.warn_double_anchors = False
        document = yaml.load(data.decode())
    except (YAMLError, RecursionError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise TreeUnreadable(f"{path} is no YAML: {first!a}", "check it with: docker compose config") from error
    if not isinstance(document, dict):
        raise TreeUnreadable(f"{path} holds no mapping", "is it a compose file?")
    return document


def _memory_limit(service: dict[str, Any]) -> int:
    """Read a service's limit in bytes; 0 where it has none, or only the host's compose can tell."""
    limit = service.get("mem_limit")
    for field in ("deploy", "resources", "limits"):
        inner = service.get(field)
        service = inner if isinstance(inner, dict) else {}
    found = _SIZE.fullmatch(str(service.get("memory") if limit is None else limit).strip())
    return int(float(found[1]) * _UNITS[found[2].lower()]) if found is not None else 0


def _awaited(service: dict[str, Any]) -> list[str]:
    """Name those that a service waits for to complete."""
    others = service.get("depends_on")
    if not isinstance(others, dict):
        return []
    return [
        str(name) for name, said in others.items() if isinstance(said, dict) and said.get("condition") == _COMPLETED
    ]
