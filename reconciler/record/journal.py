"""Keep one pass on disk: its plan, one durable line before and after each effect, and what became of it.

The journal says what happened; convergence comes from looking. A line `before` without its `after` names an outcome
that nobody knows.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from reconciler.disk.whole import (
    FILE_MODE,
    RESERVE_FILE,
    closing,
    failure,
    make_folder,
    names_in,
    open_folder,
    write_all,
    write_whole,
)
from reconciler.errors import StatusFolderError
from reconciler.model.effect import Done, NotDone, Outcome, Unknown
from reconciler.model.outcome import PassEnded
from reconciler.model.plan import Plan, Step
from reconciler.record.store import pretty

PASSES = "passes"
PLAN_FILE = "plan.json"
EVENTS_FILE = "events.jsonl"
OUTCOMES_FILE = "outcomes.json"
PASSES_KEPT = 50
RESERVE_BYTES = 8 * 1024 * 1024
"""Room held back while a pass runs, so that what it did can be written down on a full disk."""

_PASS_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Hold one line of `events.jsonl`."""

    at: datetime
    moment: Literal["before", "after"]
    host: str
    step: str
    title: str
    outcome: Literal["done", "not_done", "unknown"] | None = None
    changed: bool | None = None
    value: str | None = None
    code: str | None = None
    message: str | None = None


class Journal:
    """Write one pass down as it happens. Made by `begin`; `finish` ends it, `close` lets go of it in any case."""

    def __init__(self, root: int, folder: int, events: int, *, now: Callable[[], datetime], name: str) -> None:
        self._root = root
        self._folder = folder
        self._events = events
        self._now = now
        self._name = name
        self._torn = False
        self._closed = False

    @classmethod
    def begin(cls, status: Path, plan: Plan, *, now: Callable[[], datetime]) -> Journal:
        """Make the folder of a pass and write its plan, before anything is sent to any host.

        Raises:
            StatusFolderError: it cannot be written, or there is no room (`E_DISK_CTRL`) for what the pass will say.
        """
        if _PASS_ID.fullmatch(plan.pass_id) is None:
            raise StatusFolderError(f"{plan.pass_id!r} cannot name a pass")
        name = f"{status}/{PASSES}/{plan.pass_id}"
        with contextlib.ExitStack() as stack:
            try:
                root = closing(stack, open_folder(str(status)))
                passes = closing(stack, make_folder(PASSES, inside=root))
                _prune(passes, keep=plan.pass_id)
                folder = closing(stack, make_folder(plan.pass_id, inside=passes))
                events = closing(stack, _open_events(folder))
                _reserve(root)
                write_whole(PLAN_FILE, pretty(plan), folder=folder)
                os.fsync(folder)
            except OSError as error:
                _release(status)
                raise failure(f"the pass cannot be written down in {name}, so nothing was changed", error) from error
            return cls(os.dup(root), os.dup(folder), os.dup(events), now=now, name=name)

    def before(self, step: Step, host: str) -> None:
        """Write that the effect of `step` is about to be sent. Raises `StatusFolderError`: then it must not be."""
        try:
            self._append(Line(at=self._now(), moment="before", host=host, step=step.id, title=step.title))
        except OSError as error:
            raise failure(f"{self._name} cannot be written, so the pass stops here", error) from error

    def after(self, step: Step, host: str, outcome: Outcome) -> None:
        """Write what became of it, on the reserve if the disk is full. Raises `StatusFolderError`: then stop."""
        line = _after(step, host, outcome, at=self._now())
        try:
            self._append(line)
        except OSError as error:
            self._give_up_reserve()
            with contextlib.suppress(OSError):
                self._append(line)
            raise failure(f"{self._name} cannot be written, so the pass stops here", error) from error

    def make_room(self) -> None:
        """Give the reserve back: no effect follows, and what is written now must find its place."""
        self._give_up_reserve()

    def finish(self, ended: PassEnded) -> None:
        """Write what became of the whole pass."""
        self.make_room()
        try:
            write_whole(OUTCOMES_FILE, pretty(ended), folder=self._folder)
            os.fsync(self._folder)
        except OSError as error:
            raise failure(f"{self._name}/{OUTCOMES_FILE} could not be written", error) from error

    def close(self) -> None:
        """Let go of the files; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        try:
            self._give_up_reserve()
        finally:
            for file in (self._events, self._folder, self._root):
                os.close(file)

    def _append(self, line: Line) -> None:
        written = msgspec.json.encode(line) + b"\n"
        # A line that the disk cut short gets its end first, so that it does not swallow this one.
        start = b"\n" if self._torn else b""
        self._torn = True
        write_all(self._events, start + written)
        self._torn = False
        os.fsync(self._events)

    def _give_up_reserve(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(RESERVE_FILE, dir_fd=self._root)


def read_lines(status: Path, pass_id: str) -> Iterator[Line]:
    """Read the journal of one pass in order; a line cut short by a crash or a full disk is passed over."""
    path = status / PASSES / pass_id / EVENTS_FILE
    with contextlib.suppress(FileNotFoundError):
        for raw in path.read_bytes().splitlines():
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                yield msgspec.json.decode(raw, type=Line)


def pass_ids(status: Path) -> list[str]:
    """List the passes that are kept, newest first."""
    folder = status / PASSES
    if not folder.is_dir():
        return []
    found = [(item.stat().st_mtime_ns, item.name) for item in folder.iterdir() if item.is_dir()]
    return [name for _, name in sorted(found, reverse=True)]


def _after(step: Step, host: str, outcome: Outcome, *, at: datetime) -> Line:
    said: dict[str, Any] = {"at": at, "moment": "after", "host": host, "step": step.id, "title": step.title}
    match outcome:
        case Done(value=value, changed=changed):
            return Line(**said, outcome="done", value=value, changed=changed)
        case NotDone(code=code, message=message):
            return Line(**said, outcome="not_done", code=code, message=message)
        case Unknown(why=why):
            return Line(**said, outcome="unknown", message=why)


def _open_events(folder: int) -> int:
    """Open the journal of a pass and hold it, so that others can tell one that runs from one that was cut short."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(EVENTS_FILE, flags, FILE_MODE, dir_fd=folder)
    try:
        # Whoever asks has it for a moment.
        fcntl.flock(file, fcntl.LOCK_EX)
        # A saved plan that came to nothing may be applied again.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(OUTCOMES_FILE, dir_fd=folder)
    except BaseException:
        os.close(file)
        raise
    return file


def _reserve(root: int) -> None:
    """Hold room back; a file system that cannot promise room is given real bytes instead by the C library."""
    file = os.open(RESERVE_FILE, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE, dir_fd=root)
    try:
        os.posix_fallocate(file, 0, RESERVE_BYTES)
    finally:
        os.close(file)


def _release(status: Path) -> None:
    with contextlib.suppress(OSError):
        (status / RESERVE_FILE).unlink()


def _prune(passes: int, *, keep: str) -> None:
    """Drop the oldest passes, so that with the new one `PASSES_KEPT` remain."""
    found = [name for name in names_in(passes) if name != keep]
    ages = sorted((os.stat(name, dir_fd=passes, follow_symlinks=False).st_mtime_ns, name) for name in found)
    for _, name in ages[: max(0, len(ages) - (PASSES_KEPT - 1))]:
        with contextlib.suppress(OSError):
            _drop(name, inside=passes)


def _drop(name: str, *, inside: int) -> None:
    """Remove one pass folder and the files in it; anything else in there stays, and so does the folder."""
    folder = open_folder(name, inside=inside)
    try:
        for file in names_in(folder):
            os.unlink(file, dir_fd=folder)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=inside)
