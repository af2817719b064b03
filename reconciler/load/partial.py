"""Read as much of a document with faults as can be read, so that it is checked with all others all the same.

What is wrong is cut out, and the rest is given to the same models and the same checks. What these find then is told
but where it may follow from what was cut out. Nothing read in this way is ever desired.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError

from reconciler.load.nodes import UNKNOWN, Node, find, plain_data
from reconciler.model.nearest import nearest
from reconciler.model.problem import Problem
from reconciler.spec.scalar import Scalar

M = TypeVar("M", bound=BaseModel)
Path: TypeAlias = tuple[str, ...]

# Each round cuts something; a document that still has faults after so many is not worth more.
_ROUNDS: Final = 20
# How deep a part may lie that is cut out alone, by what it is in. What it stood in is read as if it had not been
# written, which must mean nothing else: a port without its protocol is another port, so it goes as a whole.
_DEPTHS: Final = {
    "containers": 4,
    "directories": 2,
    "files": 3,
    "readiness": 2,
    "secrets": 2,
    "ssh": 2,
    "storageRoots": 2,
}

# What a check reads besides the place that it tells of, by its code and field: with a fault there, it may be wrong.
_READS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("E_CONFLICT", "spec.ssh"): ("address",),
    ("E_JUMP_CYCLE", "spec.ssh.jump"): ("ssh.jump",),
    ("E_JUMP_DEPTH", "spec.ssh.jump"): ("ssh.jump",),
    ("E_KEY_MISSING", "spec.ssh"): ("ssh.identityFile", "ssh.agent", "ssh.*"),
    ("E_REQUIRED", "spec.containers"): ("containers", "compose", "source", "*"),
    ("E_REQUIRED", "spec.host"): ("host", "placement", "*"),
    ("E_REQUIRED", "spec.ssh"): ("ssh", "address", "*"),
    ("E_SSH_HOSTKEY_UNPINNED", "spec.ssh.hostKey"): ("ssh.hostKey", "ssh.*"),
}
# What says which machine, engine and base folder a host is.
_IDENTITY: Final = ("address", "dockerSocket", "baseDir", "ssh.port", "ssh.jump", "ssh.user", "ssh.*", "*")
# Where the names are declared that a sandbox refers to within itself.
_NAMING: Final = ("containers", "compose", "source", "directories", "files")
_FIELDS: Final = (
    *(*_NAMING, "ports", "profile", "host", "placement"),
    *("address", "ssh", "dockerSocket", "baseDir", "policy", "secrets"),
)
_SSH_FIELDS: Final = ("hostKey", "identityFile", "agent", "jump", "port", "user")


def partial(
    model: type[M], node: Node, prefix: Path = (), *, whole: tuple[str, ...] = ()
) -> tuple[M | None, frozenset[Path]]:
    """Validate what is left of a tree without what is wrong in it; give that, and the paths that were cut out.

    `prefix` is where the spec stands in the tree, and the paths are below it; `whole` is as for `plain_data`. None
    where nothing is left.
    """
    rest = _Rest(_thawed(plain_data(node, whole)), node, len(prefix))
    found: M | None = None
    for _ in range(_ROUNDS):
        try:
            found = model.model_validate(rest.data)
            break
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
            if not rest.without(details):
                break
    return found, frozenset(path[len(prefix) :] for path in rest.cut if path[: len(prefix)] == prefix)


class _Rest:
    """Hold what is left of a document."""

    def __init__(self, data: Any, node: Node, above: int) -> None:
        self.data = data
        self.cut: set[Path] = set()
        self._node = node
        self._above = above
        self._filled: set[Path] = set()

    def without(self, details: Iterable[Any]) -> bool:
        """Cut out what the model refused; say whether that could be done."""
        gone: list[Path] = []
        for detail in details:
            path = tuple(str(part) for part in detail["loc"] if part != "[key]")
            if any(path[: len(other)] == other for other in gone):
                continue
            part = self._part(path)
            if detail["type"] == "missing" and part == path and path not in self._filled:
                self._fill(path)
                continue
            if detail["type"] == "extra_forbidden":
                self.cut.add(_meant(path))
            owner = _at(self.data, part[:-1])
            while part and not (part not in self._filled and isinstance(owner, dict) and part[-1] in owner):
                part = part[:-1]
                owner = _at(self.data, part[:-1])
            if not part:
                return False
            del owner[part[-1]]
            self.cut.add(part)
            gone.append(part)
        return True

    def _part(self, path: Path) -> Path:
        if path[:1] == ("metadata",):
            return path
        section = path[self._above] if len(path) > self._above else ""
        return path[: self._above + _DEPTHS.get(section, 1)]

    def _fill(self, path: Path) -> None:
        owner = _at(self.data, path[:-1])
        if isinstance(owner, dict):
            owner[path[-1]] = Scalar(UNKNOWN, plain=False, at=find(self._node, path))
        self._filled.add(path)
        self.cut.add(path)


def follows(problem: Problem, holes: Iterable[Path]) -> bool:
    """Say whether a problem of a document may follow from the faults at these paths of its spec."""
    return any(_follows(problem, hole) for hole in holes)


def makes_vague(holes: Iterable[Path]) -> bool:
    """Say whether it is not known which machine, engine and base folder a host with these faults is."""
    return any(_touches(hole, _IDENTITY) for hole in holes)


def _follows(problem: Problem, hole: Path) -> bool:
    if problem.code == "E_REF" and problem.field.startswith(("spec.containers", "spec.readiness")):
        return _names(problem.message, hole)
    if problem.code == "E_PATH" and problem.field.startswith("spec.files"):
        return hole[:1] == ("directories",)  # which make the folders of files
    if problem.code == "E_STORAGE_ROOT":
        return hole[:1] in (("baseDir",), ("dockerSocket",))
    return _touches(hole, _READS.get((problem.code, problem.field), ()))


def _touches(hole: Path, fields: tuple[str, ...]) -> bool:
    dotted = ".".join(hole)
    return any(not hole or f"{dotted}.".startswith(f"{field}.") or field.startswith(f"{dotted}.") for field in fields)


def _names(message: str, hole: Path) -> bool:
    """Say whether a name that a message misses may be declared at this path."""
    match hole:
        case (section,):
            return section in _NAMING
        case ("containers" | "directories" | "files", name) | ("containers", name, "ports"):
            return name in message.split()
        case ("containers", _, "ports", name, *_):
            return name in message.split()
    return False


def _meant(path: Path) -> Path:
    """Give what a field that nobody knows may have been meant to be."""
    near = nearest(path[-1], _SSH_FIELDS if path[-2:-1] == ("ssh",) else _FIELDS)
    return (*path[:-1], near or "*")


def _at(data: Any, path: Path) -> Any:
    for part in path:
        data = data.get(part) if isinstance(data, dict) else None
    return data


def _thawed(data: Any) -> Any:
    return {key: _thawed(value) for key, value in data.items()} if isinstance(data, dict) else data
