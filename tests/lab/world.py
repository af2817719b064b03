"""Give one host a world of its own on a shared machine: processes, mounts, name, `/etc` and `/run`, maybe network.

One process (the world's init) holds the name spaces. When it is killed the kernel ends every process in the
world and lets go of every mount, so that nothing has to be hunted for afterwards.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.lab.command import run
from tests.lab.missing import LabError, LabMissing

# The init: give the world its own /etc (a copy in memory, so that users made here exist nowhere else) and its
# own /run, then reap orphans until told to end, or until the lifeline on descriptor 0 is cut. The range of ports is
# what an engine reads to publish a port of its own choice: the kernel goes by the real file.
_INIT = """set -eu
folder=$1 name=$2 engine=$3
echo $5 >"$folder/ports"
mount --bind "$folder/ports" /proc/sys/net/ipv4/ip_local_port_range
mkdir -p "$folder/etc"
mount -t tmpfs -o mode=755 tmpfs "$folder/etc"
cp -a /etc/. "$folder/etc/"
cat "$folder/passwd" /etc/passwd >"$folder/etc/passwd"
cat "$folder/group" /etc/group >"$folder/etc/group"
mount --move "$folder/etc" /etc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/sshd /run/engine /run/lock
if [ "$engine" != none ]; then mount --bind "$engine" /run/engine; fi
hostname "$name"
if mkdir -p "$folder/try/l" "$folder/try/u" "$folder/try/w" "$folder/try/m" && mount -t overlay \
  -o "lowerdir=$folder/try/l,upperdir=$folder/try/u,workdir=$folder/try/w" overlay "$folder/try/m" 2>/dev/null
then umount "$folder/try/m"; echo overlay2; else echo vfs; fi
exec >/dev/null 2>&1
trap 'exit 0' TERM
exec 3<&0 </dev/null
if [ "$4" = tied ]; then (read -r _ <&3 || true; kill -TERM 1) & fi
sleep infinity &
while :; do wait || true; done
"""


@dataclass(frozen=True)
class Process:
    """Name a process for good: its id may be given to another one later, its start (in clock ticks) may not."""

    pid: int
    start_ticks: int

    def lives(self) -> bool:
        """Tell whether this very process still runs."""
        return _start_ticks(self.pid) == self.start_ticks


class World:
    """Start, enter and end the world of one host; `init` is the process that holds it."""

    def __init__(self, *, init: Process, own_network: bool) -> None:
        self.init = init
        self.own_network = own_network
        self._lifeline: IO[bytes] | None = None
        self._parent: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(
        cls, folder: Path, *, name: str, engine_root: Path | None, ports: range, own_network: bool, tied: bool
    ) -> tuple["World", str]:
        """Start a world whose files are below `folder`; return it with the storage driver that works there.

        Its engine publishes on `ports` where it may choose. A `tied` world ends when this process does.
        Errors: `LabMissing` where name spaces are refused.
        """
        spaces = ["--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]
        spaces += ["--propagation", "slave", *(["--net"] if own_network else [])]
        (folder / "init.sh").write_text(_INIT)
        words = ["unshare", *spaces, "--", "sh", str(folder / "init.sh"), str(folder), name]
        words += [str(engine_root or "none"), "tied" if tied else "free", f"{ports[0]} {ports[-1]}"]
        with (folder / "init.log").open("wb") as log:
            parent = subprocess.Popen(
                words,
                stdin=subprocess.PIPE if tied else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert parent.stdout is not None
        with parent.stdout as answer:
            driver = answer.readline().decode().strip()
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
        if driver not in {"overlay2", "vfs"} or not (child := children.read_text().split()):
            parent.kill()
            parent.wait()
            said = (folder / "init.log").read_text().strip()
            raise LabMissing(f"this machine does not let the lab make name spaces (real root is needed): {said}")
        pid = int(child[0])
        world = cls(init=Process(pid, _start_ticks(pid) or 0), own_network=own_network)
        world._lifeline, world._parent = parent.stdin, parent
        return world, driver

    def enter(self, argv: Sequence[str | Path]) -> list[str]:
        """Return the command that runs `argv` inside this world."""
        self.check()
        flags = ["-m", "-u", "-i", "-p", *(["-n"] if self.own_network else [])]
        return ["nsenter", "-t", str(self.init.pid), *flags, "--", *(str(word) for word in argv)]

    def run(self, argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> str:
        """Run a command inside to its end and return its output. Errors: `LabError`."""
        return run(self.enter(argv), env=env)

    def launch(self, argv: Sequence[str | Path], *, log: Path, env: Mapping[str, str]) -> Process:
        """Start a daemon inside, as a child of the world's init, its words in `log`; return its process.

        Errors: `LabError` when it ended at once.
        """
        script = 'log=$1; shift; setsid "$@" </dev/null >>"$log" 2>&1 & echo $!'
        inner_pid = int(run(self.enter(["sh", "-c", script, "launch", log, *argv]), env=env))
        for process, status in self._scan():
            if status["NSpid"].split()[-1] == str(inner_pid):
                return process
        raise LabError(f"{argv[0]} ended at once; the end of its log:\n{log.read_text(errors='replace')[-1500:]}")

    def processes(self, name: str) -> list[Process]:
        """Return the processes of this world whose command begins with `name`, oldest first.

        Raises `LabError` when the world has ended.
        """
        found = [process for process, status in self._scan() if status["Name"].startswith(name)]
        return sorted(found, key=lambda process: (process.start_ticks, process.pid))

    def _scan(self) -> Iterator[tuple[Process, dict[str, str]]]:
        """Look at every process of this world, not those in its containers: the process, and its `status`."""
        self.check()
        space = Path(f"/proc/{self.init.pid}/ns/pid").readlink()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            # It ended while we looked, or is one that even root may not look at, and so none of ours.
            with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                if (entry / "ns/pid").readlink() == space:
                    ticks = _start_ticks(int(entry.name))
                    lines = (line.partition(":") for line in (entry / "status").read_text().splitlines())
                    if ticks is not None:
                        yield Process(int(entry.name), ticks), {key: value.strip() for key, _, value in lines}

    def check(self) -> None:
        """Raise `LabError` when this world has ended."""
        if not self.init.lives():
            raise LabError(f"this lab host is not running (its process {self.init.pid} is gone)")

    def end(self) -> None:
        """End every process of the world and wait until the last is gone. A world that has ended is fine."""
        send(self.init, signal.SIGKILL)
        wait_until(lambda: not self.init.lives(), timeout_s=30, what=f"the end of process {self.init.pid}")
        if self._parent is not None:
            self._parent.wait()
        if self._lifeline is not None:
            with suppress(BrokenPipeError):
                self._lifeline.close()


def send(process: Process, signal_number: signal.Signals) -> None:
    """Send a signal to this very process, never to a later one with its id; one that is gone is fine."""
    if not process.lives():
        return
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        if process.lives():  # looked at while the handle is held: the id cannot be given away in between
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal_number)
    finally:
        os.close(handle)


def wait_until(done: Callable[[], bool], *, timeout_s: float, what: str) -> None:
    """Look every 10 ms until `done()` is true. Raises `LabError` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > deadline:
            raise LabError(f"waited {timeout_s:g} s in vain for {what}")
        time.sleep(0.01)


def _start_ticks(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot (field 22 of its `stat`), or None if gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(")")[2].split()[19])
