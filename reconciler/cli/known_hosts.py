"""Compare a host's key with what the user's known_hosts files say of it, through the user's own ssh-keygen."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator

import msgspec

from reconciler.cli.ssh_alias import SshAlias
from reconciler.errors import HostError, UsageError

_ASK_S = 20
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_FOUND = re.compile(r"# Host .+ found: line (?P<line>[0-9]+)")


class KnownKey(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one line of a known_hosts file. `marker` is `@revoked`, `@cert-authority` or empty."""

    file: str
    line: str
    marker: str
    kind: str
    blob: str


def fingerprint_of(key: str) -> str:
    """Give the SHA256 fingerprint of a public key as OpenSSH writes it."""
    digest = hashlib.sha256(base64.b64decode(key.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def check_fingerprint(text: str) -> str:
    """Give a fingerprint back in OpenSSH's form. Raises `UsageError` for anything else."""
    bare = text.rstrip("=")
    if _FINGERPRINT.fullmatch(bare) is None:
        raise UsageError(
            f"{text!r} is no SHA256 fingerprint",
            hint="it looks like SHA256:… with 43 characters: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub there",
            code="E_FINGERPRINT",
        )
    return bare


def compare(alias: SshAlias, key: str) -> str:
    """Say in a sentence how the user's known_hosts files know this key.

    Raises:
        HostError: `E_SSH_HOSTKEY` where they hold another key of its type, or revoke this one.
    """
    kind, blob = key.split()
    known = list(_known(alias))
    where = f"{alias.known_as} ({alias.hostname} port {alias.port})"
    for one in known:
        if one.marker == "@revoked" and (one.kind, one.blob) == (kind, blob):
            raise HostError(
                f"the key that {where} shows is revoked in {one.file}, line {one.line}",
                code="E_SSH_HOSTKEY",
                hint="do not connect; find out why it was revoked",
            )
    plain = [one for one in known if not one.marker]
    same = [one for one in plain if (one.kind, one.blob) == (kind, blob)]
    if same:
        return f"{same[0].file}, line {same[0].line}, holds the same key"
    others = [one for one in plain if one.kind == kind]
    if others:
        theirs = fingerprint_of(f"{others[0].kind} {others[0].blob}")
        raise HostError(
            f"{where} shows another key than your known_hosts: {fingerprint_of(key)}, "
            f"and {others[0].file}, line {others[0].line}, says {theirs}",
            code="E_SSH_HOSTKEY",
            hint="somebody may be in between; if the host was reinstalled, first mend that file: "
            f"ssh-keygen -R '{alias.known_as}' -f {others[0].file}",
        )
    if plain:
        return f"your known_hosts hold only keys of other types for it ({', '.join(sorted({k.kind for k in plain}))})"
    return (
        "no known_hosts file of yours knows this host" if shutil.which("ssh-keygen") else "there is no ssh-keygen here"
    )


def _known(alias: SshAlias) -> Iterator[KnownKey]:
    """Read the lines that are about a host, hashed ones too."""
    if shutil.which("ssh-keygen") is None:
        return
    for file in alias.known_hosts_files:
        words = ["ssh-keygen", "-F", alias.known_as, "-f", file]
        try:
            done = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_ASK_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            continue
        number = "?"
        for line in done.stdout.splitlines():
            found = _FOUND.match(line)
            if found is not None:
                number = found["line"]
                continue
            parts = line.split()
            marker = parts.pop(0) if parts and parts[0].startswith("@") else ""
            if len(parts) >= 3:  # noqa: PLR2004 - names, type, key
                yield KnownKey(file=file, line=number, marker=marker, kind=parts[1], blob=parts[2])
