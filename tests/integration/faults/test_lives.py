"""F-16, F-29, F-31 and F-36: containers that die unseen, are never ready, are taken away by hand, or want too much."""

from __future__ import annotations

import time

import pytest

from reconciler.model.observed import CRASHES_MAX
from reconciler.record.verdict import REPEATS_MAX
from tests.e2e.driver import Driver
from tests.e2e.sights import (
    IDLE,
    condition,
    expect_settled,
    held,
    inspect,
    name_of,
    planned_verbs,
    run_of,
    settle,
    status_of,
    until,
    web_sandbox,
)
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab

READY = {"web": {"http": {"container": "main", "port": "web"}, "timeout": "20s"}}


# F-16: what happens between two looks --------------------------------------------------------------------------------


def test_f16_what_died_and_came_back_between_two_looks_ends_where_it_would_have(fleet: Driver, alpha: LabHost) -> None:
    web_sandbox(fleet, "web", "alpha", container={"restart": "always"}, readiness=READY)
    settle(fleet)
    main = name_of(fleet, "web")
    before = inspect(alpha, main)
    alpha.docker("exec", "--detach", main, "kill", "1")
    until(lambda: inspect(alpha, main)["RestartCount"] == 1, what="Docker to start it again")
    until(lambda: inspect(alpha, main)["State"]["Running"], what="it to run")
    expect_settled(fleet)
    fleet.run("apply", "--yes").expect(0)
    after = inspect(alpha, main)
    assert after["Id"] == before["Id"]
    assert after["RestartCount"] == 1, "we did nothing to it"
    assert condition(fleet, "web", "Ready") == "True/ProbesPassed"
    assert inspect(alpha, main)["State"]["StartedAt"] > before["State"]["StartedAt"]


def test_f16_what_runs_once_and_is_over_before_anybody_looks_is_done_and_not_run_again(
    fleet: Driver, alpha: LabHost
) -> None:
    once = {"image": "lab/busybox:1", "command": ["true"], "run": "once"}
    fleet.declare_sandbox("quick", host="alpha", observability="off", containers={"main": once})
    settle(fleet)
    before = run_of(fleet, alpha)
    assert condition(fleet, "quick", "Ready") == "True/ProbesPassed"
    settle(fleet)
    assert run_of(fleet, alpha) == before


def test_f16_a_crash_loop_that_begins_later_is_seen_by_its_count(fleet: Driver, alpha: LabHost) -> None:
    command = ["sh", "-c", "test -e /data/broken && exit 4; sleep 1000"]
    container = {**IDLE, "command": command, "volumes": {"data": "/data"}, "restart": "always"}
    fleet.declare_sandbox("looper", host="alpha", observability="off", containers={"main": container})
    settle(fleet)
    main = name_of(fleet, "looper")
    alpha.docker("exec", main, "touch", "/data/broken")
    alpha.docker("exec", "--detach", main, "kill", "1")
    until(lambda: inspect(alpha, main)["RestartCount"] >= CRASHES_MAX, what="a crash loop")
    assert fleet.run("apply", "--yes").exit != 0
    assert condition(fleet, "looper", "Ready") in ("False/CrashLoop", "False/ProbeFailed")


# F-29: what is never ready -------------------------------------------------------------------------------------------


def test_f29_the_old_one_is_kept_when_the_new_one_is_not_ready(fleet: Driver, alpha: LabHost) -> None:
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


def test_f29_what_is_never_ready_is_given_up_at_its_deadline_and_its_output_holds_no_secret(
    fleet: Driver, alpha: LabHost
) -> None:
    fleet.declare_secret("hub", "s3cret-of-the-lab")
    says = {
        "image": "lab/busybox:1",
        "env": {"TOKEN": "${secret:hub}"},
        "command": ["sh", "-c", 'echo "waiting with $TOKEN"; exec sleep 86400'],
        "stopGrace": "1s",
    }
    probe = {"up": {"exec": {"container": "main", "command": ["false"]}, "timeout": "2s"}}
    fleet.declare_sandbox("never", host="alpha", observability="off", containers={"main": says}, readiness=probe)
    started_s = time.monotonic()
    failed = fleet.run("apply", "--yes", "--json").expect(1)
    assert 2 <= time.monotonic() - started_s < 20
    error = next(line for line in failed.lines if line["type"] == "apply_errored")
    assert error["code"] == "E_NOT_READY"
    assert error["logs"] == ["waiting with (secret)"]
    assert condition(fleet, "never", "Ready") == "False/ProbeFailed"
    assert condition(fleet, "never", "Stalled") == "True/ProbeFailed"
    before = run_of(fleet, alpha)
    fleet.run("apply", "--yes").expect(1)
    assert run_of(fleet, alpha) == before, "it is asked again, and neither restarted nor made anew"
    everything = "".join(path.read_text() for path in fleet.status.rglob("*") if path.is_file())
    assert "s3cret" not in everything + failed.stdout + failed.stderr


# F-31: what a person stops or removes --------------------------------------------------------------------------------


