"""Watch what the kernel shows of processes while something runs: arguments, environments, children, listeners."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_EVERY_S = 0.005
_CLOSE_LOOKS = 20
_CONTAINER = re.compile(r"[0-9a-f]{64}")


class Watch:
    """Sample every process of this machine, and so of its lab hosts, every 5 ms.

    Attributes:
        found: where a needle was seen: `cmdline of PID (its words)` or `environ of PID (its words)`.
        commands: the words of every descendant of `root`.
        listening: sockets on which a descendant of `root` listened.
        samples: how often it looked.
    """

    def __init__(self, needles: tuple[bytes, ...]) -> None:
        self.root = 0
        self.found: set[str] = set()
        self.commands: set[tuple[str, ...]] = set()
        self.listening: set[str] = set()
        self.samples = 0
        self._needles = needles
        self._own = _containers(Path("/proc/self"))
        self._inside: set[str] = set()
        self._looks: Counter[str] = Counter()
        self._stop = threading.Event()

    def run(self) -> None:
        """Look until `stop`."""
        while not self._stop.is_set():
            self._sample()
            self.samples += 1
            time.sleep(_EVERY_S)

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def _sample(self) -> None:
        parents: dict[int, int] = {}
        words: dict[int, tuple[str, ...]] = {}
        for folder in Path("/proc").iterdir():
            if not folder.name.isdecimal() or folder.name in self._inside:
                continue
            # Who was here before, or was looked at for a while, is looked at less: what is new may be gone in a moment.
            self._looks[folder.name] += 1 if self.samples else _CLOSE_LOOKS
            if self._looks[folder.name] > _CLOSE_LOOKS and self.samples % _CLOSE_LOOKS:
                continue
            with suppress(OSError, ValueError):
                cmdline = (folder / "cmdline").read_bytes()
                pid = int(folder.name)
                words[pid] = tuple(cmdline.decode(errors="replace").split("\0")[:-1])
                parents[pid] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if _containers(folder) - self._own:
                    # The container itself: its environment and its words are where a secret belongs.
                    self._inside.add(folder.name)
                    continue
                self._search("cmdline", folder.name, cmdline, words[pid])
                self._search("environ", folder.name, (folder / "environ").read_bytes(), words[pid])
        ours = [pid for pid in words if self.root and self._descends(pid, parents)]
        for pid in ours:
            self.commands.add(words[pid])
            self.listening |= set(_listening(pid))

    def _search(self, what: str, pid: str, text: bytes, words: tuple[str, ...]) -> None:
        if any(needle in text for needle in self._needles):
            self.found.add(f"{what} of {pid} ({' '.join(words)[:200]})")

    def _descends(self, pid: int, parents: dict[int, int]) -> bool:
        while pid > 1:
            if pid == self.root:
                return True
            pid = parents.get(pid, 0)
        return False


def _containers(process: Path) -> set[str]:
    """Give the ids of the containers that a process runs in, by its control groups."""
    return set(_CONTAINER.findall((process / "cgroup").read_text()))


def _listening(pid: int) -> Iterator[str]:
    """Give the sockets that a process listens on: TCP by the kernel's tables, Unix by their flag."""
    own = set()
    with suppress(OSError):
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                own.add(str(path.readlink()).removeprefix("socket:[").removesuffix("]"))
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and fields[9] in own:
                    yield f"{table} {fields[1]}"
        for line in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "00010000" and fields[6] in own:
                yield f"unix {fields[7:]}"


@contextmanager
def watching(*needles: str) -> Iterator[Watch]:
    """Watch while the block runs; `root` may be set inside it."""
    watch = Watch(tuple(needle.encode() for needle in needles))
    thread = threading.Thread(target=watch.run, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.stop()
        thread.join()
