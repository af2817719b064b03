"""Run scripts on this machine, for the host whose address is `local`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

from reconciler.errors import OutcomeUnknown, ReadFailed
from reconciler.host.shell import (
    BOOTSTRAP,
    OUTPUT_LIMIT_BYTES,
    Completed,
    Framed,
    Pipe,
    frame,
    remote_shell_failed,
    unframe,
)

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class LocalShell:
    """Run scripts as children of this process, in a clean environment and a process group of their own."""

    def __init__(self, host: str, *, search_path: str = _SYSTEM_PATH) -> None:
        self._host = host
        self._environment = {"PATH": search_path, "HOME": str(Path.home()), "LC_ALL": "C"}

    @property
    def host(self) -> str:
        """Give the host's name, for messages."""
        return self._host

    async def run(
        self,
        script: str,
        *,
        args: tuple[str, ...] = (),
        stdin: bytes = b"",
        deadline_s: float,
        output_limit_bytes: int = OUTPUT_LIMIT_BYTES,
    ) -> Completed:
        """Run a script to its end, as `reconciler.host.shell.Shell.run` says; past the deadline its group is killed."""
        framed = frame(script, args, stdin)
        process = await self._spawn(errors=asyncio.subprocess.PIPE)
        try:
            async with asyncio.timeout(deadline_s):
                return await self._converse(process, framed, output_limit_bytes)
        except TimeoutError:
            raise OutcomeUnknown(
                f"host {self._host}: a script did not end in {deadline_s:g} s and was killed",
                code="E_EXEC_DEADLINE",
                transient=True,
            ) from None
        finally:
            await _end(process)

    async def start(self, script: str, *, args: tuple[str, ...] = (), deadline_s: float) -> Pipe:
        """Start a script that stays, as `reconciler.host.shell.Shell.start` says."""
        framed = frame(script, args, b"")
        process = await self._spawn(errors=asyncio.subprocess.DEVNULL)
        assert process.stdin is not None  # noqa: S101  # asked for in _spawn; narrows the type
        assert process.stdout is not None  # noqa: S101  # same
        process.stdin.write(framed.payload)
        stdin = process.stdin

        async def drain() -> None:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                await stdin.drain()

        async def stop() -> None:
            stdin.close()
            await _end(process)

        pipe = Pipe(host=self._host, reader=process.stdout, write=stdin.write, drain=drain, stop=stop)
        try:
            await pipe.read_until(framed.marker + b"\n", deadline_s=deadline_s)
        except ReadFailed as error:
            raise remote_shell_failed(self._host, b"", process.returncode) from error
        return pipe

    async def _spawn(self, *, errors: int) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            BOOTSTRAP,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            env=self._environment,
            cwd="/",
            start_new_session=True,
            limit=OUTPUT_LIMIT_BYTES,
        )

    async def _converse(
        self, process: asyncio.subprocess.Process, framed: Framed, output_limit_bytes: int
    ) -> Completed:
        assert process.stdin is not None  # noqa: S101  # asked for in _spawn; narrows the type
        assert process.stdout is not None  # noqa: S101  # same
        assert process.stderr is not None  # noqa: S101  # same
        left = output_limit_bytes

        async def drain(stream: asyncio.StreamReader) -> bytes:
            nonlocal left
            parts = []
            while part := await stream.read(65536):
                left -= len(part)
                if left < 0:
                    raise ReadFailed(
                        f"host {self._host}: a script printed more than {output_limit_bytes} bytes",
                        code="E_HOST_REPLY",
                    )
                parts.append(part)
            return b"".join(parts)

        async def feed(stream: asyncio.StreamWriter) -> None:
            # A script may end without reading all its input; that is its business.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                stream.write(framed.payload)
                await stream.drain()
                stream.close()
                await stream.wait_closed()

        try:
            async with asyncio.TaskGroup() as group:
                out, err = group.create_task(drain(process.stdout)), group.create_task(drain(process.stderr))
                group.create_task(feed(process.stdin))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        status = await process.wait()
        return unframe(self._host, framed, exit_status=status, stdout=out.result(), stderr=err.result())


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill what is left of a script's process group, and collect the script itself."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
