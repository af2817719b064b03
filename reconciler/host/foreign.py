"""Turn foreign exceptions into ours. The only place that knows what asyncssh, aiohttp and the system raise."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import TYPE_CHECKING

from reconciler.errors import ConnectFailed, HostError, OutcomeUnknown, ReadFailed
from reconciler.model.text import head_of

if TYPE_CHECKING:
    from reconciler.model.access import HostAccess

_NOT_FOUND = 404


class DockerRefused(HostError):
    """Report that the engine answered, and said no. `status` is the HTTP status, `message` the engine's own words.

    A status below 500 means that nothing was changed; 500 and above may have been half done: look again.
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message, code="E_DOCKER_REFUSED", transient=status >= 500)  # noqa: PLR2004  # HTTP's own line
        self.status = status

    @property
    def is_absent(self) -> bool:
        """Tell whether the engine says that there is no such thing."""
        return self.status == _NOT_FOUND


def tcp_failure(error: OSError, access: HostAccess) -> ConnectFailed:
    """Say why no TCP connection to a host's sshd came about."""
    where = f"{access.address} port {access.port}"
    if isinstance(error, socket.gaierror):
        return ConnectFailed(
            f"host {access.name}: the name {access.address} does not resolve ({error.strerror})",
            code="E_HOST_RESOLVE",
            hint="check spec.address, and the DNS of this machine",
            transient=error.errno == socket.EAI_AGAIN,
        )
    if isinstance(error, ConnectionRefusedError):
        return ConnectFailed(
            f"host {access.name}: {where} refuses connections",
            code="E_HOST_REFUSED",
            hint="is sshd running there, and is this its port?",
            transient=True,
        )
    if isinstance(error, TimeoutError):
        return ConnectFailed(
            f"host {access.name}: {where} did not answer",
            code="E_HOST_TIMEOUT",
            hint="is the host up, and does a firewall drop the packets on the way?",
            transient=True,
        )
    return ConnectFailed(
        f"host {access.name}: {where} cannot be reached ({error.strerror or error})",
        code="E_HOST_UNREACHABLE",
        hint="is there a route from this machine to that network?",
        transient=True,
    )


def ssh_failure(error: BaseException, access: HostAccess) -> ConnectFailed:
    """Say why no SSH session came about, once TCP had connected."""
    import asyncssh  # noqa: PLC0415  # a `local` host must not pay 0.4 s for it

    name = access.name
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return ConnectFailed(
            f"host {name}: {access.address} port {access.port} showed another host key than the pinned one; "
            "nothing was sent to it",
            code="E_SSH_HOSTKEY",
            hint="find out who changed the key; if it was you, put the new one into spec.ssh.hostKey and commit it",
        )
    if isinstance(error, asyncssh.PermissionDenied):
        tried = "the keys of the SSH agent" if access.identity_file is None else "the key of spec.ssh.identityFile"
        return ConnectFailed(
            f"host {name}: sshd does not let user {access.user} in with {tried}",
            code="E_SSH_LOGIN",
            hint="is the public key in that account's authorized_keys, and is the account open for SSH?",
        )
    if isinstance(error, TimeoutError):
        return ConnectFailed(
            f"host {name}: {access.address} port {access.port} accepted the connection, but no SSH session came of it",
            code="E_HOST_TIMEOUT",
            hint="is sshd overloaded or stopped there, or is it another service's port?",
            transient=True,
        )
    if isinstance(error, asyncssh.KeyExchangeFailed | asyncssh.ProtocolNotSupported | asyncssh.ProtocolError):
        return ConnectFailed(
            f"host {name}: no common SSH protocol with {access.address} port {access.port} ({error.reason})",
            code="E_SSH_PROTOCOL",
            hint="is it an SSH server of the last ten years?",
        )
    if isinstance(error, asyncssh.ChannelOpenError):
        return ConnectFailed(
            f"host {name}: its jump host did not open a connection to {access.address} port {access.port}"
            f" ({error.reason})",
            code="E_SSH_JUMP",
            hint="does the jump host reach it, and does its sshd allow TCP forwarding?",
            transient=True,
        )
    return ConnectFailed(
        f"host {name}: {access.address} port {access.port} closed the connection before the login ({_words(error)})",
        code="E_SSH_DROPPED",
        hint="sshd does so past MaxStartups or after failed logins; another service on this port does so too",
        transient=True,
    )


def session_failure(error: BaseException, host: str) -> ConnectFailed:
    """Say why a script could not be given a session on a live connection: it certainly did not run."""
    return ConnectFailed(
        f"host {host}: no session could be opened on the connection ({_words(error)})",
        code="E_SSH_SESSION",
        hint="the connection may be lost, or sshd's MaxSessions is below 10",
        transient=True,
    )


