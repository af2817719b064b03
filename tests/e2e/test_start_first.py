"""Replace by starting the new one first: the old one serves until the new one is ready, and stays when it is not."""

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import inspect, name_of, settle, web_sandbox
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab

READY = {"web": {"http": {"container": "main", "port": "web"}, "timeout": "20s"}}


def test_the_old_one_goes_when_the_new_one_is_ready(fleet: Driver, alpha: LabHost) -> None:
    web_sandbox(fleet, "web", "alpha", update="start-first", readiness=READY)
    settle(fleet)
    old = inspect(alpha, name_of(fleet, "web"))
    web_sandbox(fleet, "web", "alpha", update="start-first", readiness=READY, container={"image": "lab/web:2"})
    applied = settle(fleet, "--json")
    steps = [line["@message"] for line in applied.lines if line["type"] == "apply_progress"]
    order = [next(i for i, step in enumerate(steps) if step.startswith(word)) for word in ("start", "wait", "stop")]
    assert order == sorted(order), steps
    new = inspect(alpha, name_of(fleet, "web"))
    assert new["Id"] != old["Id"]
    assert new["Config"]["Image"] == "lab/web:2"
    assert list(fleet.containers(alpha)) == [name_of(fleet, "web")]
