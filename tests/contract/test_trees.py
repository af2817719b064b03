"""Trees: staged beside their place and proved there, then placed; never half, never another one."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.disk.tree import read_tree
from reconciler.model.effect import PlaceTree, PutFile, StageTree
from tests.contract.bench import look
from tests.contract.case import Case


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Make a small tree: a program, a file with an odd name, a link, and what is left out."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/run").write_text("#!/bin/sh\n")
    (tmp_path / "bin/run").chmod(0o755)
    (tmp_path / "-n $(x) 'y'.txt").write_text("odd\n")
    (tmp_path / "latest").symlink_to("bin/run")
    (tmp_path / ".gitignore").write_text("*.log\n")
    (tmp_path / "noise.log").write_text("noise\n")
    return tmp_path


def stage(case: Case, tree: Path) -> StageTree:
    content = read_tree(tree, ()).content
    return StageTree(
        path=f"{case.folder}/source", root=case.bench.base_dir, folder=str(tree), exclude=(), content=content
    )


def place(case: Case, tree: Path) -> PlaceTree:
    return PlaceTree(path=f"{case.folder}/source", root=case.bench.base_dir, content=read_tree(tree, ()).content)


async def kind(case: Case) -> str:
    path = f"{case.folder}/source"
    return (await look(case.host, paths=(path,))).paths[path].kind


async def test_a_tree_is_staged_and_then_placed(case: Case, tree: Path) -> None:
    await case.mark()
    await case.done(stage(case, tree))
    assert await kind(case) == "absent"
    await case.done(place(case, tree))
    assert await kind(case) == "directory"


async def test_a_placed_tree_stays_the_same_folder(case: Case, tree: Path) -> None:
    await case.mark()
    await case.done(stage(case, tree))
    await case.done(place(case, tree))
    path = f"{case.folder}/source"
    before = (await look(case.host, paths=(path,))).paths[path].inode
    (tree / "new").write_text("more\n")
    await case.done(stage(case, tree))
    await case.done(place(case, tree))
    assert (await look(case.host, paths=(path,))).paths[path].inode == before


async def test_what_was_written_beside_a_tree_outlives_it(case: Case, tree: Path) -> None:
    await case.mark()
    await case.done(stage(case, tree))
    await case.done(place(case, tree))
    left = f"{case.folder}/source/left"
    await case.done(PutFile(path=left, mode="0600", content="by a container", root=case.bench.base_dir))
    (tree / "new").write_text("more\n")
    await case.done(stage(case, tree))
    await case.done(place(case, tree))
    await case.done(replace(place(case, tree), content=""))
    assert (await look(case.host, paths=(left,))).paths[left].kind == "file"


async def test_placing_twice_is_placing_once(case: Case, tree: Path) -> None:
    await case.mark()
    await case.done(stage(case, tree))
    await case.done(place(case, tree))
    await case.done(place(case, tree), changed=False)


async def test_another_tree_than_the_staged_one_is_not_placed(case: Case, tree: Path) -> None:
    await case.mark()
    await case.done(stage(case, tree))
    wrong = replace(place(case, tree), content="tree1:" + "0" * 64)
    assert (await case.refused(wrong)).code == "E_TREE_CHANGED"
    assert await kind(case) == "absent"


async def test_nothing_is_placed_that_was_not_staged(case: Case, tree: Path) -> None:
    await case.mark()
    assert (await case.refused(place(case, tree))).code == "E_TREE_MISSING"


async def test_a_tree_needs_its_sandbox_folder(case: Case, tree: Path) -> None:
    assert (await case.refused(stage(case, tree))).code == "E_PATH_MISSING"


async def test_without_a_content_the_tree_goes(case: Case, tree: Path) -> None:
    await case.mark()
    await case.done(stage(case, tree))
    await case.done(place(case, tree))
    gone = replace(place(case, tree), content="")
    await case.done(gone)
    assert await kind(case) == "absent"
    await case.done(gone, changed=False)
