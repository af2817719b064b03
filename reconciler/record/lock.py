"""Let one pass at a time write the status folder. The lock dies with its process, so it is never stale."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from datetime import datetime

import msgspec

from reconciler.disk.whole import FILE_MODE, failure, write_all
from reconciler.errors import Locked, StatusFolderError

LOCK_NAME = ".lock"
_NAME_PAUSES_S = (0.005, 0.02, 0.05, 0.1, 0.0)
_TEXT_LIMIT_BYTES = 4096


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Say who holds the lock: text for people, never a reason to break it."""

    owner: str
    since: datetime


@contextlib.contextmanager
def hold(folder: int, *, owner: str, now: datetime, name: str) -> Iterator[None]:
    """Hold the lock of an open folder while the block runs.

    Args:
        folder: descriptor of the status folder.
        owner: who asks, for the one who has to wait.
        now: the controller's clock.
        name: the folder, for messages.

    Raises:
        Locked: another pass holds it.
        StatusFolderError: the lock file is a link, or the file system has no locks.
    """
    file = _acquire(folder, name=name)
    try:
        text = msgspec.json.encode(Holder(owner=owner, since=now)) + b"\n"
        try:
            os.ftruncate(file, 0)
            os.lseek(file, 0, os.SEEK_SET)
            write_all(file, text)
        except OSError as error:
            raise failure(f"the lock of the status folder {name} cannot be written", error) from error
        yield
    finally:
        os.close(file)


def last_holder(folder: int) -> Holder | None:
    """Read who held the lock last, or holds it; None where nobody ever did, or where that cannot be read."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with contextlib.suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError):
        file = os.open(LOCK_NAME, flags, dir_fd=folder)
        try:
            return msgspec.json.decode(os.pread(file, _TEXT_LIMIT_BYTES, 0), type=Holder)
        finally:
            os.close(file)
    return None


def _acquire(folder: int, *, name: str) -> int:
    while True:
        file = _open(folder, name=name)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _holder(file)
            os.close(file)
            if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
                raise StatusFolderError(
                    f"the status folder {name} cannot be locked: {error.strerror}",
                    hint="keep it on a local disk: this file system has no locks",
                ) from error
            raise _locked(holder, name=name) from None
        if _is_current(file, folder):
            return file
        os.close(file)


def _open(folder: int, *, name: str) -> int:
    try:
        return os.open(
            LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, FILE_MODE, dir_fd=folder
        )
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise failure(f"the lock of the status folder {name} cannot be written", error) from error
        raise StatusFolderError(
            f"the lock file {name}/{LOCK_NAME} cannot be opened: {error.strerror}",
            hint="it must be a plain file of yours; remove it if it is a link",
            code="E_LOCK_FILE",
        ) from error


def _is_current(file: int, folder: int) -> bool:
    """Tell whether the locked file is still the one under the name: somebody may have removed it meanwhile."""
    try:
        there = os.stat(LOCK_NAME, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    here = os.fstat(file)
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def _holder(file: int) -> Holder | None:
    """Read who holds the lock, who may have got it just now and write the name in a moment."""
    for pause_s in _NAME_PAUSES_S:
        try:
            return msgspec.json.decode(os.pread(file, _TEXT_LIMIT_BYTES, 0), type=Holder)
        except (msgspec.MsgspecError, OSError, UnicodeDecodeError):
            time.sleep(pause_s)
    return None


def _locked(holder: Holder | None, *, name: str) -> Locked:
    what = f"the status folder {name}"
    if holder is None:
        return Locked(what, "another pass", "a moment ago")
    return Locked(what, holder.owner, f"{holder.since:%Y-%m-%d %H:%M:%S %Z}".strip())
