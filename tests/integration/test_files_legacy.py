"""Folders without proof: what the script refuses at the last moment, put aside or removed, with the tools of hosts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.host.files.look import look_at_files
from reconciler.model.effect import Done, DropPath, Legacy, NotDone, Outcome
from tests.integration.rig import MARKER, Rig

DAY_S = 24 * 3600


@pytest.fixture
def root(rig: Rig) -> Path:
    """Give a legacy root with an old folder `x` in it, which holds a link to the decoy."""
    root = rig.folder / "old"
    (root / "x/deep").mkdir(parents=True)
    (root / "x/deep/file").write_text("file")
    (root / "x/out").symlink_to(rig.decoy)
    age(root / "x")
    return root


def age(path: Path, days: int = 2) -> None:
    for one in (*path.rglob("*"), path):
        then = one.lstat().st_mtime - days * DAY_S
        os.utime(one, (then, then), follow_symlinks=False)


async def drop(rig: Rig, path: Path, *, aside: str = "", older_than_s: int = DAY_S) -> Outcome:
    found = path.lstat()
    order = Legacy(older_than_s=older_than_s, aside=aside)
    return await rig.files.drop_path(
        DropPath(str(path), str(path.parent), f"{found.st_dev}:{found.st_ino}", legacy=order)
    )


def refused(outcome: Outcome) -> str:
    assert isinstance(outcome, NotDone), outcome
    return outcome.code


async def test_an_old_folder_at_rest_is_removed_and_what_it_led_to_stays(rig: Rig, root: Path) -> None:
    assert await drop(rig, root / "x") == Done()
    assert list(root.iterdir()) == []
    assert rig.decoy_state() == rig.before


async def test_a_folder_is_put_aside_whole_and_can_be_had_back(rig: Rig, root: Path) -> None:
    inode = (root / "x").stat().st_ino
    assert await drop(rig, root / "x", aside="x.tomb-12") == Done()
    assert [one.name for one in root.iterdir()] == ["x.tomb-12"]
    assert (root / "x.tomb-12").stat().st_ino == inode
    assert (root / "x.tomb-12/deep/file").read_text() == "file"
    assert await drop(rig, root / "x.tomb-12") == Done()
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("name", ["y", "x.tomb-", "x.tomb-1a", "../x.tomb-1", "y.tomb-1"])
async def test_it_is_put_aside_under_no_other_name(rig: Rig, root: Path, name: str) -> None:
    assert refused(await drop(rig, root / "x", aside=name)) == "E_PATH_OUTSIDE"
    assert (root / "x/deep/file").exists()


async def test_it_is_not_put_over_what_is_there(rig: Rig, root: Path) -> None:
    (root / "x.tomb-1").mkdir()
    assert refused(await drop(rig, root / "x", aside="x.tomb-1")) == "E_PATH_CHANGED"
    assert (root / "x/deep/file").exists()


async def test_what_was_written_in_of_late_is_kept(rig: Rig, root: Path) -> None:
    (root / "x/deep/file").write_text("of today")
    assert refused(await drop(rig, root / "x")) == "E_PATH_YOUNG"
    assert await drop(rig, root / "x", older_than_s=0) == Done()


async def test_what_a_process_stands_in_or_has_open_is_kept(rig: Rig, root: Path) -> None:
    for words in (
        ["sh", "-c", f"cd '{root}/x/deep' && exec sleep 600"],
        ["sh", "-c", f"exec sleep 600 8<'{root}/x/deep/file'"],
    ):
        with subprocess.Popen(words) as process:
            while os.readlink(f"/proc/{process.pid}/exe").rpartition("/")[2] in (
                "dash",
                "sh",
                Path(sys.executable).resolve().name,
            ):
                pass
            try:
                assert refused(await drop(rig, root / "x")) == "E_IN_USE"
                seen = await look_at_files(rig.shell, host="h1", base_dir=str(rig.base), roots=[str(root)])
                assert seen.roots[0].entries[0].used_by == (f"process {process.pid}",)
            finally:
                process.kill()
    assert await drop(rig, root / "x") == Done()


async def test_another_users_folder_or_root_is_refused(rig: Rig, root: Path) -> None:
    os.chown(root / "x", 12345, 12345)
    assert refused(await drop(rig, root / "x")) == "E_PATH_OWNER"
    os.chown(root / "x", 0, 0)
    os.chown(root, 12345, 12345)
    assert refused(await drop(rig, root / "x")) == "E_BASE_DIR"
    os.chown(root, 0, 0)
    root.rename(rig.folder / "elsewhere")
    root.symlink_to(rig.folder / "elsewhere")
    assert refused(await drop(rig, root / "x")) == "E_BASE_DIR"
    assert (rig.folder / "elsewhere/x/deep/file").exists()


async def test_a_sandboxs_folder_goes_only_with_the_marker_that_proves_it(rig: Rig) -> None:
    await rig.mark()
    folder = rig.base / MARKER.uid
    order = DropPath(str(folder), str(rig.base), f"{folder.stat().st_dev}:{folder.stat().st_ino}", MARKER.uid)
    marker = folder / ".reconciler.json"
    text = marker.read_text()
    for other in (text.replace(MARKER.uid, "0123abcd"), "{", ""):
        marker.write_text(other)
        assert refused(await rig.files.drop_path(order)) == "E_PATH_CHANGED"
    marker.unlink()
    assert refused(await rig.files.drop_path(order)) == "E_PATH_CHANGED"
    marker.write_text(text.replace('":', '" : '))
    assert await rig.files.drop_path(order) == Done()
    assert not folder.exists()
