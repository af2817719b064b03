"""Pain 13: stale locks after a crash (hashicorp/terraform#28693, basecamp/kamal#185), and a wish to wait (kamal#1844).

Here a lock dies with its process, its holder and since when are shown, and waiting is an option.
"""

import re
import signal

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import settle, until, web_sandbox
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab


def test_a_lock_tells_its_holder_and_is_gone_with_it(fleet: Driver, alpha: LabHost) -> None:
    never = {"never": {"exec": {"container": "main", "command": ["false"]}, "timeout": "60s"}}
    web_sandbox(fleet, "web", "alpha", readiness=never)
    holder = fleet.start("apply", "--yes")
    until(lambda: bool(fleet.containers(alpha)), what="the pass to be under way")
    refused = fleet.run("apply", "--yes").expect(6)
    assert f"pid {holder.process.pid}" in refused.stderr
    assert re.search(r"since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", refused.stderr), refused.stderr
    fleet.run("apply", "--yes", "--lock-timeout", "1").expect(6)
    holder.signal(signal.SIGKILL)
    holder.wait()
    web_sandbox(fleet, "web", "alpha")
    # The host's own lock goes as soon as its sshd sees the connection's end.
    settle(fleet, "--lock-timeout", "10")
