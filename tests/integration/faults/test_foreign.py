"""F-23 to F-25 and F-28: what is not ours, machines that are not the ones they were, and ports that others have."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import (
    IDLE,
    condition,
    expect_settled,
    held,
    inspect,
    name_of,
    planned_verbs,
    run_of,
    settle,
    web_sandbox,
)
from tests.lab.config import HostOptions
from tests.lab.host import LabHost
from tests.lab.keys import make_key
from tests.lab.proxy import Proxy

pytestmark = pytest.mark.lab

LABEL = "dev.reconciler."


# F-23: what only looks like ours -------------------------------------------------------------------------------------


def test_f23_two_fleets_on_one_host_do_not_see_each_other(fleet: Driver, alpha: LabHost, tmp_path: Path) -> None:
    other = Driver(tmp_path / "other", fleet=f"{fleet.fleet}x")
    other.declare_fleet()
    other.declare_host(alpha)
    try:
        for driver in (fleet, other):
            web_sandbox(driver, "web", "alpha")
            settle(driver)
        before = run_of(other, alpha)
        assert planned_verbs(fleet) == {}
        fleet.run("destroy", "--all", "--yes").expect(0)
        assert fleet.containers(alpha) == {}
        assert run_of(other, alpha) == before
        expect_settled(other)
    finally:
        other.clear(alpha)


def test_f23_a_container_in_the_way_is_named_and_adopted_by_its_full_id(fleet: Driver, alpha: LabHost) -> None:
    name = name_of(fleet, "web")
    full_id = alpha.docker("run", "-d", "--name", name, "lab/web:1").strip()
    started = inspect(alpha, full_id)["State"]["StartedAt"]
    try:
        web_sandbox(fleet, "web", "alpha", container={"image": "lab/web:2"})
        fleet.run("apply", "--yes").expect(0, 3)
        clash = held(fleet)["sandbox/web"]
        assert clash.reason == "NameTaken"
        assert full_id in clash.message
        assert inspect(alpha, name)["Id"] == full_id
        assert fleet.run("adopt", full_id[:12], "--yes").expect(64).stderr
        fleet.run("adopt", full_id, "--yes").expect(0)
        assert inspect(alpha, full_id)["State"]["StartedAt"] == started, "adopting restarts nothing"
        assert planned_verbs(fleet) == {"sandbox/web": "replace"}
        settle(fleet)
        assert inspect(alpha, name)["Id"] != full_id
        assert inspect(alpha, name)["Config"]["Image"] == "lab/web:2"
    finally:
        alpha.docker("rm", "-f", name)


def _lookalikes(fleet: Driver, host: LabHost) -> dict[str, list[str]]:
    """Give the words of `docker run` for each container that looks like ours and is not."""
    mine = inspect(host, name_of(fleet, "web"))
    copied = {key: value for key, value in mine["Config"]["Labels"].items() if key.startswith(LABEL)}
    labels = [word for key, value in copied.items() for word in ("--label", f"{key}={value}")]
    host.docker("commit", mine["Id"], f"{fleet.fleet}/committed:1")
    changes = [word for key, value in copied.items() for word in ("--change", f"LABEL {key}={value}")]
    host.docker("commit", *changes, host.docker("create", "lab/web:1").strip(), f"{fleet.fleet}/labelled:1")
    theirs = [word if f"{LABEL}fleet=" not in word else f"{LABEL}fleet={fleet.fleet}x" for word in labels]
    gone = name_of(fleet, "gone")
    return {
        "copied labels, any name": [*labels, "lab/web:1"],
        "copied labels, a name like ours": ["--name", f"{name_of(fleet, 'web')}.bak", *labels, "lab/web:1"],
        "copied labels, the name of another": ["--name", gone, *labels, "lab/web:1"],
        "an image that was committed from ours": ["--name", name_of(fleet, "gone2"), f"{fleet.fleet}/committed:1"],
        "labels of an image": ["--name", name_of(fleet, "gone3"), f"{fleet.fleet}/labelled:1"],
        "labels of another fleet": ["--name", name_of(fleet, "gone4"), *theirs, "lab/web:1"],
        "our name and no label": ["--name", name_of(fleet, "gone5"), "lab/web:1"],
        "a few of our labels": ["--label", f"{LABEL}fleet={fleet.fleet}", "lab/web:1"],
    }


def test_f23_whatever_only_looks_like_ours_is_never_touched(fleet: Driver, alpha: LabHost) -> None:
    fleet.declare_fleet(reap={"mode": "apply", "olderThan": "1s", "grace": "1s"}, limits={"removalsPerPlan": "100%"})
    web_sandbox(fleet, "web", "alpha")
    settle(fleet)
    strangers = {
        why: alpha.docker("run", "--detach", *words).strip() for why, words in _lookalikes(fleet, alpha).items()
    }
    started = {full_id: inspect(alpha, full_id)["State"]["StartedAt"] for full_id in strangers.values()}
    try:
        web_sandbox(fleet, "else", "alpha")
        fleet.drop("Sandbox", "web")
        fleet.run("apply", "--yes").expect(0, 3)
        fleet.run("apply", "--yes").expect(0, 3)
        fleet.run("destroy", "--all", "--yes").expect(0, 3, 5)
        for why, full_id in strangers.items():
            seen = inspect(alpha, full_id)
            assert seen["State"]["Running"] is True, why
            assert seen["State"]["StartedAt"] == started[full_id], why
        for full_id in strangers.values():
            refused = fleet.run("adopt", full_id[:12], "--yes")
            assert refused.exit == 64, "never by a short id"
    finally:
        alpha.docker("rm", "--force", *strangers.values())
        alpha.docker("image", "rm", "--force", f"{fleet.fleet}/committed:1", f"{fleet.fleet}/labelled:1")


def test_f23_labels_that_an_image_or_a_stranger_brings_prove_nothing(fleet: Driver, alpha: LabHost) -> None:
    web_sandbox(fleet, "web", "alpha")
    settle(fleet)
    mine = inspect(alpha, name_of(fleet, "web"))["Config"]["Labels"]
    words = [word for key, value in mine.items() for word in ("--label", f"{key}={value}")]
    stranger = alpha.docker("run", "-d", *words, "lab/web:1").strip()
    fleet.drop("Sandbox", "web")
    web_sandbox(fleet, "else", "alpha")
    settle(fleet)
    assert inspect(alpha, stranger)["State"]["Running"] is True
    assert set(fleet.containers(alpha).values()) >= {stranger}


# F-24: another machine at the same address ---------------------------------------------------------------------------


@pytest.fixture
def lone(lab_folder: Path, bare: Driver) -> Iterator[tuple[Driver, LabHost]]:
    """Give a host of this test's own, whose parts may be swapped, with one sandbox on it."""
    with LabHost.start(lab_folder, "lone") as host:
        host.load_image("lab/busybox:1")
        bare.declare_fleet()
        bare.declare_host(host)
        bare.declare_sandbox("one", host="lone", observability="off", containers={"main": IDLE})
        settle(bare)
        yield bare, host


