"""Run fixed scripts on a host, whatever its login shell is, with data on standard input only.

An SSH exec always goes through the account's login shell, which may be csh or fish, and may print at start. So the
remote command is one constant line, free of anything those shells expand: it starts `/bin/sh`, which reads a marker,
the script and its arguments from standard input, says where its own output begins, and runs the script only once it
has arrived whole.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from reconciler.errors import ConnectFailed, HostError, OutcomeUnknown, ReadFailed
from reconciler.model.text import head_of

OUTPUT_LIMIT_BYTES = 8 * 1024 * 1024
"""A script that prints more is broken or hostile; its reply is refused."""

_READ_BYTES = 65536

BOOTSTRAP = (
    'IFS= read -r m || exit 97; printf "%s\\n" "$m"; printf "%s\\n" "$m" >&2; '
    'n="$(printf "\\nx")"; n="${n%x}"; s=; '
    'while IFS= read -r l; do if [ "$l" = "$m" ]; then '
    'IFS= read -r c || exit 97; while [ "$c" -gt 0 ]; do IFS= read -r a || exit 97; set -- "$@" "$a"; '
    'c=$((c-1)); done; eval "$s"; exit; fi; s="$s$l$n"; done; exit 97'
)
"""What `/bin/sh -c` runs. It has no single quote, no exclamation mark and no newline: csh and fish pass it on as is."""

REMOTE_COMMAND = f"/bin/sh -c '{BOOTSTRAP}'"


class Completed(msgspec.Struct, frozen=True, kw_only=True):
    """Hold a script that ran to its end: its exit status and everything it printed."""

    exit_status: int
    stdout: bytes
    stderr: bytes

    @property
    def lines(self) -> list[str]:
        """Give the lines of what it printed; only a line feed ends one, since names may hold all else."""
        text = self.stdout.decode("utf-8", "replace")
        return text.removesuffix("\n").split("\n") if text else []


class Framed(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what to send for one run, and the marker that its own output begins after."""

    marker: bytes
    payload: bytes


class Shell(Protocol):
    """Run scripts on one host."""

    @property
    def host(self) -> str:
        """Give the host's name, for messages."""

    async def run(
        self,
        script: str,
        *,
        args: tuple[str, ...] = (),
        stdin: bytes = b"",
        deadline_s: float,
        output_limit_bytes: int = OUTPUT_LIMIT_BYTES,
    ) -> Completed:
        """Run a script to its end.

        Args:
            script: fixed text of a POSIX shell script; never built from data.
            args: what the script sees as `$1`, `$2`, …: one line each. They travel on standard input, so they show in
                no list of processes.
            stdin: what the script reads. A connection that breaks looks like its end, so a script that changes
                something must be told how much to expect.
            deadline_s: after this the channel is closed (a local script is killed).
            output_limit_bytes: of standard output and standard error together.

        Raises:
            OutcomeUnknown: no exit status came: the connection broke, or the deadline passed. It may have run.
            ReadFailed: `E_HOST_REPLY` when it printed more than the limit.
            ConnectFailed: it certainly did not run: no connection, no session, or `E_REMOTE_SHELL`.
        """

    async def start(self, script: str, *, args: tuple[str, ...] = (), deadline_s: float) -> Pipe:
        """Start a script that stays, and talk to it line by line. Raises `ConnectFailed` when it does not begin."""


