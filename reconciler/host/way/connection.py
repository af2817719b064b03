"""Hold one SSH connection to one host: sessions for scripts, and channels to the Docker engine's socket.

Nothing of the user's SSH configuration is read, only the pinned key is trusted, nothing is forwarded to us or from us,
and every wait has a bound. asyncssh returns normally, with no exit status and no output, when the link breaks in the
middle of a command; here that is an unknown outcome.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, cast

import asyncssh

from reconciler.errors import OutcomeUnknown, ReadFailed
from reconciler.host.foreign import session_failure
from reconciler.host.shell import (
    OUTPUT_LIMIT_BYTES,
    REMOTE_COMMAND,
    Completed,
    Pipe,
    frame,
    remote_shell_failed,
    unframe,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from reconciler.model.access import HostAccess

KEEPALIVE_S = 5
KEEPALIVE_MISSES = 3
SESSIONS = 7
"""Sessions for scripts at once. sshd allows 10 by default; three are left for two kept shells and the lock."""

SESSIONS_NEEDED = SESSIONS + 3
"""What a pass may have open at once on one connection: what sshd's `MaxSessions` must allow."""

_SESSION_OPEN_S = 10.0
_SESSION_PAUSES_S = (0.01, 0.05, 0.25, 1.0)
_HOST_KEY_KINDS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
_CLOSE_S = 2.0
_MSG_IGNORE = 2


