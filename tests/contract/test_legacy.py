"""What nothing proves to be ours: put aside or removed as it was seen, and refused where it is another's or in use."""

from __future__ import annotations

import pytest

from reconciler.model.effect import DropPath, Existing, Legacy, RemoveContainer, RenameContainer, StopContainer
from tests.contract.bench import look
from tests.contract.case import Case

PROJECT = {"com.docker.compose.project": "e2e-12"}


async def find(case: Case, name: str = "left") -> tuple[str, str]:
    """Put a folder of nobody into the base folder, and give its path and inode."""
    await case.mark()
    path = f"{case.bench.base_dir}/{name}"
    case.bench.make_directory(path)
    return path, (await look(case.host, paths=(path,))).paths[path].inode


async def test_a_folder_is_put_aside_and_then_removed(case: Case) -> None:
    path, inode = await find(case)
    root, put = case.bench.base_dir, f"{path}.tomb-5"
    await case.done(DropPath(path, root, inode, legacy=Legacy(older_than_s=0, aside="left.tomb-5")))
    seen = (await look(case.host, paths=(path, put))).paths
    assert (seen[path].kind, seen[put].kind, seen[put].inode) == ("absent", "directory", inode)
    await case.done(DropPath(put, root, inode, legacy=Legacy(older_than_s=0)))
    assert (await look(case.host, paths=(put,))).paths[put].kind == "absent"


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (Legacy(older_than_s=0, aside="other.tomb-5"), "E_PATH_OUTSIDE"),
        (Legacy(older_than_s=0, aside="left"), "E_PATH_OUTSIDE"),
        (Legacy(older_than_s=86400), "E_PATH_YOUNG"),
    ],
)
async def test_a_folder_that_is_not_as_expected_stays(case: Case, order: Legacy, code: str) -> None:
    path, inode = await find(case)
    assert (await case.refused(DropPath(path, case.bench.base_dir, inode, legacy=order))).code == code
    assert (await look(case.host, paths=(path,))).paths[path].inode == inode


async def test_a_sandboxs_folder_without_its_marker_stays(case: Case) -> None:
    await case.mark()
    inode = (await look(case.host, paths=(case.folder,))).paths[case.folder].inode
    order = DropPath(case.folder, case.bench.base_dir, inode, "0123abcd")
    assert (await case.refused(order)).code == "E_PATH_CHANGED"
    await case.done(DropPath(case.folder, case.bench.base_dir, inode, case.uid))


async def test_a_container_of_a_named_project_is_renamed_and_removed_only_at_rest(case: Case) -> None:
    full_id = case.bench.run(f"old-{case.uid}", labels=PROJECT)
    target = Existing(full_id, f"old-{case.uid}", "", "e2e-12")
    for order in (RenameContainer(target, f"{target.name}.tomb-5"), RemoveContainer(target), StopContainer(target, 1)):
        assert (await case.refused(order)).code == "E_TARGET_CHANGED"
    case.bench.stop(full_id)
    other = Existing(full_id, target.name, "", "e2e-13")
    assert (await case.refused(RemoveContainer(other))).code == "E_TARGET_CHANGED"
    await case.done(RenameContainer(target, f"{target.name}.tomb-5"))
    await case.done(RemoveContainer(Existing(full_id, f"{target.name}.tomb-5", "", "e2e-12")))
    assert await case.host.find(full_id) is None


async def test_a_container_of_a_fleets_is_not_taken_by_naming_a_project(case: Case) -> None:
    full_id = case.bench.run(f"old-{case.uid}", labels={**PROJECT, **case.labels()})
    case.bench.stop(full_id)
    order = RemoveContainer(Existing(full_id, f"old-{case.uid}", "", "e2e-12"))
    assert (await case.refused(order)).code == "E_TARGET_CHANGED"
    case.bench.remove(full_id)
