"""S11, S15, S16, S17 and S32: nothing is touched that is not provably ours, nor through a way that is not ours."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.model.effect import NotDone
from tests.e2e.driver import Driver
from tests.e2e.sights import expect_settled, inspect, name_of, planned_verbs, run_of, settle, web_sandbox
from tests.e2e.warm import Warm
from tests.integration.rig import MARKER, Rig
from tests.lab.host import LabHost
from tests.unit.load.bad_specs import FLEET, codes, host, problems, sandbox

# S11.


@pytest.mark.lab
def test_s11_nothing_is_taken_for_ours_by_what_anybody_could_write(fleet: Driver, alpha: LabHost) -> None:
    """Set up every thing that looks like ours: copied labels, an image that brings them, another fleet's, a name."""
    web_sandbox(fleet, "web", "alpha")
    settle(fleet)
    labels = inspect(alpha, name_of(fleet, "web"))["Config"]["Labels"]
    copied = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
    other = [word.replace(f"fleet={fleet.fleet}", f"fleet={fleet.fleet}x") for word in copied]
    image = f"{fleet.fleet}:committed"
    strangers: list[str] = []
    try:
        alpha.docker("commit", name_of(fleet, "web"), image)
        looks = (
            [*copied, "lab/web:1"],
            [*other, "--name", f"sbx-{fleet.fleet}x.web.main", "lab/web:1"],
            ["--name", f"sbx-{fleet.fleet}.gone.main", image],
            ["--name", f"sbx-{fleet.fleet}.else.main", "lab/web:1"],
        )
        strangers += [alpha.docker("run", "-d", *words).strip() for words in looks]
        started = {one: inspect(alpha, one)["State"]["StartedAt"] for one in strangers}
        fleet.declare_fleet(
            limits={"removalsPerPlan": "100%"}, reap={"mode": "apply", "olderThan": "1s", "grace": "1s"}
        )
        fleet.run("apply", "--yes").expect(0, 3)
        fleet.run("destroy", "--all", "--yes").expect(0, 3, 5)
        assert {one: inspect(alpha, one)["State"]["StartedAt"] for one in strangers} == started
        assert all(inspect(alpha, one)["State"]["Running"] for one in strangers)
    finally:
        for one in strangers:
            alpha.docker("rm", "-f", one)
        alpha.docker("rmi", "-f", image)


# S15.


@pytest.mark.lab
def test_s15_an_image_that_brings_labels_of_ours_is_not_run(fleet: Driver, alpha: LabHost) -> None:
    image = f"{fleet.fleet}:labelled"
    made = alpha.docker("create", "lab/web:1").strip()
    try:
        alpha.docker("commit", "--change", "LABEL dev.reconciler.uid=0123abcd", made, image)
        web_sandbox(fleet, "web", "alpha", container={"image": image})
        assert "E_IMAGE_LABELS" in fleet.run("apply", "--yes", "--json").expect(1).stdout
        assert fleet.containers(alpha) == {}
    finally:
        alpha.docker("rm", "-f", made)
        alpha.docker("rmi", "-f", image)


@pytest.mark.parametrize(
    ("image", "allowed"),
    [
        ("registry.example/web:1", True),
        ("registry.example/web@sha256:" + "0" * 64, True),
        ("docker.io/web:1", False),
        ("web:1", False),
        ("registry.example.evil/web:1", False),
        ("evil/registry.example/web:1", False),
    ],
)
def test_s15_images_come_from_where_the_policy_says(image: str, *, allowed: bool, tmp_path: Path) -> None:
    fleet = f'{FLEET}spec: {{policy: {{images: ["registry.example/*"]}}}}\n'
    found = problems(tmp_path, fleet=fleet, h=host(), s=sandbox(container=f'image: "{image}"'))
    assert codes(found) == (set() if allowed else {"E_POLICY_IMAGE"})


def test_s15_a_policy_can_want_digests(tmp_path: Path) -> None:
    fleet = f'{FLEET}spec: {{policy: {{images: ["*@sha256:*"]}}}}\n'
    for image, wrong in (("web:latest", {"E_POLICY_IMAGE"}), ("web@sha256:" + "0" * 64, set())):
        assert codes(problems(tmp_path, fleet=fleet, h=host(), s=sandbox(container=f"image: {image}"))) == wrong


# S16: the cases of a folder that is not ours alone are bad input 37, in tests/integration/test_bad_base_folders.py.


@pytest.mark.parametrize(
    "base",
    ["/", "/etc", "/var/lib/docker/x", "relative", "/srv/../etc", "/home", "/tmp/sandboxer", "/srv"],  # refused
)
def test_s16_a_base_folder_that_no_host_should_have_is_refused_by_its_name(base: str, tmp_path: Path) -> None:
    assert codes(problems(tmp_path, h=host(rest=f'  baseDir: "{base}"\n'))) == {"E_BASE_DIR"}


