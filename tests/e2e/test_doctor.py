"""`reconcile doctor` against real hosts: every cause by its own name."""

from pathlib import Path

import pytest

from tests.e2e.driver import Driver
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab

Hosts = tuple[LabHost, LabHost]
ANOTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM0mwZG+JiPWYaNJZhRKYvNLwgolLrz98NwVN0BzcZFk"


def test_all_is_well_and_nothing_is_made_on_a_host(driver: Driver, lab_hosts: Hosts) -> None:
    ran = driver.run("doctor").expect(0)

    assert "host/alpha" in ran.stdout
    assert "host/beta" in ran.stdout
    assert "FAIL" not in ran.stdout
    assert "0 failed, 0 could not be tried." in ran.stdout
    assert not Path(driver.base_dir(lab_hosts[0])).exists()
    assert not driver.status.exists()


def test_one_host_is_examined_when_it_is_named(driver: Driver) -> None:
    ran = driver.run("doctor", "beta", "-o", "json").expect(0)

    assert [host["name"] for host in ran.json["hosts"]] == ["beta"]
    assert all(finding["ok"] for finding in ran.json["hosts"][0]["findings"])


def test_each_host_has_its_own_findings(driver: Driver, lab_hosts: Hosts) -> None:
    alpha, beta = lab_hosts
    driver.declare_host(alpha, ssh={"port": 1})
    driver.declare_host(beta, ssh={"hostKey": ANOTHER_KEY})

    ran = driver.run("doctor", "-o", "json").expect(1)

    failed = {
        host["name"]: [(finding["check"], finding["code"]) for finding in host["findings"] if finding["ok"] is False]
        for host in ran.json["hosts"]
    }
    assert failed == {"alpha": [("network", "E_HOST_REFUSED")], "beta": [("host key", "E_SSH_HOSTKEY")]}


@pytest.mark.parametrize(
    ("ssh", "code"),
    [
        ({"user": "stranger"}, "E_SSH_LOGIN"),
        ({"identityFile": "/nonexistent/key"}, "E_KEY_MISSING"),
    ],
)
def test_a_way_that_is_barred_has_a_code_and_a_hint(
    driver: Driver, lab_hosts: Hosts, ssh: dict[str, str], code: str
) -> None:
    driver.declare_host(lab_hosts[0], ssh=ssh)

    ran = driver.run("doctor", "alpha").expect(1)

    assert f"[{code}]" in ran.stdout
    assert "hint: " in ran.stdout


def test_a_host_through_another_is_examined_through_it(driver: Driver, lab_hosts: Hosts) -> None:
    driver.declare_host(lab_hosts[1], ssh={"jump": "alpha"})

    ran = driver.run("doctor", "beta").expect(0)

    assert "jump host: alpha lets us in" in ran.stdout


def test_an_engine_that_is_down_is_told_from_a_missing_socket(driver: Driver, lab_hosts: Hosts) -> None:
    driver.declare_host(lab_hosts[0], dockerSocket="/run/nothing-here.sock")

    ran = driver.run("doctor", "alpha").expect(1)

    assert "[E_DOCKER_SOCKET_MISSING]" in ran.stdout


def test_an_unknown_host_is_wrong_usage_and_the_nearest_is_named(driver: Driver) -> None:
    ran = driver.run("doctor", "alhpa").expect(64)

    assert "did you mean alpha?" in ran.stderr
    assert ran.stdout == ""


def test_specs_without_a_host_say_how_to_add_one(bare: Driver) -> None:
    bare.declare_fleet()

    ran = bare.run("doctor").expect(0)

    assert "reconcile host add" in ran.stderr


def test_the_users_ssh_configuration_is_never_read(driver: Driver, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    folder = driver.home / ".ssh"
    folder.mkdir(mode=0o700)
    (folder / "config").write_text(f'Match exec "touch {trap}"\n  User nobody\nHost *\n  UserKnownHostsFile none\n')

    driver.run("doctor").expect(0)

    assert not trap.exists()
