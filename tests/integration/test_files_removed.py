"""The script that removes files, run for real: it takes what is meant, and never leaves its folder."""

from __future__ import annotations

import os
import subprocess
import threading

import pytest

from reconciler.model.effect import Done, DropPath, Legacy, NotDone
from tests.integration.rig import MARKER, Rig


async def test_a_folder_is_removed_with_all_that_is_in_it_and_nothing_else(rig: Rig) -> None:
    await rig.mark()
    folder = rig.base / MARKER.uid
    (folder / "deep/er").mkdir(parents=True)
    (folder / "deep/er/-rf").write_text("x")
    (folder / "deep/link").symlink_to(rig.decoy)
    assert await rig.drop(folder) == Done()
    assert not folder.exists()
    assert await rig.drop(folder, "1:2") == Done(changed=False)
    assert rig.decoy_state() == rig.before
    assert rig.trash() == []


async def test_a_file_is_removed_by_its_path_alone_and_a_folder_is_not(rig: Rig) -> None:
    await rig.mark()
    folder = rig.base / MARKER.uid
    await rig.put(folder / "-rf *", "x")
    assert await rig.drop(folder / "-rf *", None) == Done()
    assert await rig.drop(folder / "-rf *", None) == Done(changed=False)
    outcome = await rig.drop(folder, None)
    assert isinstance(outcome, NotDone)
    assert outcome.code == "E_PATH_KIND"
    assert (folder / ".reconciler.json").exists()


async def test_nothing_is_removed_across_a_mount(rig: Rig) -> None:
    await rig.mark()
    inside = rig.base / MARKER.uid / "data set"
    inside.mkdir()
    subprocess.run(["mount", "--bind", rig.decoy, inside], check=True)
    try:
        for path in (rig.base / MARKER.uid, inside, inside / "deep"):
            outcome = await rig.drop(path)
            assert isinstance(outcome, NotDone)
            assert outcome.code == "E_PATH_MOUNT"
        assert rig.decoy_state() == rig.before
    finally:
        subprocess.run(["umount", inside], check=True)


async def test_a_link_that_appears_at_the_last_moment_never_leads_out(rig: Rig) -> None:
    """Swap the folder for a link to the decoy all the time while it is being removed."""
    await rig.mark()
    victim, link, real = rig.base / "0badcafe", rig.base / "a-link", rig.base / "a-folder"
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for step in (real, link):
                try:
                    if victim.is_symlink():
                        os.unlink(victim)
                        os.rename(real, victim)
                    else:
                        real.mkdir(exist_ok=True) if step is link and not victim.exists() else None
                        os.rename(victim, real)
                        os.symlink(rig.decoy, victim)
                except OSError:
                    continue

    for _ in range(40):
        for path in (victim, real):
            if not path.exists() and not path.is_symlink():
                path.mkdir()
                (path / "file").write_text("x")
        thread = threading.Thread(target=swap)
        thread.start()
        try:
            await rig.drop(victim)
        except FileNotFoundError:
            pass
        finally:
            stop.set()
            thread.join()
            stop.clear()
        assert rig.decoy_state() == rig.before
        assert (rig.decoy / "deep/precious").read_text() == "precious"


@pytest.mark.parametrize("name", [".trash-mine", ".trash-abc123", ".reconciler-trash-abc123"])
async def test_in_a_legacy_root_nothing_goes_that_was_not_named(rig: Rig, name: str) -> None:
    root = rig.folder / "legacy"
    for one in (name, "left"):
        (root / one).mkdir(parents=True)
        os.utime(root / one, (0, 0))
    inode = f"{(root / 'left').lstat().st_dev}:{(root / 'left').lstat().st_ino}"
    order = DropPath(str(root / "left"), str(root), inode, legacy=Legacy(older_than_s=0))
    assert await rig.files.drop_path(order) == Done()
    assert os.listdir(root) == [name]


@pytest.mark.parametrize(("name", "goes"), [(".trash-mine", False), (".reconciler-trash-abc123", True)])
async def test_where_others_have_things_only_our_own_leftovers_are_swept(rig: Rig, name: str, *, goes: bool) -> None:
    await rig.mark()
    root = rig.folder / "storage"
    for one in (name, "left"):
        (root / one).mkdir(parents=True)
        os.utime(root / one, (0, 0))
    assert await rig.drop(root / "left", root=root) == Done()
    assert os.listdir(root) == ([] if goes else [name])