async def test_s16_a_base_folder_in_a_folder_for_all_is_refused_and_stays_as_it_is(rig: Rig) -> None:
    await rig.mark()
    rig.base.parent.chmod(0o1777)
    before = sorted((path.name, path.lstat().st_mode) for path in rig.base.rglob("*"))
    outcome = await rig.mark(generation=2)
    assert isinstance(outcome, NotDone)
    assert outcome.code == "E_BASE_DIR"
    assert sorted((path.name, path.lstat().st_mode) for path in rig.base.rglob("*")) == before


@pytest.fixture
def other(fleet: Driver, alpha: LabHost, warm: Warm, tmp_path: Path) -> Iterator[Driver]:
    """Give another fleet with the same host; it is cleared afterwards."""
    driver = Driver(tmp_path / "other", fleet=f"{fleet.fleet}x", warm=warm)
    driver.declare_fleet()
    driver.declare_host(alpha)
    yield driver
    driver.clear(alpha)


def markers_in(folder: str) -> dict[str, str]:
    """Give every file below a base folder on a lab host, but what its scripts make anew."""
    found = [path for path in Path(folder).rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(folder)): path.read_text() for path in found}


@pytest.mark.lab
def test_s16_two_fleets_that_were_given_one_base_folder_leave_each_other_alone(
    fleet: Driver, other: Driver, alpha: LabHost
) -> None:
    fleet.drop("Host", "beta")
    web_sandbox(fleet, "web", "alpha", files={"note": {"path": "note", "content": "mine"}})
    settle(fleet)
    before, kept = run_of(fleet, alpha), markers_in(fleet.base_dir(alpha))
    other.declare_fleet(limits={"removalsPerPlan": "100%"}, reap={"mode": "apply", "olderThan": "1s", "grace": "1s"})
    other.declare_host(alpha, baseDir=fleet.base_dir(alpha))
    web_sandbox(other, "web", "alpha", files={"note": {"path": "note", "content": "theirs"}})
    other.run("apply", "--yes").expect(0, 1, 3)
    other.run("destroy", "--all", "--yes").expect(0, 1, 3, 5)
    assert run_of(fleet, alpha) == before
    after = markers_in(fleet.base_dir(alpha))
    assert {name: after.get(name) for name in kept} == kept
    expect_settled(fleet)


# S17.


async def test_s17_a_folder_that_is_exchanged_for_a_link_while_it_is_removed_never_leads_out(rig: Rig) -> None:
    """Swap the folder for a link to a decoy all the time, and remove it forty times over."""
    await rig.mark()
    victim, real = rig.base / "0badcafe", rig.base / "a-folder"
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            try:
                if victim.is_symlink():
                    victim.unlink()
                    real.rename(victim)
                else:
                    victim.rename(real)
                    victim.symlink_to(rig.decoy)
            except OSError:
                continue

    for _ in range(40):
        for path in (victim, real):
            if not path.exists() and not path.is_symlink():
                path.mkdir()
                (path / "file").write_text("x")
        found = os.lstat(victim)
        stop.clear()
        thread = threading.Thread(target=swap)
        thread.start()
        try:
            await rig.drop(victim, f"{found.st_dev}:{found.st_ino}")
        finally:
            stop.set()
            thread.join()
        assert rig.decoy_state() == rig.before
    assert (rig.decoy / "deep/precious").read_text() == "precious"
    assert (rig.base / MARKER.uid / ".reconciler.json").exists()


# S32.


@pytest.mark.lab
def test_s32_two_fleets_on_one_host_neither_see_nor_reap_nor_wait_for_each_other(
    fleet: Driver, other: Driver, alpha: LabHost
) -> None:
    fleet.drop("Host", "beta")
    reaping = {"reap": {"mode": "apply", "olderThan": "1s", "grace": "1s"}, "limits": {"removalsPerPlan": "100%"}}
    for driver in (fleet, other):
        driver.declare_fleet(**reaping)
        web_sandbox(driver, "web", "alpha")
        settle(driver)
    before = run_of(other, alpha)
    assert fleet.base_dir(alpha) != other.base_dir(alpha)
    assert planned_verbs(fleet) == {}
    said = fleet.run("plan", "-o", "json").expect(0).json
    assert (said["owned"], other.fleet in json.dumps(said["actions"])) == (1, False)
    fleet.drop("Sandbox", "web")
    web_sandbox(fleet, "web-2", "alpha")
    with_theirs_held = other.start("apply", "--yes")
    fleet.run("apply", "--yes").expect(0)
    with_theirs_held.wait().expect(0)
    fleet.run("destroy", "--all", "--yes").expect(0)
    assert fleet.containers(alpha) == {}
    assert run_of(other, alpha) == before
    expect_settled(other)


@pytest.mark.lab
def test_s32_another_fleets_container_is_not_even_adopted(fleet: Driver, other: Driver, alpha: LabHost) -> None:
    web_sandbox(other, "web", "alpha")
    settle(other)
    before = run_of(other, alpha)
    (full_id,) = other.containers(alpha).values()
    web_sandbox(fleet, "web", "alpha")
    ran = fleet.run("adopt", full_id, "--yes").expect(1, 3, 5, 64)
    assert ran.stderr
    assert run_of(other, alpha) == before
