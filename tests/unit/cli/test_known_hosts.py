"""Fingerprints as OpenSSH writes them."""

import pytest

from reconciler.cli.known_hosts import check_fingerprint, fingerprint_of
from reconciler.errors import UsageError

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM0mwZG+JiPWYaNJZhRKYvNLwgolLrz98NwVN0BzcZFk"
FINGERPRINT = "SHA256:I2hlNhChLAHayq1W8bE4kztHlXP6LMDZ/ea6FkML/ho"
"""What `ssh-keygen -lf` says of KEY."""


def test_a_fingerprint_is_the_one_that_openssh_shows() -> None:
    assert fingerprint_of(KEY) == FINGERPRINT


def test_a_fingerprint_is_taken_with_or_without_padding() -> None:
    assert check_fingerprint(FINGERPRINT) == check_fingerprint(f"{FINGERPRINT}=") == FINGERPRINT


@pytest.mark.parametrize("text", ["", "SHA256:", FINGERPRINT[7:], FINGERPRINT[:-1], FINGERPRINT + "A", "MD5:aa:bb"])
def test_what_is_no_fingerprint_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_fingerprint(text)
    assert refused.value.code == "E_FINGERPRINT"
