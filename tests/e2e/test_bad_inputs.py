"""Bad inputs by number, those that the command line answers by itself: no host is asked, and nothing is written."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.driver import Driver


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
    Case(64, ("apply", "--yes", "--specs", "empty"), 1, "E_SPEC_EMPTY"),
    Case(66, ("apply", "--yes", "no*such"), 64, "E_NO_MATCH"),
    Case(66, ("apply", "--yes", "--on", "no*such"), 64, "E_NO_MATCH"),
    Case(66, ("plan", "--exclude", "no*such"), 64, "E_NO_MATCH"),
    *[Case(68, ("apply", "--lock-timeout", text), 64, "--lock-timeout") for text in ("-5", "abc", "")],
    *[Case(68, ("apply", "--parallel", text), 64, "No such option") for text in ("0", "-1")],
    Case(69, ("destroy",), 64, "name the sandboxes to destroy, or give --all"),
    Case(69, ("destroy", "web", "--all"), 64, "not both"),
    *[Case(70, ("apply", "--allow-destroy", text), 64, "--allow-destroy") for text in ("all", "-1", "1.5")],
    *[
        Case(71, ("apply", "--yes", f"./{name}"), 1, "E_PLAN_FORMAT")
        for name in ("none.plan", "empty.plan", "text.plan", "newer.plan", "pickle.plan", "nul.plan")
    ],
    Case(71, ("apply", "--yes", "missing.json"), 1, "E_PLAN_READ"),
    *[Case(72, ("apply", "--yes", "--status", path), 1, "E_STATUS_DIR") for path in ("/", "link", "plain")],
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
    for name, data in {
        "none": b"",
        "empty": b"{}",
        "text": b"apiVersion: x\n",
        "newer": b'{"format": "reconciler/plan/v999"}',
        "pickle": pickle.dumps({"format": "reconciler/plan/v1"}),
        "nul": b"\0" * 100_000,
    }.items():
        (here / f"{name}.plan").write_bytes(data)
    return bare


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.number}-{'-'.join(case.words)[:60]}")
def test_a_bad_input_gets_its_answer(case: Case, desk: Driver) -> None:
    ran = desk.run(*case.words).expect(case.exit_status)
    assert case.says in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "destroy" not in ran.stdout
    assert case.number == 74 or not desk.status.exists()


@pytest.mark.parametrize("name", ['""', "../x", "Lab", "a"])
def test_73_a_fleet_has_a_name_that_can_be_part_of_others(name: str, bare: Driver) -> None:
    bare.write("fleet.yaml", f"apiVersion: reconciler/v1\nkind: Fleet\nmetadata: {{name: {name}}}\n")
    assert "E_NAME" in bare.run("validate").expect(1).stderr
