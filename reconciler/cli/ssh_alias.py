"""Ask the user's own ssh what an alias means. The only place where SSH configuration is read, once, at a person's word.

A connection never reads it: what is found here is written into a Host document, which is then all that counts.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import subprocess
from pathlib import Path

import msgspec

from reconciler.errors import ReconcilerError, UsageError

_ALIAS = re.compile(r"[A-Za-z0-9_.:@%+][A-Za-z0-9_.:@%+-]{0,252}")
_JUMP = re.compile(r"(?:(?P<user>[^@]+)@)?(?:\[(?P<v6>[^]]+)\]|(?P<host>[^:\[\]]+))(?::(?P<port>[0-9]+))?")
_ASK_S = 20
"""A `Match exec` in the configuration runs a program of the user's."""

_DEFAULT_PORT = 22


class SshAlias(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what ssh would do for an alias.

    Attributes:
        identity_file: the first of its key files that exists here, as ssh names it.
        agent: whether the alias names an agent, or has no key file, so that only an agent can help.
        agent_socket: the agent's socket where the alias names one.
        jump: `[user@]host[:port]` of the host to go through.
        known_as: the name under which known_hosts files would hold the host's key.
        known_hosts_files: those that ssh would read.
    """

    alias: str
    hostname: str
    user: str
    port: int
    identity_file: str | None
    agent: bool
    agent_socket: str | None
    jump: str | None
    known_as: str
    known_hosts_files: tuple[str, ...]


class JumpName(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what a ProxyJump says; the host may be an alias itself."""

    host: str
    port: int | None


def read_alias(alias: str) -> SshAlias:
    """Run `ssh -G` for an alias.

    Raises:
        UsageError: it cannot be an alias.
        ReconcilerError: there is no ssh, it refuses its configuration, or it would go through a ProxyCommand.
    """
    said = _ask_ssh(check_alias(alias))
    first = {key: values[0] for key, values in said.items()}
    command = first.get("proxycommand", "none")
    if command != "none":
        raise ReconcilerError(
            f"{alias} is reached through a ProxyCommand, and this program runs none",
            code="E_SSH_PROXYCOMMAND",
            hint="use ProxyJump there, or write the Host document by hand with spec.ssh.jump",
        )
    hostname, port = _canonical(first.get("hostname", alias)), int(first.get("port", _DEFAULT_PORT))
    identity = next((path for path in said.get("identityfile", []) if _is_file(path)), None)
    agent_socket = first.get("identityagent")
    named = agent_socket is not None and agent_socket != "none"
    jump = first.get("proxyjump", "none")
    plain = hostname if port == _DEFAULT_PORT else f"[{hostname}]:{port}"
    files = f"{first.get('userknownhostsfile', '')} {first.get('globalknownhostsfile', '')}".split()
    return SshAlias(
        alias=alias,
        hostname=hostname,
        user=first.get("user", ""),
        port=port,
        identity_file=identity,
        agent=named or (identity is None and agent_socket != "none"),
        agent_socket=agent_socket if named and agent_socket != "SSH_AUTH_SOCK" else None,
        jump=None if jump == "none" else jump,
        known_as=first.get("hostkeyalias", plain),
        known_hosts_files=tuple(path for path in files if _is_file(path)),
    )


def check_alias(alias: str) -> str:
    """Give an alias back when it can be one. Raises `UsageError`: above all, it is never an option of ssh."""
    if _ALIAS.fullmatch(alias) is None:
        raise UsageError(
            f"{alias!r} is no name of a host for ssh",
            hint="give what you type after `ssh`, such as gpu-01 or ops@10.20.0.5",
            code="E_SSH_ALIAS",
        )
    return alias


def read_jump(text: str) -> JumpName:
    """Read a ProxyJump. Raises `ReconcilerError` where it names several hosts in a row, or none that can be read."""
    if "," in text:
        raise ReconcilerError(
            f"the way leads through several jump hosts ({text}), and at most one is allowed",
            code="E_JUMP_DEPTH",
            hint="is there a shorter way from this machine?",
        )
    found = _JUMP.fullmatch(text.removeprefix("ssh://").rstrip("/"))
    if found is None:
        raise ReconcilerError(f"the ProxyJump {text!r} cannot be read", code="E_SSH_JUMP")
    return JumpName(host=found["v6"] or found["host"], port=int(found["port"]) if found["port"] else None)


def _ask_ssh(alias: str) -> dict[str, list[str]]:
    if shutil.which("ssh") is None:
        raise ReconcilerError(
            "there is no ssh on PATH to ask what the alias means",
            code="E_SSH_TOOL",
            hint="install OpenSSH's client (openssh-client), or write the Host document by hand",
        )
    try:
        done = subprocess.run(
            ["ssh", "-G", "--", alias],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ASK_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ReconcilerError(
            f"`ssh -G {alias}` was not done after {_ASK_S} s",
            code="E_SSH_CONFIG",
            hint="does a `Match exec` in your ssh_config hang?",
        ) from None
    if done.returncode != 0:
        words = done.stderr.strip().splitlines()
        why = words[0] if words else f"status {done.returncode}"
        raise ReconcilerError(f"`ssh -G {alias}` failed: {why}", code="E_SSH_CONFIG", hint="mend your ssh_config")
    said: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        key, _, value = line.partition(" ")
        said.setdefault(key.lower(), []).append(value.strip().strip('"'))
    return said


def _canonical(hostname: str) -> str:
    try:
        return str(ipaddress.ip_address(hostname))
    except ValueError:
        return hostname.lower()


def _is_file(path: str) -> bool:
    try:
        return path not in ("", "none") and os.path.isfile(Path(path).expanduser())  # noqa: PTH113 - pathlib raises on NUL
    except (OSError, RuntimeError, ValueError):
        return False