def _expect_held(driver: Driver, word: str) -> None:
    """Expect that nothing is planned, that what there is to say names the machine, and that a removal is not either."""
    fleet_file = (driver.specs / "sandbox-one.yaml").read_text()
    for verb in ("as it is", "dropped"):
        if verb == "dropped":
            driver.drop("Sandbox", "one")
            driver.declare_sandbox("other", host="lone", observability="off", containers={"main": IDLE})
        planned = driver.run("plan", "-o", "json").expect(0, 3).json
        assert planned["actions"] == [], verb
        assert planned["held_back"], verb
        ran = driver.run("apply", "--yes").expect(3)
        assert word in ran.stdout + ran.stderr, ran.stdout + ran.stderr
    driver.drop("Sandbox", "other")
    (driver.specs / "sandbox-one.yaml").write_text(fleet_file)


def test_f24_a_host_with_another_key_is_refused(lone: tuple[Driver, LabHost]) -> None:
    driver, host = lone
    before = run_of(driver, host)
    path = Path(host.record.folder) / "ssh/host_key"
    keep = path.read_bytes()
    host.stop_sshd()
    path.unlink()
    path.with_suffix(".pub").unlink(missing_ok=True)
    make_key(path)
    host.start_sshd()
    _expect_held(driver, "showed another host key")
    assert run_of(driver, host) == before
    host.stop_sshd()
    path.write_bytes(keep)
    host.start_sshd()
    settle(driver)
    assert run_of(driver, host) == before


