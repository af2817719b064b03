"""Bad input 56: each thing that is no usable key file gets a code and words of its own, and its text is never shown."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import asyncssh
import pytest

from reconciler.errors import ConnectFailed
from reconciler.host.way.keys import read_identity
from reconciler.model.access import HostAccess

KEY = asyncssh.generate_private_key("ssh-ed25519")
RSA = asyncssh.generate_private_key("ssh-rsa", key_size=2048)


class Case(NamedTuple):
    what: str
    make: Callable[[Path], object]
    code: str
    says: str
    hint: str


def _file(data: bytes, mode: int = 0o600) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        path.write_bytes(data)
        path.chmod(mode)

    return make


def _anothers(path: Path) -> None:
    _file(KEY.export_private_key())(path)
    os.chown(path, 12345, 12345)


LOCKED = RSA.export_private_key("pkcs8-pem", passphrase="hunter2")  # of a throw-away key
CASES = [
    Case("missing", lambda _: None, "E_KEY_MISSING", "does not exist", "identityFile"),
    Case("0644", _file(KEY.export_private_key(), 0o644), "E_KEY_MODE", "mode 0644", "chmod 600"),
    Case("0640", _file(KEY.export_private_key(), 0o640), "E_KEY_MODE", "mode 0640", "chmod 600"),
    Case("directory", Path.mkdir, "E_KEY_NOT_FILE", "is a directory", "the private key file itself"),
    Case("pipe", os.mkfifo, "E_KEY_NOT_FILE", "is not a regular file", "the private key file itself"),
    Case("passphrase", _file(LOCKED), "E_KEY_PASSPHRASE", "needs a passphrase", "agent: true"),
    Case("public", _file(KEY.export_public_key(), 0o644), "E_KEY_PUBLIC", "is a public key", "without .pub"),
    Case("another's", _anothers, "E_KEY_OWNER", "uid 12345", "chown"),
    Case("no-key", _file(b"hunter2\n"), "E_KEY_FORMAT", "is not an SSH private key", "identityFile"),
    Case("empty", _file(b""), "E_KEY_FORMAT", "is not an SSH private key", "identityFile"),
    Case("huge", _file(b"\0" * 100_000), "E_KEY_FORMAT", "too large", "identityFile"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"56-{case.what}")
def test_what_is_no_key_file_gets_its_own_words(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "id"
    case.make(path)
    access = HostAccess(
        name="h1",
        address="192.0.2.1",
        user="ops",
        docker_socket="/run/docker.sock",
        base_dir="/srv/r",
        identity_file=str(path),
    )
    with pytest.raises(ConnectFailed) as refused:
        read_identity(access)
    error = refused.value
    assert error.code == case.code
    assert error.message.startswith(f"host h1: the identity file {path} ")
    assert case.says in error.message
    assert case.hint in (error.hint or "")
    assert "hunter2" not in f"{error.message}{error.hint}"
    assert "PRIVATE KEY" not in f"{error.message}{error.hint}"
