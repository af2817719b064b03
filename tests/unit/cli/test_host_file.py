"""Writing a Host document that loads again as it was meant, and never over another one."""

from pathlib import Path

import msgspec
import pytest

from reconciler.cli.host_file import Draft, check, read_hosts, text_of, write_new
from reconciler.errors import ReconcilerError, UsageError
from reconciler.model.problem import SpecInvalid

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM0mwZG+JiPWYaNJZhRKYvNLwgolLrz98NwVN0BzcZFk"
DRAFT = Draft(
    name="gpu-01",
    address="10.20.0.5",
    user="ops",
    port=2222,
    identity_file="~/.ssh/id_ed25519",
    agent=True,
    jump="bastion",
    host_key=KEY,
    fingerprint="SHA256:x",
)


def test_a_draft_loads_again_as_it_was_meant(tmp_path: Path) -> None:
    (tmp_path / "hosts").mkdir()
    write_new(text_of(DRAFT), tmp_path / "hosts/gpu-01.yaml")

    said = read_hosts(tmp_path).hosts["gpu-01"].spec

    assert said.ssh is not None
    assert (said.address, said.ssh.user, said.ssh.port, said.ssh.host_key) == ("10.20.0.5", "ops", 2222, KEY)
    assert (said.ssh.identity_file, said.ssh.agent, said.ssh.jump) == ("~/.ssh/id_ed25519", True, "bastion")


@pytest.mark.parametrize(
    "changes",
    [{"name": "no"}, {"user": "null"}, {"address": "2001:db8::1"}, {"identity_file": None, "agent": False}],
    ids=str,
)
def test_words_that_yaml_takes_for_something_else_stay_words(changes: dict[str, object], tmp_path: Path) -> None:
    check(msgspec.structs.replace(DRAFT, **changes), tmp_path / "x.yaml")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"user": "Ops"}, "E_HOST_USER"),
        ({"address": "127.1"}, "E_HOST_ADDR"),
        ({"address": 'x"\n  ssh: {}'}, "E_HOST_ADDR"),
        ({"port": 0}, "E_PORT"),
        ({"host_key": "ssh-dss AAAA"}, "E_SSH_HOSTKEY_WEAK"),
        ({"identity_file": "~/.ssh/id.pub"}, "E_KEY_PUBLIC"),
    ],
)
def test_what_the_specs_would_refuse_is_refused_before_it_is_written(
    changes: dict[str, object], code: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecInvalid) as refused:
        check(msgspec.structs.replace(DRAFT, **changes), tmp_path / "x.yaml")
    assert [problem.code for problem in refused.value.problems] == [code]


def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "hosts/gpu-01.yaml"
    write_new("first\n", path)
    with pytest.raises(UsageError):
        write_new("second\n", path)
    assert path.read_text() == "first\n"
    assert [entry.name for entry in path.parent.iterdir()] == ["gpu-01.yaml"]


def test_a_link_that_leads_nowhere_is_not_written_through(tmp_path: Path) -> None:
    path = tmp_path / "hosts/gpu-01.yaml"
    path.parent.mkdir()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError):
        write_new("text\n", path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_of_hosts_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "hosts").symlink_to(tmp_path / "real")
    with pytest.raises(ReconcilerError) as refused:
        write_new("text\n", tmp_path / "hosts/gpu-01.yaml")
    assert refused.value.code == "E_SPEC_SYMLINK"
    assert list((tmp_path / "real").iterdir()) == []


def test_hosts_are_read_from_specs_that_do_not_load(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(text_of(DRAFT))
    (tmp_path / "bad.yaml").write_text(
        "apiVersion: reconciler/v1\nkind: Host\nmetadata: {name: old}\nspec: {nope: 1}\n"
    )
    (tmp_path / "broken.yaml").write_text("kind: [\n")

    said = read_hosts(tmp_path)

    assert said.names == {"gpu-01", "old"}
    assert set(said.hosts) == {"gpu-01"}


def test_a_missing_folder_is_a_problem_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(SpecInvalid):
        read_hosts(tmp_path / "nothing")
