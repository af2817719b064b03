"""A sandbox as a compose file: judged before anything starts, drift seen by service, only what differs replaced."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import expect_settled, held, inspect, planned_verbs, run_of, settle, status_of
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab

IDLE: dict[str, Any] = {
    "image": "lab/busybox:1",
    "command": ["sleep", "86400"],
    "stop_grace_period": "1s",
    "init": True,
}


@pytest.fixture
def composing(alpha: LabHost) -> LabHost:
    """Give alpha with compose v2 for those who log in."""
    if not (alpha.home / ".docker/cli-plugins").exists():
        alpha.give_compose()
    return alpha


def write(driver: Driver, services: dict[str, Any], **more: Any) -> Path:
    """Write the compose file of the one sandbox, beside the specs."""
    folder = driver.folder / "app"
    folder.mkdir(exist_ok=True)
    path = folder / "compose.yaml"
    path.write_text(json.dumps({"services": services, **more}))
    return path


def declare(driver: Driver, **spec: Any) -> None:
    driver.declare_sandbox(
        "app", **{"host": "alpha", "source": {"path": "../app"}, "compose": {"file": "compose.yaml"}, **spec}
    )


def services(driver: Driver, host: LabHost) -> dict[str, tuple[str, str]]:
    """Give id and start of each service's container, by service."""
    found = run_of(driver, host)
    return {name.removesuffix("-1").rpartition("-")[2]: run for name, run in found.items()}


