"""Bad inputs by number, those that the command line answers by itself: no host is asked, and nothing is written.

The last test sees that every number has its case somewhere, or is listed as not yet applicable.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.driver import CHECKOUT, Driver
from tests.e2e.sights import name_of, run_of, settle_four_and_want_one
from tests.e2e.warm import Warm
from tests.lab.host import LabHost

NOT_YET = {
    45: "the policy has no rule for addresses that ports are bound to",
    62: "Jobs",
}
"""Numbers of which nothing can be tried, each with the missing feature."""

NOT_YET_IN_PART = {
    (44, "a port below 1024 without policy"): "the policy has no rule for port numbers",
    (46, "LD_PRELOAD, PATH"): "the policy has no rule for names of variables",
    (60, "a secret from a command or a variable"): "secrets come from files alone",
    (
        65,
        "submodules, hooks, ext:: remotes, unsigned and rewound commits",
    ): "specs are read from a folder, not from git",
    (68, "--parallel, --timeout, --interval"): "there are no such options",
    (73, "fleet migrate"): "there is no such command; another name is another fleet",
    (75, "two daemons, unlock"): "there is no daemon, and no lock that could be stale",
}


class Case(NamedTuple):
    number: int
    words: tuple[str, ...]
    exit_status: int
    says: str


CASES = [
    *[Case(64, (word, "--specs", "empty"), 1, "E_SPEC_EMPTY") for word in ("validate", "plan")],
    Case(64, ("plan", "--specs", "missing"), 1, "E_SPEC_DIR"),
    Case(64, ("plan", "--specs", "plain"), 1, "E_SPEC_DIR"),
    Case(64, ("plan", "--specs", "nothing"), 1, "E_SPEC_EMPTY"),
    Case(64, ("plan", "--specs", "loop"), 1, "E_SPEC_DIR"),
    Case(64, ("plan", "--specs", ""), 64, "--specs"),
    Case(64, ("apply", "--yes", "--specs", "empty"), 1, "E_SPEC_EMPTY"),
    Case(66, ("apply", "--yes", "no*such"), 64, "E_NO_MATCH"),
    Case(66, ("apply", "--yes", "--on", "no*such"), 64, "E_NO_MATCH"),
    Case(66, ("plan", "--exclude", "no*such"), 64, "E_NO_MATCH"),
    Case(66, ("destroy", "no*such", "--yes"), 64, "E_NO_MATCH"),
    *[Case(68, ("apply", "--lock-timeout", text), 64, "--lock-timeout") for text in ("-5", "abc", "", "nan")],
    *[Case(68, ("apply", option, "0"), 64, "No such option") for option in ("--parallel", "--timeout", "--interval")],
    Case(69, ("destroy",), 64, "name the sandboxes to destroy, or give --all"),
    Case(69, ("destroy", "web", "--all"), 64, "not both"),
    *[Case(70, ("apply", "--allow-destroy", text), 64, "--allow-destroy") for text in ("all", "-1", "1.5")],
    *[
        Case(71, ("apply", "--yes", f"./{name}"), 1, "E_PLAN_FORMAT")
        for name in (
            "none.plan",
            "empty.plan",
            "text.plan",
            "newer.plan",
            "latin.plan",
            "pickle.plan",
            "nul.plan",
            "huge.plan",
        )
    ],
    Case(71, ("apply", "--yes", "missing.json"), 1, "E_PLAN_READ"),
    *[Case(72, ("apply", "--yes", "--status", path), 1, "E_STATUS_DIR") for path in ("/", "link", "plain", "no/where")],
    Case(72, ("apply", "--yes", "--status", ""), 64, "--status"),
    *[Case(74, ("adopt", "--yes", text), 64, "E_ADOPT") for text in ("web", "0123456789ab", "A" * 64, "a" * 63)],
]


@pytest.fixture
def desk(bare: Driver, tmp_path: Path) -> Driver:
    """Give a fleet without hosts, in a folder with everything that should not be given to a command."""
    bare.declare_fleet()
    here = bare.folder
    (here / "empty").mkdir()
    (here / "nothing" / "x.yaml").mkdir(parents=True)
    (here / "plain").write_text("")
    (here / "link").symlink_to(tmp_path)
    (here / "loop").symlink_to(here / "loop")
    for name, data in {
        "none": b"",
        "empty": b"{}",
        "text": b"apiVersion: x\n",
        "newer": b'{"format": "reconciler/plan/v999"}',
        "latin": b'{"plan": {"format": "\xe6"}}',
        "pickle": pickle.dumps({"format": "reconciler/plan/v1"}),
        "nul": b"\0" * 100_000,
    }.items():
        (here / f"{name}.plan").write_bytes(data)
    with (here / "huge.plan").open("wb") as huge:
        huge.truncate(1 << 30)  # of which nothing is stored
    return bare


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.number}-{'-'.join(case.words)[:60]}")
def test_a_bad_input_gets_its_answer(case: Case, desk: Driver) -> None:
    ran = desk.run(*case.words).expect(case.exit_status)
    assert case.says in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "destroy" not in ran.stdout
    assert not desk.status.exists()


@pytest.mark.parametrize("name", ['""', "../x", "Lab", "a"])
def test_73_a_fleet_has_a_name_that_can_be_part_of_others(name: str, bare: Driver) -> None:
    bare.write("fleet.yaml", f"apiVersion: reconciler/v1\nkind: Fleet\nmetadata: {{name: {name}}}\n")
    assert "E_NAME" in bare.run("validate").expect(1).stderr


def test_72_73_a_fleet_of_another_name_does_not_get_the_status_of_the_old_one(bare: Driver) -> None:
    path = bare.declare_fleet()
    bare.run("apply", "--yes").expect(0)
    before = _files(bare.status)
    path.write_text(path.read_text().replace(bare.fleet, f"{bare.fleet}x"))
    for words in (("plan",), ("apply", "--yes"), ("destroy", "--all", "--yes")):
        assert "E_STATUS_FLEET" in bare.run(*words).expect(1).stderr
    assert _files(bare.status) == before


def test_71_a_plan_of_another_fleet_is_not_applied(bare: Driver, tmp_path: Path, warm: Warm) -> None:
    bare.declare_fleet()
    bare.run("plan", "--out", "saved.plan").expect(0)
    other = Driver(tmp_path / "other", fleet="other", warm=warm)
    other.declare_fleet()
    assert "E_PLAN_FLEET" in other.run("apply", bare.folder / "saved.plan", "--yes").expect(1).stderr


def test_75_a_lock_file_that_is_a_link_is_refused(bare: Driver) -> None:
    bare.declare_fleet()
    bare.status.mkdir(mode=0o700)
    decoy = bare.folder / "decoy"
    decoy.write_text("precious")
    (bare.status / ".lock").symlink_to(decoy)
    assert "E_LOCK_FILE" in bare.run("apply", "--yes").expect(1).stderr
    assert decoy.read_text() == "precious"


def test_75_a_lock_that_nobody_holds_is_no_lock(bare: Driver) -> None:
    bare.declare_fleet()
    bare.status.mkdir(mode=0o700)
    (bare.status / ".lock").write_text('{"owner": "gone@nowhere pid 1", "since": "2020-01-01T00:00:00Z"}\n')
    (bare.status / ".lock").chmod(0o600)
    bare.run("apply", "--yes").expect(0)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"format": 5}', '{"fleet": null}', "\0", "another's"])
def test_76_a_status_file_that_is_damaged_is_said_and_set_aside(damage: str, bare: Driver) -> None:
    bare.declare_fleet()
    bare.run("apply", "--yes").expect(0)
    path = bare.status / "fleet.json"
    if damage == "another's":
        os.chown(path, 12345, 12345)
    else:
        path.write_text(damage)
    for words in (("plan",), ("status",), ("apply", "--yes")):
        # With this file gone there is nothing that could be shown.
        ran = bare.run(*words).expect(1 if words == ("status",) else 0)
        assert "fleet.json is damaged" in ran.stderr
        assert "destroy" not in ran.stdout.partition("Plan:")[0]
    assert [name for name in os.listdir(bare.status) if name.startswith("fleet.json.corrupt-")]
    assert json.loads(path.read_text())["fleet"] == bare.fleet


def test_76_a_status_file_of_a_newer_version_stops_everything(bare: Driver) -> None:
    bare.declare_fleet()
    bare.run("apply", "--yes").expect(0)
    path = bare.status / "fleet.json"
    path.write_text(path.read_text().replace("-status/1", "-status/2"))
    for words in (("plan",), ("status",), ("apply", "--yes")):
        assert "E_STATUS_NEWER" in bare.run(*words).expect(1).stderr


def _files(folder: Path) -> dict[str, str]:
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


# Those that need a host ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def thinned(
    stocked_hosts: tuple[LabHost, LabHost], warm: Warm, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Driver]:
    """Give a fleet of four on a host, of which the specs want one: too many to go at once."""
    driver = Driver(tmp_path_factory.mktemp("thinned") / "work", fleet="thinned", warm=warm)
    driver.declare_fleet()
    driver.declare_host(stocked_hosts[0])
    settle_four_and_want_one(driver)
    yield driver
    driver.clear(stocked_hosts[0])


HELD = [
    Case(67, ("apply", "web-3", "--yes"), 0, ""),
    Case(67, ("apply", "--exclude", "web-0", "--exclude", "web-1", "--exclude", "web-2", "--yes"), 0, ""),
    Case(67, ("apply", "--on", "alpha", "--yes"), 5, "E_BUDGET"),
    Case(69, ("destroy", "--all"), 5, "E_NO_APPROVAL"),
    Case(69, ("destroy", "web-3"), 5, "E_NO_APPROVAL"),
    Case(70, ("apply", "--yes", "--allow-destroy", "2"), 5, "3"),
    Case(70, ("apply", "--yes", "--allow-destroy", "4"), 5, "3"),
    Case(70, ("apply", "--yes"), 5, "--allow-destroy 3"),
]


@pytest.mark.lab
@pytest.mark.parametrize("case", HELD, ids=lambda case: f"{case.number}-{'-'.join(case.words)[:60]}")
def test_a_bad_input_costs_no_sandbox(case: Case, thinned: Driver, alpha: LabHost) -> None:
    before = run_of(thinned, alpha)
    assert len(before) == 4
    ran = thinned.run(*case.words).expect(case.exit_status)
    assert case.says in ran.stderr + ran.stdout
    assert run_of(thinned, alpha) == before


@pytest.mark.lab
def test_74_what_cannot_be_adopted(thinned: Driver, alpha: LabHost) -> None:
    """Ask for a container under no wanted name, one of another fleet, and one that there is not."""
    labels = {"dev.reconciler.fleet": "other", "dev.reconciler.sandbox": "web-3"}
    words = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
    made = [
        alpha.docker("create", "--name", "plain", "lab/web:1").strip(),
        alpha.docker("create", "--name", "sbx-other.web-3.main", *words, "lab/web:1").strip(),
    ]
    try:
        for full_id in (*made, "0" * 64):
            assert "E_ADOPT" in thinned.run("adopt", full_id, "--yes").expect(64).stderr
    finally:
        alpha.docker("rm", *made)
    assert name_of(thinned, "web-3") in thinned.containers(alpha)


# Every number has its case ---------------------------------------------------------------------------------------

HOMES = (
    "tests/unit/load/test_bad_inputs.py",
    "tests/unit/load/test_bad_containers.py",
    "tests/unit/host/way/test_bad_identities.py",
    "tests/integration/test_bad_base_folders.py",
    "tests/security/test_bad_mounts_and_images.py",
    "tests/security/test_lying_host.py",
    "tests/e2e/test_bad_inputs.py",
    "tests/e2e/test_compose.py",
)
_NUMBERED = re.compile(r"Case\(\s*(\d+),|def test_(\d\d)_(?:(\d\d)_)?|f\"(\d\d)-\{|\bNUMBER = (\d\d)\b")


def test_every_number_has_its_case_or_a_reason() -> None:
    found = {
        int(number)
        for home in HOMES
        for hit in _NUMBERED.findall((CHECKOUT / home).read_text())
        for number in hit
        if number
    }
    assert set(range(1, 78)) - found == set(NOT_YET)
    assert found & set(NOT_YET) == set()
    assert {number for number, _ in NOT_YET_IN_PART} <= found
