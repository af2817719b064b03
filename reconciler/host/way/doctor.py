"""Check the way to a host step by step, and tell every cause apart by a second look where the first does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.errors import HostError, ReadFailed
from reconciler.host.scripts import load_script
from reconciler.host.shell import read_script
from reconciler.host.way.dial import Gate, dial
from reconciler.model.access import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from reconciler.host.way.connection import SshConnection
    from reconciler.host.way.link import Link
    from reconciler.model.access import HostAccess

_WAY = ("pinned key", "identity", "address", "network", "ssh", "host key", "login", "sessions", "shell")
_INSIDE = ("tools", "clock", "base folder")
_ENGINE = ("docker socket", "docker permission", "forwarding", "docker engine", "docker version")

CHECKS = _WAY + _INSIDE + _ENGINE
"""Every check, in the order it runs; the first nine are skipped for `local`."""

_FAILS_AT = {
    "E_SSH_HOSTKEY_UNPINNED": "pinned key",
    "E_SSH_HOSTKEY_FORMAT": "pinned key",
    "E_SSH_HOSTKEY_WEAK": "pinned key",
    "E_HOST_RESOLVE": "address",
    "E_HOST_REFUSED": "network",
    "E_HOST_TIMEOUT": "network",
    "E_HOST_UNREACHABLE": "network",
    "E_JUMP_DEPTH": "network",
    "E_SSH_JUMP": "network",
    "E_SSH_DROPPED": "ssh",
    "E_SSH_PROTOCOL": "ssh",
    "E_SSH_HOSTKEY": "host key",
    "E_SSH_LOGIN": "login",
    "E_SSH_SESSION": "sessions",
    "E_DOCKER_SOCKET_MISSING": "docker socket",
    "E_DOCKER_SOCKET": "docker socket",
    "E_DOCKER_PERMISSION": "docker permission",
    "E_SSH_FORWARDING": "forwarding",
    "E_DOCKER_DOWN": "docker engine",
    "E_DOCKER_TOO_OLD": "docker version",
}
_LOOK_S = 15.0
_SKEW_S = 30


async def examine(access: HostAccess, *, now: Callable[[], datetime], gate: Gate | None = None) -> tuple[Finding, ...]:
    """Run every check of a host in order. Changes nothing there.

    Args:
        access: the way to the host; `base_dir` may still begin with `${host.home}`.
        now: the controller's clock, for the host's skew.
        gate: bounds logins where several hosts are examined at once.

    Returns:
        One finding for each check; after the one that stops the rest, they have `ok=None`.
    """
    gate = gate or Gate()
    findings: list[Finding] = []
    if access.jump is not None:
        findings.append(await _examine_jump(access, gate))
        if not findings[0].ok:
            return (*findings, *_untried(CHECKS))
    try:
        link = await dial(access, gate)
    except HostError as error:
        failed_at = _FAILS_AT.get(error.code, "identity" if error.code.startswith("E_KEY_") else "shell")
        return (*findings, *_broken(CHECKS, failed_at, error))
    try:
        if link.ssh is not None:
            came, sessions = await _examine_sessions(link.ssh)
            findings += [sessions if check == sessions.check else _fine(check, access) for check in _WAY]
            if came == 1:  # the link's own shell has it, so nothing is left to look with
                return (*findings, *_untried(_INSIDE + _ENGINE))
        findings += await _examine_inside(link, now)
        findings += await _examine_engine(link)
    finally:
        await link.close()
    return tuple(findings)


async def _examine_jump(access: HostAccess, gate: Gate) -> Finding:
    jump = access.jump
    if jump is None:
        raise AssertionError  # asked only where there is one
    try:
        link = await dial(jump, gate)
    except HostError as error:
        return Finding(check="jump host", ok=False, message=error.message, code=error.code, hint=error.hint)
    await link.close()
    return Finding(check="jump host", ok=True, message=f"{jump.name} lets us in")


async def _examine_sessions(ssh: SshConnection) -> tuple[int, Finding]:
    """Count the sessions that come at once, up to what a pass needs; the link's own kept shell is one of them."""
    from reconciler.host.way.connection import SESSIONS_NEEDED  # noqa: PLC0415  # `local` needs no asyncssh

    came = 1 + await ssh.count_sessions(SESSIONS_NEEDED - 1)
    if came == SESSIONS_NEEDED:
        return came, Finding(check="sessions", ok=True, message=f"{came} at once on one connection")
    return came, Finding(
        check="sessions",
        ok=False,
        message=f"host {ssh.host}: sshd opens {came} sessions at once, and a pass may need {SESSIONS_NEEDED}",
        code="E_SSH_SESSION",
        hint=f"in its sshd_config: MaxSessions {SESSIONS_NEEDED} (which is sshd's default) or more; then reload sshd",
    )