class SshConnection:
    """Run scripts over one SSH connection, and open channels to sockets of the host.

    Attributes:
        lost: set once the connection is gone, whoever ended it.
    """

    def __init__(self, access: HostAccess, connection: asyncssh.SSHClientConnection, lost: asyncio.Event) -> None:
        self.access = access
        self.lost = lost
        self._connection = connection
        self._slots = asyncio.Semaphore(SESSIONS)

    @property
    def host(self) -> str:
        """Give the host's name, for messages."""
        return self.access.name

    @property
    def connection(self) -> asyncssh.SSHClientConnection:
        """Give asyncssh's connection, for a tunnel to a further host and for channels to sockets."""
        return self._connection

    async def run(
        self,
        script: str,
        *,
        args: tuple[str, ...] = (),
        stdin: bytes = b"",
        deadline_s: float,
        output_limit_bytes: int = OUTPUT_LIMIT_BYTES,
    ) -> Completed:
        """Run a script to its end, as `reconciler.host.shell.Shell.run` says."""
        framed = frame(script, args, stdin)
        session = _RunSession(output_limit_bytes)
        channel: asyncssh.SSHClientChannel[bytes] | None = None
        try:
            async with asyncio.timeout(deadline_s), self._slots:
                channel = await self._open(session)
                # A login shell that ends at once closes the channel first: its exit status tells.
                with contextlib.suppress(BrokenPipeError):
                    channel.write(framed.payload)
                    channel.write_eof()
                await session.ended.wait()
        except TimeoutError:
            if channel is None:
                raise session_failure(TimeoutError(f"none came in {deadline_s:g} s"), self.host) from None
            raise OutcomeUnknown(
                f"host {self.host}: a script did not end in {deadline_s:g} s; it may still run there",
                code="E_EXEC_DEADLINE",
                transient=True,
            ) from None
        finally:
            if channel is not None and not session.ended.is_set():
                channel.abort()
        if session.overflowed:
            raise ReadFailed(
                f"host {self.host}: a script printed more than {output_limit_bytes} bytes", code="E_HOST_REPLY"
            )
        if session.exit_status is None:
            raise OutcomeUnknown(
                f"host {self.host}: the connection broke before a script's exit status came",
                code="E_EXEC_LOST",
                hint="look at the host again",
                transient=True,
            )
        return unframe(
            self.host,
            framed,
            exit_status=session.exit_status,
            stdout=b"".join(session.stdout),
            stderr=b"".join(session.stderr),
        )

    async def start(self, script: str, *, args: tuple[str, ...] = (), deadline_s: float) -> Pipe:
        """Start a script that stays, as `reconciler.host.shell.Shell.start` says."""
        framed = frame(script, args, b"")
        session = _StayingSession()
        channel = await self._open(session)
        session.reader.set_transport(cast("asyncio.BaseTransport", channel))  # it pauses and resumes like one
        with contextlib.suppress(BrokenPipeError):  # same
            channel.write(framed.payload)

        def write(data: bytes) -> None:
            if not channel.is_closing():
                channel.write(data)

        async def stop() -> None:
            channel.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await session.ended.wait()

        pipe = Pipe(host=self.host, reader=session.reader, write=write, drain=session.drain, stop=stop)
        try:
            await pipe.read_until(framed.marker + b"\n", deadline_s=deadline_s)
        except ReadFailed as error:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await session.ended.wait()
            status, signal = channel.get_exit_status(), channel.get_exit_signal()
            if session.ended.is_set() and status is None and signal is None:
                # A login shell that refuses tells how it ended; a line that was lost tells nothing.
                raise session_failure(ConnectionResetError("the line was lost"), self.host) from error
            raise remote_shell_failed(self.host, b"", status) from error
        return pipe

    async def count_sessions(self, wanted: int) -> int:
        """Open up to `wanted` sessions beside those that are open, close them again, and tell how many came."""
        opened = await asyncio.gather(*(self._try_session() for _ in range(wanted)))
        channels = [channel for channel in opened if channel is not None]
        for channel in channels:
            channel.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await asyncio.gather(*(channel.wait_closed() for channel in channels))
        return len(channels)

    async def close(self) -> None:
        """Close the connection, with a bound on how long the other side may take; safe to call twice."""
        self._connection.close()
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self._connection.wait_closed()
        except TimeoutError:
            self._connection.abort()

    async def _try_session(self) -> asyncssh.SSHClientChannel[bytes] | None:
        """Open a session once, in which nothing runs; give None where it is refused."""
        with contextlib.suppress(TimeoutError, asyncssh.Error, OSError):
            async with asyncio.timeout(_SESSION_OPEN_S):
                channel, _ = await self._connection.create_session(
                    _StayingSession, REMOTE_COMMAND, encoding=None, x11_forwarding=False
                )
                return channel
        return None

    async def _open(self, session: _RunSession | _StayingSession) -> asyncssh.SSHClientChannel[bytes]:
        """Open a session, again after a pause where sshd has not yet counted out one that just ended."""
        for pause_s in (*_SESSION_PAUSES_S, None):
            try:
                async with asyncio.timeout(_SESSION_OPEN_S):
                    channel, _ = await self._connection.create_session(
                        lambda: session, REMOTE_COMMAND, encoding=None, x11_forwarding=False
                    )
            except TimeoutError:
                # Our own bound ended it; one that the caller set arrives as a cancellation.
                raise session_failure(TimeoutError(f"no answer in {_SESSION_OPEN_S:g} s"), self.host) from None
            except asyncssh.ChannelOpenError as error:
                if pause_s is None or self.lost.is_set():
                    raise session_failure(error, self.host) from error
            except (asyncssh.Error, OSError) as error:
                raise session_failure(error, self.host) from error
            else:
                return channel
            await asyncio.sleep(pause_s)
        raise AssertionError  # the last round returns or raises


class _RunSession(asyncssh.SSHClientSession[bytes]):
    """Gather what one script prints, up to a limit, and its exit status."""

    def __init__(self, limit_bytes: int) -> None:
        self.stdout: list[bytes] = []
        self.stderr: list[bytes] = []
        self.exit_status: int | None = None
        self.overflowed = False
        self.ended = asyncio.Event()
        self._left_bytes = limit_bytes
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            self.overflowed = True
            if self._channel is not None:
                self._channel.abort()
            return
        (self.stderr if datatype == asyncssh.EXTENDED_DATA_STDERR else self.stdout).append(data)

    def exit_status_received(self, status: int) -> None:
        self.exit_status = status

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:  # noqa: ARG002, FBT001  # asyncssh's signature
        # A script that died by a signal did end: shells report it as 128 and more.
        self.exit_status = 128

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncssh's signature
        self.ended.set()


