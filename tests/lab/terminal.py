"""Run one command on a terminal of its own, and answer what it asks."""

import os
import pty
import select
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Shown:
    """Hold what a command showed on its terminal, and what it ended with."""

    status: int
    text: str


def run_at_terminal(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    question: str | None = None,
    answer: str = "",
    timeout_s: float = 120,
) -> Shown:
    """Run a command to its end on a terminal, and give `answer` the first time it shows `question`.

    One that is silent for `timeout_s` is killed.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        argv,
        cwd=cwd,
        env={"TERM": "xterm-256color", **env},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown, waiting = b"", question is not None
    try:
        while piece := _read_some(ours, timeout_s=timeout_s):
            shown += piece
            if waiting and question is not None and question.encode() in shown:
                os.write(ours, answer.encode())
                waiting = False
        status = process.wait(timeout=timeout_s)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return Shown(status, shown.decode(errors="replace"))


def _read_some(terminal: int, *, timeout_s: float) -> bytes:
    """Read what a terminal shows; nothing once its other end is closed, or after this long a silence."""
    shown = select.poll()  # not select(), which knows no descriptor above 1023
    shown.register(terminal, select.POLLIN)
    if not shown.poll(timeout_s * 1000):
        return b""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""
