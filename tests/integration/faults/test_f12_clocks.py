"""F-12: clocks that are a day off, on the controller and on a host: nothing is decided by comparing two of them.

The controller's clock is moved for real programs by libfaketime, which leaves its monotonic clock alone, as a step of
NTP does. A host's clock is that of this machine and cannot be moved: there a stand-in for `date`, first on the search
path of those who log in, tells another time. The engine's clock, and that of the kernel's counters, stay right.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import IDLE, condition, expect_settled, name_of, run_of, settle, status_of
from tests.lab.apt import Suite
from tests.lab.config import HostOptions, session_path
from tests.lab.host import LabHost
from tests.lab.packages import cache_folder

pytestmark = pytest.mark.lab

DAY_S = 86_400
OFF = pytest.mark.parametrize("off_s", [DAY_S, -DAY_S], ids=["ahead", "behind"])


@pytest.fixture(scope="session")
def library() -> Path:
    """Give libfaketime, fetched from Debian where it is not here yet."""
    folder = cache_folder() / "faketime"
    if not folder.exists():
        suite = Suite("bookworm", cache_folder() / "apt/faketime")
        suite.refresh()
        partial = folder.with_name("faketime.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        suite.fetch(["libfaketime"], into=partial)
        partial.rename(folder)
    (found,) = folder.rglob("libfaketime.so.1")
    return found


@pytest.fixture
def off_by(library: Path) -> Callable[[int], dict[str, str]]:
    """Give the environment in which a program's clock is off by so many seconds."""

    def environment(seconds: int) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME": f"{seconds:+d}s",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    return environment


def declare(driver: Driver, host: LabHost, *, ttl: str = "3d", **env: str) -> None:
    driver.declare_sandbox("web", host=host.name, ttl=ttl, containers={"main": {**IDLE, "env": env}})


def measured(driver: Driver) -> dict[str, Any]:
    """Give the delta of the last change, which no clock may have touched but for its dates."""
    delta: dict[str, Any] = status_of(driver, "web")["delta"]
    assert delta["change"] is not None, delta["missing"]
    assert delta["before"]["boot_id"] == delta["after"]["boot_id"]
    assert delta["own"]["memory_working_set_bytes"] > 0
    assert 0 < delta["own"]["cpu_usage_ns"] < 60e9
    return delta


def skew_s(driver: Driver) -> float:
    """Tell by how much the last delta was dated off."""
    dated = datetime.fromisoformat(measured(driver)["after"]["at"])
    return (dated - datetime.now(UTC)).total_seconds()  # noqa: TID251  # the machine's clock is the truth here


@OFF
def test_f12_a_controller_whose_clock_is_a_day_off_decides_the_same(
    fleet: Driver, alpha: LabHost, off_by: Callable[[int], dict[str, str]], off_s: int
) -> None:
    declare(fleet, alpha, ttl="1h")
    fleet.run("apply", "--yes", env=off_by(off_s)).expect(0)
    assert skew_s(fleet) == pytest.approx(off_s, abs=600), "the clock really was off"
    made = run_of(fleet, alpha)
    expect_settled(fleet)
    for seconds in (-off_s, off_s, 0):
        fleet.run("apply", "--yes", env=off_by(seconds)).expect(0)
        assert run_of(fleet, alpha) == made, "nothing is due, and nothing ended, by one clock alone"


@OFF
def test_f12_a_clock_that_jumps_between_two_passes_changes_neither_order_nor_numbers(
    fleet: Driver, alpha: LabHost, off_by: Callable[[int], dict[str, str]], off_s: int
) -> None:
    declare(fleet, alpha, ROUND="1")
    settle(fleet)
    first = status_of(fleet, "web")
    for number, seconds in enumerate((off_s, -off_s, 0), start=2):
        declare(fleet, alpha, ROUND=str(number))
        fleet.run("apply", "--yes", env=off_by(seconds)).expect(0)
        said = status_of(fleet, "web")
        assert said["generation"] == first["generation"] + number - 1, "the newer one counts, whatever its date"
        assert measured(fleet)["verb"] == "replace"
        assert condition(fleet, "web", "Ready") in ("True/NoProbes", "True/ProbesPassed", "True/Running")
    expect_settled(fleet)


@pytest.fixture(scope="module")
def skewed(lab_folder: Path) -> Iterator[LabHost]:
    """Give a host on whose path a stand-in for `date` comes first: it adds what stands in a file beside it."""
    tools = lab_folder / "skewed-tools"
    tools.mkdir(mode=0o755)
    (tools / "off").write_text("0\n")
    (tools / "date").write_text(
        f'#!/bin/sh\nread -r off <{tools}/off\nexec /bin/date -d "@$(( $(/bin/date +%s) + off ))" "$@"\n'
    )
    (tools / "date").chmod(0o755)
    path = f"SetEnv PATH={tools}:{session_path('bookworm')}"
    with LabHost.start(lab_folder, "skewed", HostOptions(generation="bookworm", sshd=(path,))) as host:
        host.load_image("lab/busybox:1")
        yield host


@OFF
def test_f12_a_host_whose_clock_is_a_day_off_is_treated_the_same(
    bare: Driver, skewed: LabHost, lab_folder: Path, off_s: int
) -> None:
    off = lab_folder / "skewed-tools/off"
    bare.declare_fleet()
    bare.declare_host(skewed)
    declare(bare, skewed, ttl="1h", ROUND="1")
    off.write_text(f"{off_s}\n")
    try:
        doctor = bare.run("doctor", "skewed").stdout
        assert f"s {'ahead of' if off_s > 0 else 'behind'} ours" in doctor, "the stand-in is what the host's clock says"
        settle(bare)
        measured(bare)
        made = run_of(bare, skewed)
        off.write_text(f"{-off_s}\n")
        bare.run("apply", "--yes").expect(0)
        assert run_of(bare, skewed) == made
        declare(bare, skewed, ttl="1h", ROUND="2")
        settle(bare)
        assert measured(bare)["verb"] == "replace"
        assert name_of(bare, "web") in bare.containers(skewed)
        told = bare.run("inspect", "host", "skewed", "-o", "json").expect(0).json["snapshot"]
        dated = datetime.fromisoformat(told["collected_at"])
        assert abs(dated.timestamp() - told["clock_epoch_s"]) < timedelta(minutes=10).total_seconds()
        assert told["uptime_s"] > 0
    finally:
        off.write_text("0\n")
        bare.clear(skewed)