def test_f24_a_host_whose_base_folder_is_another_machines_is_held_until_it_is_accepted(
    lone: tuple[Driver, LabHost],
) -> None:
    driver, host = lone
    before = run_of(driver, host)
    base = Path(driver.base_dir(host))
    host.run("mv", base, f"{base}.kept")
    _expect_held(driver, "host accept lone")
    host.run("install", "-d", "-m", "0700", "-o", str(host.uid), base)
    (base / ".host-id").write_text("0123456789abcdef" * 2 + "\n")
    os.chown(base / ".host-id", host.uid, host.record.gid)
    _expect_held(driver, "is not the machine it was")
    assert run_of(driver, host) == before
    shutil.rmtree(base)
    host.run("mv", f"{base}.kept", base)
    settle(driver)
    assert run_of(driver, host) == before


def test_f24_a_host_whose_docker_is_another_ones_is_held_and_nothing_is_made_again(
    lone: tuple[Driver, LabHost],
) -> None:
    driver, host = lone
    config = Path(host.record.folder) / "daemon.json"
    keep = config.read_text()
    host.kill_dockerd()
    config.write_text(json.dumps({**json.loads(keep), "data-root": f"{host.data_root}-other"}))
    host.start_dockerd()
    host.load_image("lab/busybox:1")
    assert driver.containers(host) == {}
    _expect_held(driver, "host accept lone")
    assert driver.containers(host) == {}, "nothing was made again"
    host.kill_dockerd()
    config.write_text(keep)
    host.start_dockerd()
    settle(driver)
    assert set(driver.containers(host)) == {name_of(driver, "one")}


# F-25: one machine under two names -----------------------------------------------------------------------------------


def test_f25_one_machine_under_two_names_is_refused_where_the_specs_show_it(fleet: Driver, alpha: LabHost) -> None:
    fleet.declare_sandbox("mine", host="alpha", observability="off", containers={"main": IDLE})
    settle(fleet)
    before = run_of(fleet, alpha)
    fleet.declare_host(alpha, name="again")
    for words in (["plan"], ["apply", "--yes"]):
        refused = fleet.run(*words).expect(1)
        assert "E_DUPLICATE" in refused.stderr
        assert "host again" in refused.stderr
        assert "host-alpha.yaml" in refused.stderr
    assert run_of(fleet, alpha) == before


async def test_f25_one_machine_by_two_ways_is_an_error_that_names_both_and_touches_nothing(
    bare: Driver, lab_folder: Path, tmp_path: Path
) -> None:
    """A machine with a second key, behind a second port: only the id that it keeps for us tells."""
    second = tmp_path / "ecdsa"
    key = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    second.touch(mode=0o600)
    second.write_bytes(key.export_private_key())
    options = HostOptions(sshd=[f"HostKey {second}"])
    with LabHost.start(lab_folder, "twofold", options) as host:
        host.load_image("lab/busybox:1")
        async with Proxy(host.address, host.ssh_port) as proxy:
            bare.declare_fleet(limits={"removalsPerPlan": "100%"})
            bare.declare_host(host)
            for name in ("mine", "doomed"):
                bare.declare_sandbox(name, host="twofold", observability="off", containers={"main": IDLE})
            await asyncio.to_thread(settle, bare)
            before = run_of(bare, host)
            pinned = " ".join(key.export_public_key().decode().split()[:2])
            bare.declare_host(host, name="again", ssh={"port": proxy.port, "hostKey": pinned})
            bare.declare_sandbox("second", host="again", observability="off", containers={"main": IDLE})
            bare.drop("Sandbox", "doomed")
            ran = await asyncio.to_thread(bare.run, "plan", "-o", "json")
            planned = ran.expect(0, 3).json
            assert planned["actions"] == []
            names = {item["address"] for item in planned["held_back"]}
            assert names == {"sandbox/mine", "sandbox/doomed", "sandbox/second"}
            for item in planned["held_back"]:
                assert item["reason"] == "HostIdentity"
                assert {"again", "twofold"} <= set(item["message"].split())
                assert "one machine" in item["message"]
            (await asyncio.to_thread(bare.run, "apply", "--yes")).expect(3)
            assert run_of(bare, host) == before


