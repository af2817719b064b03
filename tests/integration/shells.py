"""Offer the shells and tools that hosts really have: Debian's dash with coreutils, and busybox for both.

The busybox one stands in for a host such as Alpine: the same scripts, run by `busybox sh` with busybox's tools only.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from reconciler.host.shell import BOOTSTRAP, Completed, frame, unframe
from reconciler.host.shell.local import LocalShell
from tests.lab.command import run
from tests.lab.packages import Programs


class BusyboxShell(LocalShell):
    """Run scripts with `busybox sh`, and nothing but busybox's tools on the search path."""

    def __init__(self, host: str, *, busybox: Path, folder: Path) -> None:
        tools = folder / "tools"
        tools.mkdir()
        for name in run([busybox, "--list"]).split():
            (tools / name).symlink_to(busybox)
        super().__init__(host, search_path=str(tools))
        self._busybox = busybox

    async def run(
        self,
        script: str,
        *,
        args: tuple[str, ...] = (),
        stdin: bytes = b"",
        deadline_s: float,
        output_limit_bytes: int = 0,  # noqa: ARG002  # what these tests print has no need of one
    ) -> Completed:
        framed = frame(script, args, stdin)
        process = await asyncio.create_subprocess_exec(
            str(self._busybox),
            "sh",
            "-c",
            BOOTSTRAP,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment,
            cwd="/",
        )
        async with asyncio.timeout(deadline_s):
            out, err = await process.communicate(framed.payload)
        return unframe(self.host, framed, exit_status=process.returncode or 0, stdout=out, stderr=err)


def shell_of(kind: str, *, programs: Programs, folder: Path) -> LocalShell:
    """Give a shell of this machine: `debian` or `busybox`."""
    if kind == "debian":
        return LocalShell("h1")
    return BusyboxShell("h1", busybox=programs.find("busybox"), folder=folder)
