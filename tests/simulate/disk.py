"""Stand between the record room and the disk: it may be full, its owner may be killed, the power may go.

The record room's modules name `os`; for the length of a run that name means a `Disk`, which passes everything on.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from reconciler.disk import whole
from reconciler.record import journal, lock, store

_MODULES: tuple[Any, ...] = (journal, lock, store, whole)
RESERVE_BYTES = 4096
"""What is really reserved instead of the megabytes that a pass asks for."""


class Cache:
    """Hold what a machine's disk has not been told to keep. Who works in one folder shares one.

    Attributes:
        dirty: files with bytes that were not flushed.
        flushed_bytes: how much of a file was.
        undo: what a loss of power undoes, each with the folder whose flush saves it from that.
    """

    def __init__(self) -> None:
        self.dirty: set[tuple[int, int]] = set()
        self.flushed_bytes: dict[tuple[int, int], int] = {}
        self.undo: list[tuple[tuple[int, int], Callable[[], object]]] = []

    def forget(self) -> None:
        """Take what is there as it is: somebody has changed it by hand."""
        self.dirty, self.undo = set(), []


class Disk:
    """Be `os` for the record room.

    As POSIX has it, nothing outlives a loss of power but what was flushed: the bytes of a file by `fsync` of the file;
    that it has its name, or has lost it, by `fsync` of its folder.

    Attributes:
        before: called with the name of each operation that changes the disk; it may raise.
        renamed: called with the path of each file that was put in place, and what that path held before.
        removed: called with the path of each file that was taken away from it, and what it held.
    """

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.before: Callable[[str], None] = lambda _name: None
        self.renamed: Callable[[Path, bytes | None], None] = lambda _path, _old: None
        self.removed: Callable[[Path, bytes], None] = lambda _path, _old: None

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if not flags & os.O_CREAT:
            return os.open(path, flags, mode, dir_fd=dir_fd)
        self.before("open")
        there = _place(path, dir_fd)
        is_new = not there.exists()
        file = os.open(path, flags, mode, dir_fd=dir_fd)
        if is_new:
            self.cache.flushed_bytes.pop(_inode(file), None)
            self._later(there, lambda: there.unlink(missing_ok=True))
        return file

    def write(self, file: int, data: Any) -> int:
        try:
            self.before("write")
        except OSError:
            # A full disk takes what still fits: here, one byte.
            self.cache.dirty.add(_inode(file))
            if len(data) > 1 and stat.S_ISREG(os.fstat(file).st_mode):
                os.write(file, bytes(data[:1]))
            raise
        self.cache.dirty.add(_inode(file))
        return os.write(file, data)

    def fsync(self, file: int) -> None:
        self.before("fsync")
        inode = _inode(file)
        self.cache.dirty.discard(inode)
        self.cache.flushed_bytes[inode] = os.fstat(file).st_size
        self.cache.undo = [item for item in self.cache.undo if item[0] != inode]

    def rename(self, src: str, dst: str, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
        self.before("rename")
        here, there = _place(src, src_dir_fd), _place(dst, dst_dir_fd)
        old = there.read_bytes() if there.exists() else None
        moved = here.read_bytes()
        os.rename(src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

        def undo() -> None:
            if there.exists():
                there.rename(here)
            if old is not None and there.parent.exists():
                there.write_bytes(old)

        self._later(there, undo)
        self.removed(here, moved)
        self.renamed(there, old)

    def unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        self.before("unlink")
        there = _place(path, dir_fd)
        old = there.read_bytes() if there.is_file() else None
        os.unlink(path, dir_fd=dir_fd)
        if old is not None:
            self._later(there, lambda: there.write_bytes(old) if there.parent.exists() else None)
        if old is not None:
            self.removed(there, old)

    def mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        self.before("mkdir")
        os.mkdir(path, mode, dir_fd=dir_fd)

    def ftruncate(self, file: int, length: int) -> None:
        self.before("ftruncate")
        os.ftruncate(file, length)

    def posix_fallocate(self, file: int, offset: int, length: int) -> None:
        self.before("fallocate")
        os.posix_fallocate(file, offset, min(length, RESERVE_BYTES))

    def _later(self, there: Path, undo: Callable[[], object]) -> None:
        """Note what a loss of power undoes until the folder of `there` is flushed."""
        found = there.parent.stat()
        self.cache.undo.append(((found.st_dev, found.st_ino), undo))

    def lose_power(self, folder: Path, *, dice: random.Random) -> None:
        """Forget what was never flushed: bytes of files, and names in folders, of which the first few may be kept."""
        kept = dice.randint(0, len(self.cache.undo))
        for _, undo in reversed(self.cache.undo[kept:]):
            undo()
        for path in folder.rglob("*"):
            found = path.lstat()
            inode = (found.st_dev, found.st_ino)
            if stat.S_ISREG(found.st_mode) and inode in self.cache.dirty:
                os.truncate(path, min(found.st_size, self.cache.flushed_bytes.get(inode, 0)))
        self.cache.forget()


def _place(path: Any, dir_fd: int | None) -> Path:
    return Path(path) if dir_fd is None else Path(os.readlink(f"/proc/self/fd/{dir_fd}")) / path


class Routed:
    """Be the disk of whichever controller's code runs."""

    def __init__(self, route: Callable[[], Disk]) -> None:
        self._route = route

    def __getattr__(self, name: str) -> Any:
        return getattr(self._route(), name)


def full() -> OSError:
    """Make the error of a full disk."""
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _inode(file: int) -> tuple[int, int]:
    found = os.fstat(file)
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def in_place(disk: Disk | Routed) -> Iterator[None]:
    """Let the record room work on `disk` while the block runs."""
    before = {module: module.os for module in _MODULES}
    for module in _MODULES:
        module.os = disk
    try:
        yield
    finally:
        for module, real in before.items():
            module.os = real
