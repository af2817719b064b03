"""Write and read single files of the status folder so that each is whole, private and nobody else's.

A new file is written beside the old one, flushed to the disk, and renamed over it; then the folder is flushed. Nothing
is ever opened through a symbolic link. A flush that fails is fatal: what it promised cannot be had by trying again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat

from reconciler.errors import StatusFolderError

FILE_MODE = 0o600
FOLDER_MODE = 0o700
READ_LIMIT_BYTES = 16 * 1024 * 1024
"""No status file is near this; one that is larger was not written by us."""
TEMP_PREFIX = ".new-"
RESERVE_FILE = ".reserve"
"""Room that a pass holds back while it runs."""

_FULL = (errno.ENOSPC, errno.EDQUOT)


class Damaged(Exception):
    """Say why a file cannot be taken for one of ours; `why` fits after "is damaged: "."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def failure(what: str, error: OSError) -> StatusFolderError:
    """Tell people of a failed write: a full disk has its own code."""
    if error.errno in _FULL:
        return StatusFolderError(
            f"{what}: the disk is full",
            code="E_DISK_CTRL",
            hint="free some space on this machine; every status file is still whole",
        )
    return StatusFolderError(
        f"{what}: {error.strerror or error}",
        code="E_STATUS_WRITE",
        hint="every status file is still whole; check the disk and the folder's owner",
    )


def open_folder(path: str, *, inside: int | None = None) -> int:
    """Open a folder, never through a link, and give its descriptor."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=inside)


def make_folder(name: str, *, inside: int) -> int:
    """Make a private folder where there is none, and open it."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, FOLDER_MODE, dir_fd=inside)
        os.fsync(inside)
    return open_folder(name, inside=inside)


def closing(stack: contextlib.ExitStack, file: int) -> int:
    """Let a descriptor be closed when the stack ends, and give it back."""
    stack.callback(os.close, file)
    return file


def write_whole(name: str, content: bytes, *, folder: int) -> None:
    """Replace one file of an open folder, or leave it as it was. The caller flushes the folder.

    Raises:
        OSError: as the system said; the old file is still there, and no temporary one.
    """
    temp = f"{TEMP_PREFIX}{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(temp, flags, FILE_MODE, dir_fd=folder)
    try:
        try:
            write_all(file, content)
            os.fsync(file)
        finally:
            os.close(file)
        os.rename(temp, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temp, dir_fd=folder)
        raise


def write_all(file: int, content: bytes) -> None:
    """Write every byte: the system may take fewer at a time."""
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]


def read_whole(name: str, *, folder: int) -> bytes | None:
    """Read one file of an open folder, or give None when there is none.

    Raises:
        Damaged: it is a link, no regular file, somebody else's, or larger than anything we write.
        OSError: it could not be read.
    """
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:
            raise Damaged("it is no regular file") from None
        raise
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise Damaged("it is no regular file")
        if found.st_uid not in {os.geteuid(), 0}:
            raise Damaged(f"it belongs to uid {found.st_uid}")
        if found.st_size > READ_LIMIT_BYTES:
            raise Damaged(f"it is {found.st_size} bytes long")
        with os.fdopen(os.dup(file), "rb") as stream:
            return stream.read(READ_LIMIT_BYTES)
    finally:
        os.close(file)


def names_in(folder: int) -> list[str]:
    """List an open folder, sorted."""
    return sorted(os.listdir(folder))


def sweep(folder: int) -> None:
    """Remove what a killed writer left behind. Only while the lock is held."""
    for name in names_in(folder):
        if name.startswith(TEMP_PREFIX) or name == RESERVE_FILE:
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                os.unlink(name, dir_fd=folder)
