"""Replace by starting the new one first: the old one serves until the new one is ready, and stays when it is not."""

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import condition, inspect, name_of, run_of, settle, web_sandbox
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


def test_the_old_one_is_kept_when_the_new_one_is_not_ready(fleet: Driver, alpha: LabHost) -> None:
    web_sandbox(fleet, "web", "alpha", update="start-first", readiness=READY)
    settle(fleet)
    before = run_of(fleet, alpha)
    talks = "i=0; while [ $i -lt 70 ]; do i=$((i+1)); echo line $i; done; exit 7"
    bad = {"command": ["sh", "-c", talks], "restart": "no"}
    web_sandbox(fleet, "web", "alpha", update="start-first", readiness=READY, container=bad)
    failed = fleet.run("apply", "--yes", "--json").expect(1)
    error = next(line for line in failed.lines if line["type"] == "apply_errored")
    assert error["code"] == "E_NOT_READY"
    assert "exited with 7" in error["@message"], "an early exit is noticed, with its code"
    assert error["logs"] == [f"line {number}" for number in range(21, 71)]
    assert run_of(fleet, alpha) == before, "the old one was not touched, and the new one is gone"
    assert condition(fleet, "web", "Stalled") == "True/ProbeFailed"
    shown = fleet.run("apply", "--yes").expect(1).stdout
    assert "line 70" in shown
    assert "line 20\n" not in shown
    assert run_of(fleet, alpha) == before

    web_sandbox(fleet, "web", "alpha", update="start-first", readiness=READY)
    settle(fleet)
    assert run_of(fleet, alpha) == before
