"""F-17 to F-19 and F-30: specs that change under a pass, that are not there, that are half there, and their secrets."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.driver import Driver
from tests.e2e.sights import IDLE, inspect, name_of, planned_verbs, run_of, settle
from tests.integration.faults.entry import apply_watched
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab


def state_of(fleet: Driver, host: LabHost, name: str) -> list[str]:
    """Give the variable `STATE` of a sandbox's container."""
    env = inspect(host, name_of(fleet, name))["Config"]["Env"]
    return [word.partition("=")[2] for word in env if word.startswith("STATE=")]


def declare(fleet: Driver, state: str, *names: str) -> None:
    """Declare sandboxes whose containers know the state that they were declared in."""
    for name in names:
        main = {**IDLE, "env": {"STATE": state}}
        fleet.declare_sandbox(name, host="alpha", observability="off", containers={"main": main})


# F-17: specs that change under a pass --------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["pass.planned", "apply.put_marker.before_send", "apply.stop_container.after_reply"])
def test_f17_a_pass_stays_with_the_specs_that_it_read_and_the_next_one_takes_the_new(
    fleet: Driver, alpha: LabHost, moment: str
) -> None:
    fleet.drop("Host", "beta")
    fleet.declare_fleet(limits={"removalsPerPlan": "100%", "createsPerHost": 1})
    names = ("aa", "bb", "cc")
    declare(fleet, "one", *names)
    settle(fleet)
    declare(fleet, "two", *names)
    edits: list[str] = []

    def edit(reached: str, _: str) -> None:
        if reached == moment and not edits:
            edits.append(reached)
            declare(fleet, "three", "aa", "bb")
            fleet.drop("Sandbox", "cc")

    ended = asyncio.run(apply_watched(fleet, edit)).ended
    assert edits
    assert ended is not None
    assert {action.end for action in ended.actions} == {"done"}
    assert {name: state_of(fleet, alpha, name) for name in names} == {name: ["two"] for name in names}
    assert planned_verbs(fleet) == {"sandbox/aa": "replace", "sandbox/bb": "replace", "sandbox/cc": "destroy"}
    settle(fleet)
    assert {name: state_of(fleet, alpha, name) for name in names[:2]} == {"aa": ["three"], "bb": ["three"]}


# F-18: specs that are not there --------------------------------------------------------------------------------------


def _emptied(specs: Path) -> None:
    for path in specs.iterdir():
        path.unlink()


def _renamed(specs: Path) -> None:
    for path in specs.iterdir():
        path.rename(path.with_suffix(".txt"))


def _without_fleet(specs: Path) -> None:
    next(specs.glob("fleet-*.yaml")).unlink()


def _gone(specs: Path) -> None:
    specs.rename(specs.with_name("elsewhere"))


def _a_file(specs: Path) -> None:
    _gone(specs)
    specs.write_text("")


def _not_mounted(specs: Path) -> None:
    _gone(specs)
    specs.mkdir()


def _dangling(specs: Path) -> None:
    _gone(specs)
    specs.symlink_to("nowhere")


MISSING: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty": (_emptied, "E_SPEC_EMPTY"),
    "no .yaml": (_renamed, "E_SPEC_EMPTY"),
    "gone": (_gone, "E_SPEC_DIR"),
    "a file": (_a_file, "E_SPEC_DIR"),
    "not mounted": (_not_mounted, "E_SPEC_EMPTY"),
    "no Fleet": (_without_fleet, "Fleet"),
    "a link to nowhere": (_dangling, "E_SPEC_DIR"),
}


@pytest.mark.parametrize("kind", MISSING)
def test_f18_specs_that_are_not_there_are_an_error_and_never_a_wish_for_nothing(
    fleet: Driver, alpha: LabHost, kind: str
) -> None:
    declare(fleet, "one", "aa")
    settle(fleet)
    before = run_of(fleet, alpha)
    status = {path: path.read_bytes() for path in fleet.status.rglob("*.json")}
    take_away, says = MISSING[kind]
    take_away(fleet.specs)
    for words in (["plan"], ["apply", "--yes"], ["apply", "--yes", "--allow-destroy", "1"], ["destroy", "--all", "-y"]):
        refused = fleet.run(*words).expect(1)
        assert says in refused.stderr
        assert refused.stdout == ""
    assert run_of(fleet, alpha) == before
    assert {path: path.read_bytes() for path in fleet.status.rglob("*.json")} == status


def test_f18_a_folder_that_cannot_be_read_is_an_error(fleet: Driver, alpha: LabHost) -> None:
    """Root may read everything, so somebody else asks."""
    declare(fleet, "one", "aa")
    settle(fleet)
    before = run_of(fleet, alpha)
    fleet.specs.chmod(0)
    try:
        pid = os.fork()
        if pid == 0:
            _become_nobody_and_read(fleet.specs)
        _, ended = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(ended) == 0
    finally:
        fleet.specs.chmod(0o700)
    assert run_of(fleet, alpha) == before