class Pipe:
    """Talk to one script that stays open on a host."""

    def __init__(
        self,
        *,
        host: str,
        reader: asyncio.StreamReader,
        write: Callable[[bytes], None],
        drain: Callable[[], Awaitable[None]],
        stop: Callable[[], Awaitable[None]],
    ) -> None:
        self.host = host
        self._reader = reader
        self._write = write
        self._drain = drain
        self._stop = stop
        self._stopped = False

    @property
    def ended(self) -> bool:
        """Tell whether the script has ended, or the way to it is gone."""
        return self._stopped or self._reader.at_eof()

    def send(self, data: bytes) -> None:
        """Send bytes to the script's standard input; a pipe that is gone swallows them."""
        if not self._stopped:
            self._write(data)

    async def pour(self, data: bytes) -> None:
        """Send bytes, and wait while the host is slower than we are; a pipe that is gone swallows them."""
        self.send(data)
        if not self.ended:
            await self._drain()

    async def read_some(self) -> bytes:
        """Read what came, at least a byte; nothing at the end."""
        return await self._reader.read(_READ_BYTES)

    async def read_until(self, separator: bytes, *, deadline_s: float) -> bytes:
        """Read up to and with a separator. Raises `ReadFailed` at the end, past the limit, or past the deadline."""
        try:
            async with asyncio.timeout(deadline_s):
                return await self._reader.readuntil(separator)
        except TimeoutError:
            why, code = f"it said nothing for {deadline_s:g} s", "E_EXEC_DEADLINE"
        except asyncio.IncompleteReadError as error:
            why, code = f"it ended after {len(error.partial)} bytes of a reply", "E_EXEC_LOST"
        except asyncio.LimitOverrunError:
            why, code = f"it printed more than {OUTPUT_LIMIT_BYTES} bytes", "E_HOST_REPLY"
        await self.close()
        raise ReadFailed(
            f"host {self.host}: a script kept open there failed: {why}", code=code, transient=code != "E_HOST_REPLY"
        )

    async def wait_ended(self) -> None:
        """Wait until the script has ended or the way to it is gone; what it prints meanwhile is dropped."""
        while await self.read_some():
            pass

    async def close(self) -> None:
        """End the script by closing its input and its channel; safe to call twice."""
        if not self._stopped:
            self._stopped = True
            await self._stop()


def frame(script: str, args: tuple[str, ...], stdin: bytes) -> Framed:
    """Put marker, script, arguments and data into the order that the bootstrap reads them in.

    Raises:
        ValueError: an argument that is not one line of text: the caller's mistake, never the operator's.
    """
    marker = f"reconciler-{secrets.token_hex(16)}"
    check_args(args)
    text = script if script.endswith("\n") else f"{script}\n"
    head = f"{marker}\n{text}{marker}\n{len(args)}\n" + "".join(f"{arg}\n" for arg in args)
    return Framed(marker=marker.encode(), payload=head.encode() + stdin)


def check_args(args: tuple[str, ...]) -> None:
    """Refuse an argument that is not one line of text. Raises `ValueError`: the caller's mistake."""
    for arg in args:
        if "\n" in arg or "\0" in arg:
            raise ValueError("a script's argument must be one line without NUL")


def unframe(host: str, framed: Framed, *, exit_status: int, stdout: bytes, stderr: bytes) -> Completed:
    """Drop what a login shell printed before the script's own output.

    Raises:
        ConnectFailed: `E_REMOTE_SHELL` when the script never began.
    """
    line = framed.marker + b"\n"
    before, found, own = stdout.partition(line)
    if not found:
        raise remote_shell_failed(host, before + stderr, exit_status)
    return Completed(exit_status=exit_status, stdout=own, stderr=stderr.rpartition(line)[2])


def remote_shell_failed(host: str, said: bytes, exit_status: int | None) -> ConnectFailed:
    """Say that the account's login shell does not let `/bin/sh` run."""
    words = head_of(ascii(" ".join(said.decode("utf-8", "replace").split()))[1:-1], 200)
    quoted = f"; it said: '{words}'" if words else ""
    status = "no exit status" if exit_status is None else f"exit status {exit_status}"
    return ConnectFailed(
        f"host {host}: the login shell of this account did not start /bin/sh ({status}){quoted}",
        code="E_REMOTE_SHELL",
        hint="give the account a POSIX shell (chsh -s /bin/sh), and see that its key has no forced command",
    )


def lock_lost(host: str) -> ConnectFailed:
    """Say that nothing was sent, since the host's lock was lost."""
    return ConnectFailed(f"the lock of host {host} was lost, so nothing was sent", code="E_NO_LEASE")


def as_read_failure(error: HostError) -> ReadFailed:
    """Turn the unknown outcome of a script that changes nothing into a failed read."""
    return ReadFailed(error.message, code=error.code, hint=error.hint, transient=True)


async def read_script(
    shell: Shell, script: str, *, args: tuple[str, ...] = (), stdin: bytes = b"", deadline_s: float
) -> Completed:
    """Run a script that changes nothing: an unknown outcome is a failed read. Raises `ReadFailed`, `ConnectFailed`."""
    try:
        return await shell.run(script, args=args, stdin=stdin, deadline_s=deadline_s)
    except OutcomeUnknown as error:
        raise as_read_failure(error) from error
