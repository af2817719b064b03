"""`host add`, `host accept` and `inspect host` against real hosts."""

import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.driver import Driver
from tests.lab.command import run
from tests.lab.config import HostOptions
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab

Hosts = tuple[LabHost, LabHost]
ANOTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM0mwZG+JiPWYaNJZhRKYvNLwgolLrz98NwVN0BzcZFk"


class Operator:
    """Stand in for a person with an SSH configuration of their own.

    OpenSSH finds `~/.ssh/config` by the account and not by HOME, so an `ssh` on PATH names the file to the real one.
    """

    def __init__(self, driver: Driver, folder: Path) -> None:
        self.driver = driver
        self.known_hosts = folder / "known_hosts"
        self._config = folder / "ssh_config"
        self._bin = folder / "bin"
        self._bin.mkdir(parents=True)
        self.known_hosts.write_text("")
        self._config.write_text(f"UserKnownHostsFile {self.known_hosts}\nGlobalKnownHostsFile none\n")
        ssh = self._bin / "ssh"
        ssh.write_text(f'#!/bin/sh\nPATH=${{PATH#*:}} exec ssh -F "{self._config}" "$@"\n')
        ssh.chmod(0o755)

    def knows(self, alias: str, host: LabHost, **more: str) -> None:
        """Write an alias for a lab host into the configuration."""
        options = {
            "HostName": host.address,
            "Port": str(host.ssh_port),
            "User": host.user,
            "IdentityFile": str(host.identity_file),
            **more,
        }
        with self._config.open("a") as file:
            file.write(f"Host {alias}\n" + "".join(f"  {key} {value}\n" for key, value in options.items()))

    @property
    def env(self) -> dict[str, str]:
        return {"PATH": f"{self._bin}:{os.environ['PATH']}"}


@pytest.fixture
def operator(bare: Driver, tmp_path: Path) -> Operator:
    """Give an operator whose specs hold a Fleet and no Host."""
    bare.declare_fleet()
    return Operator(bare, tmp_path / "operator")


def fingerprint(host: LabHost, folder: Path) -> str:
    """Ask OpenSSH itself for the fingerprint of a host's key."""
    public = folder / "host_key.pub"
    public.write_text(host.host_key + "\n")
    return run(["ssh-keygen", "-lf", public]).split()[1]


# host add


def test_a_host_is_added_with_the_fingerprint_that_was_given_and_the_doctor_is_content(
    operator: Operator, lab_hosts: Hosts, tmp_path: Path
) -> None:
    driver, alpha = operator.driver, lab_hosts[0]
    operator.knows("gpu", alpha)
    own = fingerprint(alpha, tmp_path)

    ran = driver.run("host", "add", "gpu-01", "gpu", "--fingerprint", own, env=operator.env).expect(0)

    path = driver.specs / "hosts/gpu-01.yaml"
    assert ran.stdout == "specs/hosts/gpu-01.yaml\n"
    assert "reconcile doctor gpu-01" in ran.stderr
    text = path.read_text()
    assert text.startswith("# yaml-language-server: $schema=../../schemas/reconciler.json\n")
    assert " ".join(alpha.host_key.split()[:2]) in text
    assert own in text
    socket = json.dumps(str(alpha.docker_socket))
    path.write_text(f"{text}  dockerSocket: {socket}\n")
    driver.run("doctor", "gpu-01").expect(0)


def test_nothing_is_written_without_anybody_to_agree(operator: Operator, lab_hosts: Hosts, tmp_path: Path) -> None:
    operator.knows("gpu", lab_hosts[0])

    ran = operator.driver.run("host", "add", "gpu-01", "gpu", env=operator.env).expect(5)

    assert fingerprint(lab_hosts[0], tmp_path) in ran.stderr
    assert "[E_NO_APPROVAL]" in ran.stderr
    assert not (operator.driver.specs / "hosts").exists()


def test_yes_writes_and_says_how_to_verify(operator: Operator, lab_hosts: Hosts) -> None:
    operator.knows("gpu", lab_hosts[0])

    ran = operator.driver.run("host", "add", "gpu-01", "gpu", "--yes", env=operator.env).expect(0)

    assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in ran.stderr
    assert "before you commit it" in ran.stderr
    operator.driver.run("validate").expect(0)


