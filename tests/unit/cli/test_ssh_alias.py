"""Reading what ssh says of an alias, and of the host to go through."""

import pytest

from reconciler.cli.ssh_alias import check_alias, read_jump
from reconciler.errors import ReconcilerError, UsageError


@pytest.mark.parametrize("alias", ["gpu", "gpu-01.example.org", "ops@10.20.0.5", "::1", "a_b", "x" * 253])
def test_what_a_person_types_after_ssh_is_taken_as_it_is(alias: str) -> None:
    assert check_alias(alias) == alias


@pytest.mark.parametrize("alias", ["", "-l", "-", "a b", "a\n", "a;b", "$(a)", "a/b", "gpü", "x" * 254])
def test_what_could_mean_anything_else_is_refused(alias: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_alias(alias)
    assert refused.value.code == "E_SSH_ALIAS"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("bastion", "bastion", None),
        ("ops@bastion", "bastion", None),
        ("ops@bastion:2222", "bastion", 2222),
        ("[2001:db8::1]:2222", "2001:db8::1", 2222),
        ("ssh://ops@bastion:2222/", "bastion", 2222),
    ],
)
def test_a_jump_is_read_with_its_port(text: str, host: str, port: int | None) -> None:
    jump = read_jump(text)
    assert (jump.host, jump.port) == (host, port)


@pytest.mark.parametrize(("text", "code"), [("one,two", "E_JUMP_DEPTH"), ("a:b:c", "E_SSH_JUMP"), ("", "E_SSH_JUMP")])
def test_a_jump_that_cannot_be_gone_through_is_refused(text: str, code: str) -> None:
    with pytest.raises(ReconcilerError) as refused:
        read_jump(text)
    assert refused.value.code == code
