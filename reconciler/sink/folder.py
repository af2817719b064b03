"""Open the folders that sinks write to, and say in words what the disk answered."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from reconciler.disk.whole import FOLDER_MODE, make_folder, open_folder


@contextlib.contextmanager
def private(path: Path) -> Iterator[int]:
    """Open a folder of ours while the block runs, made where it is not there. Raises `OSError`."""
    path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    with opened(path.parent) as parent, below(path.name, parent=parent) as folder:
        yield folder


@contextlib.contextmanager
def below(name: str, *, parent: int) -> Iterator[int]:
    """Do so for a folder in one that is open."""
    folder = make_folder(name, inside=parent)
    try:
        yield folder
    finally:
        os.close(folder)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int]:
    """Open a folder that is there, and no link to one, while the block runs. Raises `OSError`."""
    folder = open_folder(str(path))
    try:
        yield folder
    finally:
        os.close(folder)


def why(error: OSError) -> str:
    """Say what the system answered, in words that fit after a colon."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "the disk is full"
    if error.errno in {errno.ELOOP, errno.ENOTDIR}:
        return "it is no folder, or a link to one"
    return error.strerror or type(error).__name__
