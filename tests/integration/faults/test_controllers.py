"""F-13 to F-15 and F-34: two controllers at once, one that was asleep, and one whose picture of a host is old."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.host import lock
from tests.e2e.driver import Driver, Ran, Running
from tests.e2e.sights import IDLE, inspect, name_of, settle, until, web_sandbox
from tests.integration.faults.entry import Pass, apply_watched, broken_host_locks, killed_at
from tests.integration.faults.reference import Reference, differences
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab

ROUNDS = 50 if "EVERY_OCCURRENCE" in os.environ else 4
SILENCE_S, BEAT_S, BELIEF_S = 2, 1 / 3, 4 / 3
"""As the product's, a fifteenth as long."""


def another_desk(fleet: Driver, folder: Path) -> Driver:
    """Give a colleague's copy of the same fleet: own status folder, same hosts."""
    other = Driver(folder, fleet=fleet.fleet, warm=fleet._warm)
    shutil.copytree(fleet.specs, other.specs, dirs_exist_ok=True)
    return other


def at_once(*drivers: Driver) -> tuple[Ran, ...]:
    """Run `apply` for each, side by side."""
    with ThreadPoolExecutor(len(drivers)) as side_by_side:
        return tuple(side_by_side.map(lambda one: one.run("apply", "--yes"), drivers))


def rounds(*desks: Reference) -> Iterator[str]:
    """Declare one state and the other in turns at every desk, so many times, and give each."""
    for turn in range(ROUNDS):
        state = "two" if turn % 2 else "one"
        for desk in desks:
            desk.declare(state)
        yield state


def containers(fleet: Reference) -> dict[str, str]:
    """Give the full id of each container of the fleet, on both hosts."""
    return {name: full_id for host in fleet.hosts for name, full_id in fleet.driver.containers(host).items()}


@pytest.fixture
def bystander(stocked_hosts: tuple[LabHost, LabHost], driver: Driver) -> tuple[LabHost, str]:
    """Give a container that is nobody's of ours, under a name that begins like ours."""
    host = stocked_hosts[0]
    name = f"sbx-{driver.fleet}x.web.main"
    full_id = host.docker("run", "--detach", "--name", name, "lab/busybox:1", "sleep", "86400").strip()
    return host, full_id


def _let_alone(bystander: tuple[LabHost, str]) -> None:
    host, full_id = bystander
    assert inspect(host, full_id)["State"]["Running"] is True
    host.docker("rm", "--force", full_id)


# F-13: two at once ---------------------------------------------------------------------------------------------------


def test_f13_two_commands_on_one_status_folder_take_turns_and_the_loser_is_told_whom_it_waits_for(
    driver: Driver, stocked_hosts: tuple[LabHost, LabHost], bystander: tuple[LabHost, str]
) -> None:
    fleet = Reference(driver, stocked_hosts)
    ends: dict[str, dict[str, object]] = {}
    refused = 0
    for state in rounds(fleet):
        ran = at_once(driver, driver)
        exits = sorted(one.expect(0, 6).exit for one in ran)
        assert exits in ([0, 0], [0, 6]), "one of them did it"
        for loser in (one for one in ran if one.exit == 6):
            refused += 1
            assert " pid " in loser.stderr
            assert "since 20" in loser.stderr
        end = fleet.end()
        assert differences(ends.setdefault(state, end), end) == {}
    assert refused
    _let_alone(bystander)


def test_f13_two_desks_at_once_make_nothing_double_and_remove_nothing_wrongly(
    driver: Driver, stocked_hosts: tuple[LabHost, LabHost], bystander: tuple[LabHost, str], tmp_path: Path
) -> None:
    fleet = Reference(driver, stocked_hosts)
    other = Reference(another_desk(driver, tmp_path / "other"), stocked_hosts)
    for _ in rounds(fleet, other):
        for ran in at_once(driver, other.driver):
            ran.expect(0, 1, 3, 6)
        for desk in (driver, other.driver):
            desk.run("apply", "--yes", "--lock-timeout", "20").expect(0)
        assert differences(fleet.on_hosts(), other.on_hosts()) == {}
    _let_alone(bystander)