def _become_nobody_and_read(specs: Path) -> None:
    from reconciler.load.folder import read_folder  # noqa: PLC0415  # as root, before the modules are out of reach

    status = 1
    try:
        os.chdir(specs.parent)
        os.setgid(65534)
        os.setuid(65534)
        found = read_folder(Path(specs.name))
        status = 0 if not found.files and [one.code for one in found.problems] == ["E_SPEC_DIR"] else 2
    finally:
        os._exit(status)


def test_f18_a_fleet_that_wants_nothing_at_all_is_refused_while_something_is_owned(
    fleet: Driver, alpha: LabHost
) -> None:
    declare(fleet, "one", "aa")
    settle(fleet)
    before = run_of(fleet, alpha)
    fleet.drop("Sandbox", "aa")
    fleet.declare_fleet(limits={"removalsPerPlan": "100%"})
    refused = fleet.run("apply", "--yes").expect(5)
    assert "no sandbox at all" in refused.stderr
    assert run_of(fleet, alpha) == before


# F-19: specs that are half there -------------------------------------------------------------------------------------


def test_f19_one_bad_file_among_many_refuses_them_all_and_every_fault_is_told(fleet: Driver, alpha: LabHost) -> None:
    fleet.drop("Host", "beta")
    declare(fleet, "one", "aa", "bb")
    settle(fleet)
    before = run_of(fleet, alpha)
    declare(fleet, "two", "aa")
    fleet.drop("Sandbox", "bb")
    for number in range(100):
        declare(fleet, "two", f"many-{number:02}")
    for number in (7, 42, 99):
        path = fleet.specs / f"sandbox-many-{number:02}.yaml"
        path.write_text(path.read_text().replace('"image"', '"imag"'))
    refused = fleet.run("apply", "--yes").expect(1)
    for number in (7, 42, 99):
        assert f"sandbox-many-{number:02}.yaml:" in refused.stderr
    assert "image" in refused.stderr
    assert run_of(fleet, alpha) == before


def test_f19_a_file_that_is_half_written_removes_nothing_wherever_it_ends(fleet: Driver, alpha: LabHost) -> None:
    fleet.drop("Host", "beta")
    fleet.declare_fleet(limits={"removalsPerPlan": "100%"})
    declare(fleet, "one", "aa", "bb")
    settle(fleet)
    before = run_of(fleet, alpha)
    for name in ("sandbox-aa.yaml", f"fleet-{fleet.fleet}.yaml", "host-alpha.yaml"):
        path = fleet.specs / name
        whole = path.read_bytes()
        # The last byte is a line break, which nothing needs.
        for length in range(0, len(whole) - 1, 64):
            path.write_bytes(whole[:length])
            refused = fleet.run("apply", "--yes")
            assert refused.exit == 1, (name, length, refused.stdout)
            assert name in refused.stderr or "Fleet" in refused.stderr, (name, length, refused.stderr)
        path.write_bytes(whole)
    assert run_of(fleet, alpha) == before
    assert planned_verbs(fleet) == {}


# F-30: secrets -------------------------------------------------------------------------------------------------------


def test_f30_a_secret_that_is_not_there_is_refused_by_its_reference_and_one_that_changed_is_an_update(
    fleet: Driver, alpha: LabHost
) -> None:
    secret = fleet.declare_secret("hub", "first-value")
    main = {**IDLE, "env": {"TOKEN": "${secret:hub}"}}
    fleet.declare_sandbox("one", host="alpha", observability="off", containers={"main": main})
    settle(fleet)
    before = run_of(fleet, alpha)

    for spoil in (secret.unlink, lambda: secret.write_text(""), lambda: secret.write_text("\n"), secret.unlink):
        spoil()
        for words in (["plan"], ["apply", "--yes"]):
            refused = fleet.run(*words).expect(1)
            assert "E_SECRET_MISSING" in refused.stderr
            assert "secret hub" in refused.stderr
    secret.mkdir()
    assert "E_SECRET_MISSING" in fleet.run("plan").expect(1).stderr
    secret.rmdir()
    assert run_of(fleet, alpha) == before, "what runs goes on running"

    secret.write_text("second-value\n")
    planned = fleet.run("plan").expect(0)
    assert planned_verbs(fleet) == {"sandbox/one": "replace"}
    assert "containers.main.env.TOKEN" in planned.stdout
    assert "-value" not in planned.stdout + planned.stderr
    applied = settle(fleet)
    assert "-value" not in applied.stdout + applied.stderr
    assert "TOKEN=second-value" in inspect(alpha, name_of(fleet, "one"))["Config"]["Env"]
    assert all("-value" not in path.read_text() for path in fleet.status.rglob("*") if path.is_file())
