"""Find and read the files of a spec folder, without following links or waiting on anything that is no file."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import Final

import msgspec

from reconciler.load.text import MAX_FILE_BYTES, shown
from reconciler.model.problem import Problem
from reconciler.model.source import SourceRef

# Ten times the largest fleet this is measured with; beyond it, somebody gave the wrong folder.
MAX_FILES: Final = 20_000
MAX_TOTAL_BYTES: Final = 128 * 1024 * 1024
# Folders inside folders; nobody sorts specs deeper than this.
MAX_FOLDER_DEPTH: Final = 20

_ENDINGS: Final = (".yaml", ".yml")


class SpecFile(msgspec.Struct, frozen=True):
    """Hold one file as read: `name` as the operator knows it, and the sha256 of its bytes."""

    name: str
    data: bytes
    digest: str


class SpecFolder(msgspec.Struct, frozen=True):
    """Hold everything a spec folder gave, sorted by name, and what could not be read."""

    files: tuple[SpecFile, ...]
    problems: tuple[Problem, ...]


def read_folder(folder: Path) -> SpecFolder:
    """Read every `.yaml` and `.yml` file below `folder`; names that begin with a dot are left out.

    Refuses links, devices and pipes, and stops at `MAX_FILES` and `MAX_TOTAL_BYTES`.
    """
    name = str(folder)
    try:
        if not stat.S_ISDIR(folder.stat().st_mode):
            return _nothing(
                "E_SPEC_DIR", name, "this is no folder", "give the folder that holds the specs: --specs DIR"
            )
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        return _nothing("E_SPEC_DIR", name, f"the spec folder cannot be read: {reason}", "give --specs DIR")
    paths, problems = _find(folder)
    files: list[SpecFile] = []
    total = 0
    for path in paths:
        found = _read(path)
        if isinstance(found, Problem):
            problems.append(found)
            continue
        total += len(found.data)
        if total > MAX_TOTAL_BYTES:
            problems.append(_problem("E_SPEC_SIZE", name, "the spec folder holds more than 128 MiB"))
            break
        files.append(found)
    if not files and not problems:
        return _nothing("E_SPEC_EMPTY", name, "the spec folder holds no .yaml file", "write a Fleet into it")
    return SpecFolder(tuple(files), tuple(problems))


def _find(folder: Path) -> tuple[list[str], list[Problem]]:
    paths: list[str] = []
    problems: list[Problem] = []
    waiting = [(str(folder), 0)]
    while waiting:
        here, depth = waiting.pop()
        try:
            with os.scandir(here) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            reason = (error.strerror or "").lower()
            problems.append(_problem("E_SPEC_DIR", here, f"this folder cannot be read: {reason}"))
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                if depth >= MAX_FOLDER_DEPTH:
                    problems.append(_problem("E_SPEC_DIR", entry.path, "folders are nested too deep"))
                else:
                    waiting.append((entry.path, depth + 1))
            elif entry.name.endswith(_ENDINGS) or (entry.is_symlink() and entry.is_dir()):
                paths.append(entry.path)
            if len(paths) > MAX_FILES:
                message = f"the spec folder holds more than {MAX_FILES} files"
                return [], [_problem("E_SPEC_SIZE", str(folder), message, "is this the right folder?")]
    return sorted(paths), problems


def _read(path: str) -> SpecFile | Problem:
    for _ in range(2):
        try:
            # O_NONBLOCK: opening a pipe must not wait for somebody to write to it.
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno == errno.ELOOP:
                message = "links are not followed in a spec folder"
                hint = "put the file itself here, or give its folder as --specs"
                return _problem("E_SPEC_SYMLINK", path, message, hint)
            reason = (error.strerror or "").lower()
            return _problem("E_SPEC_NOT_FILE", path, f"this file cannot be read: {reason}")
        try:
            before = os.fstat(handle)
            if not stat.S_ISREG(before.st_mode):
                return _problem("E_SPEC_NOT_FILE", path, "this is a pipe, socket or device, not a file")
            if before.st_size > MAX_FILE_BYTES:
                return _problem("E_SPEC_SIZE", path, "this file is larger than 1 MiB", "split it into several files")
            # One byte more tells of growth. A buffer for the largest file would cost more than the reading.
            data = os.read(handle, before.st_size + 1)
            after = os.fstat(handle)
        finally:
            os.close(handle)
        if len(data) == before.st_size == after.st_size and before.st_mtime_ns == after.st_mtime_ns:
            return SpecFile(path, data, hashlib.sha256(data).hexdigest())
    return _problem("E_SPEC_CHANGED", path, "this file changed while it was read", "run again when it is written")


def _problem(code: str, name: str, message: str, hint: str | None = None) -> Problem:
    return Problem(code, SourceRef(shown(name, 500), 0, 0), message, hint=hint)


def _nothing(code: str, name: str, message: str, hint: str) -> SpecFolder:
    return SpecFolder((), (_problem(code, name, message, hint),))
