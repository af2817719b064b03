"""Keep on disk, in order, what one sink has not taken yet.

Each batch is written as files of its own (`<number>-<envelopes>-<dice>.jsonl`, one envelope to a line), so adding needs
no lock and never touches what is there. Delivering needs the lock, which dies with its process. How much of the first
file is done stands in a small mark that is not flushed: where it is lost, envelopes come again, and none is lost.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import msgspec

from reconciler.disk.whole import FILE_MODE, TEMP_PREFIX, Damaged, names_in, read_whole, sweep, write_whole
from reconciler.sink.folder import below, private

ENVELOPES_MAX = 10_000
BYTES_MAX = 64 * 1024 * 1024
"""So much is kept of each sink; the oldest go first."""
LINE_BYTES_MAX = 4 * 1024 * 1024
"""A larger envelope is not kept: no look at a host is near this."""
REFUSED = "refused"
REFUSED_MAX = 1000
"""So many files of refused envelopes are kept; the oldest go first."""

_WRITTEN_WITHIN_S = 3600
_PART_BYTES = 1024 * 1024
_PART_LINES = 1000
_PART = re.compile(r"(?P<number>[0-9]{12})-(?P<envelopes>[0-9]{4})-[0-9a-f]{8}\.jsonl")
_MARK = ".mark"
_MARK_BYTES = 256


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """Say how much is kept, and since when: when the oldest was collected, where it says."""

    envelopes: int
    since: datetime | None = None


class _Mark(msgspec.Struct, frozen=True):
    """Remember how many envelopes of one file are done, and how many were dropped since all was delivered."""

    part: str = ""
    done: int = 0
    dropped: int = 0


class _Dated(msgspec.Struct, frozen=True):
    collected_at: datetime


class _Refused(msgspec.Struct, frozen=True, kw_only=True):
    refused_at: datetime
    why: str
    envelope: msgspec.Raw | str


class Spool:
    """Keep one sink's envelopes in an open folder."""

    def __init__(self, folder: int) -> None:
        self._folder = folder

    def add(self, lines: Sequence[bytes]) -> None:
        """Put envelopes behind those that are there: all of them, or none.

        Raises:
            OSError: as the system said.
        """
        number = max((_number(name) for name in self.parts()), default=0)
        names: list[str] = []
        try:
            for part in _split(lines):
                number += 1
                names.append(f"{number:012d}-{len(part):04d}-{secrets.token_hex(4)}.jsonl")
                write_whole(names[-1], b"\n".join(part) + b"\n", folder=self._folder)
            os.fsync(self._folder)
        except OSError:
            for name in names:
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=self._folder)
            raise

    @contextlib.contextmanager
    def alone(self) -> Iterator[bool]:
        """Hold the spool while the block runs, or say at once that another process does. Raises `OSError`."""
        try:
            fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
                raise
            yield False
            return
        try:
            yield True
        finally:
            fcntl.flock(self._folder, fcntl.LOCK_UN)

    def kept(self) -> Kept:
        """Count what is kept. Raises `OSError`, or `Damaged`."""
        queue = Queue(self._folder)
        head = queue.peek()
        return Kept(envelopes=queue.envelopes, since=None if head is None else _date(head))

    def queue(self, *, now: datetime) -> Queue:
        """Give what waits, and sweep up. Only while the spool is held. Raises `OSError`.

        Who adds holds no lock, so only what is too old to be still written is taken for a killed process's.
        """
        for name in names_in(self._folder):
            if name.startswith(TEMP_PREFIX):
                with contextlib.suppress(FileNotFoundError):
                    found = os.stat(name, dir_fd=self._folder, follow_symlinks=False)
                    if now.timestamp() - found.st_mtime > _WRITTEN_WITHIN_S:
                        os.unlink(name, dir_fd=self._folder)
        return Queue(self._folder)

    def parts(self) -> list[str]:
        """Name the files of envelopes, oldest first. Raises `OSError`."""
        return _parts(self._folder)


