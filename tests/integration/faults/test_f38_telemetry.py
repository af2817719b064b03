"""F-38: telemetry that cannot be read, or counters that began anew: no number instead of a wrong one, and no waiting.

A reboot is a stand-in: the file with the kernel's id of this boot is another one from a moment on, in the host's own
mount space. The counters themselves go on. That a sandbox's own counters begin anew is real: its container is started
again. A read that fails is real as well: a tool that the collector needs ends with an error, or hangs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import IDLE, condition, expect_settled, inspect, name_of, settle, status_of, until
from tests.lab.config import HostOptions, session_path
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab

BOOT = "/proc/sys/kernel/random/boot_id"
WAITS = {"done": {"exec": {"container": "main", "command": ["test", "-e", "/done"]}, "timeout": "60s"}}


def delta_of(driver: Driver, sandbox: str = "web") -> dict[str, Any]:
    """Give a delta, after a look that no amount in it is below zero."""
    delta: dict[str, Any] = status_of(driver, sandbox)["delta"]
    amounts = {name: value for name, value in (delta["own"] or {}).items() if isinstance(value, int)}
    for side in ("before", "after"):
        amounts |= {f"{side}.{name}": value for name, value in (delta[side] or {"median": {}})["median"].items()}
    assert not {name: value for name, value in amounts.items() if value < 0}
    return delta


@contextmanager
def rebooted(host: LabHost, folder: Path) -> Iterator[None]:
    """Show another id of this boot while the block runs; a stand-in for a reboot."""
    file = folder / "boot_id"
    file.write_text("11111111-2222-4333-8444-555555555555\n")
    host.run("mount", "--bind", file, BOOT)
    try:
        yield
    finally:
        host.run("umount", BOOT)


def test_f38_a_reboot_between_before_and_after_leaves_no_difference_and_says_so(
    fleet: Driver, alpha: LabHost, lab_folder: Path
) -> None:
    fleet.declare_sandbox("web", host="alpha", containers={"main": IDLE}, readiness=WAITS)
    running = fleet.start("apply", "--yes", "--json")
    until(lambda: bool(fleet.containers(alpha)), what="the container")
    main = name_of(fleet, "web")
    until(lambda: inspect(alpha, main)["State"]["Running"], what="it to run")
    with rebooted(alpha, lab_folder):
        alpha.docker("exec", main, "touch", "/done")
        running.wait().expect(0)
    delta = delta_of(fleet)
    assert delta["change"] is None
    assert "rebooted" in delta["missing"]["change"]
    assert delta["before"]["boot_id"] != delta["after"]["boot_id"]
    assert delta["own"]["memory_working_set_bytes"] > 0, "what it takes itself is no difference"
    assert condition(fleet, "web", "Ready") == "True/ProbesPassed"
    expect_settled(fleet)


def test_f38_counters_of_a_container_that_began_anew_are_not_subtracted_from_those_before(
    fleet: Driver, alpha: LabHost
) -> None:
    spin = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; touch /done; exec sleep 86400"
    main = {**IDLE, "command": ["sh", "-c", f"[ -e /done ] || {{ {spin}; }}; exec sleep 86400"]}
    fleet.declare_sandbox("web", host="alpha", containers={"main": main}, readiness=WAITS)
    settle(fleet)
    used_ns = delta_of(fleet)["own"]["cpu_usage_ns"]
    alpha.docker("stop", "-t", "0", name_of(fleet, "web"))
    settle(fleet)
    delta = delta_of(fleet)
    assert delta["verb"] == "start"
    assert 0 < delta["own"]["cpu_usage_ns"] < used_ns, "since its last start, as the unit says"


@pytest.fixture(scope="module")
def tools(lab_folder: Path) -> Path:
    """Give a folder that comes first on the search path of those who log in to `blind`."""
    folder = lab_folder / "blind-tools"
    folder.mkdir(mode=0o755)
    return folder


@pytest.fixture(scope="module")
def blind(lab_folder: Path, tools: Path) -> Iterator[LabHost]:
    path = f"SetEnv PATH={tools}:{session_path('bookworm')}"
    with LabHost.start(lab_folder, "blind", HostOptions(generation="bookworm", sshd=(path,))) as host:
        host.load_image("lab/busybox:1")
        yield host


@pytest.fixture
def put(bare: Driver, blind: LabHost, tools: Path) -> Iterator[Callable[[str, str], None]]:
    """Put a program on the host in front of the real one."""
    bare.declare_fleet()
    bare.declare_host(blind)

    def tool(name: str, body: str) -> None:
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)

    yield tool
    for file in tools.iterdir():
        file.unlink()
    bare.clear(blind)


@pytest.mark.parametrize("body", ["exit 2", "sleep 60 & wait"], ids=["fails", "hangs"])
def test_f38_a_host_whose_counters_cannot_be_read_gets_all_that_is_wanted_and_no_numbers(
    bare: Driver, blind: LabHost, put: Callable[[str, str], None], body: str
) -> None:
    # Of all that runs on a host, the collector alone asks for all its files at once.
    put("grep", f'case "$*" in *MemTotal*) {body} ;; esac\nexec /bin/grep "$@"')
    bare.declare_sandbox("web", host=blind.name, containers={"main": IDLE})
    began_s = time.monotonic()
    applied = bare.run("apply", "--yes").expect(0)
    print(f"a collector that answers `{body}`: {time.monotonic() - began_s:.1f} s")
    assert "web" in applied.stdout
    assert inspect(blind, name_of(bare, "web"))["State"]["Running"]
    delta = delta_of(bare)
    assert (delta["before"], delta["after"], delta["change"], delta["own"]) == (None, None, None, None)
    assert set(delta["missing"]) == {"before", "after", "own"}
    assert all(delta["missing"].values())
    expect_settled(bare)


def test_f38_a_destroy_is_not_kept_waiting_by_counters_that_do_not_come(
    bare: Driver, blind: LabHost, put: Callable[[str, str], None]
) -> None:
    bare.declare_sandbox("web", host=blind.name, containers={"main": IDLE})
    settle(bare)
    put("grep", 'case "$*" in *MemTotal*) sleep 60 & wait ;; esac\nexec /bin/grep "$@"')
    bare.drop("Sandbox", "web")
    lines = bare.run("apply", "--yes", "--allow-destroy", "1", "--json").expect(0).lines
    assert bare.containers(blind) == {}
    (delta,) = (line["delta"] for line in lines if line["type"] == "host_delta")
    assert delta["change"] is None
    assert delta["own"] is None
    assert delta["missing"]["own"]
