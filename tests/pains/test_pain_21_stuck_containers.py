"""Pain 21: a container that is stuck in its removal is waited for, never forced, and given up in bounds.

The engine's refusals are a stand-in's; all else is real.
"""

from __future__ import annotations

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import IDLE, expect_settled, name_of, settle
from tests.integration.faults.relay import relay
from tests.integration.faults.test_f32_stuck import BUSY, IN_PROGRESS, Stuck
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab


@pytest.mark.parametrize(("status", "words"), [IN_PROGRESS, BUSY])
def test_a_removal_that_takes_a_while_is_waited_for_in_the_same_pass(
    fleet: Driver, alpha: LabHost, status: int, words: str
) -> None:
    fleet.drop("Host", "beta")
    for name in ("stuck", "stays"):
        fleet.declare_sandbox(name, host="alpha", observability="off", containers={"main": IDLE})
    settle(fleet)
    engine = Stuck(fleet.containers(alpha)[name_of(fleet, "stuck")], status=status, words=words)
    engine.until = 1
    fleet.drop("Sandbox", "stuck")
    path = alpha.docker_socket.with_name("pain-21.sock")
    with relay(path, alpha.docker_socket, meddle=engine):
        fleet.declare_host(alpha, dockerSocket=str(path))
        fleet.run("apply", "--yes").expect(0)
    fleet.declare_host(alpha)
    assert engine.asked == 1
    assert set(fleet.containers(alpha)) == {name_of(fleet, "stays")}
    expect_settled(fleet)
