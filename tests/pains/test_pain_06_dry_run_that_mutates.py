"""Pain 6: a dry run really swaps containers (docker/compose#14029), check mode builds images (community.docker#1098).

Here reading commands have no way to change anything. It is asserted on the wire between sshd and dockerd.
"""

from pathlib import Path

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import name_of, run_of, settle, web_sandbox
from tests.e2e.wiretap import wiretap
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab


def footprint(fleet: Driver, host: LabHost) -> tuple[object, ...]:
    """Describe what a change would change: containers, images, and every path of the account with its times."""
    paths = host.run("find", host.home, "-name", ".lock", "-o", "-printf", "%p %y %m %u %s %T@ %C@\\n")
    return run_of(fleet, host), sorted(paths.splitlines()), sorted(host.docker("image", "ls", "-q").split())


def test_reading_commands_send_nothing_but_reads(fleet: Driver, alpha: LabHost, lab_folder: Path) -> None:
    fleet.drop("Host", "beta")
    with wiretap(lab_folder / "tap.sock", alpha.docker_socket) as tap:
        fleet.declare_host(alpha, dockerSocket=str(tap.path))
        for name in ("kept", "replaced", "stopped", "vanished", "removed"):
            web_sandbox(fleet, name, "alpha", directories={"cache": {"path": "cache"}})
        settle(fleet)
        assert {"POST", "GET"} <= {method for method, _ in tap.asked()}, "the tap sees what apply does"

        # Now every verb is called for: create, replace, start, adopt, destroy, an image to pull, files to write.
        web_sandbox(fleet, "replaced", "alpha", container={"image": "lab/absent:1"})
        web_sandbox(fleet, "new", "alpha", files={"one": {"path": "one", "content": "x"}})
        alpha.docker("stop", "-t", "1", name_of(fleet, "stopped"))
        alpha.docker("rm", "-f", name_of(fleet, "vanished"))
        fleet.drop("Sandbox", "removed")
        (fleet.status / "sandboxes/kept.json").unlink()
        before = footprint(fleet, alpha)
        status = {path: path.read_bytes() for path in fleet.status.rglob("*") if path.is_file()}
        tap.forget()
        planned = fleet.run("plan", "-o", "json", "--out", "some.plan").expect(0)
        assert {item["action"] for item in planned.json["actions"]} == {
            "create",
            "replace",
            "start",
            "adopt",
            "destroy",
        }
        fleet.run("plan", "--json").expect(0)
        fleet.run("status").expect(0)
        asked = tap.asked()
        assert len(asked) > 4
        assert {method for method, _ in asked} <= {"GET", "HEAD"}
        assert footprint(fleet, alpha) == before
        assert status == {path: path.read_bytes() for path in fleet.status.rglob("*") if path.is_file()}
