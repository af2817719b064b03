"""Say how a host is reached, and what a check of that way found."""

from __future__ import annotations

import msgspec

LOCAL = "local"


class HostAccess(msgspec.Struct, frozen=True, kw_only=True):
    """Describe the way to one host: where it is, who we are there, and what proves that it is the one.

    Attributes:
        name: the host's name in the fleet.
        address: an IP address or DNS name, or `local` for this machine without SSH.
        user: account to log in as; unused for `local`.
        port: TCP port of sshd.
        host_key: the pinned key, as `ssh-ed25519 AAAA…`; None is refused for any address but `local`.
        identity_file: path of the private key on this machine, or None to use the agent alone.
        agent: whether the SSH agent may be asked for a key. It is never forwarded.
        jump: the host to go through, pinned like this one; at most one deep.
        docker_socket: absolute path of the engine's socket on the host.
        base_dir: the only folder of the host that we own; absolute, or beginning with `${host.home}`, which is filled
            in once the host said who we are there (`HostIdentity.base_dir`).
    """

    name: str
    address: str
    docker_socket: str
    base_dir: str
    user: str = ""
    port: int = 22
    host_key: str | None = None
    identity_file: str | None = None
    agent: bool = False
    jump: HostAccess | None = None

    @property
    def is_local(self) -> bool:
        """Tell whether this is the machine we run on."""
        return self.address == LOCAL


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Report one check of a host: what was looked at, whether it holds, and what to do if not.

    Attributes:
        check: which check, e.g. `host key`; one closed list, in the order they run.
        ok: whether it holds; None when it could not be tried because an earlier one failed.
        message: what was found.
        code: the stable error id when it does not hold.
        hint: what to do about it, or None.
    """

    check: str
    ok: bool | None
    message: str
    code: str | None = None
    hint: str | None = None