@pytest.mark.parametrize(("answer", "status", "written"), [("y\n", 0, True), ("n\n", 5, False)])
def test_a_person_at_a_terminal_is_asked(
    operator: Operator, lab_hosts: Hosts, *, answer: str, status: int, written: bool
) -> None:
    operator.knows("gpu", lab_hosts[0])

    ran = operator.driver.run_at_terminal(
        "host",
        "add",
        "gpu-01",
        "gpu",
        question="Is this the key that the host itself shows?",
        answer=answer,
        env=operator.env,
    )

    ran.expect(status)
    assert (operator.driver.specs / "hosts/gpu-01.yaml").exists() is written


def test_another_fingerprint_than_the_given_one_is_refused_even_with_yes(
    operator: Operator, lab_hosts: Hosts, tmp_path: Path
) -> None:
    operator.knows("gpu", lab_hosts[0])
    other = fingerprint(lab_hosts[1], tmp_path)
    words = ["host", "add", "gpu-01", "gpu", "--yes", "--fingerprint", other]

    ran = operator.driver.run(*words, env=operator.env).expect(1)

    assert "[E_SSH_HOSTKEY]" in ran.stderr
    assert not (operator.driver.specs / "hosts").exists()


@pytest.mark.parametrize("hashed", [False, True])
def test_a_key_that_known_hosts_holds_is_said(operator: Operator, lab_hosts: Hosts, *, hashed: bool) -> None:
    alpha = lab_hosts[0]
    operator.knows("gpu", alpha)
    operator.known_hosts.write_text(f"[{alpha.address}]:{alpha.ssh_port} {alpha.host_key}\n")
    if hashed:
        run(["ssh-keygen", "-H", "-f", operator.known_hosts])

    ran = operator.driver.run("host", "add", "gpu-01", "gpu", "--yes", env=operator.env).expect(0)

    assert f"{operator.known_hosts}, line 1, holds the same key" in ran.stderr


@pytest.mark.parametrize("line", ["{where} {other}", "@revoked {where} {own}"])
def test_a_key_that_known_hosts_contradicts_is_refused(operator: Operator, lab_hosts: Hosts, line: str) -> None:
    alpha = lab_hosts[0]
    operator.knows("gpu", alpha)
    where = f"[{alpha.address}]:{alpha.ssh_port}"
    operator.known_hosts.write_text(line.format(where=where, other=ANOTHER_KEY, own=alpha.host_key) + "\n")

    ran = operator.driver.run("host", "add", "gpu-01", "gpu", "--yes", env=operator.env).expect(1)

    assert "[E_SSH_HOSTKEY]" in ran.stderr
    assert not (operator.driver.specs / "hosts").exists()


def test_a_jump_host_must_be_in_the_specs_first_and_then_is_gone_through(operator: Operator, lab_hosts: Hosts) -> None:
    alpha, beta = lab_hosts
    operator.knows("bastion", alpha)
    operator.knows("inner", beta, ProxyJump="bastion")
    driver = operator.driver

    refused = driver.run("host", "add", "inner-01", "inner", "--yes", env=operator.env).expect(1)
    assert "[E_JUMP_UNKNOWN]" in refused.stderr
    assert "reconcile host add NAME bastion" in refused.stderr

    driver.run("host", "add", "door", "bastion", "--yes", env=operator.env).expect(0)
    added = driver.run("host", "add", "inner-01", "inner", "--yes", env=operator.env).expect(0)

    assert "through door" in added.stderr
    assert 'jump: "door"' in (driver.specs / "hosts/inner-01.yaml").read_text()
    driver.run("validate").expect(0)


def test_a_key_is_asked_for_through_the_jump_host_and_never_past_it(
    operator: Operator, lab_hosts: Hosts, lab_folder: Path
) -> None:
    driver, inner = operator.driver, lab_hosts[1]
    operator.knows("inner", inner, ProxyJump="door")
    with LabHost.start(lab_folder, "door", HostOptions(sshd=["AllowTcpForwarding no"])) as door:
        driver.declare_host(door)

        ran = driver.run("host", "add", "inner-01", "inner", "--yes", env=operator.env).expect(1)

    assert "[E_SSH_JUMP]" in ran.stderr
    assert not (driver.specs / "hosts").exists()


