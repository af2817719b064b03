"""F-37: a base folder or legacy root that is gone, another one, a link or another user's when something is removed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.model.effect import Legacy, NotDone, Outcome
from reconciler.model.legacy import parse_legacy
from tests.e2e.driver import Driver
from tests.e2e.sights import settle_kept_and_orphan_lost
from tests.integration.rig import Rig
from tests.lab.host import LabHost
from tests.parity.between import reap_between
from tests.parity.traps import Ground, remove, see_path


@pytest.fixture
def ground(fleet: Driver, alpha: LabHost, beta: LabHost) -> Iterator[Ground]:
    """Give a fleet with an orphan on alpha, and a legacy root with a find in it."""
    fleet.drop("Host", "beta")
    root = alpha.home / f"old-{fleet.fleet}"
    limits = {"removalsPerPlan": "100%", "removalsPerDay": "100%"}
    fleet.declare_fleet(limits=limits, reap={"legacyRoots": [str(root)]})
    settle_kept_and_orphan_lost(fleet)
    found = Ground(fleet=fleet, alpha=alpha, beta=beta, root=root)
    root.mkdir()
    found.folder(root / "x")
    found.give(root)
    yield found
    base = Path(fleet.base_dir(alpha))
    for path in (root, base, root.with_name("away"), base.with_name("away")):
        if path.is_symlink():
            path.unlink()
        remove(path)


def by_link(path: Path) -> None:
    path.rename(path.with_name("away"))
    path.symlink_to(path.with_name("away"))


def by_other(path: Path) -> None:
    at = path.stat()
    path.rename(path.with_name("away"))
    path.mkdir(mode=0o700)
    os.chown(path, at.st_uid, at.st_gid)


def by_owner(path: Path) -> None:
    path.rename(path.with_name("away"))
    path.mkdir(mode=0o755)


@pytest.mark.lab
@pytest.mark.parametrize("change", [by_link, by_other, by_owner])
def test_f37_a_base_folder_exchanged_between_look_and_removal_loses_nothing(
    ground: Ground, change: Callable[[Path], None]
) -> None:
    fleet, base = ground.fleet, Path(ground.fleet.base_dir(ground.alpha))
    folder = ground.folder_of("lost")
    assert folder is not None
    before = see_path(folder)
    asyncio.run(reap_between(fleet, lambda _: None))  # stops and marks it
    moved: list[Path] = []

    def happens(_: str) -> None:
        if not moved:
            change(base)
            moved.append(base.with_name("away") / folder.name)

    passed = asyncio.run(reap_between(fleet, happens))
    assert passed.ended is not None
    assert moved
    assert see_path(moved[0]) == before, "nothing was removed"
    assert [item.end for item in passed.ended.actions] != ["done"] or change is by_other


@pytest.mark.lab
def test_f37_a_base_folder_that_is_a_link_or_gone_is_reaped_from_by_nobody(ground: Ground) -> None:
    fleet, base = ground.fleet, Path(ground.fleet.base_dir(ground.alpha))
    before = ground.sights({"lost": ground.sandbox("lost"), "kept": ground.sandbox("kept")})
    by_link(base)
    told = fleet.run("reap-stale", "--apply", "--yes", "--older-than", "0", "--grace", "0").expect(3)
    assert "symbolic link" in told.stdout + told.stderr
    base.unlink()
    told = fleet.run("reap-stale", "--apply", "--yes", "--older-than", "0", "--grace", "0").expect(3)
    assert "HostIdentity" in told.stdout
    base.with_name("away").rename(base)
    assert ground.sights({"lost": ground.sandbox("lost"), "kept": ground.sandbox("kept")}) == before


@pytest.mark.lab
@pytest.mark.parametrize("change", [by_link, by_other, by_owner])
def test_f37_a_legacy_root_exchanged_between_look_and_removal_loses_nothing(
    ground: Ground, change: Callable[[Path], None]
) -> None:
    root = ground.root
    before = see_path(root / "x")
    named = parse_legacy(f"alpha:folder/{root}/x")
    assert named is not None

    def happens(what: str) -> None:
        if what.startswith("folder/") and not root.with_name("away").exists():
            change(root)

    asyncio.run(reap_between(ground.fleet, happens, named=(named,)))
    assert see_path(root.with_name("away") / "x") == before


def refused(outcome: Outcome) -> str:
    assert isinstance(outcome, NotDone), outcome
    return outcome.code


async def test_f37_the_script_refuses_a_root_that_is_not_as_expected(rig: Rig) -> None:
    await rig.mark()
    folder = next(path for path in rig.base.iterdir() if not path.name.startswith("."))
    away = rig.base.with_name("away")
    inode = f"{folder.stat().st_dev}:{folder.stat().st_ino}"
    rig.base.rename(away)
    rig.base.symlink_to(away)
    assert refused(await rig.drop(folder, inode)) == "E_BASE_DIR"
    rig.base.unlink()
    rig.base.write_text("a file")
    assert refused(await rig.drop(folder, inode)) == "E_BASE_DIR"
    rig.base.unlink()
    away.rename(rig.base)
    os.chown(rig.base, 65534, 65534)
    assert refused(await rig.drop(folder, inode)) == "E_BASE_DIR"
    os.chown(rig.base, 0, 0)
    assert (folder / ".reconciler.json").exists()
    assert Legacy(older_than_s=0).aside == ""
