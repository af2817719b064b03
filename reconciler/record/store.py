"""Keep the status folder: open it with care, lock it, read it whatever state it is in, write it whole."""

from __future__ import annotations

import contextlib
import functools
import os
import stat
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from reconciler.disk.whole import (
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
from reconciler.errors import StatusFolderError
from reconciler.model.names import name_fault
from reconciler.model.removal import RemovalRecord
from reconciler.model.status import FleetStatus, HostStatus, SandboxStatus, Statuses
from reconciler.record.lock import hold

FLEET_FILE = "fleet.json"
SANDBOXES = "sandboxes"
HOSTS = "hosts"
REMOVALS = "removals"
REMOVALS_KEPT = 5000
SUFFIX = ".json"

Noun = TypeVar("Noun", FleetStatus, SandboxStatus, HostStatus)


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what the folder said, and what was wrong with it: one sentence per file that could not be taken.

    `fleet` is whose folder it is, or None for one that holds no status.
    """

    statuses: Statuses
    warnings: tuple[str, ...] = ()
    fleet: str | None = None


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
        """Read everything. A damaged file is left out with a warning; while locked it is moved aside as well.

        Raises:
            StatusFolderError: the folder cannot be read, holds another fleet's files, or files that a newer version of
                this program wrote. Nothing in it was touched.
        """
        if not self._is_there():
            return Loaded(statuses=Statuses())
        reading = _Reading(str(self.folder), asked_for=self._fleet)
        try:
            with self._opened() as root:
                fleet = reading.take(root, "", FLEET_FILE, FleetStatus)
                sandboxes = reading.take_all(root, SANDBOXES, SandboxStatus)
                hosts = reading.take_all(root, HOSTS, HostStatus)
                # Only now: what is refused is left untouched, whatever else is damaged.
                warnings = reading.set_aside(root, now=now) if self._locked else reading.warnings()
        except OSError as error:
            what = f"cannot be read: {error.filename or ''} {error.strerror}"
            raise _refused(str(self.folder), what, hint="its folders must be plain ones of yours") from error
        self._known = reading.known
        statuses = Statuses(fleet=fleet, sandboxes=sandboxes, hosts=hosts)
        return Loaded(statuses=statuses, warnings=tuple(warnings), fleet=reading.fleet)

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

    def keep_removals(self, removals: Iterable[RemovalRecord]) -> None:
        """Write the records of a pass's removals, and drop the oldest of too many. Only while locked.

        Raises:
            StatusFolderError: one could not be written.
        """
        wanted = {f"{one.pass_id}.{one.host}.{one.sandbox}{SUFFIX}": one for one in removals}
        if not wanted:
            return
        try:
            with self._opened() as root, contextlib.ExitStack() as stack:
                folder = closing(stack, make_folder(REMOVALS, inside=root))
                for name, record in wanted.items():
                    text = msgspec.json.format(msgspec.json.encode(record), indent=2)
                    write_whole(name, text + b"\n", folder=folder)
                # A pass's id begins with its time.
                for name in names_in(folder)[:-REMOVALS_KEPT]:
                    os.unlink(name, dir_fd=folder)
                os.fsync(folder)
        except OSError as error:
            raise failure(f"the status folder {self.folder} could not be written", error) from error

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

    def _is_there(self) -> bool:
        try:
            os.lstat(self.folder)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _refused(
                str(self.folder), f"cannot be read: {error.strerror}", hint="name another: --status DIR"
            ) from error
        return True

    def _check_fleet(self, root: int) -> None:
        with contextlib.suppress(Damaged, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raw = read_whole(FLEET_FILE, folder=root)
            said = None if raw is None else msgspec.json.decode(raw)
            _check_fleet(said, FLEET_FILE, folder=str(self.folder), asked_for=self._fleet)

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


class _Damage(msgspec.Struct, frozen=True):
    """Say which file cannot be taken, and why."""

    group: str
    name: str
    why: str


class _Reading:
    """Take files one by one, noting what is wrong with them; `fleet` is whose they are, once one was taken."""

    def __init__(self, folder: str, *, asked_for: str | None) -> None:
        self.fleet: str | None = None
        self.known: dict[tuple[str, str], bytes] = {}
        self._first = ""
        self._folder = folder
        self._asked_for = asked_for
        self._damaged: list[_Damage] = []

    def take_all(self, root: int, group: str, noun: type[Noun]) -> dict[str, Noun]:
        """Take every file of a group, by the name of what it is about."""
        found: dict[str, Noun] = {}
        with contextlib.ExitStack() as stack:
            try:
                folder = closing(stack, open_folder(group, inside=root))
            except FileNotFoundError:
                return found
            for name in names_in(folder):
                if not name.endswith(SUFFIX) or name.startswith("."):
                    continue
                status = self.take(folder, group, name, noun)
                if status is not None:
                    found[name.removesuffix(SUFFIX)] = status
        return found

    def take(self, folder: int, group: str, name: str, noun: type[Noun]) -> Noun | None:
        """Take one file; None where there is none, or none that can be taken."""
        try:
            raw = read_whole(name, folder=folder)
            if raw is None:
                return None
            status = self._decode(raw, noun, "/".join(part for part in (group, name) if part))
        except Damaged as damage:
            self._damaged.append(_Damage(group, name, damage.why))
            return None
        self.known[(group, name)] = raw
        return status

    def _decode(self, raw: bytes, noun: type[Noun], place: str) -> Noun:
        try:
            loose: Any = msgspec.json.decode(raw)
            _check_format(loose, noun, name=f"{self._folder}/{place}")
            _check_fleet(loose, place, folder=self._folder, asked_for=self._asked_for)
            self._check_others(loose, place)
            status = msgspec.json.decode(raw, type=noun)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Damaged(str(error)) from None
        stem = place.rpartition("/")[2].removesuffix(SUFFIX)
        if isinstance(status, SandboxStatus | HostStatus) and status.name != stem:
            raise Damaged(f"it is about {status.name}")
        if isinstance(status, SandboxStatus) and any(record.sandbox != status.name for record in status.records):
            raise Damaged("it remembers another sandbox")
        if self.fleet is None:
            self.fleet, self._first = status.fleet, place
        return status

    def _check_others(self, loose: Any, place: str) -> None:
        said = _fleet_in(loose)
        if self.fleet is not None and said is not None and said != self.fleet:
            text = f"holds files of several fleets: {self._first} is of {self.fleet}, {place} of {said}"
            raise _foreign(self._folder, text)

    def warnings(self) -> list[str]:
        """Say what was left out."""
        return [f"{self._place(one)} is damaged and left out: {one.why}" for one in self._damaged]

    def set_aside(self, root: int, *, now: datetime) -> list[str]:
        """Move what was left out to another name, and say so."""
        return [self._set_aside(root, one, stamp=f"{now:%Y%m%dT%H%M%S}") for one in self._damaged]

    def _set_aside(self, root: int, one: _Damage, *, stamp: str) -> str:
        aside = f"{one.name}.corrupt-{stamp}"
        try:
            with contextlib.ExitStack() as stack:
                folder = closing(stack, open_folder(one.group, inside=root)) if one.group else root
                os.rename(one.name, aside, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError as error:
            return f"{self._place(one)} is damaged and left out, and could not be moved aside: {error.strerror}"
        return f"{self._place(one)} is damaged and was moved to {aside}: {one.why}"

    def _place(self, one: _Damage) -> str:
        return "/".join(part for part in (self._folder, one.group, one.name) if part)


def _fleet_in(loose: Any) -> str | None:
    said = loose.get("fleet") if isinstance(loose, dict) else None
    return said if isinstance(said, str) else None


def _check_fleet(loose: Any, place: str, *, folder: str, asked_for: str | None) -> None:
    said = _fleet_in(loose)
    if asked_for is None or said is None or said == asked_for:
        return
    what = f"belongs to fleet {said}" if place == FLEET_FILE else f"holds {place}, which belongs to fleet {said}"
    raise _foreign(folder, f"{what}, and these specs are of fleet {asked_for}")


def _foreign(folder: str, what: str) -> StatusFolderError:
    hint = "nothing was touched; give each fleet a folder of its own: --status DIR"
    return _refused(folder, what, hint=hint, code="E_STATUS_FLEET")


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


def _refused(path: str, what: str, *, hint: str, code: str = "E_STATUS_DIR") -> StatusFolderError:
    return StatusFolderError(f"the status folder {path} {what}", hint=hint, code=code)
