"""Take one sample: wall time, and the CPU time of the client with its children."""

import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.missing import LabError

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Hold what one piece of work took. `cpu_s` is user and system time of the client, None where nobody can tell."""

    wall_s: float
    cpu_s: float | None


def run_process(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes = b"",
    helpers: Iterable[int] = (),
    statuses: tuple[int, ...] = (0,),
) -> Sample:
    """Run a command to its end and measure it, with its children.

    `helpers` are processes that work for it without being its children: what they burn meanwhile is added. Raises
    `LabError` with its last words when it ends with none of `statuses`: a failure is no sample.
    """
    helpers = tuple(helpers)
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        before_s = cpu_of(helpers)
        began_s = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in argv], env=env, cwd=cwd, stdin=given, stdout=said, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - began_s
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in statuses:
            said.seek(0)
            words = said.read().decode(errors="replace")[-1500:]
            raise LabError(f"{' '.join(str(word) for word in argv[:6])} ended with {process.returncode}:\n{words}")
    return Sample(wall_s=wall_s, cpu_s=used.ru_utime + used.ru_stime + cpu_of(helpers) - before_s)


def here(work: Callable[[], object]) -> Sample:
    """Do something in this process and measure it."""
    before_s, began_s = own_cpu_s(), time.perf_counter()
    work()
    return Sample(wall_s=time.perf_counter() - began_s, cpu_s=own_cpu_s() - before_s)


def own_cpu_s() -> float:
    """Give the CPU time of this process and of those of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def cpu_of(pids: Iterable[int]) -> float:
    """Give the CPU time of running processes, without their children. Raises `LabError` when one has ended."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError as gone:
            raise LabError(f"process {pid}, which worked for a contender, has ended") from gone
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS_PER_S