def test_f25_one_engine_under_two_base_folders_is_left_alone_by_both(fleet: Driver, alpha: LabHost) -> None:
    fleet.drop("Host", "beta")
    fleet.declare_fleet(reap={"mode": "apply", "olderThan": "1s", "grace": "1s"})
    fleet.declare_sandbox("mine", host="alpha", observability="off", containers={"main": IDLE})
    settle(fleet)
    before = fleet.containers(alpha)
    base_dir = str(fleet.home / "base")
    fleet.declare("Host", "again", {"address": "local", "dockerSocket": str(alpha.docker_socket), "baseDir": base_dir})
    refused = fleet.run("apply", "--yes").expect(3)
    assert "one machine" in refused.stdout
    assert fleet.containers(alpha) == before


# F-28: ports that somebody else has ----------------------------------------------------------------------------------


def _published(port: int) -> dict[str, Any]:
    return {"ports": {"web": {"container": 8080, "host": port}}}


def test_f28_two_specs_that_want_one_port_of_a_host_are_refused_before_any_host_is_asked(
    fleet: Driver, alpha: LabHost
) -> None:
    for name in ("one", "two"):
        web_sandbox(fleet, name, "alpha", container=_published(20999))
    refused = fleet.run("plan").expect(1)
    assert "20999" in refused.stderr
    assert "one" in refused.stderr
    assert "two" in refused.stderr
    fleet.run("apply", "--yes").expect(1)
    assert fleet.containers(alpha) == {}


def test_f28_a_port_of_another_container_is_named_and_the_next_pass_converges_once_it_is_free(
    fleet: Driver, alpha: LabHost
) -> None:
    port = 20000 + alpha.record.number
    publish = f"127.0.0.1:{port}:8080"
    alpha.docker("run", "-d", "--name", f"{fleet.fleet}-squatter", "-p", publish, "lab/web:1")
    try:
        web_sandbox(fleet, "web", "alpha", container=_published(port))
        planned = fleet.run("plan", "-o", "json").expect(0).json["held_back"]
        assert [(item["address"], item["reason"]) for item in planned] == [("sandbox/web", "PortTaken")]
        assert str(port) in planned[0]["message"]
        fleet.run("apply", "--yes").expect(3)
        assert name_of(fleet, "web") not in fleet.containers(alpha)
    finally:
        alpha.docker("rm", "-f", f"{fleet.fleet}-squatter")
    settle(fleet)
    assert condition(fleet, "web", "Ready") == "True/ProbesPassed"


def test_f28_a_port_of_a_program_on_the_host_is_named_and_what_was_made_is_used_later(
    fleet: Driver, alpha: LabHost
) -> None:
    with socket.socket() as theirs:
        theirs.bind(("127.0.0.1", 0))
        theirs.listen()
        port = theirs.getsockname()[1]
        web_sandbox(fleet, "web", "alpha", container=_published(port))
        made: set[str] = set()
        for _ in range(2):
            failed = fleet.run("apply", "--yes", "--json").expect(1)
            (error,) = [line for line in failed.lines if line["type"] == "apply_errored"]
            assert error["code"] == "E_PORT_CONFLICT"
            assert f"127.0.0.1:{port}" in error["@message"]
            made |= set(fleet.containers(alpha).values())
        assert len(made) == 1, "what was created and could not start is used again, and no second one made"
    settle(fleet)
    assert set(fleet.containers(alpha).values()) == made
    assert condition(fleet, "web", "Ready") == "True/ProbesPassed"
