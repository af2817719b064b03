"""Keep one `sh` open on a host, so that repeated looks cost no new process there. Never used for mutations."""

from __future__ import annotations

import asyncio
import hashlib
import secrets

from reconciler.errors import ReadFailed
from reconciler.host.scripts import load_script
from reconciler.host.shell import Completed, Pipe, Shell, read_script

_OPEN_DEADLINE_S = 10.0


class HeldShell:
    """Run scripts that change nothing through one shell that stays open.

    Each script is sent once and kept there as a function. Every reply ends with a random marker and the exit status,
    so a reply cut short is an error and never an answer. After an error the shell is opened anew by the next call.
    """

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._turn = asyncio.Lock()
        self._pipe: Pipe | None = None
        self._known: set[str] = set()

    @property
    def host(self) -> str:
        """Give the host's name, for messages."""
        return self._shell.host

    async def run(self, script: str, *, args: tuple[str, ...] = (), stdin: bytes = b"", deadline_s: float) -> Completed:
        """Run a script that changes nothing, one at a time; its standard error is dropped.

        Input is lines of text. Where the kept shell fails before the deadline, the script is run once more in a
        session of its own.

        Raises:
            ReadFailed, ConnectFailed: no whole answer came.
        """
        async with self._turn:
            try:
                return await self._ask(script, args=args, stdin=stdin, deadline_s=deadline_s)
            except ReadFailed as error:
                self._pipe = None
                if error.code != "E_EXEC_LOST":
                    raise
        return await read_script(self._shell, script, args=args, stdin=stdin, deadline_s=deadline_s)

    async def close(self) -> None:
        """End the kept shell; safe to call twice."""
        if self._pipe is not None:
            await self._pipe.close()
            self._pipe = None

    async def _ask(self, script: str, *, args: tuple[str, ...], stdin: bytes, deadline_s: float) -> Completed:
        if self._pipe is None or self._pipe.ended:
            self._known = set()
            self._pipe = await self._shell.start(load_script("held"), deadline_s=_OPEN_DEADLINE_S)
        name = "look_" + hashlib.sha256(script.encode()).hexdigest()[:16]
        marker = secrets.token_hex(16)
        request = f"{marker}\n"
        if name not in self._known:
            text = script if script.endswith("\n") else f"{script}\n"
            request += f"define {name}\n{text}{marker}\n"
        data = stdin if not stdin or stdin.endswith(b"\n") else stdin + b"\n"
        head = f"call {name} {len(args)}\n" + "".join(f"{arg}\n" for arg in args)
        self._pipe.send(request.encode() + head.encode() + data + f"{marker}\n".encode())
        answer = await self._pipe.read_until(f"\n{marker} ".encode(), deadline_s=deadline_s)
        status = await self._pipe.read_until(b"\n", deadline_s=deadline_s)
        self._known.add(name)
        return Completed(exit_status=int(status), stdout=answer[: -len(marker) - 2], stderr=b"")
