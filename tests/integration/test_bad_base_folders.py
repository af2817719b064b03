"""Bad input 37: a base folder that is not ours alone is refused in words, and nothing is made over it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from reconciler.errors import ReadFailed
from reconciler.host.files.change import HostFiles
from reconciler.model.effect import Done, NotDone
from tests.integration.rig import MARKER, Rig


class Case(NamedTuple):
    what: str
    spoil: Callable[[Path], None]
    says: str
    seen: bool = True


def _give_away(base: Path) -> None:
    os.chown(base, 12345, 12345)


def _link(base: Path) -> None:
    base.rename(base.with_name("real"))
    base.symlink_to(base.with_name("real"))


def _link_above(base: Path) -> None:
    above = base.parent
    above.rename(above.with_name("real"))
    above.symlink_to(above.with_name("real"))


CASES = [
    Case("another-users", _give_away, "belongs to another user"),
    Case("a-link", _link, "symbolic link"),
    Case("below-a-link", _link_above, "symbolic link"),
    Case("mode-0777", lambda base: base.chmod(0o777), "can be written by others", seen=False),
    Case("mode-0770", lambda base: base.chmod(0o770), "can be written by others", seen=False),
    Case("in-a-folder-for-all", lambda base: base.parent.chmod(0o1777), "can be written by everybody", seen=False),
]


def _stands(folder: Path) -> list[tuple[str, int, int]]:
    return sorted((str(path), path.lstat().st_mode, path.lstat().st_uid) for path in folder.rglob("*"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"37-{case.what}")
async def test_a_base_folder_that_is_not_ours_alone_is_refused(case: Case, rig: Rig) -> None:
    await rig.make(rig.base / "x")
    case.spoil(rig.base)
    before = _stands(rig.folder / "home")
    for outcome in (await rig.mark(), await rig.make(rig.base / "y"), await rig.put(rig.base / "z", "text")):
        assert isinstance(outcome, NotDone)
        assert (outcome.code, bool(outcome.hint)) in {("E_BASE_DIR", True), ("E_PATH_LINK", True)}
        assert case.says in outcome.message
    if case.seen:
        with pytest.raises(ReadFailed, match=case.says) as refused:
            await rig.look()
        assert refused.value.code == "E_BASE_DIR"
        assert refused.value.hint
    assert _stands(rig.folder / "home") == before


async def test_37_a_link_to_nowhere_is_not_made_into_a_folder(rig: Rig) -> None:
    rig.base.parent.mkdir(parents=True)
    rig.base.symlink_to(rig.base.with_name("nowhere"))
    assert isinstance(await rig.mark(), NotDone)
    assert not rig.base.with_name("nowhere").exists()


async def test_a_base_folder_may_have_a_blank_in_its_name(rig: Rig) -> None:
    spaced = Rig(rig.folder / "second", rig.shell)
    spaced.base = spaced.folder / "our things" / "lab"
    spaced.files = HostFiles(rig.shell, base_dir=str(spaced.base), is_held=lambda: True)
    assert await spaced.mark() == Done()
    (found,) = (await spaced.look()).markers
    assert (found.marker, found.fault) == (MARKER, None)
