"""Find out why the Docker engine cannot be reached: sshd answers `open failed` to five different causes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from reconciler.errors import HostError, ReadFailed
from reconciler.host.foreign import (
    docker_down,
    docker_permission,
    docker_socket_missing,
    forwarding_denied,
)
from reconciler.host.scripts import load_script
from reconciler.host.shell import read_script

if TYPE_CHECKING:
    from reconciler.host.shell import Shell

_LOOK_S = 10.0


class SocketFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what a look at the engine's socket from inside the host found.

    Attributes:
        is_listening: whether some process listens on it; None where the host does not tell.
    """

    user: str
    groups: str
    kind: str
    is_open: bool
    is_listening: bool | None


async def look_at_socket(shell: Shell, path: str) -> SocketFacts:
    """Look at the engine's socket from inside the host. Raises `ReadFailed` or `ConnectFailed`."""
    done = await read_script(shell, load_script("socket"), args=(path,), deadline_s=_LOOK_S)
    lines = done.lines
    if not lines or lines[-1] != "END":
        raise ReadFailed(f"host {shell.host}: the look at {path} was cut short", code="E_EXEC_LOST", transient=True)
    said = {word: rest for word, _, rest in (line.partition(" ") for line in lines)}
    listening = said.get("listening")
    return SocketFacts(
        user=said["user"],
        groups=said["groups"],
        kind=said["kind"],
        is_open=said["open"] == "yes",
        is_listening=None if listening is None else listening == "yes",
    )


async def find_cause(error: HostError, *, shell: Shell, path: str) -> HostError:
    """Give the error that names the cause, after a second look where the first error does not tell.

    Returns:
        `E_DOCKER_SOCKET_MISSING`, `E_DOCKER_PERMISSION`, `E_DOCKER_DOWN` or `E_SSH_FORWARDING`, or the error itself.
    """
    if error.code in ("E_DOCKER_TIMEOUT", "E_DOCKER_CUT"):
        return docker_down(shell.host, path, "it takes the connection and says nothing")
    if error.code != "E_DOCKER_SOCKET":
        return error
    try:
        facts = await look_at_socket(shell, path)
    except HostError:
        return error
    if facts.kind != "socket":
        return docker_socket_missing(shell.host, path)
    if not facts.is_open:
        return docker_permission(shell.host, path, f"user {facts.user} (groups: {facts.groups})")
    if facts.is_listening is False:
        return docker_down(shell.host, path, "nothing listens on it")
    return forwarding_denied(shell.host, path)
