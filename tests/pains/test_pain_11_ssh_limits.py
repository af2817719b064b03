"""Pain 11: SSH limits break at ten containers (docker/compose#10117 and others, basecamp/kamal#326).

Here one connection a host carries everything, within sshd's own defaults: MaxSessions 10, MaxStartups 10:30:100.
"""

from pathlib import Path

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import accepted, expect_settled, web_sandbox
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab

MANY = 25


def test_25_sandboxes_need_one_connection(fleet: Driver, alpha: LabHost) -> None:
    fleet.drop("Host", "beta")
    config = (Path(alpha.record.folder) / "sshd_config").read_text()
    assert "MaxSessions" not in config
    assert "MaxStartups" not in config
    ready = {"up": {"exec": {"container": "main", "command": ["true"]}}}
    for number in range(MANY):
        web_sandbox(fleet, f"web-{number}", "alpha", readiness=ready, files={"a": {"path": "a", "content": "x"}})
    before = accepted(alpha)
    fleet.run("apply", "--yes").expect(0)
    assert accepted(alpha) - before == 1
    expect_settled(fleet)
    assert accepted(alpha) - before == 2
    assert len(fleet.containers(alpha)) == MANY