class _StayingSession(asyncssh.SSHClientSession[bytes]):
    """Feed what a script that stays prints into a reader; its standard error is dropped."""

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader(limit=OUTPUT_LIMIT_BYTES)
        self.ended = asyncio.Event()
        self._may_write = asyncio.Event()
        self._may_write.set()

    async def drain(self) -> None:
        """Wait while what was written is more than the host takes."""
        await self._may_write.wait()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if datatype is None:
            self.reader.feed_data(data)

    def eof_received(self) -> bool:
        self.reader.feed_eof()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncssh's signature
        self.reader.feed_eof()
        self._may_write.set()
        self.ended.set()


async def log_in(
    access: HostAccess,
    *,
    host_key: asyncssh.SSHKey,
    client_keys: Sequence[Any],
    via: socket.socket | asyncssh.SSHClientConnection,
    within_s: float,
) -> SshConnection:
    """Make an SSH session over a connected TCP socket, or through another host's connection.

    Raises:
        asyncssh.Error, OSError, TimeoutError: for `reconciler.host.foreign.ssh_failure` to put into words.
    """
    lost = asyncio.Event()

    class Watch(asyncssh.SSHClient):
        def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncssh's signature
            lost.set()

    through = {"tunnel": via} if isinstance(via, asyncssh.SSHClientConnection) else {"sock": via}
    connection = await asyncssh.connect(
        access.address,
        access.port,
        **through,
        client_factory=Watch,
        config=None,
        known_hosts=([host_key], [], []),
        server_host_key_algs=_prefer(host_key),
        # Post-quantum exchange costs six times the CPU, which a fleet pays on every connect.
        kex_algs="^curve25519-sha256",
        # CVE-2023-48795: with it, a server without strict key exchange lets others cut messages out unnoticed.
        encryption_algs="-chacha20-poly1305@openssh.com",
        username=access.user,
        client_keys=client_keys,
        agent_path=None,
        agent_forwarding=False,
        x11_forwarding=False,
        password=None,
        password_auth=False,
        kbdint_auth=False,
        host_based_auth=False,
        gss_auth=False,
        gss_kex=False,
        preferred_auth=["publickey"],
        disable_trivial_auth=True,
        connect_timeout=within_s,
        login_timeout=within_s,
        keepalive_interval=KEEPALIVE_S,
        keepalive_count_max=KEEPALIVE_MISSES,
    )
    _send_no_decoys(connection)
    return SshConnection(access, connection, lost)


def _send_no_decoys(connection: asyncssh.SSHClientConnection) -> None:
    """Keep asyncssh from sending an empty packet ahead of every packet.

    That guards the CBC ciphers alone, which are not asked for, and doubles the packets: a look is mostly these.
    """
    if str(connection.get_extra_info("send_cipher")).endswith("-cbc"):
        return
    send = connection.send_packet

    def send_packet(pkttype: int, *args: bytes, **more: Any) -> None:
        if pkttype != _MSG_IGNORE:
            send(pkttype, *args, **more)

    # There is no public switch; a test counts the packets.
    connection.send_packet = send_packet  # type: ignore[method-assign]


def _prefer(host_key: asyncssh.SSHKey) -> list[str]:
    """Ask for the pinned kind of key first, and take any: another kind is then told apart from a broken exchange."""
    kind = host_key.get_algorithm()
    pinned = ["rsa-sha2-512", "rsa-sha2-256"] if kind == "ssh-rsa" else [kind]
    return pinned + [other for other in _HOST_KEY_KINDS if other not in pinned]
