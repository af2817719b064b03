"""Remember parsed trees and outcomes by content, so that unchanged specs cost no parsing.

One file per spec folder, 0600, below `$XDG_CACHE_HOME/reconciler/`. It holds only what the last load used, and it is
a convenience: damaged, foreign, too large or unwritable, it is as if it were not there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Any, Final

import msgspec

from reconciler import __version__
from reconciler.load.nodes import Entry, ListNode, MapNode, Node
from reconciler.model.source import SourceRef
from reconciler.spec.scalar import Scalar

# Part of every key: a tree of another format is another tree.
FORMAT: Final = f"2/{__version__}"
_MAX_BYTES: Final = 256 * 1024 * 1024


class _Stored(msgspec.Struct, array_like=True):
    format: str
    trees: dict[str, msgspec.Raw]
    outcome_key: str = ""
    outcome: bytes = b""


class Cache:
    """Hold what an earlier load of one spec folder left, and what this one uses."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._old = _load(path) if path is not None else _Stored(FORMAT, {})
        self._used: dict[str, msgspec.Raw] = {}
        self._outcome = (self._old.outcome_key, self._old.outcome)

    def trees(self, digest: str, file: str) -> tuple[MapNode, ...] | None:
        """Give the documents of a file with this content, their places in `file`; None when not known."""
        raw = self._old.trees.get(digest)
        if raw is None:
            return None
        try:
            documents = tuple([_expand(item, file) for item in msgspec.msgpack.decode(raw)])
        except (msgspec.DecodeError, ValueError, TypeError, IndexError, RecursionError):
            return None
        self._used[digest] = raw
        return documents if all(isinstance(item, MapNode) for item in documents) else None  # type: ignore[return-value]  # just checked

    def keep_trees(self, digest: str, documents: tuple[MapNode, ...]) -> None:
        """Remember the documents of a file that has no problem of its own."""
        self._used[digest] = msgspec.Raw(msgspec.msgpack.encode([_compact(item) for item in documents]))

    def outcome(self, key: str) -> bytes | None:
        """Give what was kept for exactly these specs, or None."""
        return self._outcome[1] if self._outcome[0] == key and self._outcome[1] else None

    def keep_outcome(self, key: str, outcome: bytes) -> None:
        """Remember what these specs came to."""
        self._outcome = (key, outcome)

    def close(self) -> None:
        """Write what this load used, if that is something else than before; failing to is no failure."""
        same = self._used.keys() == self._old.trees.keys()
        if self._path is None or (same and self._outcome == (self._old.outcome_key, self._old.outcome)):
            return
        stored = _Stored(FORMAT, self._used, *self._outcome)
        with contextlib.suppress(OSError):
            _write(self._path, msgspec.msgpack.encode(stored))


def cache_path(specs: Path) -> Path | None:
    """Give the cache file of a spec folder; None where there is no home to keep it in."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        root = Path(base) if base.startswith("/") else Path.home() / ".cache"
        identity = str(specs.resolve())
    except (OSError, RuntimeError):
        return None
    return root / "reconciler" / f"specs-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.msgpack"


def _load(path: Path) -> _Stored:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as file:  # noqa: PTH123 - opened above, so that no link or pipe is followed
            facts = os.fstat(handle)
            # Only what we wrote ourselves: another's cache could say anything about our specs.
            private = facts.st_uid == os.geteuid() and not facts.st_mode & 0o077 and stat.S_ISREG(facts.st_mode)
            data = file.read() if private and facts.st_size <= _MAX_BYTES else b""
        stored = msgspec.msgpack.decode(data, type=_Stored)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return _Stored(FORMAT, {})
    return stored if stored.format == FORMAT else _Stored(FORMAT, {})


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".specs-")
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 - mkstemp gives a descriptor, 0600
            file.write(data)
        os.replace(temporary, path)  # noqa: PTH105 - beside mkstemp's text path
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108 - same
        raise


def _compact(node: Node) -> Any:
    at = node.at
    if isinstance(node, Scalar):
        return (at.line, at.col, node.text, node.plain)
    if isinstance(node, ListNode):
        return (at.line, at.col, [_compact(item) for item in node.items])
    entries = [(e.key, e.at.line, e.at.col, _compact(e.value)) for e in node.entries.values()]
    return (at.line, at.col, entries, None, None)


def _expand(item: Any, file: str) -> Node:
    at = SourceRef(file, item[0], item[1])
    if len(item) == 4:  # noqa: PLR2004 - the lengths tell the three kinds apart
        return Scalar(item[2], item[3], at)
    if len(item) == 3:  # noqa: PLR2004 - same
        return ListNode(tuple([_expand(inner, file) for inner in item[2]]), at)
    entries = {key: Entry(key, SourceRef(file, line, col), _expand(value, file)) for key, line, col, value in item[2]}
    return MapNode(entries, at)