class Queue:
    """Go through what waits, oldest first. Only while the spool is held. Everything here raises `OSError`.

    Attributes:
        dropped: how many were dropped for want of room since all was delivered.
        damaged: how many stood in files that could not be taken and were moved aside.
    """

    def __init__(self, folder: int) -> None:
        self._folder = folder
        self._parts = deque(_parts(folder))
        self._lines: deque[bytes] | None = None
        mark = _read_mark(folder)
        self._done = mark.done if self._parts and self._parts[0] == mark.part else 0
        self.dropped = mark.dropped if self._parts else 0
        self.damaged = 0

    @property
    def envelopes(self) -> int:
        """Count what waits."""
        return max(0, sum(_envelopes(part) for part in self._parts) - self._done)

    def peek(self) -> bytes | None:
        """Look at the oldest, and change nothing. Raises `Damaged`."""
        if self._lines is None and self._parts:
            raw = read_whole(self._parts[0], folder=self._folder) or b""
            self._lines = deque(raw.splitlines()[self._done :])
        return self._lines[0] if self._lines else None

    def head(self) -> bytes | None:
        """Give the oldest, or None when nothing waits any more, whoever added it meanwhile."""
        while self._parts:
            try:
                if (line := self.peek()) is not None:
                    return line
            except Damaged:
                self._set_aside()
            else:
                self._next_part()
        return None

    def heads(self, limit: int) -> list[bytes]:
        """Give the oldest of one file, at most so many; none when nothing waits any more."""
        return [] if self.head() is None else list(islice(self._lines or (), limit))

    def forget(self, count: int = 1) -> None:
        """Let go of the oldest, which `head` or `heads` gave: they are done."""
        if self._lines is None or len(self._lines) < count:
            raise RuntimeError("what nobody looked at is forgotten")
        for _ in range(count):
            self._lines.popleft()
        self._done += count
        if self._lines:
            self._write_mark()
        else:
            self._next_part()

    def trim(self) -> None:
        """Drop the oldest until what is left is within bounds."""
        sizes = {part: os.stat(part, dir_fd=self._folder, follow_symlinks=False).st_size for part in self._parts}
        # Asked for first: where the oldest file is damaged, it goes, and no envelope has to.
        while self.head() is not None and (self.envelopes > ENVELOPES_MAX or self._bytes(sizes) > BYTES_MAX):
            self.dropped += 1
            self.forget()

    def refuse(self, why: str, *, now: datetime) -> int:
        """Move the oldest aside, with the reason; say how many older ones had to go for it."""
        line = self.head()
        if line is None:
            return 0
        with below(REFUSED, parent=self._folder) as refused:
            sweep(refused)
            name = f"{now.astimezone(UTC):%Y%m%dT%H%M%S.%f}-{self._parts[0][:12]}-{self._done:04d}.json"
            text = _Refused(refused_at=now, why=why, envelope=_as_json(line))
            write_whole(name, msgspec.json.format(msgspec.json.encode(text)) + b"\n", folder=refused)
            os.fsync(refused)
            old = [one for one in names_in(refused) if one.endswith(".json")][:-REFUSED_MAX]
            for one in old:
                os.unlink(one, dir_fd=refused)
        self.forget()
        return len(old)

    def _bytes(self, sizes: Mapping[str, int]) -> int:
        later = list(self._parts)[1:]
        return sum(len(line) + 1 for line in self._lines or ()) + sum(sizes.get(part, 0) for part in later)

    def _look_again(self) -> bool:
        self._parts = deque(_parts(self._folder))
        return bool(self._parts)

    def _next_part(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._parts[0], dir_fd=self._folder)
        self._leave_part()

    def _leave_part(self) -> None:
        self._parts.popleft()
        self._lines, self._done = None, 0
        if self._parts or self._look_again():
            self._write_mark()
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(_MARK, dir_fd=self._folder)

    def _set_aside(self) -> None:
        """Move a file that is none of ours any more to where people find it."""
        with below(REFUSED, parent=self._folder) as refused:
            name = self._parts[0]
            os.rename(name, f"{name}.damaged", src_dir_fd=self._folder, dst_dir_fd=refused)
        self.damaged += _envelopes(name)
        self._leave_part()

    def _write_mark(self) -> None:
        """Remember how far we are. On a full disk we do not, and some envelopes come again."""
        text = msgspec.json.encode(_Mark(self._parts[0], self._done, self.dropped)).ljust(_MARK_BYTES)
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with contextlib.suppress(OSError):
            file = os.open(_MARK, flags, FILE_MODE, dir_fd=self._folder)
            try:
                os.pwrite(file, text, 0)
            finally:
                os.close(file)


@contextlib.contextmanager
def opened_spool(root: Path, name: str) -> Iterator[Spool]:
    """Open one sink's spool while the block runs, made where it is not there. Raises `OSError`."""
    with private(root) as parent, below(name, parent=parent) as folder:
        yield Spool(folder)


def _split(lines: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Cut a batch into files that are read in one go."""
    part: list[bytes] = []
    for line in lines:
        if part and (len(part) >= _PART_LINES or sum(map(len, part)) + len(line) > _PART_BYTES):
            yield part
            part = []
        part.append(line)
    if part:
        yield part


def _parts(folder: int) -> list[str]:
    return [name for name in names_in(folder) if _PART.fullmatch(name)]


def _number(name: str) -> int:
    return int(name[:12])


def _envelopes(name: str) -> int:
    return int(name[13:17])


def _read_mark(folder: int) -> _Mark:
    with contextlib.suppress(Damaged, OSError, msgspec.MsgspecError, UnicodeDecodeError):
        raw = read_whole(_MARK, folder=folder)
        if raw is not None:
            return msgspec.json.decode(raw, type=_Mark)
    return _Mark()


def _date(line: bytes) -> datetime | None:
    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return msgspec.json.decode(line, type=_Dated).collected_at
    return None


def _as_json(line: bytes) -> msgspec.Raw | str:
    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        msgspec.json.decode(line)
        return msgspec.Raw(line)
    return line.decode(errors="replace")