def test_drift_is_seen_by_service_and_only_what_differs_is_replaced(fleet: Driver, composing: LabHost) -> None:
    write(fleet, {"web": IDLE, "db": {**IDLE, "volumes": ["rows:/rows"]}}, volumes={"rows": {}})
    declare(fleet)
    shown = fleet.run("plan").expect(0).stdout
    assert "services/web" in shown
    settle(fleet)
    first = services(fleet, composing)
    assert sorted(first) == ["db", "web"]
    assert status_of(fleet, "app")["health"] == "Healthy"

    composing.docker("rm", "--force", first["db"][0])
    composing.docker("stop", first["web"][0])
    shown = fleet.run("plan").expect(0).stdout
    assert "services/db" in shown
    assert "services.web.state" in shown
    settle(fleet)
    second = services(fleet, composing)
    assert second["web"][0] == first["web"][0], "it was started, not replaced"
    assert second["db"][0] != first["db"][0]

    write(
        fleet,
        {"web": {**IDLE, "environment": {"MODE": "fast"}}, "db": {**IDLE, "volumes": ["rows:/rows"]}},
        volumes={"rows": {}},
    )
    assert planned_verbs(fleet) == {"sandbox/app": "update"}
    settle(fleet)
    third = services(fleet, composing)
    assert third["db"] == second["db"], "what the file leaves as it is goes on"
    assert third["web"][0] != second["web"][0]

    write(fleet, {"db": {**IDLE, "volumes": ["rows:/rows"]}}, volumes={"rows": {}})
    assert "remove sbx-" in fleet.run("plan").expect(0).stdout
    settle(fleet)
    assert services(fleet, composing) == {"db": third["db"]}

    for path in sorted(fleet.status.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    assert planned_verbs(fleet) == {"sandbox/app": "adopt"}
    settle(fleet)
    assert services(fleet, composing) == {"db": third["db"]}

    fleet.run("destroy", "app", "--yes").expect(0)
    assert services(fleet, composing) == {}
    label = json.dumps({"label": [f"dev.reconciler.fleet={fleet.fleet}"]})
    assert composing.engine("GET", "/networks", filters=label) == []
    volumes = composing.engine("GET", "/volumes", filters=label)["Volumes"]
    assert [volume["Name"].rpartition("_")[2] for volume in volumes] == ["rows"], "data stays"


def test_what_a_service_writes_into_its_tree_outlives_an_update(fleet: Driver, composing: LabHost) -> None:
    web = {**IDLE, "volumes": ["./data:/data"]}
    write(fleet, {"web": web})
    declare(fleet)
    settle(fleet)
    (full_id, _) = services(fleet, composing)["web"]
    composing.docker("exec", full_id, "sh", "-c", "echo precious > /data/rows")
    (fleet.folder / "app/more.txt").write_text("more\n")
    settle(fleet)
    assert composing.docker("exec", full_id, "cat", "/data/rows") == "precious\n"


def test_what_a_container_writes_over_its_compose_file_is_never_read(
    fleet: Driver, composing: LabHost, tmp_path: Path
) -> None:
    """It has the tree mounted, and would have the next apply mount more, and read a file of the host for it."""
    web = {**IDLE, "volumes": [".:/tree"]}
    write(fleet, {"web": web, "db": IDLE})
    declare(fleet)
    settle(fleet)
    first = services(fleet, composing)
    evil = {"web": {**web, "env_file": "/etc/hostname"}, "db": {**IDLE, "environment": {"EVIL": "yes"}}}
    (tmp_path / "evil").write_text(json.dumps({"services": evil}))
    composing.docker("cp", tmp_path / "evil", f"{first['web'][0]}:/tree/compose.yaml")
    composing.docker("exec", first["web"][0], "sh", "-c", "ln -s /etc/hostname /tree/.env")
    composing.docker("rm", "--force", first["db"][0])
    settle(fleet)
    second = services(fleet, composing)
    assert second["web"] == first["web"]
    assert (
        "EVIL=yes"
        not in inspect(composing, next(one for one in run_of(fleet, composing) if "-db-" in one))["Config"]["Env"]
    )


def test_another_file_of_the_same_tree_is_judged_before_it_is_brought_up(fleet: Driver, composing: LabHost) -> None:
    folder = write(fleet, {"web": IDLE}).parent
    (folder / "other.yaml").write_text(json.dumps({"services": {"web": {**IDLE, "privileged": True}}}))
    declare(fleet)
    settle(fleet)
    before = services(fleet, composing)
    declare(fleet, compose={"file": "other.yaml"})
    refused = fleet.run("apply", "--yes").expect(1)
    assert "privileged: nothing judges this key" in refused.stdout + refused.stderr
    assert services(fleet, composing) == before
    declare(fleet)
    settle(fleet)
    assert services(fleet, composing) == before


@pytest.mark.parametrize(
    ("environment", "env"),
    [({"TOKEN": "${x-canary5ecre7"}, "A=1"), ({}, "A=1\nB!C=canary5ecre7\n"), ({}, 'A="canary5ecre7\nB=1\n')],
    ids=["dollar", "name", "quote"],
)
def test_no_error_shows_a_value_of_an_environment(
    fleet: Driver, composing: LabHost, environment: dict[str, str], env: str
) -> None:
    folder = write(fleet, {"web": {**IDLE, "environment": environment, "env_file": "web.env"}}).parent
    (folder / "web.env").write_text(env)
    declare(fleet)
    refused = fleet.run("apply", "--yes").expect(1)
    assert "E_COMPOSE_FILE" in refused.stdout + refused.stderr
    assert "canary5ecre7" not in refused.stdout + refused.stderr


DENIED: dict[str, tuple[dict[str, Any], str]] = {
    "privileged": ({"privileged": True}, "privileged: nothing judges this key"),
    "host-folder": ({"volumes": ["/etc:/host"]}, "/etc of the host is not mounted"),
    "docker-socket": ({"volumes": ["/var/run/docker.sock:/s"]}, "/var/run/docker.sock of the host is not mounted"),
    "marker": ({"volumes": ["../.reconciler.json:/m"]}, "is not mounted: what is ours is not for containers"),
    "all-of-ours": ({"volumes": ["../..:/m"]}, "holds the markers and folders of all sandboxes"),
    "host-network": ({"network_mode": "host"}, "the Fleet's policy denies the host's network"),
    "host-pid": ({"pid": "host"}, "pid: nothing judges this key"),
    "host-users": ({"userns_mode": "host"}, "userns_mode: nothing judges this key"),
    "capability": ({"cap_add": ["SYS_ADMIN"]}, "the Fleet's policy denies SYS_ADMIN"),
    "device": ({"devices": ["/dev/kmsg:/dev/kmsg"]}, "the Fleet's policy denies /dev/kmsg"),
    "security": ({"security_opt": ["seccomp:unconfined"]}, "security_opt: nothing judges this key"),
    "own-name": ({"container_name": "mine"}, "container_name: a name of its own"),
    "our-labels": ({"labels": {"dev.reconciler.fleet": "x"}}, "is the reconciler's own"),
    "two-of-one": ({"deploy": {"replicas": 2}}, "each service has one container here"),
    "annotations": ({"annotations": {"org.systemd.property.X": "1"}}, "annotations: nothing judges this key"),
    "logging": ({"logging": {"driver": "syslog"}}, "the driver syslog is not let through"),
    "nested": ({"volumes": ["./data:/d", "./data/in:/in"]}, "data/in lies below"),
    "built": ({"build": "."}, "build: nothing judges this key"),
    "image": ({"image": "evil/miner:1"}, "the Fleet's policy does not allow evil/miner:1"),
}


def test_42_what_the_policy_denies_in_a_compose_file_replaces_nothing(fleet: Driver, composing: LabHost) -> None:
    fleet.declare_fleet(policy={"images": ["lab/*"]})
    write(fleet, {"web": IDLE})
    declare(fleet)
    settle(fleet)
    before = services(fleet, composing)
    spoiled = {name: {**IDLE, **more} for name, (more, _) in DENIED.items()}
    spoiled["outside"] = {**IDLE, "networks": ["theirs"]}
    write(fleet, {"web": IDLE, **spoiled}, networks={"theirs": {"external": True}})
    refused = fleet.run("apply", "--yes").expect(1).stdout
    for name, (_, said) in DENIED.items():
        assert f"services.{name}." in refused, name
        assert said in refused, name
    assert "networks.theirs.external" in refused
    assert services(fleet, composing) == before
    write(fleet, {"web": IDLE})
    settle(fleet)
    assert services(fleet, composing) == before


def test_a_profile_may_be_allowed_more_and_hardening_reaches_services(fleet: Driver, composing: LabHost) -> None:
    allow = [{"profile": "tools", "capAdd": ["SYS_PTRACE"], "writableRoot": True}]
    fleet.declare_fleet(policy={"hardened": False, "allow": allow, "mounts": ["/srv"]})
    fleet.declare("Profile", "tools", {"sandbox": {"ttl": None}})
    write(fleet, {"web": {**IDLE, "cap_add": ["SYS_PTRACE"], "volumes": ["/srv:/srv:ro"]}})
    declare(fleet, profile="tools")
    settle(fleet)
    (name,) = fleet.containers(composing)
    assert inspect(composing, name)["HostConfig"]["CapAdd"] == ["SYS_PTRACE"]

    fleet.declare_fleet(policy={"hardened": True, "allow": allow, "mounts": ["/srv"]})
    settle(fleet)
    config = inspect(composing, name)["HostConfig"]
    assert config["CapDrop"] == ["ALL"]
    assert config["SecurityOpt"] == ["no-new-privileges:true"]


def test_a_service_that_ends_too_soon_is_said_to(fleet: Driver, composing: LabHost) -> None:
    write(fleet, {"web": {**IDLE, "command": ["sh", "-c", "echo broken; exit 3"], "restart": "no"}})
    declare(fleet)
    failed = fleet.run("apply", "--yes").expect(1)
    assert "broken" in failed.stdout + failed.stderr
    write(fleet, {"web": IDLE})
    settle(fleet)


def test_one_shot_services_and_probes_by_service(fleet: Driver, composing: LabHost) -> None:
    once = {**IDLE, "command": ["true"]}
    web = {**IDLE, "depends_on": {"migrate": {"condition": "service_completed_successfully"}}}
    write(fleet, {"migrate": once, "web": web})
    declare(fleet, readiness={"up": {"exec": {"container": "web", "command": ["true"]}}})
    settle(fleet)
    expect_settled(fleet)
    assert sorted(services(fleet, composing)) == ["migrate", "web"]


def test_a_compose_file_alone_needs_no_source(fleet: Driver, composing: LabHost) -> None:
    write(fleet, {"web": IDLE})
    (fleet.folder / "app/never-sent").write_text("x")
    fleet.declare_sandbox("app", host="alpha", compose={"file": "../app/compose.yaml"})
    settle(fleet)
    assert composing.run("find", fleet.base_dir(composing), "-name", "never-sent") == ""


def test_a_name_that_somebody_else_has_is_held(fleet: Driver, composing: LabHost) -> None:
    write(fleet, {"web": IDLE})
    declare(fleet)
    settle(fleet)
    (name,) = fleet.containers(composing)
    composing.docker("rm", "--force", name)
    composing.docker("create", "--name", name, "lab/busybox:1", "true")
    try:
        assert held(fleet)["sandbox/app"].reason == "NameTaken"
    finally:
        composing.docker("rm", "--force", name)


@pytest.mark.parametrize(
    ("tools", "said"),
    [
        ({"docker": "exit 1", "docker-compose": "exit 0"}, "only compose v1"),
        ({"docker": "exit 1"}, "docker has no compose plugin"),
    ],
    ids=["v1", "none"],
)
def test_without_compose_v2_nothing_is_placed(fleet: Driver, beta: LabHost, tools: dict[str, str], said: str) -> None:
    """Stand-ins on the search path of those who log in play an older host."""
    folder = Path(beta.record.folder) / f"tools-{fleet.fleet}"
    folder.mkdir()
    for name, script in tools.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    config = Path(beta.record.folder) / "sshd_config"
    kept = config.read_text()
    config.write_text(f"SetEnv PATH={folder}:/usr/bin:/bin\n" + kept)
    beta.stop_sshd()
    beta.start_sshd()
    try:
        write(fleet, {"web": IDLE})
        declare(fleet, host="beta")
        refused = fleet.run("apply", "--yes").expect(1)
        assert said in refused.stdout + refused.stderr
        assert (
            "v2 plugin" in refused.stdout + refused.stderr
            or "install the compose plugin" in refused.stdout + refused.stderr
        )
        assert beta.run("find", fleet.base_dir(beta), "-name", "source") == ""
    finally:
        config.write_text(kept)
        beta.stop_sshd()
        beta.start_sshd()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("services: [web]", "has no `services:`"),
        ("a: [", "is no YAML"),
        ("services: {Web: {image: x}}", "not made of lower-case letters"),
        ("services: {web: {image: x, profiles: [debug]}}", "names no service that is always brought up"),
        ("include: [other.yaml]\nservices: {web: {image: x}}", "`include` is not followed"),
        (None, "is no file of the tree"),
    ],
)
def test_a_compose_file_that_cannot_be_read_is_a_problem(bare: Driver, text: str | None, said: str) -> None:
    bare.declare_fleet()
    bare.declare("Host", "alpha", {"address": "local"})
    path = write(bare, {})
    path.unlink() if text is None else path.write_text(text)
    declare(bare)
    refused = bare.run("validate", "-o", "json").expect(1)
    (problem,) = [json.loads(line) for line in refused.stdout.splitlines()]
    assert (problem["code"], said in problem["message"]) == ("E_SOURCE", True), problem
