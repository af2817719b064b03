"""Keep the status folder: open it with care, lock it, read it whatever state it is in, write it whole."""

from __future__ import annotations

import contextlib
import functools
import os
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from reconciler.errors import Locked, StatusFolderError
from reconciler.model.names import name_fault
from reconciler.model.status import FleetStatus, HostStatus, SandboxStatus, Statuses
from reconciler.record.lock import hold
from reconciler.record.whole import (
    FOLDER_MODE,
    Damaged,
    closing,
    failure,
    make_folder,
    names_in,
    open_folder,
    read_whole,
    sweep,
    write_whole,
)

FLEET_FILE = "fleet.json"
SANDBOXES = "sandboxes"
HOSTS = "hosts"
SUFFIX = ".json"

Noun = TypeVar("Noun", FleetStatus, SandboxStatus, HostStatus)


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what the folder said, and what was wrong with it: one sentence per file that could not be taken."""

    statuses: Statuses
    warnings: tuple[str, ...] = ()


class StatusStore:
    """Keep one fleet's status folder.

    Reading needs nothing; writing needs `open` and then `lock`. `fleet` None accepts whichever fleet it is of.
    """

    def __init__(self, folder: Path, *, fleet: str | None = None) -> None:
        self.folder = folder
        self._fleet = fleet
        self._locked = False
        self._known: dict[tuple[str, str], bytes] = {}

    def open(self) -> None:
        """Make the folder where there is none, and refuse one that cannot be trusted or is another fleet's.

        Raises:
            StatusFolderError: with one sentence and a hint.
        """
        path = str(self.folder)
        if os.path.realpath(path) == "/":
            raise _refused(path, "is the root of the file system", hint="name a folder of its own: --status DIR")
        try:
            self.folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
            found = os.lstat(path)
        except OSError as error:
            raise _refused(path, f"cannot be used: {error.strerror}", hint="name another: --status DIR") from error
        _check(path, found)
        with self._opened() as root:
            self._check_fleet(root)

    @contextlib.contextmanager
    def lock(self, owner: str, *, now: datetime) -> Iterator[None]:
        """Hold the folder while the block runs. Raises `Locked` when another pass does, or `StatusFolderError`."""
        with self._opened() as root, hold(root, owner=owner, now=now, name=str(self.folder)):
            self._locked = True
            try:
                for folder in self._folders(root):
                    sweep(folder)
                yield
            finally:
                self._locked = False

    def load(self, *, now: datetime) -> Loaded:
        """Read everything. A damaged file is left out with a warning, and moved aside unless another pass is writing.

        Raises:
            StatusFolderError: the folder is another fleet's, or was written by a newer version of this program.
        """
        if not self.folder.is_dir():
            return Loaded(statuses=Statuses())
        if self._locked:
            return self._load(now=now, may_move=True)
        seen = self._load(now=now, may_move=False)
        if not seen.warnings:
            return seen
        # Only damage is worth the lock: a mere reader must never make a pass find the folder locked.
        try:
            with self.lock("somebody who moves damaged files aside", now=now):
                return self._load(now=now, may_move=True)
        except (Locked, StatusFolderError):
            return seen

    def save(self, statuses: Statuses) -> None:
        """Write what has changed, and drop the files of what is gone. Only while locked.

        Raises:
            StatusFolderError: nothing more could be written; every file is still whole, old or new.
        """
        if not self._locked:
            raise RuntimeError("the status folder is written without its lock")
        wanted = _files(statuses)
        try:
            with self._opened() as root:
                for group in (SANDBOXES, HOSTS, ""):
                    self._save_group(
                        root, group, {name: raw for (where, name), raw in wanted.items() if where == group}
                    )
        except OSError as error:
            raise failure(f"the status folder {self.folder} could not be written", error) from error
        self._known = wanted

    def _save_group(self, root: int, group: str, wanted: dict[str, bytes]) -> None:
        with contextlib.ExitStack() as stack:
            folder = root if not group else closing(stack, make_folder(group, inside=root))
            gone = [name for where, name in self._known if where == group and name not in wanted]
            changed = [name for name, raw in wanted.items() if self._known.get((group, name)) != raw]
            for name in changed:
                write_whole(name, wanted[name], folder=folder)
            for name in gone:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
            if changed or gone:
                os.fsync(folder)

    def _load(self, *, now: datetime, may_move: bool) -> Loaded:
        reading = _Reading(str(self.folder), now=now, may_move=may_move)
        known: dict[tuple[str, str], bytes] = {}
        try:
            with self._opened() as root:
                fleet = reading.take(root, "", FLEET_FILE, FleetStatus, known)
                self._check_name(None if fleet is None else fleet.fleet)
                expected = self._fleet or (None if fleet is None else fleet.fleet)
                sandboxes = reading.take_all(root, SANDBOXES, SandboxStatus, known, fleet=expected)
                hosts = reading.take_all(root, HOSTS, HostStatus, known, fleet=expected)
        except OSError as error:
            what = f"cannot be read: {error.filename or ''} {error.strerror}"
            raise _refused(str(self.folder), what, hint="its folders must be plain ones of yours") from error
        self._known = known
        statuses = Statuses(fleet=fleet, sandboxes=sandboxes, hosts=hosts)
        return Loaded(statuses=statuses, warnings=tuple(reading.warnings))

    def _check_fleet(self, root: int) -> None:
        with contextlib.suppress(Damaged, msgspec.MsgspecError, UnicodeDecodeError):
            raw = read_whole(FLEET_FILE, folder=root)
            said = {} if raw is None else msgspec.json.decode(raw)
            name = said.get("fleet") if isinstance(said, dict) else None
            self._check_name(name if isinstance(name, str) else None)

    def _check_name(self, found: str | None) -> None:
        if self._fleet is not None and found is not None and found != self._fleet:
            raise _refused(
                str(self.folder),
                f"belongs to fleet {found}, and these specs are of fleet {self._fleet}",
                hint="give each fleet its own folder: --status DIR",
            )

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        try:
            root = open_folder(str(self.folder))
        except OSError as error:
            raise _refused(
                str(self.folder), f"cannot be opened: {error.strerror}", hint="it must be a folder, and no link to one"
            ) from error
        try:
            yield root
        finally:
            os.close(root)

    def _folders(self, root: int) -> Iterator[int]:
        yield root
        for name in (SANDBOXES, HOSTS):
            with contextlib.ExitStack() as stack, contextlib.suppress(FileNotFoundError):
                yield closing(stack, open_folder(name, inside=root))


class _Reading:
    """Take files one by one, noting what is wrong with them."""

    def __init__(self, name: str, *, now: datetime, may_move: bool) -> None:
        self.warnings: list[str] = []
        self._name = name
        self._stamp = now.strftime("%Y%m%dT%H%M%S")
        self._may_move = may_move

    def take_all(
        self,
        root: int,
        group: str,
        noun: type[Noun],
        known: dict[tuple[str, str], bytes],
        *,
        fleet: str | None,
    ) -> dict[str, Noun]:
        found: dict[str, Noun] = {}
        with contextlib.ExitStack() as stack:
            try:
                folder = closing(stack, open_folder(group, inside=root))
            except FileNotFoundError:
                return found
            for name in names_in(folder):
                if not name.endswith(SUFFIX) or name.startswith("."):
                    continue
                status = self.take(folder, group, name, noun, known, fleet=fleet)
                if status is not None:
                    found[name.removesuffix(SUFFIX)] = status
        return found

    def take(
        self,
        folder: int,
        group: str,
        name: str,
        noun: type[Noun],
        known: dict[tuple[str, str], bytes],
        *,
        fleet: str | None = None,
    ) -> Noun | None:
        try:
            raw = read_whole(name, folder=folder)
            if raw is None:
                return None
            status = _decode(raw, noun, name=name, fleet=fleet)
        except Damaged as damage:
            self._set_aside(folder, group, name, damage.why)
            return None
        known[(group, name)] = raw
        return status

    def _set_aside(self, folder: int, group: str, name: str, why: str) -> None:
        shown = "/".join(part for part in (self._name, group, name) if part)
        if not self._may_move:
            self.warnings.append(f"{shown} is damaged and left out: {why}")
            return
        aside = f"{name}.corrupt-{self._stamp}"
        try:
            os.rename(name, aside, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError as error:
            self.warnings.append(f"{shown} is damaged and left out, and could not be moved aside: {error.strerror}")
            return
        self.warnings.append(f"{shown} is damaged and was moved to {aside}: {why}")


def _decode(raw: bytes, noun: type[Noun], *, name: str, fleet: str | None) -> Noun:
    try:
        loose: Any = msgspec.json.decode(raw)
        _check_format(loose, noun, name=name)
        status = msgspec.json.decode(raw, type=noun)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Damaged(str(error)) from None
    if fleet is not None and status.fleet != fleet:
        raise Damaged(f"it is of fleet {status.fleet}")
    if isinstance(status, SandboxStatus | HostStatus) and status.name != name.removesuffix(SUFFIX):
        raise Damaged(f"it is about {status.name}")
    if isinstance(status, SandboxStatus) and any(record.sandbox != status.name for record in status.records):
        raise Damaged("it remembers another sandbox")
    return status


def _check_format(loose: Any, noun: type[Noun], *, name: str) -> None:
    ours = _format_of(noun)
    said = loose.get("format") if isinstance(loose, dict) else None
    if said == ours:
        return
    stem, _, number = ours.partition("/")
    other, _, version = said.partition("/") if isinstance(said, str) else ("", "", "")
    if other == stem and version.isascii() and version.isdigit() and int(version[:9]) > int(number):
        raise StatusFolderError(
            f"{name} was written by a newer version ({said}); this one writes {ours}",
            hint="use the newer version, or another folder: --status DIR",
            code="E_STATUS_NEWER",
        )
    raise Damaged("it does not say that it is one of ours")


@functools.cache
def _format_of(noun: type[Noun]) -> str:
    defaults = {field.name: field.default for field in msgspec.structs.fields(noun)}
    return str(defaults["format"])


def _files(statuses: Statuses) -> dict[tuple[str, str], bytes]:
    """Lay the statuses out as files: pretty, sorted, with a final newline, so that people and diffs can read them."""
    files: dict[tuple[str, str], bytes] = {}
    for name, sandbox in statuses.sandboxes.items():
        files[(SANDBOXES, _file_name(name))] = pretty(sandbox)
    for name, host in statuses.hosts.items():
        files[(HOSTS, _file_name(name))] = pretty(host)
    if statuses.fleet is not None:
        files[("", FLEET_FILE)] = pretty(statuses.fleet)
    return files


def pretty(noun: Any) -> bytes:
    """Write a noun as JSON for people: two spaces, sorted keys, a final newline."""
    return msgspec.json.format(msgspec.json.encode(noun, order="sorted"), indent=2) + b"\n"


def _file_name(name: str) -> str:
    fault = name_fault(name)
    if fault is not None:
        raise StatusFolderError(f"no status file can be named after {name!r}: {fault}")
    return name + SUFFIX


def _check(path: str, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise _refused(path, "is a symbolic link", hint="name the folder that it points to")
    if not stat.S_ISDIR(found.st_mode):
        raise _refused(path, "is not a folder", hint="name a folder: --status DIR")
    if found.st_uid != os.geteuid():
        raise _refused(
            path, f"belongs to uid {found.st_uid}, not to you (uid {os.geteuid()})", hint="name a folder of your own"
        )
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        mode = stat.S_IMODE(found.st_mode)
        raise _refused(path, f"can be written by others (mode {mode:04o})", hint=f"chmod go-w {path}")


def _refused(path: str, what: str, *, hint: str) -> StatusFolderError:
    return StatusFolderError(f"the status folder {path} {what}", hint=hint)
