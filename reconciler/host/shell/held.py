"""Keep one `sh` open on a host, so that what is small and often asked costs no new session and no login there."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from typing import TYPE_CHECKING

from reconciler.errors import OutcomeUnknown, ReadFailed
from reconciler.host.scripts import load_script
from reconciler.host.shell import Completed, Pipe, Shell, check_args, lock_lost, read_script

if TYPE_CHECKING:
    from collections.abc import Callable

_OPEN_DEADLINE_S = 10.0


class HeldShell:
    """Run scripts that change nothing through one shell that stays open."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._kept = _Kept(shell)

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
        async with self._kept.turn:
            await self._kept.open()
            try:
                return await self._kept.ask(script, args=args, stdin=stdin, deadline_s=deadline_s)
            except ReadFailed as error:
                if error.code != "E_EXEC_LOST":
                    raise
        return await read_script(self._shell, script, args=args, stdin=stdin, deadline_s=deadline_s)

    async def close(self) -> None:
        """End the kept shell; safe to call twice."""
        await self._kept.close()


class Hand:
    """Make small changes through one shell that stays open: one at a time, each sent once at most.

    It is told from a look's shell by this alone: what was sent and not answered in whole is an unknown outcome, and
    nobody here sends it again. The shell runs a script only once it has arrived whole.
    """

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._kept = _Kept(shell)

    async def run(
        self, script: str, *, args: tuple[str, ...], deadline_s: float, is_held: Callable[[], bool]
    ) -> Completed:
        """Run a script that changes something; its standard error is dropped.

        Args:
            script: as `reconciler.host.shell.Shell.run` has it.
            args: same.
            deadline_s: after this the kept shell is closed; the script may still run.
            is_held: tells whether the host's lock is still ours; asked right before the script is sent.

        Raises:
            OutcomeUnknown: it was sent, and no whole answer came. It may have run.
            ConnectFailed: it was not sent: no session, or `E_NO_LEASE`.
        """
        async with self._kept.turn:
            await self._kept.open()
            if not is_held():
                raise lock_lost(self._shell.host)
            try:
                return await self._kept.ask(script, args=args, stdin=b"", deadline_s=deadline_s)
            except ReadFailed as error:
                raise OutcomeUnknown(error.message, code=error.code, hint=error.hint, transient=True) from error

    async def close(self) -> None:
        """End the kept shell; safe to call twice."""
        await self._kept.close()


class _Kept:
    """Hold one open shell, whose user takes a turn for each script.

    Each script is sent once and kept there as a function. Every reply ends with a random marker and the exit status,
    so a reply cut short is an error and never an answer. A shell that still owes an answer is never asked again.
    """

    def __init__(self, shell: Shell) -> None:
        self.turn = asyncio.Lock()
        self._shell = shell
        self._pipe: Pipe | None = None
        self._owes = False
        self._known: set[str] = set()

    async def open(self) -> None:
        """Open the shell where there is none that can be asked. Raises `ConnectFailed`."""
        if self._pipe is not None and not self._pipe.ended and not self._owes:
            return
        await self.close()
        self._pipe = await self._shell.start(load_script("held"), deadline_s=_OPEN_DEADLINE_S)

    async def ask(self, script: str, *, args: tuple[str, ...], stdin: bytes, deadline_s: float) -> Completed:
        """Run one script in the open shell. Raises `ReadFailed`; once it was sent, it may have run."""
        pipe = self._pipe
        if pipe is None:
            raise RuntimeError("a kept shell is asked before it was opened")
        check_args(args)
        name = "script_" + hashlib.sha256(script.encode()).hexdigest()[:16]
        marker = secrets.token_hex(16)
        request = f"{marker}\n"
        if name not in self._known:
            text = script if script.endswith("\n") else f"{script}\n"
            request += f"define {name}\n{text}{marker}\n"
        data = stdin if not stdin or stdin.endswith(b"\n") else stdin + b"\n"
        head = f"call {name} {len(args)}\n" + "".join(f"{arg}\n" for arg in args)
        self._owes = True
        pipe.send(request.encode() + head.encode() + data + f"{marker}\n".encode())
        answer = await pipe.read_until(f"\n{marker} ".encode(), deadline_s=deadline_s)
        status = await pipe.read_until(b"\n", deadline_s=deadline_s)
        if not status.strip().isdigit():
            raise ReadFailed(f"host {self._shell.host}: a kept shell gave no exit status", code="E_HOST_REPLY")
        self._owes = False
        self._known.add(name)
        return Completed(exit_status=int(status), stdout=answer[: -len(marker) - 2], stderr=b"")

    async def close(self) -> None:
        """End the shell; safe to call twice."""
        pipe, self._pipe, self._owes, self._known = self._pipe, None, False, set()
        if pipe is not None:
            await pipe.close()
