"""Pain 12: an interrupted apply needs surgery (pulumi/pulumi#4265, hashicorp/terraform#20718).

Here the next ordinary apply goes on from what it finds; no state is repaired, imported or unlocked by hand. Every
kind of moment is in tests/integration/faults/test_crash.py; this is the installed command, killed in the middle.
"""

import signal

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import name_of, settle, until, web_sandbox
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab


def test_a_killed_apply_is_followed_by_an_ordinary_one(fleet: Driver, alpha: LabHost) -> None:
    fleet.declare_fleet(limits={"createsPerHost": 1})
    web_sandbox(fleet, "first", "alpha")
    for number in range(6):
        web_sandbox(fleet, f"web-{number}", "alpha", dependsOn=["first"])
    killed = fleet.start("apply", "--yes")
    until(lambda: len(fleet.containers(alpha)) > 1, what="some containers")
    killed.signal(signal.SIGKILL)
    assert killed.wait().exit == -signal.SIGKILL
    assert not (fleet.status / "sandboxes/web-5.json").exists(), "it was killed before it could write what it did"
    settle(fleet)
    assert set(fleet.containers(alpha)) == {name_of(fleet, name) for name in ("first", *(f"web-{n}" for n in range(6)))}
