"""Run one command and take its answer, or say in one line why there is none."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.lab.missing import LabError, LabMissing


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    timeout_s: float = 120,
    cwd: Path | None = None,
) -> str:
    """Run a command to its end and return its standard output.

    Raises `LabMissing` when the program is not there, `LabError` with its last words when it fails.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(words, env=env, input=stdin, capture_output=True, timeout=timeout_s, check=False, cwd=cwd)
    except FileNotFoundError as gone:
        raise LabMissing(
            f"`{words[0]}` is missing; the lab runs as root on Debian 12 or later (PATH has no such program)"
        ) from gone
    except subprocess.TimeoutExpired as late:
        raise LabError(f"`{' '.join(words[:4])}` was not done after {timeout_s:g} s") from late
    if done.returncode != 0:
        words_said = done.stderr.decode(errors="replace").strip() or done.stdout.decode(errors="replace")
        raise LabError(f"`{' '.join(words)}` ended with {done.returncode}: {words_said.strip()[-600:]}")
    return done.stdout.decode(errors="replace")
