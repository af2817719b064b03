"""Open the way to one host. Every way that fails has its own code and words."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import os
import socket
import threading
from collections import defaultdict
from typing import TYPE_CHECKING

from reconciler.errors import ConnectFailed
from reconciler.host.foreign import ssh_failure, tcp_failure
from reconciler.host.shell.local import LocalShell

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncssh

    from reconciler.host.way.connection import SshConnection
    from reconciler.host.way.link import Link
    from reconciler.model.access import HostAccess

CONNECT_S = 10.0
LOGIN_S = 15.0
MEET_S = 10.0
"""An engine that has not told who it is by then counts as down."""
DIALS = 12
"""Logins at once in the whole process. sshd's MaxStartups begins to drop at 10, and one jump host carries many."""

_DROPPED_PAUSES_S = (0.05, 0.2, 0.8, 1.6)
_DEEPEST_JUMP = 1


class Gate:
    """Bound logins: how many at once in the whole process, and how long each stage of one may take."""

    def __init__(
        self, dials: int = DIALS, *, connect_s: float = CONNECT_S, login_s: float = LOGIN_S, engine_s: float = MEET_S
    ) -> None:
        self.slots = asyncio.Semaphore(dials)
        self.again: defaultdict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)
        self.connect_s = connect_s
        self.login_s = login_s
        self.engine_s = engine_s


async def dial(access: HostAccess, gate: Gate) -> Link:
    """Connect to a host and see that scripts run there; the engine is met with the first call to it.

    Raises:
        ConnectFailed: `E_HOST_RESOLVE`, `E_HOST_REFUSED`, `E_HOST_TIMEOUT`, `E_HOST_UNREACHABLE`, `E_SSH_HOSTKEY…`,
            `E_SSH_LOGIN`, `E_SSH_DROPPED`, `E_SSH_PROTOCOL`, `E_SSH_JUMP`, `E_KEY_…`, `E_REMOTE_SHELL`, `E_JUMP_DEPTH`.
    """
    if access.is_local:
        return _link(access, ssh=None, gate=gate)
    import asyncssh  # noqa: F401, PLC0415  # `local` needs none; it comes first, since nobody logs in without

    _begin_to_import_http()
    jump = None
    if access.jump is not None:
        if access.jump.jump is not None:
            raise ConnectFailed(
                f"host {access.name}: its jump host {access.jump.name} has a jump host itself",
                code="E_JUMP_DEPTH",
                hint=f"at most {_DEEPEST_JUMP} jump host is allowed",
            )
        jump = await _connect(access.jump, gate, through=None)
    try:
        ssh = await _connect(access, gate, through=jump)
    except BaseException:
        if jump is not None:
            await jump.close()
        raise
    link = _link(access, ssh=ssh, gate=gate)
    if jump is not None:
        link.keep_jump(jump)
    try:
        # The first reply on a connection stalls for 40 ms unless a session was open before; and this is a session.
        await _greet(link, within_s=gate.login_s)
    except BaseException:
        await link.close()
        raise
    return link


def _link(access: HostAccess, *, ssh: SshConnection | None, gate: Gate) -> Link:
    from reconciler.host.way.link import Link  # noqa: PLC0415  # HTTP; over SSH, it was begun beside the login

    return Link(access, shell=ssh or LocalShell(access.name), ssh=ssh, meet_s=gate.engine_s)


@functools.cache
def _begin_to_import_http() -> None:
    """Import what speaks HTTP beside the first login: it takes as long as the host does to let us in."""
    threading.Thread(target=importlib.import_module, args=("reconciler.host.way.link",)).start()


async def _greet(link: Link, *, within_s: float) -> None:
    """See that scripts run, and let a login shell that refuses say why."""
    try:
        await link.held.run("true", deadline_s=within_s)
    except ConnectFailed as error:
        if error.code == "E_REMOTE_SHELL":
            # The kept shell's standard error is dropped; a plain run repeats what was said there.
            await link.shell.run("true", deadline_s=within_s)
        raise