def test_a_host_that_stands_in_the_specs_is_never_overwritten(operator: Operator, lab_hosts: Hosts) -> None:
    operator.knows("gpu", lab_hosts[0])
    driver = operator.driver
    driver.run("host", "add", "gpu-01", "gpu", "--yes", env=operator.env).expect(0)
    path = driver.specs / "hosts/gpu-01.yaml"
    before = path.read_bytes()

    again = driver.run("host", "add", "gpu-01", "gpu", "--yes", env=operator.env).expect(64)
    assert "[E_HOST_EXISTS]" in again.stderr

    path.write_text("# nothing\n")
    loose = driver.run("host", "add", "gpu-01", "gpu", "--yes", env=operator.env).expect(64)
    assert "never overwritten" in loose.stderr
    assert path.read_bytes() == b"# nothing\n" != before


def test_a_host_can_be_added_before_there_is_a_fleet(operator: Operator, lab_hosts: Hosts) -> None:
    driver = operator.driver
    driver.drop("Fleet", driver.fleet)
    driver.write("broken.yaml", "kind: [\n")
    operator.knows("gpu", lab_hosts[0])

    driver.run("host", "add", "gpu-01", "gpu", "--yes", env=operator.env).expect(0)

    assert (driver.specs / "hosts/gpu-01.yaml").exists()


