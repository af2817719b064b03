"""The scripts that look at and change files, run for real, with Debian's tools and with busybox's."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import stat
import subprocess
from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace

from reconciler.errors import ReadFailed
from reconciler.host.files.change import HostFiles
from reconciler.host.files.look import decode_look
from reconciler.host.scripts import load_script
from reconciler.host.shell import Shell
from reconciler.model.effect import Done, NotDone, PutFile
from reconciler.model.observed import SeenMarker
from tests.integration.rig import MARKER, Rig


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


# Looking --------------------------------------------------------------------------------------------------------------


async def test_a_host_without_anything_of_ours_is_empty_and_says_who_we_are(rig: Rig) -> None:
    seen = await rig.look(rig.base / "none", rig.decoy)
    assert (seen.uid, seen.gid) == (os.getuid(), os.getgid())
    assert seen.host_id is None
    assert seen.markers == ()
    assert seen.paths[str(rig.base / "none")].kind == "absent"
    assert seen.paths[str(rig.decoy)].kind == "directory"
    assert seen.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert seen.clock_epoch_s > 1_700_000_000


async def test_home_is_filled_in_by_the_host(rig: Rig) -> None:
    seen = await rig.look(base="${host.home}/.reconciler/lab-that-is-not-there")
    assert seen.base_dir == f"{seen.home}/.reconciler/lab-that-is-not-there"
    assert seen.home == str(Path.home().resolve())


async def test_paths_are_reported_as_they_are(rig: Rig) -> None:
    odd = rig.folder / "odd 'name' $(id) \\ ü"
    odd.write_bytes(b"content\0\n")
    odd.chmod(0o4640)
    link = rig.folder / "link"
    link.symlink_to(odd)
    fifo = rig.folder / "fifo"
    os.mkfifo(fifo)
    seen = await rig.look(odd, link, fifo, odd / "below a file", hashed=(odd, link, fifo, rig.decoy))
    file = seen.paths[str(odd)]
    assert (file.kind, file.mode, file.size_bytes) == ("file", "4640", 9)
    assert file.sha256 == hashlib.sha256(b"content\0\n").hexdigest()
    assert file.inode == f"{odd.stat().st_dev}:{odd.stat().st_ino}"
    assert file.modified_epoch_s == int(odd.stat().st_mtime)
    kinds = {path.name: seen.paths[str(path)].kind for path in (link, fifo, odd / "below a file")}
    assert kinds == {"link": "symlink", "fifo": "other", "below a file": "absent"}
    assert seen.paths[str(link)].sha256 is None


async def test_markers_are_read_back_and_bad_ones_are_named(rig: Rig) -> None:
    assert await rig.mark() == Done()
    folders = {"0000000a": "not json", "0000000b": None, "0000000c": "x" * 70_000, "0000000d": '{"version": 9}'}
    for name, content in folders.items():
        (rig.base / name).mkdir()
        if content is not None:
            (rig.base / name / ".reconciler.json").write_text(content)
    (rig.base / "0000000e").symlink_to(rig.decoy)
    (rig.base / "0000000f").mkdir()
    (rig.base / "0000000f" / ".reconciler.json").symlink_to(rig.base / MARKER.uid / ".reconciler.json")
    (rig.base / "notauid").mkdir()
    seen = {one.folder: one for one in (await rig.look()).markers}
    assert sorted(seen) == sorted([MARKER.uid, *folders, "0000000e", "0000000f"])
    whole = seen[MARKER.uid]
    assert whole == SeenMarker(
        folder=MARKER.uid,
        marker=MARKER,
        owner_uid=os.getuid(),
        inode=f"{(rig.base / MARKER.uid).stat().st_dev}:{(rig.base / MARKER.uid).stat().st_ino}",
    )
    assert seen["0000000b"].fault is None
    assert seen["0000000b"].marker is None
    faults = {name: one.fault or "" for name, one in seen.items() if one.fault}
    assert "cannot be read" in faults["0000000a"]
    assert "70000 bytes" in faults["0000000c"]
    assert "0000000d" in faults
    assert "symlink" in faults["0000000e"]
    assert "symlink" in faults["0000000f"]


async def test_a_path_that_cannot_be_looked_at_is_told_by_name_and_the_others_as_they_are(rig: Rig) -> None:
    await rig.mark()
    loop, here, long = rig.folder / "loop", rig.folder / "it's [here]", rig.folder / ("x" * 300)
    loop.symlink_to(loop)
    here.write_text("x")
    gone, below = rig.folder / "gone", here / "below a file"
    seen = (await rig.look(loop / "x", gone, here, long, below, rig.decoy, hashed=(here, loop / "y"))).paths
    assert {Path(path).relative_to(rig.folder): one.kind for path, one in seen.items()} == {
        Path("loop/x"): "unreadable",
        Path("loop/y"): "unreadable",
        long.relative_to(rig.folder): "unreadable",
        Path("gone"): "absent",
        below.relative_to(rig.folder): "absent",
        here.relative_to(rig.folder): "file",
        Path("decoy"): "directory",
    }
    assert seen[str(here)].sha256
    assert len((await rig.look(gone, below, here)).paths) == 3


async def test_a_look_that_says_nothing_of_a_path_is_an_error(rig: Rig) -> None:
    words = f"base {rig.base}\npath {rig.decoy}\n".encode()
    whole = (await rig.shell.run(load_script("look"), stdin=words, deadline_s=10)).stdout
    with pytest.raises(ReadFailed, match="says nothing of /other"):
        decode_look(whole, host="h1", asked=(str(rig.decoy), "/other"))


async def test_a_base_folder_that_cannot_be_trusted_is_an_error_and_never_empty(rig: Rig) -> None:
    await rig.mark()
    moved = rig.base.with_name("moved")
    rig.base.rename(moved)
    rig.base.symlink_to(moved)
    with pytest.raises(ReadFailed, match="symbolic link") as refused:
        await rig.look()
    assert refused.value.code == "E_BASE_DIR"


async def test_a_host_id_that_is_damaged_is_an_error(rig: Rig) -> None:
    await rig.mark()
    (rig.base / ".host-id").write_text("")
    with pytest.raises(ReadFailed, match="host-id"):
        await rig.look()


async def test_a_look_cut_anywhere_is_an_error(rig: Rig) -> None:
    await rig.mark()
    words = f"base {rig.base}\nmarkers\npath {rig.decoy}\n".encode()
    whole = (await rig.shell.run(load_script("look"), stdin=words, deadline_s=10)).stdout
    assert decode_look(whole, host="h1", asked=(str(rig.decoy),)).markers
    for at in range(len(whole)):
        with pytest.raises(ReadFailed):
            decode_look(whole[:at], host="h1", asked=(str(rig.decoy),))
    lines = whole.splitlines(keepends=True)
    for dropped in range(len(lines)):
        with pytest.raises(ReadFailed):
            decode_look(b"".join(lines[:dropped] + lines[dropped + 1 :]), host="h1")


# Making and writing ---------------------------------------------------------------------------------------------------


async def test_the_first_change_makes_a_private_base_folder_with_a_random_host_id(rig: Rig) -> None:
    assert await rig.mark() == Done()
    assert mode_of(rig.base) == mode_of(rig.base.parent) == 0o700
    assert mode_of(rig.base / MARKER.uid) == 0o700
    assert mode_of(rig.base / MARKER.uid / ".reconciler.json") == 0o600
    first = (await rig.look()).host_id
    assert re.fullmatch(r"[0-9a-f]{32}", first or "")
    assert await rig.mark(generation=2) == Done()
    assert await rig.mark(generation=2) == Done(changed=False)
    seen = await rig.look()
    assert seen.host_id == first
    assert [one.marker for one in seen.markers] == [replace(MARKER, generation=2)]
    assert rig.trash() == []


async def test_directories_are_made_with_their_mode_and_closed_parents(rig: Rig) -> None:
    path = rig.base / "0a0b0c0d" / "a b" / "cache"
    refused = await rig.make(path)
    assert isinstance(refused, NotDone)
    assert refused.code == "E_PATH_MISSING"
    assert not path.parent.parent.exists()
    (rig.base / "0a0b0c0d").mkdir()
    assert await rig.make(path) == Done()
    assert mode_of(path) == 0o750
    assert mode_of(path.parent) == 0o700
    assert await rig.make(path) == Done(changed=False)
    assert await rig.make(path, "2770") == Done()
    assert mode_of(path) == 0o2770


async def test_a_storage_root_is_used_and_never_made(rig: Rig) -> None:
    root = rig.folder / "srv"
    outcome = await rig.make(root / "web", root=root)
    assert isinstance(outcome, NotDone)
    assert outcome.code == "E_PATH_MISSING"
    root.mkdir(mode=0o755)
    assert await rig.make(root / "web", root=root) == Done()
    assert not (root / ".host-id").exists()


@pytest.mark.parametrize("content", ["", "one\ntwo\n\n", "$(id) `id` \\n %s 'x' \"y\" \x1b[31m \0 ü", "x" * 300_000])
async def test_files_hold_exactly_what_was_put(rig: Rig, content: str) -> None:
    await rig.mark()
    path = rig.base / MARKER.uid / "config file"
    assert await rig.put(path, content) == Done()
    assert path.read_bytes() == content.encode()
    assert mode_of(path) == 0o640
    assert await rig.put(path, content) == Done(changed=False)
    assert await rig.put(path, content, "0600") == Done()
    assert mode_of(path) == 0o600
    seen = await rig.look(hashed=(path,))
    assert seen.paths[str(path)].sha256 == hashlib.sha256(content.encode()).hexdigest()
    assert rig.trash() == []


async def test_content_that_did_not_arrive_whole_replaces_nothing(rig: Rig) -> None:
    await rig.mark()
    path = rig.base / MARKER.uid / "config"
    await rig.put(path, "old")

    class Short:
        """Lose the end of what is sent: a stand-in for a link that breaks."""

        host = "h1"

        async def run(self, script: str, *, stdin: bytes = b"", **more: object) -> object:
            return await rig.shell.run(script, stdin=stdin[:-1], **more)  # type: ignore[arg-type]  # passed on

    files = HostFiles(cast("Shell", Short()), base_dir=str(rig.base), is_held=lambda: True)
    outcome = await files.put_file(PutFile(str(path), "0640", "new content", str(rig.base)))
    assert isinstance(outcome, NotDone)
    assert (outcome.code, outcome.transient) == ("E_HOST_CUT", True)
    assert path.read_text() == "old"
    assert sorted(os.listdir(path.parent)) == [".reconciler.json", "config"]


async def test_nothing_is_written_outside_the_root_or_through_a_link(rig: Rig) -> None:
    await rig.mark()
    folder = rig.base / MARKER.uid
    (folder / "link").symlink_to(rig.decoy)
    (folder / "file-link").symlink_to(rig.decoy / "deep/precious")
    (folder / "plain").write_text("plain")
    attempts = {
        "E_PATH_LINK": [
            rig.make(folder / "link" / "x"),
            rig.make(folder / "link"),
            rig.put(folder / "link/x", "evil"),
            rig.put(folder / "file-link", "evil"),
            rig.drop(folder / "link"),
            rig.drop(folder / "link/deep"),
        ],
        "E_PATH_OUTSIDE": [
            rig.make(rig.decoy / "x"),
            rig.put(rig.decoy / "deep/precious", "evil"),
            rig.make(f"{folder}/../../../decoy/x"),
            rig.make(f"{folder}//x"),
            rig.make("x"),
            rig.make(f"{folder}/a\nb"),
            rig.drop(rig.decoy / "deep"),
            rig.drop(rig.base),
            rig.make(f"{rig.base}-beside"),
        ],
        "E_PATH_KIND": [rig.make(folder / "plain"), rig.make(folder / "plain/x"), rig.put(folder, "evil")],
        "E_PATH_MISSING": [rig.put(folder / "none/x", "evil")],
        "E_PATH_CHANGED": [rig.drop(folder / "plain", "1:2"), rig.drop(folder / "plain", "1:2; rm -rf /")],
    }
    for code, tries in attempts.items():
        for outcome in await asyncio.gather(*tries):
            assert isinstance(outcome, NotDone)
            assert outcome.code == code
            assert outcome.message
    assert rig.decoy_state() == rig.before
    assert (rig.decoy / "deep/precious").read_text() == "precious"
    assert (folder / "plain").read_text() == "plain"


async def test_a_base_folder_that_others_can_write_is_refused(rig: Rig) -> None:
    await rig.mark()
    rig.base.chmod(0o777)
    outcome = await rig.mark(generation=2)
    assert isinstance(outcome, NotDone)
    assert outcome.code == "E_BASE_DIR"
    rig.base.chmod(0o700)
    rig.base.parent.chmod(0o1777)
    outcome = await rig.mark(generation=2)
    assert isinstance(outcome, NotDone)
    assert outcome.code == "E_BASE_DIR"


async def test_a_full_disk_is_told_as_such(rig: Rig) -> None:
    small = rig.folder / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "tmpfs", small], check=True)
    try:
        outcome = await rig.put(small / "big", "x" * 200_000, root=small)
        assert isinstance(outcome, NotDone)
        assert (outcome.code, outcome.transient) == ("E_HOST_DISK", True)
        assert os.listdir(small) == []
    finally:
        subprocess.run(["umount", small], check=True)
