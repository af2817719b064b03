"""Stand between the record room and the disk: it may be full, its owner may be killed, the power may go.

The record room's modules name `os`; for the length of a run that name means a `Disk`, which passes everything on.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from reconciler.record import journal, lock, store, whole

_MODULES: tuple[Any, ...] = (journal, lock, store, whole)
RESERVE_BYTES = 4096
"""What is really reserved instead of the megabytes that a pass asks for."""


class Disk:
    """Be `os` for the record room.

    Attributes:
        before: called with the name of each operation that changes the disk; it may raise.
        renamed, removed: called with the path of each file that was put in place, or taken away.
    """

    def __init__(self) -> None:
        self.before: Callable[[str], None] = lambda _name: None
        self.renamed: Callable[[Path], None] = lambda _path: None
        self.removed: Callable[[Path], None] = lambda _path: None
        self._dirty: set[tuple[int, int]] = set()
        self._pending: list[tuple[int, Path, bytes | None]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_CREAT:
            self.before("open")
        return os.open(path, flags, mode, dir_fd=dir_fd)

    def write(self, file: int, data: Any) -> int:
        try:
            self.before("write")
        except OSError:
            # A full disk takes what still fits: here, one byte.
            self._dirty.add(_inode(file))
            if len(data) > 1 and stat.S_ISREG(os.fstat(file).st_mode):
                os.write(file, bytes(data[:1]))
            raise
        self._dirty.add(_inode(file))
        return os.write(file, data)

    def fsync(self, file: int) -> None:
        self.before("fsync")
        inode = _inode(file)
        self._dirty.discard(inode)
        self._pending = [item for item in self._pending if item[0] != inode[1]]

    def rename(self, src: str, dst: str, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
        self.before("rename")
        folder = Path(os.readlink(f"/proc/self/fd/{dst_dir_fd}"))
        there = folder / dst
        old = there.read_bytes() if there.exists() else None
        self._pending.append((os.fstat(dst_dir_fd or 0).st_ino, there, old))
        os.rename(src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        self.renamed(there)

    def unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        self.before("unlink")
        os.unlink(path, dir_fd=dir_fd)
        if dir_fd is not None:
            self.removed(Path(os.readlink(f"/proc/self/fd/{dir_fd}")) / path)

    def mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        self.before("mkdir")
        os.mkdir(path, mode, dir_fd=dir_fd)

    def ftruncate(self, file: int, length: int) -> None:
        self.before("ftruncate")
        os.ftruncate(file, length)

    def posix_fallocate(self, file: int, offset: int, length: int) -> None:
        self.before("fallocate")
        os.posix_fallocate(file, offset, min(length, RESERVE_BYTES))

    def lose_power(self, folder: Path) -> None:
        """Forget what was never flushed: contents of files, and renames in folders."""
        for _, path, old in reversed(self._pending):
            if old is None:
                path.unlink(missing_ok=True)
            elif path.parent.exists():
                path.write_bytes(old)
        for path in folder.rglob("*"):
            found = path.lstat()
            if stat.S_ISREG(found.st_mode) and (found.st_dev, found.st_ino) in self._dirty:
                os.truncate(path, 0)
        self._pending, self._dirty = [], set()


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