def test_f31_what_stopped_vanished_or_was_changed_behind_our_back_is_seen_and_healed(
    fleet: Driver, alpha: LabHost
) -> None:
    for name in ("stopped", "vanished", "limited"):
        web_sandbox(fleet, name, "alpha", container={"resources": {"memory": "32MiB"}})
    web_sandbox(fleet, "watched", "alpha", drift="report")
    settle(fleet)
    before = run_of(fleet, alpha)
    alpha.docker("stop", "-t", "1", name_of(fleet, "stopped"), name_of(fleet, "watched"))
    alpha.docker("rm", "-f", name_of(fleet, "vanished"))
    alpha.docker("update", "--memory", "64m", "--memory-swap", "-1", name_of(fleet, "limited"))

    planned = fleet.run("plan", "-o", "json", "--detailed-exitcode").expect(2).json
    assert {item["address"]: item["action"] for item in planned["actions"]} == {
        "sandbox/limited": "update",
        "sandbox/stopped": "start",
        "sandbox/vanished": "create",
    }
    assert [item["reason"] for item in planned["held_back"]] == ["DriftReported"]
    fleet.run("apply", "--yes").expect(0)
    after = run_of(fleet, alpha)
    assert after[name_of(fleet, "limited")] == before[name_of(fleet, "limited")]
    assert after[name_of(fleet, "stopped")][0] == before[name_of(fleet, "stopped")][0]
    assert inspect(alpha, name_of(fleet, "limited"))["HostConfig"]["Memory"] == 32 * 1024**2
    assert inspect(alpha, name_of(fleet, "watched"))["State"]["Running"] is False
    assert condition(fleet, "watched", "Drifted") == "True/FieldsDiffer"
    assert set(planned_verbs(fleet)) == set()
    assert set(held(fleet)) == {"sandbox/watched"}


def test_f31_what_is_removed_by_hand_again_and_again_is_made_again_and_called_a_loop(
    fleet: Driver, alpha: LabHost
) -> None:
    fleet.declare_sandbox("flapping", host="alpha", observability="off", containers={"main": IDLE})
    settle(fleet)
    for turn in range(1, REPEATS_MAX + 1):
        alpha.docker("rm", "--force", name_of(fleet, "flapping"))
        assert "vanished" in fleet.run("plan").expect(0).stdout
        settle(fleet)
        assert len(fleet.containers(alpha)) == 1
        wanted = "True/Repeating" if turn >= REPEATS_MAX else None
        assert condition(fleet, "flapping", "Stalled") == wanted, turn
    assert status_of(fleet, "flapping")["repeated"] == REPEATS_MAX


# F-36: what wants too much memory ------------------------------------------------------------------------------------


def settled_eater(fleet: Driver, alpha: LabHost, *, restart: str) -> str:
    """Settle a container and tell it to take more memory than it may have; give its full id."""
    eats = "while ! test -e /data/eat; do sleep 0.1; done; exec tail /dev/zero"
    main = {
        "image": "lab/busybox:1",
        "command": ["sh", "-c", eats],
        "volumes": {"data": "/data"},
        "resources": {"memory": "16MiB"},
        "stopGrace": "1s",
        "restart": restart,
    }
    fleet.declare_sandbox("eater", host="alpha", observability="off", containers={"main": main})
    settle(fleet)
    (full_id,) = fleet.containers(alpha).values()
    alpha.docker("exec", full_id, "touch", "/data/eat")
    return full_id


def test_f36_a_sandbox_that_is_killed_for_memory_says_so_and_is_not_restarted_in_a_storm(
    fleet: Driver, alpha: LabHost
) -> None:
    made = settled_eater(fleet, alpha, restart="always")
    until(lambda: inspect(alpha, made)["RestartCount"] >= CRASHES_MAX, what="a crash loop")
    assert planned_verbs(fleet) == {}, "Docker restarts it, with its own pauses; we do not as well"

    def says_so() -> bool:
        """Ask: Docker tells why it ended only until the next start, which an ask may fall into."""
        fleet.run("apply", "--yes").expect(1)
        (ready,) = (one for one in status_of(fleet, "eater")["conditions"] if one["type"] == "Ready")
        assert ready["status"] == "False"
        return "memory" in ready["message"]

    until(says_so, what="an apply that finds it while it is down")
    assert fleet.containers(alpha) == {name_of(fleet, "eater"): made}


def test_f36_one_that_stays_down_after_it_was_killed_for_memory_is_started_once_a_pass(
    fleet: Driver, alpha: LabHost
) -> None:
    made = settled_eater(fleet, alpha, restart="no")
    until(lambda: not inspect(alpha, made)["State"]["Running"], what="it to be killed")
    assert inspect(alpha, made)["State"]["OOMKilled"] is True
    assert planned_verbs(fleet) == {"sandbox/eater": "start"}
    failed = fleet.run("apply", "--yes", "--json")
    started = [line for line in failed.lines if line["type"] == "apply_progress" and "start" in line["@message"]]
    assert len(started) == 1