def test_a_proxy_command_is_never_run(operator: Operator, lab_hosts: Hosts, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    operator.knows("gpu", lab_hosts[0], ProxyCommand=f"touch {trap}")

    ran = operator.driver.run("host", "add", "gpu-01", "gpu", "--yes", env=operator.env).expect(1)

    assert "[E_SSH_PROXYCOMMAND]" in ran.stderr
    assert not trap.exists()


def test_an_agent_is_asked_for_only_where_the_alias_names_one(operator: Operator, lab_hosts: Hosts) -> None:
    operator.knows("gpu", lab_hosts[0], IdentityAgent="/run/agent.sock")

    ran = operator.driver.run("host", "add", "gpu-01", "gpu", "--yes", env=operator.env).expect(0)

    assert "agent: true" in (operator.driver.specs / "hosts/gpu-01.yaml").read_text()
    assert "/run/agent.sock" in ran.stderr


def test_a_host_that_does_not_answer_is_not_written(operator: Operator, lab_hosts: Hosts) -> None:
    operator.knows("gpu", lab_hosts[0], Port="1")

    ran = operator.driver.run("host", "add", "gpu-01", "gpu", "--yes", env=operator.env).expect(1)

    assert "[E_HOST_REFUSED]" in ran.stderr
    assert not (operator.driver.specs / "hosts").exists()


# host accept


def host_id(driver: Driver, host: LabHost) -> str | None:
    path = Path(driver.base_dir(host)) / ".host-id"
    return path.read_text().strip() if path.exists() else None


def recorded(driver: Driver, name: str) -> str | None:
    status = json.loads((driver.status / f"hosts/{name}.json").read_text())
    found: str | None = status["record"]["hostId"]
    return found


def test_a_host_without_an_id_gets_one_and_a_second_accept_changes_nothing(driver: Driver, lab_hosts: Hosts) -> None:
    driver.run("host", "accept", "alpha", "--yes").expect(0)

    first = host_id(driver, lab_hosts[0])
    assert first is not None
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert recorded(driver, "alpha") == first
    before = (driver.status / "hosts/alpha.json").read_bytes()

    again = driver.run("host", "accept", "alpha").expect(0)
    assert "nothing to accept" in again.stderr
    assert (driver.status / "hosts/alpha.json").read_bytes() == before


def test_another_machine_is_recorded_only_once_somebody_agreed(driver: Driver, lab_hosts: Hosts) -> None:
    driver.run("host", "accept", "alpha", "--yes").expect(0)
    old = host_id(driver, lab_hosts[0])
    assert old is not None
    new = "0123456789abcdef" * 2
    (Path(driver.base_dir(lab_hosts[0])) / ".host-id").write_text(f"{new}\n")

    refused = driver.run("host", "accept", "alpha").expect(5)
    assert "[E_NO_APPROVAL]" in refused.stderr
    assert old in refused.stderr
    assert new in refused.stderr
    assert recorded(driver, "alpha") == old

    question = "meant to be host alpha?"
    driver.run_at_terminal("host", "accept", "alpha", question=question, answer="y\n").expect(0)
    assert recorded(driver, "alpha") == new
    assert host_id(driver, lab_hosts[0]) == new


def test_a_lost_id_holds_everything_until_it_is_accepted_and_no_container_is_touched(
    fleet: Driver, alpha: LabHost
) -> None:
    fleet.declare_sandbox("web", host="alpha", observability="off", containers={"main": {"image": "lab/web:1"}})
    fleet.run("apply", "--yes").expect(0)
    before = fleet.containers(alpha)
    assert len(before) == 1
    (Path(fleet.base_dir(alpha)) / ".host-id").unlink()

    planned = fleet.run("plan", "-o", "json").json
    assert [item["reason"] for item in planned["held_back"]] == ["HostIdentity"]
    told = fleet.run("host", "accept", "alpha", "--yes").expect(0).stderr.splitlines()
    assert len({line.index("now: ") for line in told if " on record: " in line}) == 1, told

    assert recorded(fleet, "alpha") == host_id(fleet, alpha)
    assert fleet.containers(alpha) == before
    after = fleet.run("plan", "-o", "json").expect(0).json
    assert (after["held_back"], after["actions"]) == ([], [])


def test_an_id_is_not_written_while_another_pass_holds_the_host(driver: Driver, lab_hosts: Hosts) -> None:
    alpha, base = lab_hosts[0], Path(driver.base_dir(lab_hosts[0]))
    driver.run("host", "accept", "alpha", "--yes").expect(0)
    (base / ".host-id").unlink()
    (base / ".lock").write_text("2026-01-01T00:00:00Z somebody@elsewhere pid 7\n")
    locked = base / ".test-holds"
    words = alpha.world.enter(["flock", base / ".lock", "sh", "-c", f"touch {locked}; cat"])
    with subprocess.Popen(words, stdin=subprocess.PIPE) as holder:
        wait_for(locked)
        ran = driver.run("host", "accept", "alpha", "--yes").expect(6)
        assert holder.stdin is not None
        holder.stdin.close()

    assert "somebody@elsewhere pid 7" in ran.stderr
    assert host_id(driver, alpha) is None


def test_a_host_that_does_not_answer_cannot_be_accepted(driver: Driver, lab_hosts: Hosts) -> None:
    driver.declare_host(lab_hosts[0], ssh={"port": 1})

    ran = driver.run("host", "accept", "alpha", "--yes").expect(3)

    assert "[E_HOST_REFUSED]" in ran.stderr
    assert not (driver.status / "hosts").exists()


# inspect host


def test_inspect_gives_a_snapshot_and_an_inventory_and_leaves_no_trace(driver: Driver, lab_hosts: Hosts) -> None:
    ran = driver.run("inspect", "host", "alpha", "-o", "json").expect(0)

    assert ran.json["host"] == "alpha"
    assert ran.json["snapshot"]["memory_total_bytes"] > 0
    assert ran.json["inventory"]["containers"] == []
    assert ran.json["inventory"]["identity"]["docker_root"] == str(lab_hosts[0].data_root)
    assert not driver.status.exists()
    assert not Path(driver.base_dir(lab_hosts[0])).exists()


def test_inspect_lists_what_is_ours(fleet: Driver, alpha: LabHost) -> None:
    fleet.declare_sandbox("web", host="alpha", observability="off", containers={"main": {"image": "lab/web:1"}})
    fleet.run("apply", "--yes").expect(0)

    listed = fleet.run("inspect", "host", "alpha", "-o", "json").expect(0).json["inventory"]["containers"]

    assert [(one["sandbox"], one["owner"], one["state"]) for one in listed] == [("web", "ours", "running")]
    assert {one["name"]: one["full_id"] for one in listed} == fleet.containers(alpha)
    table = fleet.run("inspect", "host", "alpha").expect(0)
    assert "host/alpha" in table.stdout
    assert f"sbx-{fleet.fleet}.web.main" in table.stdout
    assert "host: alpha" in fleet.run("inspect", "host", "alpha", "-o", "yaml").expect(0).stdout


def test_inspect_of_a_host_that_does_not_answer_is_partial(driver: Driver, lab_hosts: Hosts) -> None:
    driver.declare_host(lab_hosts[0], ssh={"port": 1})

    ran = driver.run("inspect", "host", "alpha", "-o", "json").expect(3)

    assert ran.stdout == ""
    assert "[E_HOST_REFUSED]" in ran.stderr


def wait_for(path: Path) -> None:
    """Wait until a file is there."""
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not come"
        time.sleep(0.01)
