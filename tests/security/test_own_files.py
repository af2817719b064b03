"""S22, S27, S28, S30 and S31: what we write and read on the controller, and who may stand in between."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconciler.errors import PlanDamaged
from reconciler.model.plan import Plan
from reconciler.record.plan_file import load_plan, save_plan
from tests import builders as b
from tests.e2e.driver import CHECKOUT, Driver
from tests.e2e.sights import run_of, settle, web_sandbox
from tests.lab.host import LabHost


@contextmanager
def umask(bits: int) -> Iterator[None]:
    """Create files with this mask of modes while the block runs."""
    before = os.umask(bits)
    try:
        yield
    finally:
        os.umask(before)


def modes(*tops: Path) -> dict[str, str]:
    """Give every file and folder that others may read or write, and every file that is a program."""
    found = [path for top in tops for path in (top, *top.rglob("*"))]
    return {
        str(path): oct(stat.S_IMODE(path.lstat().st_mode))
        for path in found
        if path.lstat().st_mode & (0o077 if path.is_dir() else 0o177)
    }


# S22.


@pytest.mark.lab
def test_s22_what_is_written_is_private_whatever_the_umask(fleet: Driver, alpha: LabHost) -> None:
    web_sandbox(fleet, "web", "alpha")
    with umask(0):
        fleet.run("plan", "--out", "saved.plan", fresh=True).expect(0)
        fleet.run("apply", "--yes", fresh=True).expect(0)
    assert (fleet.status / "sandboxes/web.json").is_file()
    assert list((fleet.status / "passes").iterdir())
    assert modes(fleet.status, fleet.folder / "saved.plan") == {}
    assert modes(*(path for path in fleet.home.rglob("*") if path.is_file())) == {}, "what is remembered of specs"
    assert alpha.run("stat", "-c", "%a", fleet.base_dir(alpha)).strip() == "700"


@pytest.mark.parametrize("name", ["saved.plan", "status/.lock", "status/fleet.json", "status/passes"])
def test_s22_a_link_in_our_way_is_not_written_through(name: str, bare: Driver) -> None:
    bare.declare_fleet()
    decoy = bare.folder / "decoy"
    decoy.mkdir()
    (decoy / "precious").write_text("precious")
    target = decoy if name == "status/passes" else decoy / "precious"
    bare.status.mkdir(mode=0o700)
    (bare.folder / name).symlink_to(target)
    bare.run("apply", "--yes")
    bare.run("plan", "--out", "saved.plan")
    assert (decoy / "precious").read_text() == "precious"
    assert [path.name for path in decoy.iterdir()] == ["precious"]


def test_s22_a_status_folder_that_others_may_write_is_refused(bare: Driver) -> None:
    bare.declare_fleet()
    bare.status.mkdir()
    for mode in (0o770, 0o707, 0o1777):
        bare.status.chmod(mode)
        assert "E_STATUS_DIR" in bare.run("apply", "--yes").expect(1).stderr
    assert list(bare.status.iterdir()) == []


# S27.


def test_s27_another_users_status_folder_is_not_worked_in(bare: Driver) -> None:
    bare.declare_fleet()
    bare.status.mkdir(mode=0o700)
    os.chown(bare.status, 12345, 12345)
    assert "belongs to uid 12345" in bare.run("apply", "--yes").expect(1).stderr
    assert list(bare.status.iterdir()) == []


def test_s27_nothing_in_the_current_folder_is_taken_for_configuration_or_code(bare: Driver) -> None:
    bare.declare_fleet()
    mark = bare.folder / "ran"
    planted = f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n"
    for name in ("sitecustomize", "usercustomize", "typer", "asyncssh", "msgspec", "reconciler", "secrets", "conftest"):
        (bare.folder / f"{name}.py").write_text(planted)
    (bare.folder / "plugins").mkdir()
    (bare.folder / "plugins/reconciler_evil.py").write_text(planted)
    config = "[tool.reconciler]\nspecs = 'elsewhere'\nyes = true\nplugins = ['plugins']\n"
    for name in ("reconcile.toml", "reconciler.toml", "pyproject.toml", ".reconcile.toml", ".env", "reconcile.yaml"):
        (bare.folder / name).write_text(config)
    for words in (("plan",), ("apply",)):
        bare.run(*words, fresh=True).expect(0)
    assert not mark.exists()


# S28.


def test_s28_a_plan_file_that_is_not_as_it_was_written_is_never_obeyed(tmp_path: Path) -> None:
    path = tmp_path / "saved.plan"
    whole = b.a_plan(b.an_action())
    save_plan(path, whole)
    assert load_plan(path) == whole
    data = path.read_bytes()
    obeyed: dict[int, object] = {}
    for at in range(0, len(data), 7):
        for new in (
            data[:at],
            data[:at] + b"\x01" + data[at + 1 :],
            data[:at] + data[at + 1 :],
            data[:at] + b"0" + data[at:],
        ):
            path.write_bytes(new)
            found = _taken(path)
            if found not in ("E_PLAN_DAMAGED", "E_PLAN_FORMAT", whole):
                obeyed[at] = found
    assert obeyed == {}


def _taken(path: Path) -> Plan | str:
    """Give the plan that a file is taken for, or the code with which it is refused."""
    try:
        return load_plan(path)
    except PlanDamaged as refused:
        return refused.code


def test_s28_an_edit_with_a_digest_made_to_fit_is_still_no_other_version(tmp_path: Path) -> None:
    path = tmp_path / "saved.plan"
    save_plan(path, b.a_plan(b.an_action()))
    document = json.loads(path.read_text())
    document["plan"]["format"] = "reconciler-plan/2"
    document["digest"] = hashlib.sha256(json.dumps(document["plan"]).encode()).hexdigest()
    path.write_text(json.dumps(document))
    with pytest.raises(PlanDamaged) as refused:
        load_plan(path)
    assert refused.value.code == "E_PLAN_FORMAT"


def test_s28_a_pickle_is_not_even_opened_as_one(bare: Driver) -> None:
    bare.declare_fleet()
    mark = bare.folder / "ran"

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(mark),)

    (bare.folder / "evil.plan").write_bytes(pickle.dumps(Trap()))
    assert "E_PLAN_FORMAT" in bare.run("apply", "--yes", "./evil.plan").expect(1).stderr
    assert not mark.exists()
    source = "".join(path.read_text() for path in sorted((CHECKOUT / "reconciler").rglob("*.py")))
    assert re.findall(r"\b(?:import|from) (?:pickle|marshal|shelve|dill)\b", source) == []


@pytest.mark.lab
def test_s28_a_saved_plan_is_no_permission(fleet: Driver, alpha: LabHost) -> None:
    """Save a plan while a host holds what it read, and apply it when it does not, and when a guard forbids it."""
    web_sandbox(fleet, "web", "alpha")
    settle(fleet)
    web_sandbox(fleet, "web", "alpha", container={"image": "lab/web:2"})
    fleet.run("plan", "--out", "web.plan").expect(0)
    (full_id,) = fleet.containers(alpha).values()
    alpha.docker("stop", "-t", "1", full_id)
    before = run_of(fleet, alpha)
    assert "E_PLAN_STALE" in fleet.run("apply", "./web.plan").expect(4).stderr
    assert run_of(fleet, alpha) == before


# S30.


@pytest.mark.lab
def test_s30_a_pass_is_written_down_with_who_what_and_what_was_overridden(fleet: Driver, alpha: LabHost) -> None:
    for number in range(4):
        web_sandbox(fleet, f"web-{number}", "alpha")
    settle(fleet)
    made = set(fleet.containers(alpha).values())
    kept = {path.name for path in (fleet.status / "passes").iterdir()}
    for number in range(3):
        fleet.drop("Sandbox", f"web-{number}")
    fleet.run("apply", "--yes", "--allow-destroy", "3").expect(0)
    gone = made - set(fleet.containers(alpha).values())
    assert len(gone) == 3

    (name,) = {path.name for path in (fleet.status / "passes").iterdir()} - kept
    folder = fleet.status / "passes" / name
    plan, ended = (json.loads((folder / file).read_text()) for file in ("plan.json", "outcomes.json"))
    assert plan["removals_allowed"] == 3
    assert plan["revision"] == "none"
    assert re.fullmatch(r"[0-9a-f]{64}", plan["specs"].removeprefix("sha256:"))
    assert re.fullmatch(r"\S+@\S+ pid \d+", ended["by"])
    assert [action["end"] for action in ended["actions"]] == ["done"] * 3

    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    steps = {step["id"]: step["do"] for action in plan["actions"] for step in action["steps"]}
    removed = {
        steps[event["step"]]["effect"]["target"]["full_id"]
        for event in events
        if event["moment"] == "after" and steps[event["step"]].get("effect", {}).get("type") == "remove_container"
    }
    assert removed == gone, "the exact ids"
    for moment in ("before", "after"):
        assert [event["step"] for event in events if event["moment"] == moment]
    assert {event["outcome"] for event in events if event["moment"] == "after"} == {"done"}


# S31.

LOCK = CHECKOUT / "requirements-ci.txt"


def test_s31_every_package_is_locked_to_its_hashes() -> None:
    entries = re.split(r"\n(?=[a-z0-9])", "\n".join(LOCK.read_text().splitlines()[2:]), flags=re.IGNORECASE)
    assert len(entries) > 20
    loose = [entry[:60] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry]
    assert loose == []
    assert "--require-hashes -r requirements-ci.txt" in (CHECKOUT / "Makefile").read_text()


def test_s31_a_package_that_is_not_the_locked_one_is_not_installed(tmp_path: Path) -> None:
    """Offer the installer another file under the name and version that are locked."""
    found = re.search(r"^idna==(\S+) \\\n((?:    --hash=\S+(?: \\)?\n)+)", LOCK.read_text(), re.MULTILINE)
    assert found is not None
    version = found[1]
    with zipfile.ZipFile(tmp_path / f"idna-{version}-py3-none-any.whl", "w") as wheel:
        info = f"idna-{version}.dist-info"
        wheel.writestr("idna/__init__.py", "")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: idna\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    (tmp_path / "lock.txt").write_text(found[0])
    words = ["install", "--no-index", "--find-links", str(tmp_path), "--no-deps", "--target", str(tmp_path / "site")]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *words, "--require-hashes", "-r", str(tmp_path / "lock.txt")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PATH": os.defpath, "HOME": str(tmp_path), "PIP_CONFIG_FILE": os.devnull},
    )
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert not (tmp_path / "site").exists()
