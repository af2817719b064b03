"""Read the key we log in with and the key that we expect, each mistake with its own words."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import asyncssh

from reconciler.errors import ConnectFailed

if TYPE_CHECKING:
    from reconciler.model.access import HostAccess

_LARGEST_KEY_BYTES = 64 * 1024
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_LEAST_RSA_BITS = 2048


def read_pinned_key(access: HostAccess) -> asyncssh.SSHKey:
    """Read the pinned host key of a host.

    Raises:
        ConnectFailed: `E_SSH_HOSTKEY_UNPINNED`, `E_SSH_HOSTKEY_FORMAT` or `E_SSH_HOSTKEY_WEAK`.
    """
    if not access.host_key:
        raise ConnectFailed(
            f"host {access.name}: its host key is not pinned",
            code="E_SSH_HOSTKEY_UNPINNED",
            hint="pin its key as spec.ssh.hostKey (on the host: cat /etc/ssh/ssh_host_ed25519_key.pub)",
        )
    try:
        if "PRIVATE" in access.host_key:
            raise ValueError("a private key")  # noqa: TRY301  # one text for everything that is no public key
        key = asyncssh.import_public_key(access.host_key)
    except (asyncssh.KeyImportError, ValueError) as error:
        raise ConnectFailed(
            f"host {access.name}: spec.ssh.hostKey is not a public key",
            code="E_SSH_HOSTKEY_FORMAT",
            hint="it looks like `ssh-ed25519 AAAA…`: the first two words of /etc/ssh/ssh_host_ed25519_key.pub there",
        ) from error
    bits = getattr(key.pyca_key, "key_size", None) if key.get_algorithm() == "ssh-rsa" else None
    if key.get_algorithm() == "ssh-dss" or (bits is not None and bits < _LEAST_RSA_BITS):
        raise ConnectFailed(
            f"host {access.name}: its pinned key is too weak ({key.get_algorithm()}, {bits or 1024} bits)",
            code="E_SSH_HOSTKEY_WEAK",
            hint="pin the host's ed25519 key",
        )
    return key


def read_identity(access: HostAccess) -> asyncssh.SSHKey:
    """Read the private key file of a host.

    Raises:
        ConnectFailed: `E_KEY_MISSING`, `E_KEY_NOT_FILE`, `E_KEY_OWNER`, `E_KEY_MODE`, `E_KEY_UNREADABLE`,
            `E_KEY_PUBLIC`, `E_KEY_PASSPHRASE` or `E_KEY_FORMAT`.
    """
    path = Path(access.identity_file or "").expanduser()
    data = _read_private_file(path, access)
    try:
        return asyncssh.import_private_key(data)
    except asyncssh.KeyEncryptionError as error:
        raise _refused(
            access, "E_KEY_PASSPHRASE", f"{path} is encrypted, with what this program cannot read"
        ) from error
    except asyncssh.KeyImportError as error:
        if b"ENCRYPTED" in data or "assphrase" in str(error):
            raise _refused(
                access,
                "E_KEY_PASSPHRASE",
                f"{path} needs a passphrase",
                f"run `ssh-add {path}` and set spec.ssh.agent: true",
            ) from error
        if _is_public(data):
            raise _refused(
                access,
                "E_KEY_PUBLIC",
                f"{path} is a public key",
                "name the private key: usually the same path without .pub",
            ) from error
        raise _refused(access, "E_KEY_FORMAT", f"{path} is not an SSH private key") from error


def _read_private_file(path: Path, access: HostAccess) -> bytes:
    try:
        # A FIFO in its place must not hang us, and the file that is checked must be the one that is read.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise _refused(access, "E_KEY_MISSING", f"{path} does not exist") from error
    except OSError as error:
        raise _refused(access, "E_KEY_UNREADABLE", f"{path} cannot be read ({error.strerror})") from error
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            kind = "a directory" if stat.S_ISDIR(facts.st_mode) else "not a regular file"
            raise _refused(access, "E_KEY_NOT_FILE", f"{path} is {kind}", "name the private key file itself")
        data = os.read(handle, _LARGEST_KEY_BYTES + 1)
    finally:
        os.close(handle)
    if len(data) > _LARGEST_KEY_BYTES:
        raise _refused(access, "E_KEY_FORMAT", f"{path} is too large for a key")
    if _is_public(data):
        return data
    if facts.st_uid != os.geteuid():
        raise _refused(
            access,
            "E_KEY_OWNER",
            f"{path} belongs to uid {facts.st_uid}, not to us (uid {os.geteuid()})",
            "chown it, or use a key of your own",
        )
    if facts.st_mode & _OTHERS:
        mode = stat.S_IMODE(facts.st_mode)
        raise _refused(access, "E_KEY_MODE", f"{path} is open to others (mode {mode:04o})", f"run `chmod 600 {path}`")
    return data


def _is_public(data: bytes) -> bool:
    # asyncssh reads the public half out of a private key too.
    if b"PRIVATE KEY" in data:
        return False
    try:
        asyncssh.import_public_key(data)
    except (asyncssh.KeyImportError, ValueError):
        return False
    return True


def _refused(access: HostAccess, code: str, what: str, hint: str | None = None) -> ConnectFailed:
    return ConnectFailed(
        f"host {access.name}: the identity file {what}", code=code, hint=hint or "check spec.ssh.identityFile"
    )