async def _examine_inside(link: Link, now: Callable[[], datetime]) -> list[Finding]:
    access = link.access
    try:
        done = await read_script(link.shell, load_script("doctor"), args=(access.base_dir,), deadline_s=_LOOK_S)
        lines = done.lines
        if not lines or lines[-1] != "END":
            raise ReadFailed(f"host {access.name}: the look inside was cut short", code="E_EXEC_LOST")
    except HostError as error:
        return list(_broken(_INSIDE, _INSIDE[0], error))
    said = {word: rest for word, _, rest in (line.partition(" ") for line in lines)}
    return [_tools(access, said), _clock(access, said, now), _base_folder(access, said)]


def _tools(access: HostAccess, said: dict[str, str]) -> Finding:
    missing = said.get("missing", "").split()
    if not missing:
        return Finding(check="tools", ok=True, message="every tool that we use is there")
    return Finding(
        check="tools",
        ok=False,
        message=f"host {access.name} lacks {', '.join(missing)}",
        code="E_HOST_TOOLS",
        hint="install coreutils, findutils, util-linux, grep, sed and tar there",
    )


def _clock(access: HostAccess, said: dict[str, str], now: Callable[[], datetime]) -> Finding:
    told = said.get("clock", "")
    if not told.isdecimal():
        message = f"host {access.name} does not tell its time"
        return Finding(check="clock", ok=False, message=message, code="E_HOST_CLOCK", hint="is there a `date` command?")
    skew_s = int(told) - int(now().timestamp())
    if abs(skew_s) <= _SKEW_S:
        return Finding(check="clock", ok=True, message=f"within {_SKEW_S} s of ours")
    return Finding(
        check="clock",
        ok=False,
        message=f"the clock of host {access.name} is {abs(skew_s)} s {'ahead of' if skew_s > 0 else 'behind'} ours",
        code="E_HOST_CLOCK",
        hint="run a time service on both machines (`timedatectl set-ntp true`)",
    )


def _base_folder(access: HostAccess, said: dict[str, str]) -> Finding:
    state, _, path = said.get("base", "unknown").partition(" ")
    user, parent = said.get("user", "the SSH user"), said.get("parent", "the folder above")
    if state == "ours":
        return Finding(check="base folder", ok=True, message=f"{path} is ours")
    if state == "absent":
        return Finding(check="base folder", ok=True, message=f"{path} is not there yet and can be made")
    what, hint = {
        "link": (f"a symbolic link leads to {path}", "name the real path in spec.baseDir"),
        "file": (f"{path} is not a folder", "name another path in spec.baseDir"),
        "closed": (
            f"{path} is not there, and {user} may not make it in {parent}",
            f"as root: install -d -m 700 -o {user} {path}",
        ),
        "foreign": (f"{path} belongs to another user than {user}", f"as root: chown {user} {path}, if it is ours"),
        "open": (f"others may write into {path}", f"chmod 700 {path}"),
    }.get(state, (f"{path} is in an unknown state ({state})", "look at it on the host"))
    return Finding(check="base folder", ok=False, message=f"host {access.name}: {what}", code="E_BASE_DIR", hint=hint)


async def _examine_engine(link: Link) -> Iterator[Finding]:
    try:
        engine = await link.engine()
    except HostError as error:
        return _broken(_ENGINE, _FAILS_AT.get(error.code, "docker engine"), error)
    fine = [_fine(check, link.access) for check in _ENGINE[:-1]]
    return iter([*fine, Finding(check=_ENGINE[-1], ok=True, message=f"engine {engine.version}")])


def _broken(checks: tuple[str, ...], failed_at: str, error: HostError) -> Iterator[Finding]:
    """Give the findings of a run of checks that one error ended: fine before it, untried after it."""
    at = checks.index(failed_at)
    for check in checks[:at]:
        yield Finding(check=check, ok=True, message="fine")
    yield Finding(check=failed_at, ok=False, message=error.message, code=error.code, hint=error.hint)
    yield from _untried(checks[at + 1 :])


def _untried(checks: tuple[str, ...]) -> Iterator[Finding]:
    for check in checks:
        yield Finding(check=check, ok=None, message="not tried: an earlier check failed")


def _fine(check: str, access: HostAccess) -> Finding:
    words = {
        "address": f"{access.address} resolves",
        "network": f"port {access.port} answers",
        "host key": "it is the pinned one",
        "login": f"user {access.user} is let in",
        "docker socket": f"{access.docker_socket} is there",
    }
    return Finding(check=check, ok=True, message=words.get(check, "fine"))
