"""Each mistake with a key has its own code and its own words, and no key's text is ever shown."""

from __future__ import annotations

import os
from pathlib import Path

import asyncssh
import pytest

from reconciler.errors import ConnectFailed
from reconciler.host.way.keys import read_identity, read_pinned_key
from reconciler.model.access import HostAccess

PRIVATE = asyncssh.generate_private_key("ssh-ed25519")


def access(*, identity: Path | None = None, host_key: str | None = None) -> HostAccess:
    return HostAccess(
        name="h1",
        address="192.0.2.1",
        user="ops",
        docker_socket="/run/docker.sock",
        base_dir="/srv/r",
        host_key=host_key,
        identity_file=None if identity is None else str(identity),
    )


def written(path: Path, data: bytes, *, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def identity_code(path: Path) -> str:
    with pytest.raises(ConnectFailed) as caught:
        read_identity(access(identity=path))
    assert str(path) in caught.value.message
    assert "PRIVATE" not in caught.value.message
    assert caught.value.hint
    return caught.value.code


def test_a_good_key_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "id", PRIVATE.export_private_key())
    assert read_identity(access(identity=path)).public_data == PRIVATE.public_data


def test_a_missing_key(tmp_path: Path) -> None:
    assert identity_code(tmp_path / "nothing") == "E_KEY_MISSING"


def test_a_key_that_others_may_read(tmp_path: Path) -> None:
    assert identity_code(written(tmp_path / "id", PRIVATE.export_private_key(), mode=0o644)) == "E_KEY_MODE"


def test_a_directory(tmp_path: Path) -> None:
    assert identity_code(tmp_path) == "E_KEY_NOT_FILE"


def test_a_fifo_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    assert identity_code(tmp_path / "fifo") == "E_KEY_NOT_FILE"


@pytest.mark.parametrize("form", ["pkcs1-pem", "pkcs8-pem"])
def test_a_key_with_a_passphrase(tmp_path: Path, form: str) -> None:
    rsa = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    path = written(tmp_path / "id", rsa.export_private_key(form, passphrase="s3cret"))  # of a throw-away key
    assert identity_code(path) == "E_KEY_PASSPHRASE"


def test_a_public_key_in_its_place_even_when_open_to_all(tmp_path: Path) -> None:
    path = written(tmp_path / "id.pub", PRIVATE.export_public_key(), mode=0o644)
    assert identity_code(path) == "E_KEY_PUBLIC"


@pytest.mark.parametrize("data", [b"", b"hello\n", b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", b"\0" * 100_000])
def test_a_file_that_is_no_key(tmp_path: Path, data: bytes) -> None:
    assert identity_code(written(tmp_path / "id", data)) == "E_KEY_FORMAT"


def test_a_key_of_another_user(tmp_path: Path) -> None:
    path = written(tmp_path / "id", PRIVATE.export_private_key())
    if os.geteuid() != 0:
        pytest.fail("only root can give a file away, which this test needs")
    os.chown(path, 12345, 12345)
    assert identity_code(path) == "E_KEY_OWNER"


def pinned_code(host_key: str | None) -> str:
    with pytest.raises(ConnectFailed) as caught:
        read_pinned_key(access(host_key=host_key))
    return caught.value.code


def test_host_keys() -> None:
    public = PRIVATE.export_public_key().decode()
    assert read_pinned_key(access(host_key=public)).public_data == PRIVATE.public_data
    assert pinned_code(None) == pinned_code("") == "E_SSH_HOSTKEY_UNPINNED"
    assert pinned_code("ssh-ed25519 AAAA") == pinned_code("SHA256:abc") == "E_SSH_HOSTKEY_FORMAT"
    assert pinned_code(PRIVATE.export_private_key().decode()) == "E_SSH_HOSTKEY_FORMAT"
    weak = asyncssh.generate_private_key("ssh-rsa", key_size=1024).export_public_key().decode()
    assert pinned_code(weak) == "E_SSH_HOSTKEY_WEAK"
