"""A plan that is made while another pass changes a host says so: to people in one line, to programs by key."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import inspect, name_of, until, web_sandbox
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab


@contextmanager
def changed_by_another(fleet: Driver, host: LabHost) -> Iterator[int]:
    """Hold `alpha` with a pass that waits for its sandbox while the block runs; give the pass's process id."""
    probe = {"allowed": {"exec": {"container": "main", "command": ["test", "-e", "/tmp/go"]}, "timeout": "60s"}}
    web_sandbox(fleet, "slow", "alpha", readiness=probe)
    running = fleet.start("apply", "--yes")
    slow = name_of(fleet, "slow")
    until(lambda: slow in fleet.containers(host) and inspect(host, slow)["State"]["Running"], what="the slow one")
    try:
        yield running.process.pid
    finally:
        host.docker("exec", slow, "touch", "/tmp/go")
        running.wait().expect(0)


def test_a_plan_names_the_host_that_another_pass_changes_just_now(fleet: Driver, alpha: LabHost) -> None:
    with changed_by_another(fleet, alpha) as pid:
        shown = fleet.run("plan").expect(0).stdout
        document = fleet.run("plan", "-o", "json").expect(0).json
        stream = fleet.run("plan", "--json").expect(0).lines
    (told,) = (line for line in shown.splitlines() if "is being changed just now" in line)
    assert told.startswith("  ! host/alpha ")
    assert f"pid {pid} since 20" in told
    assert list(document["being_changed"]) == ["alpha"]
    assert f"pid {pid}" in document["being_changed"]["alpha"]
    assert document["held_back"] == []
    looks = {line["address"]: line["being_changed_by"] for line in stream if line["type"] == "host_observed"}
    assert (looks["host/alpha"], looks["host/beta"]) == (document["being_changed"]["alpha"], None)


def test_a_host_that_nobody_changes_any_more_is_not_named(fleet: Driver, alpha: LabHost) -> None:
    with changed_by_another(fleet, alpha):
        pass

    assert "being changed" not in fleet.run("plan").expect(0).stdout
    assert fleet.run("plan", "-o", "json").json["being_changed"] == {}
