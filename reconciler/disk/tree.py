"""Read a folder of the operator's as the tree that a host is to have: files and links, less what git would ignore.

The digest is of what a host can tell of itself with `find`, `sha256sum` and `readlink`, so that whatever arrived there
is proved, not believed. Owners, times and all of a mode but "may be run" are no part of a tree.
"""

from __future__ import annotations

import hashlib
import io
import os
import posixpath
import stat
import tarfile
from collections.abc import Iterator
from itertools import dropwhile
from pathlib import Path

import msgspec

from reconciler.disk.ignore import GIT_NAME, IGNORE_NAME, Rules, is_ignored, patterns, read_rules, rules_above
from reconciler.disk.unreadable import TreeUnreadable

DIGEST_PREFIX = "tree1:"
ENTRIES_MAX = 100_000
SIZE_MAX_BYTES = 4 * 1024**3

_DEPTH_MAX = 100
_CHUNK_BYTES = 256 * 1024
_EXECUTABLE, _PLAIN = 0o755, 0o644


class TreeEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one file or link: `path` below the tree's folder, and what is in it.

    Attributes:
        sha256: of a file's content; empty for a link.
        target: what a link names; empty for a file.
    """

    path: str
    size_bytes: int = 0
    sha256: str = ""
    is_executable: bool = False
    target: str = ""


class TreeRead(msgspec.Struct, frozen=True, kw_only=True):
    """Hold a tree as it was read: its entries by path, in order."""

    entries: tuple[TreeEntry, ...]

    @property
    def content(self) -> str:
        """Give its digest: `tree1:` and 64 hex digits."""
        lines = sorted(line.encode() for entry in self.entries for line in _lines(entry))
        return DIGEST_PREFIX + hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()

    @property
    def size_bytes(self) -> int:
        """Give the sum of its files."""
        return sum(entry.size_bytes for entry in self.entries)


def read_tree(folder: Path, exclude: tuple[str, ...], *, size_max_bytes: int = SIZE_MAX_BYTES) -> TreeRead:
    """Read and hash every file of a folder but those that are left out.

    Args:
        folder: where it is on this machine.
        exclude: patterns as in a `.gitignore`, which go before those of the folder's own ones.
        size_max_bytes: of all files together; nothing is read of a file that is larger than what is left of that.

    Raises:
        TreeUnreadable: it is no folder, it is too large, or something in it cannot be sent as it is.
    """
    entries: list[TreeEntry] = []
    left_bytes = size_max_bytes
    for path in list_tree(folder, exclude):
        entry = _read_entry(folder, path, left_bytes=left_bytes)
        left_bytes -= entry.size_bytes
        if left_bytes < 0:
            raise TreeUnreadable(
                f"{folder} holds more than {size_max_bytes} bytes, which is as much as is sent",
                "leave large files out with `exclude`, or mount them from a storage root",
            )
        entries.append(entry)
    return TreeRead(entries=tuple(entries))


def list_tree(folder: Path, exclude: tuple[str, ...], *, entries_max: int = ENTRIES_MAX) -> tuple[str, ...]:
    """Name every file and link of a folder that is not left out, relative to it, sorted. Raises `TreeUnreadable`."""
    if not folder.is_dir():
        kind = "is not a folder" if folder.exists() else "is not there"
        raise TreeUnreadable(f"{folder} {kind}", "name a folder of this machine, relative to the spec folder")
    paths: list[str] = []
    own = Rules(patterns=patterns(exclude, "exclude"))
    for path in _walk(folder, "", (own, *rules_above(folder))):
        paths.append(path)
        if len(paths) > entries_max:
            raise TreeUnreadable(
                f"{folder} holds more than {entries_max} files", "leave some out with `exclude`, or with a .gitignore"
            )
    return tuple(sorted(paths))


class TreeArchive:
    """Pack a tree as a tar stream of a size that is known before anything is read."""

    def __init__(self, folder: Path, tree: TreeRead) -> None:
        self._folder = folder
        self._parts = tuple((_header(folder, entry), entry) for entry in tree.entries)
        packed = sum(len(header) + _padded_size(entry.size_bytes) for header, entry in self._parts)
        # Whoever unpacks reads whole records, and would wait for the rest of one.
        end = 2 * tarfile.BLOCKSIZE
        self._end = bytes(end + -(packed + end) % tarfile.RECORDSIZE)
        self.size_bytes = packed + len(self._end)

    def pieces(self) -> Iterator[bytes]:
        """Give the stream. A file that became shorter since is filled up, and fails its digest. Raises `OSError`."""
        for header, entry in self._parts:
            yield header
            if not entry.target:
                yield from _padded(self._folder / entry.path, entry.size_bytes)
        yield self._end


def _header(folder: Path, entry: TreeEntry) -> bytes:
    info = tarfile.TarInfo(f"./{entry.path}")
    info.mode = _EXECUTABLE if entry.is_executable else _PLAIN
    if entry.target:
        info.type, info.linkname = tarfile.SYMTYPE, entry.target
    else:
        info.size = entry.size_bytes
        info.mtime = max(0, int((folder / entry.path).stat().st_mtime))
    return info.tobuf(tarfile.PAX_FORMAT)


def _padded_size(size_bytes: int) -> int:
    return size_bytes + -size_bytes % tarfile.BLOCKSIZE


def _padded(source: Path, size_bytes: int) -> Iterator[bytes]:
    left = size_bytes
    with source.open("rb") as stream:
        while left and (data := stream.read(min(left, _CHUNK_BYTES))):
            left -= len(data)
            yield data
    if short := left + _padded_size(size_bytes) - size_bytes:
        yield bytes(short)


def _lines(entry: TreeEntry) -> Iterator[str]:
    """Say of an entry what a host says of it."""
    if entry.target:
        # No path holds a backslash, so no other link reads the same.
        yield f"l  ./{entry.path} \\ {entry.target}"
        return
    yield f"{entry.sha256}  ./{entry.path}"
    if entry.is_executable:
        yield f"x  ./{entry.path}"


def _walk(root: Path, below: str, rules: tuple[Rules, ...]) -> Iterator[str]:
    """Go through one folder; `rules` are those that hold in it: the spec's own, then each folder's, outermost first."""
    here = root / below
    if below.count("/") >= _DEPTH_MAX:
        raise TreeUnreadable(f"{here} is more than {_DEPTH_MAX} folders deep", "leave it out with `exclude`")
    try:
        found = sorted(os.scandir(here), key=lambda one: one.name)
    except OSError as error:
        raise TreeUnreadable(f"{here} cannot be read: {error.strerror}", "is it yours to read?") from error
    if any(one.name == IGNORE_NAME and one.is_file(follow_symlinks=False) for one in found):
        at = here / IGNORE_NAME
        rules = (*rules, Rules(patterns=patterns(read_rules(at), str(at)), below=below))
    for one in found:
        path = f"{below}/{one.name}" if below else one.name
        is_folder = one.is_dir(follow_symlinks=False)
        if one.name == GIT_NAME or is_ignored(path, rules, is_folder=is_folder):
            continue
        if is_folder:
            yield from _walk(root, path, rules)
        else:
            yield path


def _read_entry(folder: Path, path: str, *, left_bytes: int) -> TreeEntry:
    source = folder / path
    if not path.isprintable() or "\\" in path:
        raise TreeUnreadable(
            f"{folder} holds {path!a}: no name with a backslash or a control character is sent",
            "rename it, or leave it out with `exclude`",
        )
    try:
        seen = source.lstat()
        if stat.S_ISLNK(seen.st_mode):
            return TreeEntry(path=path, target=_read_target(folder, path))
        if not stat.S_ISREG(seen.st_mode):
            raise TreeUnreadable(f"{source} is neither a file nor a link", "leave it out with `exclude`")
        digest, size_bytes = ("", seen.st_size) if seen.st_size > left_bytes else _digest(source)
    except OSError as error:
        raise TreeUnreadable(
            f"{source} cannot be read: {error.strerror}", "let yourself read it, or leave it out with `exclude`"
        ) from error
    return TreeEntry(path=path, size_bytes=size_bytes, sha256=digest, is_executable=bool(seen.st_mode & stat.S_IXUSR))


def _read_target(folder: Path, path: str) -> str:
    """Read a link, which must lead to somewhere inside the tree: elsewhere it would mean another thing on a host."""
    # A path would be shortened, and a host tells a link as it is.
    target = os.readlink(folder / path)  # noqa: PTH115  # as said above
    end = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    if target.startswith("/") or end.partition("/")[0] == ".." or _turns_back(target) or not target.isprintable():
        raise TreeUnreadable(
            f"{folder / path} is a link to {target!a}, which is outside the tree",
            "replace it by what it names, or leave it out with `exclude`",
        )
    return target


def _turns_back(target: str) -> bool:
    """Tell whether `..` stands after a name: where that is a link, it leads elsewhere than the words say."""
    parts = [part for part in target.split("/") if part not in ("", ".")]
    return ".." in [*dropwhile(lambda part: part == "..", parts)]


def _digest(source: Path) -> tuple[str, int]:
    """Hash a file as it is read, and count what was read: a size told beforehand may be another one's."""
    hasher, size_bytes = hashlib.sha256(), 0
    with io.FileIO(source) as stream:
        while data := stream.read(_CHUNK_BYTES):
            hasher.update(data)
            size_bytes += len(data)
    return hasher.hexdigest(), size_bytes