async def connect_tcp(access: HostAccess, *, within_s: float = CONNECT_S) -> socket.socket:
    """Open a TCP connection to a host's sshd, trying each of its addresses in turn.

    Raises:
        ConnectFailed: `E_HOST_RESOLVE`, `E_HOST_REFUSED`, `E_HOST_TIMEOUT` or `E_HOST_UNREACHABLE`.
    """
    loop = asyncio.get_running_loop()
    last: OSError = TimeoutError()
    try:
        async with asyncio.timeout(within_s):
            found = await loop.getaddrinfo(access.address, access.port, type=socket.SOCK_STREAM)
            for family, kind, protocol, _, address in found:
                sock = socket.socket(family, kind, protocol)
                sock.setblocking(False)
                try:
                    await loop.sock_connect(sock, address)
                except OSError as error:
                    sock.close()
                    last = error
                except BaseException:
                    sock.close()
                    raise
                else:
                    return sock
    except OSError as error:
        raise tcp_failure(error, access) from error
    raise tcp_failure(last, access) from last


async def _connect(access: HostAccess, gate: Gate, *, through: SshConnection | None) -> SshConnection:
    """Log in; where sshd dropped us for too many logins at once, try again after a pause, one at a time for a host."""
    try:
        async with gate.slots:
            return await _connect_once(access, gate, through=through)
    except ConnectFailed as error:
        if error.code != "E_SSH_DROPPED":
            raise
    async with gate.again[access.address, access.port]:
        for pause_s in _DROPPED_PAUSES_S:
            await asyncio.sleep(pause_s)
            try:
                async with gate.slots:
                    return await _connect_once(access, gate, through=through)
            except ConnectFailed as error:
                if error.code != "E_SSH_DROPPED" or pause_s == _DROPPED_PAUSES_S[-1]:
                    raise
    raise AssertionError  # the last round returns or raises


async def _connect_once(access: HostAccess, gate: Gate, *, through: SshConnection | None) -> SshConnection:
    import asyncssh  # noqa: PLC0415  # `local` needs no asyncssh

    from reconciler.host.way.connection import log_in  # noqa: PLC0415  # same
    from reconciler.host.way.keys import read_pinned_key  # noqa: PLC0415  # same

    host_key = read_pinned_key(access)
    client_keys, agent = await _client_keys(access)
    sock = None
    try:
        via = (
            through.connection if through is not None else (sock := await connect_tcp(access, within_s=gate.connect_s))
        )
        return await log_in(access, host_key=host_key, client_keys=client_keys, via=via, within_s=gate.login_s)
    except (asyncssh.Error, OSError) as error:
        if sock is not None:
            sock.close()
        raise ssh_failure(error, access) from error
    finally:
        if agent is not None:
            agent.close()
            with contextlib.suppress(OSError):
                await agent.wait_closed()


async def _client_keys(access: HostAccess) -> tuple[Sequence[object], asyncssh.SSHAgentClient | None]:
    """Gather the keys to log in with: the named file, and the agent's where it was asked for.

    An empty list would make asyncssh read the keys of ~/.ssh, so none at all is refused here.
    """
    import asyncssh  # noqa: PLC0415  # `local` needs no asyncssh

    from reconciler.host.way.keys import read_identity  # noqa: PLC0415  # same

    keys: list[object] = []
    if access.identity_file is not None:
        try:
            keys.append(read_identity(access))
        except ConnectFailed as error:
            if not (access.agent and error.code == "E_KEY_PASSPHRASE"):
                raise
    agent = None
    if access.agent:
        path = os.environ.get("SSH_AUTH_SOCK", "")
        try:
            agent = await asyncssh.connect_agent(path)
        except OSError as error:
            raise ConnectFailed(
                f"host {access.name}: no SSH agent answers at SSH_AUTH_SOCK ({path or 'unset'})",
                code="E_KEY_AGENT",
                hint="start one and add the key: eval $(ssh-agent); ssh-add",
            ) from error
        keys.extend(await agent.get_keys())
    if not keys:
        if agent is not None:
            agent.close()
        raise ConnectFailed(
            f"host {access.name}: there is no key to log in with",
            code="E_KEY_NONE",
            hint="set spec.ssh.identityFile, or spec.ssh.agent: true with a key in the agent (`ssh-add -l`)",
        )
    return keys, agent