def socket_failure(error: BaseException, *, host: str, path: str) -> ConnectFailed:
    """Say why the engine's socket did not open; sshd gives no reason, so `way/doctor.py` finds the cause."""
    if isinstance(error, FileNotFoundError):
        return docker_socket_missing(host, path)
    if isinstance(error, PermissionError):
        return docker_permission(host, path)
    if isinstance(error, ConnectionRefusedError):
        return docker_down(host, path, "nothing listens on it")
    return ConnectFailed(
        f"host {host}: {path} could not be opened ({_words(error)})", code="E_DOCKER_SOCKET", transient=True
    )


def docker_socket_missing(host: str, path: str) -> ConnectFailed:
    """Say that there is no engine's socket at the path."""
    return ConnectFailed(
        f"host {host}: there is no socket at {path}",
        code="E_DOCKER_SOCKET_MISSING",
        hint="is Docker installed and started there, and is spec.dockerSocket the path of its socket?",
    )


def docker_permission(host: str, path: str, user: str = "this user") -> ConnectFailed:
    """Say that the socket is there and closed to us."""
    return ConnectFailed(
        f"host {host}: {user} may not use {path}",
        code="E_DOCKER_PERMISSION",
        hint="add the user to the socket's group (usually `usermod -aG docker USER`) and connect again",
    )


def docker_down(host: str, path: str, why: str) -> ConnectFailed:
    """Say that the socket is there and no engine answers on it."""
    return ConnectFailed(
        f"host {host}: the Docker engine at {path} does not answer: {why}",
        code="E_DOCKER_DOWN",
        hint="look at `systemctl status docker` and its journal on the host; its containers may well be running",
        transient=True,
    )


def forwarding_denied(host: str, path: str) -> ConnectFailed:
    """Say that the socket is fine and sshd will not connect us to it."""
    return ConnectFailed(
        f"host {host}: sshd does not forward to {path}, though it is there and open to us",
        code="E_SSH_FORWARDING",
        hint="sshd needs `AllowStreamLocalForwarding yes` (or local), and the key no `restrict`, "
        "`no-port-forwarding` or `permitopen=`",
    )


def docker_too_old(host: str, found: str, needed: str) -> ConnectFailed:
    """Say that the engine's API is older than the oldest we speak."""
    return ConnectFailed(
        f"host {host}: its Docker engine speaks API {found}; {needed} or newer is needed",
        code="E_DOCKER_TOO_OLD",
        hint="update Docker there to 20.10 or newer",
    )


def http_failure(error: BaseException, *, host: str, call: str, sent: bool, mutating: bool, path: str) -> HostError:
    """Say what a failed call to the engine means.

    Args:
        error: what aiohttp, asyncssh or the system raised.
        host: the host's name.
        call: the call for people, e.g. `GET /containers/json`.
        sent: whether any of it may have reached the engine.
        mutating: whether it may change something; then a call that was sent has an unknown outcome.
        path: the engine's socket.
    """
    if not sent:
        if isinstance(error, TimeoutError):
            return docker_down(host, path, "its socket did not open in time")
        return socket_failure(_cause(error), host=host, path=path)
    late = isinstance(error, TimeoutError | asyncio.TimeoutError)
    what = "no answer in time" if late else f"the connection broke ({_words(error)})"
    message = f"host {host}: {call}: {what}"
    if mutating:
        return OutcomeUnknown(message, code="E_DOCKER_UNKNOWN", hint="look at the host again", transient=True)
    return ReadFailed(message, code="E_DOCKER_TIMEOUT" if late else "E_DOCKER_CUT", transient=True)


def reply_refused(host: str, call: str, why: str) -> ReadFailed:
    """Refuse a reply that no engine should send."""
    return ReadFailed(
        f"host {host}: {call}: the reply is not acceptable: {why}",
        code="E_HOST_REPLY",
        hint="is this socket a Docker engine's?",
    )


def _cause(error: BaseException) -> BaseException:
    """Dig the system's own error out of aiohttp's wrapping."""
    wrapped = getattr(error, "os_error", None)
    if isinstance(wrapped, OSError):
        error = wrapped
    if isinstance(error, OSError) and type(error) is OSError and error.errno == errno.ENOENT:
        return FileNotFoundError(error.errno, error.strerror)
    return error


def _words(error: BaseException) -> str:
    """Say a foreign error in a few words, without control characters."""
    text = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error) or type(error).__name__
    return head_of(" ".join(ascii(str(text))[1:-1].split()), 200)
