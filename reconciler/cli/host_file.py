"""Write one Host document into the specs, and read what the specs hold already, whole or not."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from reconciler.errors import ReconcilerError, UsageError
from reconciler.model.access import LOCAL, HostAccess
from reconciler.model.problem import SpecInvalid

if TYPE_CHECKING:
    from reconciler.load.documents import HostDocument

FOLDER = "hosts"
_SCHEMA = "# yaml-language-server: $schema=../../schemas/reconciler.json\n"


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what a new Host document is to say; `host_key` is None until the host has shown it."""

    name: str
    address: str
    user: str
    port: int
    identity_file: str | None
    agent: bool
    jump: str | None
    host_key: str | None = None
    fingerprint: str = ""


class HostsSaid(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the Hosts of a spec folder: every name that is taken, and those that can be read."""

    names: frozenset[str]
    hosts: dict[str, HostDocument]


def read_hosts(specs: Path) -> HostsSaid:
    """Read the Hosts of a spec folder, whatever else is wrong or missing in it.

    Raises:
        SpecInvalid: the folder itself cannot be read.
    """
    from reconciler.load.folder import read_folder

    folder = read_folder(specs)
    unreadable = tuple(problem for problem in folder.problems if problem.code == "E_SPEC_DIR")
    if unreadable:
        raise SpecInvalid(unreadable)
    return _read({file.name: file.data for file in folder.files})


def check(draft: Draft, path: Path) -> None:
    """Check a draft as a load will check it. Raises `SpecInvalid`."""
    from reconciler.load.read import read
    from reconciler.load.typed import typed
    from reconciler.spec.host import Host

    result = read(text_of(draft).encode(), str(path))
    problems = list(result.problems)
    for tree in result.documents:
        typed(Host, tree, problems)
    if problems:
        raise SpecInvalid(tuple(problems))


def text_of(draft: Draft) -> str:
    """Write a draft as YAML. Every text is quoted: an address may look like a number, and a name like `no`."""
    lines = [
        "apiVersion: reconciler/v1",
        "kind: Host",
        f"metadata: {{name: {_quoted(draft.name)}}}",
        "spec:",
        f"  address: {_quoted(draft.address)}",
        "  ssh:",
        f"    user: {_quoted(draft.user)}",
        f"    port: {draft.port}",
    ]
    if draft.host_key is not None:
        lines.append(f"    hostKey: {_quoted(draft.host_key)}  # {draft.fingerprint}")
    if draft.identity_file is not None:
        lines.append(f"    identityFile: {_quoted(draft.identity_file)}")
    if draft.agent:
        lines.append("    agent: true")
    if draft.jump is not None:
        lines.append(f"    jump: {_quoted(draft.jump)}")
    return _SCHEMA + "\n".join(lines) + "\n"


def write_new(text: str, path: Path) -> None:
    """Write a file that must not be there yet, whole or not at all.

    Raises:
        UsageError: it is there.
        ReconcilerError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(exist_ok=True)
        if path.parent.is_symlink():
            raise ReconcilerError(
                f"{path.parent} is a symbolic link, and links are not followed in a spec folder", code="E_SPEC_SYMLINK"
            )
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(handle)
        # A hard link is made whole or not at all, and never over another file.
        os.link(temporary, path)
    except FileExistsError:
        raise UsageError(f"{path} is there already, and is never overwritten", code="E_HOST_EXISTS") from None
    except OSError as error:
        raise ReconcilerError(f"{path} cannot be written: {error.strerror}", code="E_SPEC_WRITE") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def access_of(host: HostDocument) -> HostAccess:
    """Say how to log in to a Host that others are reached through; its engine is not asked for."""
    ssh = host.spec.ssh
    if host.spec.address == LOCAL or ssh is None:
        raise ReconcilerError(f"host {host.name} has no SSH to go through", code="E_SSH_JUMP")
    return HostAccess(
        name=host.name,
        address=host.spec.address,
        docker_socket=host.spec.docker_socket,
        base_dir="",
        user=ssh.user,
        port=ssh.port,
        host_key=ssh.host_key,
        identity_file=ssh.identity_file,
        agent=ssh.agent,
    )


def _read(files: dict[str, bytes]) -> HostsSaid:
    from reconciler.load.headers import classified
    from reconciler.load.read import read
    from reconciler.load.resolve import Resolver
    from reconciler.model.problem import Problem

    unheeded: list[Problem] = []
    documents = [raw for name, data in files.items() for raw in classified(read(data, name).documents, unheeded)]
    resolver = Resolver((raw for raw in documents if raw.kind == "Host"), ())
    resolver.resolve()
    return HostsSaid(names=frozenset(resolver.of_kind("Host")), hosts=resolver.hosts)


def _quoted(text: str) -> str:
    """Write text the JSON way, which is YAML's double-quoted way too."""
    import json

    return json.dumps(text)
