"""Add a host: ask ssh what an alias means, see the host's key, let a person check it, and write a Host document."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from reconciler.cli import exits, report
from reconciler.cli.ask import ask
from reconciler.cli.host_file import FOLDER, Draft, HostsSaid, access_of, check, read_hosts, text_of, write_new
from reconciler.cli.known_hosts import check_fingerprint, compare, fingerprint_of
from reconciler.cli.options import SPECS, Specs, Yes
from reconciler.cli.ssh_alias import SshAlias, check_alias, read_alias, read_jump
from reconciler.errors import GuardRefused, HostError, ReconcilerError, UsageError
from reconciler.model.access import LOCAL, HostAccess
from reconciler.model.names import name_fault

if TYPE_CHECKING:
    from reconciler.load.documents import HostDocument


def add(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the host is to be called in the specs.")],
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="What you type after `ssh` to reach it.")],
    specs: Specs = SPECS,
    fingerprint: Annotated[
        str | None,
        typer.Option(
            "--fingerprint", metavar="SHA256:…", help="Take the key of this fingerprint alone, and do not ask."
        ),
    ] = None,
    yes: Yes = False,
) -> int:
    """Write a Host document from what your ssh knows of ALIAS.

    Shows the host's key, which is pinned once you have checked it.
    """
    expected = None if fingerprint is None else check_fingerprint(fingerprint)
    path = specs / FOLDER / f"{name}.yaml"
    known = read_hosts(specs)
    _check_name(name, known, path)
    found = read_alias(check_alias(alias))
    jump = _jump_of(found, known)
    draft = _draft(name, found, jump)
    # What ssh knows must make a valid document before anybody is asked to check a key.
    check(draft, path)

    key = _scan(draft, jump)
    shown = fingerprint_of(key)
    if expected is not None and expected != shown:
        raise HostError(
            f"{found.hostname} port {found.port} shows the key {shown}, and not {expected}",
            code="E_SSH_HOSTKEY",
            hint="somebody may be in between; compare with the host's own: " + _show_it(key),
        )
    familiar = compare(found, key)
    draft = msgspec.structs.replace(draft, host_key=key, fingerprint=shown)
    check(draft, path)
    _tell(draft, key, familiar)
    if expected is None and not yes and not _agreed():
        report.say("nothing was written")
        return exits.REFUSED
    write_new(text_of(draft), path)
    sys.stdout.write(f"{path}\n")
    sys.stdout.flush()
    _tell_next(draft, found, key, checked=expected is not None)
    return exits.FINE


def _check_name(name: str, known: HostsSaid, path: Path) -> None:
    fault = name_fault(name)
    if fault is not None:
        raise UsageError(f"{name!r} is no acceptable name: {fault}", code="E_NAME")
    if name in known.names:
        raise UsageError(
            f"the specs hold a Host {name} already",
            hint="choose another name; to pin a new key, edit that document or remove it first",
            code="E_HOST_EXISTS",
        )
    if path.exists() or path.is_symlink():
        raise UsageError(f"{path} is there already, and is never overwritten", code="E_HOST_EXISTS")


def _jump_of(found: SshAlias, known: HostsSaid) -> HostDocument | None:
    """Find the Host that an alias's ProxyJump means: by its name, or by the address and port that ssh gives it."""
    if found.jump is None:
        return None
    jump = read_jump(found.jump)
    if jump.host in known.hosts:
        return known.hosts[jump.host]
    through = read_alias(jump.host)
    port = jump.port or through.port
    for host in known.hosts.values():
        ssh = host.spec.ssh
        if ssh is not None and host.spec.address in (jump.host, through.hostname) and ssh.port == port:
            return host
    if through.jump is not None:
        raise ReconcilerError(
            f"{found.alias} is reached through {jump.host}, which is itself reached through {through.jump}: "
            "at most one jump host is allowed",
            code="E_JUMP_DEPTH",
            hint="is there a shorter way from this machine?",
        )
    raise ReconcilerError(
        f"{found.alias} is reached through {found.jump}, and no Host of the specs is at {through.hostname} port {port}",
        code="E_JUMP_UNKNOWN",
        hint=f"add that one first: reconcile host add NAME {jump.host}",
    )


def _draft(name: str, found: SshAlias, jump: HostDocument | None) -> Draft:
    if found.hostname == LOCAL:
        raise UsageError(
            f"ssh would look for a machine called {LOCAL}, which in a Host document means this machine without SSH",
            hint=f"for this machine write a Host with spec.address: {LOCAL}; for another give its address",
        )
    if jump is not None and jump.spec.ssh is not None and jump.spec.ssh.jump is not None:
        raise ReconcilerError(
            f"{found.alias} is reached through host {jump.name}, which has a jump host itself: at most one is allowed",
            code="E_JUMP_DEPTH",
        )
    return Draft(
        name=name,
        address=found.hostname,
        user=found.user,
        port=found.port,
        identity_file=found.identity_file,
        agent=found.agent,
        jump=None if jump is None else jump.name,
    )


def _scan(draft: Draft, jump: HostDocument | None) -> str:
    import asyncio

    from reconciler.host import open_gate
    from reconciler.host.way.scan import scan

    access = HostAccess(
        name=draft.name,
        address=draft.address,
        docker_socket="",
        base_dir="",
        user=draft.user,
        port=draft.port,
        jump=None if jump is None else access_of(jump),
    )
    return asyncio.run(scan(access, gate=open_gate()))


def _tell(draft: Draft, key: str, familiar: str) -> None:
    way = "" if draft.jump is None else f" through {draft.jump}"
    logged_in = draft.identity_file or ("a key of the SSH agent" if draft.agent else "no key yet")
    report.say(f"host {draft.name}: {draft.user}@{draft.address} port {draft.port}{way}, with {logged_in}")
    report.say(f"its key: {key.split(maxsplit=1)[0]} {draft.fingerprint}")
    report.say(f"known_hosts: {familiar}")
    report.say(f"the host's own word, on its console or through a session that you trust: {_show_it(key)}")


def _agreed() -> bool:
    if not report.is_interactive():
        raise GuardRefused(
            "nobody is here to say that this is the host's key: this is no terminal",
            hint="give the host's own fingerprint: --fingerprint SHA256:…, or --yes to trust what was shown",
            code="E_NO_APPROVAL",
        )
    return ask("Is this the key that the host itself shows?")


def _tell_next(draft: Draft, found: SshAlias, key: str, *, checked: bool) -> None:
    if draft.identity_file is None and not draft.agent:
        report.say("warning: none of the alias's key files is here; set spec.ssh.identityFile, or spec.ssh.agent: true")
    if found.agent_socket is not None:
        report.say(f"warning: the alias names the agent at {found.agent_socket}; have SSH_AUTH_SOCK point to it")
    if not checked:
        report.say(f"before you commit it, compare {draft.fingerprint} with what the host says: {_show_it(key)}")
    report.say(f"next: reconcile doctor {draft.name}")


def _show_it(key: str) -> str:
    """Give the command that shows a key's fingerprint on the host itself."""
    kind = {"ssh-ed25519": "ed25519", "ssh-rsa": "rsa"}.get(key.split(maxsplit=1)[0], "ecdsa")
    return f"ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub"
