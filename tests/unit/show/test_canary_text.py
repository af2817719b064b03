"""A canary tells people whether it is ready, and what its host had before and after."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from msgspec.structs import replace

from reconciler.model.delta import ProvisionDelta
from reconciler.model.snapshot import Disks
from reconciler.model.stale import Found, SandboxInventory, StaleCandidate, Suggestion
from reconciler.model.status import Condition, SandboxStatus
from reconciler.model.telemetry import IntrospectionReport
from reconciler.show.canary_text import canary_page
from reconciler.show.page import plain
from tests import builders as b

Said = Literal["True", "False", "Unknown"]
SNAPSHOT = b.a_snapshot()
ROOM = "60.0 GiB of 100.0 GiB free"


def report(*suggestions: Suggestion, **over: Any) -> IntrospectionReport:
    stale = tuple(
        StaleCandidate(host=b.HOST, found=Found(object="x", owner="ours"), kind="idle", suggestion=word, reason="r")
        for word in suggestions
    )
    given = {
        "host": b.HOST,
        "collected_at": b.T0,
        "snapshot": SNAPSHOT,
        "inventory": SandboxInventory(host=b.HOST, collected_at=b.T0),
        "stale": stale,
        "provision": b.a_delta(),
    }
    return IntrospectionReport(**{**given, **over})


def status(ready: Said | None = "True", **over: Any) -> SandboxStatus:
    said = Condition(
        type="Ready", status=ready or "Unknown", reason="ProbesPassed", message="", last_transition_time=b.T0
    )
    given = {
        "fleet": b.FLEET, "name": "canary-h1", "host": b.HOST, "sync": "Synced", "health": "Healthy", "generation": 1,
        "observed_generation": 1, "last_attempted_revision": "none", "last_applied_revision": "none",
        "conditions": () if ready is None else (said,), "report": report(),
    }  # fmt: skip
    return SandboxStatus(**{**given, **over})


def told(known: SandboxStatus, *, teardown: ProvisionDelta | None = None) -> list[str]:
    return plain(canary_page(known, teardown=teardown)).splitlines()


def test_all_that_it_told_is_said() -> None:
    assert told(status()) == [
        "canary-h1 on h1: ready",
        "    load      0.10 before, 0.40 after (+0.30)",
        "    memory    12.0 GiB available before, 11.0 GiB after (-1.0 GiB)",
        "    stale     nothing",
        f"    disk      {ROOM} on /; {ROOM} on baseDir; {ROOM} on Docker's data",
    ]


@pytest.mark.parametrize("ready", ["False", "Unknown", None])
def test_what_is_not_known_to_be_ready_is_not_said_to_be(ready: Said | None) -> None:
    assert told(status(ready))[0] == "canary-h1 on h1: not ready"


def test_without_a_report_there_is_nothing_to_tell() -> None:
    assert told(status(report=None))[1:] == ["    nothing was reported: nothing was changed"]
    assert told(status(report=None, conditions=()))[1:] == ["    nothing was reported: it was not brought up"]


def test_taking_it_away_is_told_last() -> None:
    assert told(status(), teardown=b.a_delta())[-1].startswith("    teardown  ")


def test_a_change_within_the_spread_is_said_to_be() -> None:
    noisy = b.a_reading(spread={"load_1": 0.5, "memory_available_bytes": float(2 << 30)})
    lines = told(status(report=report(provision=b.a_delta(before=noisy))))
    assert lines[1].endswith("(+0.30, within its spread)")
    assert lines[2].endswith("(-1.0 GiB, within its spread)")


@pytest.mark.parametrize("lost", ["before", "after", "change"])
def test_what_was_not_measured_is_said_with_why(lost: str) -> None:
    delta = b.a_delta(**{lost: None}, missing={lost: "h1 rebooted"})
    assert told(status(report=report(provision=delta)))[1:3] == [
        "    load      not known: h1 rebooted",
        "    memory    not known: h1 rebooted",
    ]
    bare = b.a_delta(**{lost: None})
    assert told(status(report=report(provision=bare)))[1] == "    load      not known: it was not measured"


def test_nothing_is_said_of_a_load_that_no_pass_measured() -> None:
    lines = told(status(report=report(provision=None)))
    assert [line.split()[0] for line in lines[1:]] == ["stale", "disk"]


def test_what_is_stale_is_counted_by_what_to_do() -> None:
    lines = told(status(report=report("reap", "inspect", "reap")))
    assert (
        lines[3]
        == "    stale     3 candidates: 2 to reap, 1 to inspect, 0 to ignore; see: reconcile inspect stale --on h1"
    )


def test_disks_that_are_not_known_are_left_out() -> None:
    disks = Disks(root=None, base_dir=SNAPSHOT.disks.base_dir, docker_root=None)
    lines = told(status(report=report(snapshot=replace(SNAPSHOT, disks=disks))))
    assert lines[-1] == "    disk      60.0 GiB of 100.0 GiB free on baseDir"
    none = Disks(root=None, base_dir=None, docker_root=None)
    assert told(status(report=report(snapshot=replace(SNAPSHOT, disks=none))))[-1] == "    disk      not known"
    dark = told(status(report=report(snapshot=None)))
    assert dark[-1] == "    disk      not known: the host's counters could not be read"


def test_nothing_that_a_host_says_moves_a_terminal() -> None:
    delta = b.a_delta(change=None, missing={"change": "\x1b[31mevil\n"})
    page = plain(canary_page(status(report=report(provision=delta)), teardown=None))
    assert "\x1b" not in page
    assert len(page.splitlines()) == 5