def test_f13_with_the_hosts_locks_broken_two_desks_still_make_nothing_double(
    driver: Driver, stocked_hosts: tuple[LabHost, LabHost], bystander: tuple[LabHost, str], tmp_path: Path
) -> None:
    fleet = Reference(driver, stocked_hosts)
    other = Reference(another_desk(driver, tmp_path / "other"), stocked_hosts)
    ends: dict[str, dict[str, object]] = {}
    for state in rounds(fleet, other):
        with broken_host_locks():
            for one in (Pass(driver, owner="ann"), Pass(other.driver, owner="bob")):
                one.wait()
        fleet.apply()
        other.apply()
        end = fleet.on_hosts()
        assert differences(ends.setdefault(state, end), end) == {}
    _let_alone(bystander)


MOMENTS = (
    "apply.create_container.before_send",
    "apply.stop_container.before_send",
    "apply.remove_container.before_send",
    "apply.rename_container.before_send",
    "apply.start_container.before_send",
)


class Sleeper:
    """Hold a pass that stops itself with SIGSTOP at a moment, as a machine that is paused does."""

    def __init__(self, driver: Driver, moment: str) -> None:
        slept: list[str] = []

        def reached(name: str, _: str) -> None:
            if name == moment and not slept:
                slept.append(name)
                os.kill(os.getpid(), signal.SIGSTOP)

        self._pass = Pass(driver, reached, owner="the sleeper")
        _, ended = os.waitpid(self._pass.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(ended), f"it never came to {moment}"

    def wake(self) -> None:
        """Let it go on, to its end."""
        self._pass.signal(signal.SIGCONT)
        assert self._pass.wait() == 0


@pytest.fixture
def two_desks(driver: Driver, stocked_hosts: tuple[LabHost, LabHost], tmp_path: Path) -> tuple[Reference, Reference]:
    """Give two desks that know the fleet in the state `one`."""
    first = Reference(driver, stocked_hosts)
    first.declare("one")
    first.apply()
    second = Reference(another_desk(driver, tmp_path / "other"), stocked_hosts)
    second.declare("one")
    second.apply()
    return first, second


def _sleep_through(moment: str, first: Reference, second: Reference) -> None:
    """Let the first sleep on its way to `two` while the second goes there; what the first then does is harmless."""
    for fleet in (first, second):
        fleet.declare("two")
    sleeper = Sleeper(first.driver, moment)
    second.apply()
    done = containers(second)
    sleeper.wake()
    after = containers(second)
    assert {name: after.get(name) for name in done} == done, "nothing that the second made was removed"
    second.apply()
    first.apply()
    assert differences(first.on_hosts(), second.on_hosts()) == {}
    assert containers(second) == done, "and what is double was not in use"


@pytest.mark.parametrize("moment", MOMENTS)
def test_f13_with_the_hosts_locks_broken_a_late_controller_does_no_harm(
    two_desks: tuple[Reference, Reference], moment: str
) -> None:
    with broken_host_locks():
        _sleep_through(moment, *two_desks)


# F-14: the holder of a lock that was asleep --------------------------------------------------------------------------


@pytest.mark.parametrize("moment", MOMENTS)
def test_f14_a_holder_that_slept_while_another_took_over_does_no_harm(
    two_desks: tuple[Reference, Reference], moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("SILENCE_S", SILENCE_S), ("BEAT_S", BEAT_S), ("BELIEF_S", BELIEF_S)):
        monkeypatch.setattr(lock, name, value)
    _sleep_through(moment, *two_desks)


def test_f14_a_holder_that_slept_does_not_go_on_with_a_plan_that_another_has_overtaken(
    two_desks: tuple[Reference, Reference], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("SILENCE_S", SILENCE_S), ("BEAT_S", BEAT_S), ("BELIEF_S", BELIEF_S)):
        monkeypatch.setattr(lock, name, value)
    first, second = two_desks
    for fleet in two_desks:
        fleet.declare("two")
    second.declare_resized("two", memory="64MiB")
    sleeper = Sleeper(first.driver, "apply.update_container.before_send")
    second.apply()
    before = inspect(second.hosts[1], name_of(second.driver, "resized-0"))
    sleeper.wake()
    seen = inspect(second.hosts[1], name_of(second.driver, "resized-0"))
    assert seen["Id"] == before["Id"]
    assert seen["HostConfig"]["Memory"] == 64 * 1024**2, "the newer wish, that was carried out meanwhile, stands"


# F-15: a picture of a host that is old -------------------------------------------------------------------------------


def _meddled_with(fleet: Driver, by_hand: Callable[[], None]) -> dict[str, tuple[str, str]]:
    """Apply, with something done by hand between the look and the first effect; give end and code of each action."""
    ended = asyncio.run(apply_watched(fleet, lambda moment, _: by_hand() if moment == "pass.planned" else None)).ended
    assert ended is not None
    return {action.id.partition("/")[2]: (action.end, action.code) for action in ended.actions}


def test_f15_what_was_changed_by_hand_since_the_look_is_looked_at_again_before_each_effect(
    fleet: Driver, alpha: LabHost
) -> None:
    fleet.drop("Host", "beta")
    fleet.declare_fleet(limits={"removalsPerPlan": "100%"})
    names = ("gone", "renamed", "recreated", "fine")
    for name in names:
        web_sandbox(fleet, name, "alpha")
    settle(fleet)
    theirs: dict[str, str] = {}

    def by_hand() -> None:
        for name in ("gone", "recreated"):
            alpha.docker("rm", "--force", name_of(fleet, name))
        alpha.docker("rename", name_of(fleet, "renamed"), f"{fleet.fleet}-precious")
        words = ("run", "--detach", "--name", name_of(fleet, "recreated"), "lab/web:1")
        theirs["recreated"] = alpha.docker(*words).strip()
        theirs["renamed"] = inspect(alpha, f"{fleet.fleet}-precious")["Id"]

    for name in names:
        web_sandbox(fleet, name, "alpha", container={"resources": {"memory": "48MiB"}})
    try:
        ends = _meddled_with(fleet, by_hand)
        assert ends["fine"] == ("done", "")
        assert ends["gone"] == ("failed", "E_TARGET_GONE")
        assert ends["recreated"] == ("failed", "E_TARGET_GONE")
        assert ends["renamed"] == ("failed", "E_TARGET_CHANGED")
        for full_id in theirs.values():
            seen = inspect(alpha, full_id)
            assert seen["State"]["Running"] is True
            assert seen["HostConfig"]["Memory"] == 0, "nothing was done to what the plan did not see"
    finally:
        alpha.docker("rm", "--force", *theirs.values())
    settle(fleet)
    assert set(fleet.containers(alpha)) == {name_of(fleet, name) for name in names}


def test_f15_what_was_to_be_removed_and_is_another_one_now_stays(fleet: Driver, alpha: LabHost) -> None:
    fleet.drop("Host", "beta")
    fleet.declare_fleet(limits={"removalsPerPlan": "100%"})
    web_sandbox(fleet, "doomed", "alpha")
    web_sandbox(fleet, "stays", "alpha")
    settle(fleet)
    fleet.drop("Sandbox", "doomed")
    name = name_of(fleet, "doomed")
    theirs: list[str] = []

    def by_hand() -> None:
        alpha.docker("rm", "--force", name)
        theirs.append(alpha.docker("run", "--detach", "--name", name, "lab/web:1").strip())

    try:
        _meddled_with(fleet, by_hand)
        assert inspect(alpha, theirs[0])["State"]["Running"] is True
    finally:
        alpha.docker("rm", "--force", *theirs)
    settle(fleet)


# F-34: a controller that is gone with its locks ----------------------------------------------------------------------


def waiting_pass(fleet: Driver, host: LabHost) -> Running:
    """Start a pass over `slow` on `alpha`, and come back when it waits for `allow`, holding all its locks."""
    probe = {"allowed": {"exec": {"container": "main", "command": ["test", "-e", "/tmp/go"]}, "timeout": "60s"}}
    web_sandbox(fleet, "slow", "alpha", readiness=probe)
    running = fleet.start("apply", "--yes")
    slow = name_of(fleet, "slow")
    until(lambda: slow in fleet.containers(host) and inspect(host, slow)["State"]["Running"], what="the slow one")
    return running


def allow(fleet: Driver, host: LabHost) -> None:
    """Let a waiting pass go on."""
    host.docker("exec", name_of(fleet, "slow"), "touch", "/tmp/go")


def test_f13_a_second_pass_is_told_who_holds_the_status_folder_or_waits(fleet: Driver, alpha: LabHost) -> None:
    first = waiting_pass(fleet, alpha)
    try:
        refused = fleet.run("apply", "--yes").expect(6)
        assert f"pid {first.process.pid}" in refused.stderr
        assert "since 20" in refused.stderr
        fleet.run("plan").expect(0)
        patient = fleet.start("apply", "--yes", "--lock-timeout", "60")
    finally:
        allow(fleet, alpha)
    first.wait().expect(0)
    patient.wait().expect(0)


def test_f13_a_second_desk_is_told_who_holds_the_host_and_other_hosts_go_on(
    fleet: Driver, alpha: LabHost, tmp_path: Path
) -> None:
    first = waiting_pass(fleet, alpha)
    try:
        other = another_desk(fleet, tmp_path / "other")
        web_sandbox(other, "mine", "alpha")
        refused = other.run("apply", "mine", "--yes").expect(6)
        assert f"pid {first.process.pid}" in refused.stdout + refused.stderr
        web_sandbox(other, "yours", "beta")
        other.run("apply", "mine", "yours", "--yes").expect(3)
        assert name_of(fleet, "mine") not in fleet.containers(alpha)
    finally:
        allow(fleet, alpha)
    first.wait().expect(0)
    settle(other)


def test_f13_a_second_desk_that_waits_for_a_host_plans_with_what_the_first_has_made(
    fleet: Driver, alpha: LabHost, tmp_path: Path
) -> None:
    first = waiting_pass(fleet, alpha)
    try:
        other = another_desk(fleet, tmp_path / "other")
        web_sandbox(other, "mine", "alpha")
        patient = other.start("apply", "mine", "--yes", "--lock-timeout", "60")
    finally:
        allow(fleet, alpha)
    first.wait().expect(0)
    patient.wait().expect(0)
    assert name_of(fleet, "mine") in fleet.containers(alpha)
    settle(other)


@pytest.mark.parametrize("desk", ["same", "other"])
def test_f34_the_locks_of_a_controller_that_died_are_free(
    fleet: Driver, alpha: LabHost, tmp_path: Path, desk: str
) -> None:
    killed = waiting_pass(fleet, alpha)
    killed.signal(signal.SIGKILL)
    assert killed.wait().exit == -signal.SIGKILL
    allow(fleet, alpha)
    next_one = fleet if desk == "same" else another_desk(fleet, tmp_path / "other")
    settle(next_one, "--lock-timeout", "10")


def test_f34_a_controller_that_starts_again_needs_no_unlocking_whatever_lock_files_it_left(
    fleet: Driver, alpha: LabHost
) -> None:
    fleet.declare_sandbox("one", host="alpha", observability="off", containers={"main": IDLE})
    assert killed_at(fleet, "apply.create_container.after_effect")
    assert (fleet.status / ".lock").read_text(), "the words of the one who died are still there, and bind nobody"
    settle(fleet)
    assert set(fleet.containers(alpha)) == {name_of(fleet, "one")}
