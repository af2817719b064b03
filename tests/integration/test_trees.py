"""Trees on a host: what arrives, what is left out, what stays, by tar with both kinds of tools and by rsync."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.disk.tree import read_tree
from reconciler.host.files.tree import HostTrees
from reconciler.host.shell.local import LocalShell
from reconciler.model.effect import Done, NotDone
from tests.integration.rig import Rig
from tests.integration.tree_bench import MODES, Bench, CountingShell, modes_in, new_bench
from tests.lab.packages import MACHINE_PATH, rsync


@pytest.fixture
async def bench(rig: Rig, tmp_path: Path) -> Bench:
    await rig.mark()
    return new_bench(rig, tmp_path)


@pytest.fixture
async def synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Give a bench with rsync at both ends: a wrapper, since it may need libraries that this machine lacks."""
    tools = tmp_path / "tools"
    tools.mkdir()
    found = rsync()
    wrapper = tools / "rsync"
    wrapper.write_text(
        f'#!/bin/sh\necho "$*" >>{tmp_path}/asked\nLD_LIBRARY_PATH={found.library_path} exec {found.path}/rsync "$@"\n'
    )
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    rig = Rig(tmp_path.resolve(), CountingShell("h1", search_path=f"{tools}:{MACHINE_PATH}"))
    await rig.mark()
    return new_bench(rig, tmp_path)


async def test_all_of_it_arrives_and_is_readable_by_containers(bench: Bench) -> None:
    assert await bench.bring() == Done()
    assert modes_in(bench.place) == MODES
    assert read_tree(bench.place, ()) == read_tree(bench.folder, ())
    assert bench.leftovers() == [".reconciler.json", ".tree-source", ".tree-source.digest"]


async def test_rsync_brings_the_same(synced: Bench) -> None:
    assert await synced.bring() == Done()
    assert modes_in(synced.place) == MODES
    assert read_tree(synced.place, ()) == read_tree(synced.folder, ())
    asked = (synced.folder.parent / "asked").read_text().splitlines()
    assert len(asked) == 2, "one end here and one there"
    assert asked[1].startswith("--server")


async def test_rsync_sends_only_what_differs(synced: Bench) -> None:
    shell = synced.rig.shell
    assert isinstance(shell, CountingShell)
    await synced.bring()
    first_bytes, shell.sent_bytes = shell.sent_bytes, 0
    assert first_bytes > 1024**2
    (synced.folder / "run").write_text("#!/bin/sh\nexit 1\n")
    (synced.folder / "empty").unlink()
    (synced.place / "left by a container").write_text("x")
    assert await synced.bring() == Done()
    assert 0 < shell.sent_bytes < 64 * 1024, "the large file was there"
    (synced.place / "left by a container").unlink()
    assert read_tree(synced.place, ()) == read_tree(synced.folder, ())


async def test_a_folder_that_nobody_may_write_to_here_is_none_there(synced: Bench) -> None:
    (synced.folder / "deep/er").chmod(0o555)
    stage, place = synced.effects()
    # Cut while it arrives: what stays behind must be removable.
    assert await synced.trees.stage(stage) == Done()
    assert stat.S_IMODE((synced.own / ".new-source/deep/er").stat().st_mode) == 0o755
    assert all("--chmod=Du+rwx" in line for line in (synced.folder.parent / "asked").read_text().splitlines()[:1])
    assert await synced.trees.place(place) == Done()
    assert modes_in(synced.place) == MODES


async def test_what_is_gone_here_goes_there_too_and_what_is_not_ours_stays(bench: Bench) -> None:
    await bench.bring()
    before = bench.place.stat().st_ino
    (bench.folder / "deep/link").unlink()
    (bench.folder / "deep/er/data").unlink()
    (bench.place / "data").mkdir()
    (bench.place / "data/rows").write_text("rows")
    (bench.place / "deep/left by a container").write_text("x")
    assert await bench.bring() == Done()
    theirs = ["data", "data/rows", "deep", "deep/left by a container"]
    assert sorted(modes_in(bench.place)) == ["-rf $(x) 'y' é.txt", *theirs, "empty", "run"]
    assert bench.place.stat().st_ino == before, "who has it mounted sees what is new"


async def test_a_change_after_planning_sends_nothing(bench: Bench) -> None:
    stage, place = bench.effects()
    (bench.folder / "run").write_text("another\n")
    refused = await bench.trees.stage(stage)
    assert isinstance(refused, NotDone)
    assert refused.code == "E_TREE_CHANGED"
    assert isinstance(await bench.trees.place(place), NotDone)
    assert not bench.place.exists()


async def test_what_arrived_wrong_is_not_staged(bench: Bench) -> None:
    stage, place = bench.effects()
    assert await bench.trees.stage(stage) == Done()
    (bench.own / ".new-source/run").write_text("exchanged\n")
    refused = await bench.trees.place(place)
    assert isinstance(refused, NotDone)
    assert refused.code == "E_TREE_CHANGED"
    assert not bench.place.exists()


async def test_a_cut_while_placing_is_mended_by_the_next(bench: Bench) -> None:
    await bench.bring()
    (bench.folder / "run").write_text("#!/bin/sh\nexit 1\n")
    stage, place = bench.effects()
    await bench.trees.stage(stage)
    (bench.own / ".new-source/run").rename(bench.place / "run")
    refused = await bench.trees.place(place)
    assert isinstance(refused, NotDone)
    assert await bench.bring() == Done()
    assert read_tree(bench.place, ()) == read_tree(bench.folder, ())


async def test_placing_that_comes_to_nothing_leaves_nothing_of_its_own(bench: Bench) -> None:
    """Another that should be locked out had the list a moment before."""
    await bench.bring()
    stage, place = bench.effects()
    await bench.trees.stage(stage)
    kept = bench.own / ".tree-source"
    kept.unlink()
    kept.mkdir()
    refused = await bench.trees.place(place)
    assert isinstance(refused, NotDone)
    assert not [name for name in bench.leftovers() if name.startswith(".tree-source.")]
    kept.rmdir()
    assert await bench.bring() == Done()
    assert bench.leftovers() == [".reconciler.json", ".tree-source", ".tree-source.digest"]


async def test_a_folder_that_became_a_link_leads_nowhere(bench: Bench) -> None:
    await bench.bring()
    (bench.place / "deep/er/data").unlink()
    (bench.place / "deep/er").rmdir()
    (bench.place / "deep/er").symlink_to(bench.rig.decoy / "deep")
    (bench.folder / "deep/er/precious").write_text("ours\n")
    refused = await bench.bring()
    assert isinstance(refused, NotDone)
    assert refused.code == "E_PATH_LINK"
    (bench.folder / "deep/er/precious").unlink()
    (bench.folder / "deep/er/data").unlink()
    assert await bench.bring() == Done()
    assert bench.rig.decoy_state() == bench.rig.before
    assert (bench.rig.decoy / "deep/precious").read_text() == "precious"


async def test_a_link_in_the_place_of_a_file_is_replaced(bench: Bench) -> None:
    await bench.bring()
    (bench.place / "run").unlink()
    (bench.place / "run").symlink_to(bench.rig.decoy / "deep/precious")
    (bench.folder / "empty").write_text("no more\n")
    assert await bench.bring() == Done()
    assert (bench.place / "run").read_text() == "#!/bin/sh\n"
    assert (bench.rig.decoy / "deep/precious").read_text() == "precious"


@pytest.mark.parametrize("name", ["source", ".new-source"])
async def test_a_link_in_the_way_is_never_followed(bench: Bench, name: str) -> None:
    (bench.own / name).symlink_to(bench.rig.decoy)
    stage, place = bench.effects()
    outcomes = [await bench.trees.stage(stage), await bench.trees.place(place)]
    assert any(isinstance(one, NotDone) and one.code == "E_PATH_LINK" for one in outcomes)
    assert bench.rig.decoy_state() == bench.rig.before


async def test_the_lost_lock_sends_nothing(bench: Bench) -> None:
    stage, place = bench.effects()
    lost = HostTrees(bench.rig.shell, base_dir=str(bench.rig.base), is_held=lambda: False)
    for outcome in (await lost.stage(stage), await lost.place(place)):
        assert isinstance(outcome, NotDone)
        assert outcome.code == "E_NO_LEASE"
    assert bench.leftovers() == [".reconciler.json"]


async def test_how_far_sending_is_is_told(bench: Bench) -> None:
    (bench.folder / "large").write_bytes(bytes(9 * 1024**2))
    await bench.bring()
    assert any(line.startswith("sent ") and line.endswith(" of 10.0 MiB") for line in bench.said)


async def _full(found: Bench, *codes: str) -> None:
    """Send a tree to a disk without room for it: what arrived before it was full is taken away again."""
    await found.bring()
    fresh = found.own / ".new-source"
    # Not random, so that it is made at once, and not empty, so that no tool leaves holes.
    (found.folder / "large").write_bytes(b"reconcile" * 250_000)
    stage, place = found.effects()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "tmpfs", found.own], check=True)
    try:
        outcome = await found.trees.stage(stage)
        assert isinstance(outcome, NotDone)
        assert outcome.code in codes, outcome
        assert outcome.transient
        assert outcome.hint is not None
        assert "disks" in outcome.hint
        assert "Traceback" not in outcome.message
        assert not fresh.exists()
    finally:
        subprocess.run(["umount", found.own], check=True)
    assert await found.trees.stage(stage) == Done()
    assert await found.trees.place(place) == Done()


async def test_a_full_disk_is_told_as_such_and_left_empty(bench: Bench) -> None:
    await _full(bench, "E_HOST_DISK")


async def test_rsync_tells_of_a_full_disk_too(synced: Bench) -> None:
    """It may be cut off before it reads why, and then a hint names that cause."""
    await _full(synced, "E_HOST_DISK", "E_RSYNC")


@pytest.mark.parametrize("name", ["run", "deep/er/data"])
async def test_a_folder_in_the_place_of_a_file_is_refused_and_stays(bench: Bench, name: str) -> None:
    await bench.bring()
    (bench.place / name).unlink()
    (bench.place / name).mkdir()
    (bench.place / name / "rows").write_text("rows")
    (bench.folder / name).write_text("new\n")
    refused = await bench.bring()
    assert isinstance(refused, NotDone)
    assert refused.code == "E_PATH_KIND"
    assert f"{bench.place / name} is a folder, and the tree has a file there" in refused.message
    assert (bench.place / name / "rows").read_text() == "rows"
    (bench.place / name / "rows").unlink()
    (bench.place / name).rmdir()
    assert await bench.bring() == Done()
    assert read_tree(bench.place, ()) == read_tree(bench.folder, ())


async def test_what_was_a_file_may_become_a_folder_and_the_other_way_round(bench: Bench) -> None:
    turns: list[dict[str, str | None]] = [
        {"a": "text", "b/c/d": "text", "b/c/e": "text", "l": None, "k/x": "text", "stays": "text"},
        {"a/in/it": "text", "b/c": "text", "l/x": "text", "k": None, "stays": "text"},
        {"a/in": "text", "b": "text", "l/x/y": "text", "k/x/y": "text", "stays": "text"},
    ]
    for turn in (*turns, *reversed(turns)):
        shutil.rmtree(bench.folder)
        bench.folder.mkdir()
        for path, text in turn.items():
            at = bench.folder / path
            at.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                at.symlink_to("stays")
            else:
                at.write_text(text)
        assert await bench.bring() == Done(), turn
        assert read_tree(bench.place, ()) == read_tree(bench.folder, ())
    assert bench.leftovers() == [".reconciler.json", ".tree-source", ".tree-source.digest"]


async def test_a_folder_that_a_container_wrote_into_is_not_replaced_by_a_file(bench: Bench) -> None:
    await bench.bring()
    (bench.place / "deep/rows").write_text("rows")
    shutil.rmtree(bench.folder / "deep")
    (bench.folder / "deep").write_text("text")
    refused = await bench.bring()
    assert isinstance(refused, NotDone)
    assert (bench.place / "deep/rows").read_text() == "rows"


async def test_folders_that_are_exchanged_for_links_meanwhile_lead_nowhere(bench: Bench) -> None:
    """A container swaps a folder of its mounted tree for a link, over and over, while trees are placed."""
    await bench.bring()
    swap = 'while :; do mv er .er && ln -s "$1" er; rm -f er; mv .er er; done 2>/dev/null'
    swapper = subprocess.Popen(["/bin/sh", "-c", swap, "sh", bench.rig.decoy / "deep"], cwd=bench.place / "deep")
    try:
        for turn in range(6):
            (bench.folder / "deep/er/precious").write_text(f"{turn}\n")
            await bench.bring()
            (bench.folder / "deep/er/precious").unlink()
            await bench.bring()
    finally:
        swapper.kill()
        swapper.wait()
    assert bench.rig.decoy_state() == bench.rig.before
    assert (bench.rig.decoy / "deep/precious").read_text() == "precious"


@pytest.fixture
async def counted(tmp_path: Path) -> Bench:
    """Give a bench whose host writes down what tools it calls."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("mv", "rm", "rmdir", "mkdir"):
        found = shutil.which(name, path=MACHINE_PATH)
        (tools / name).write_text(f'#!/bin/sh\necho {name} >>{tmp_path}/called\nexec {found} "$@"\n')
        (tools / name).chmod(0o755)
    rig = Rig(tmp_path.resolve(), LocalShell("h1", search_path=f"{tools}:{MACHINE_PATH}"))
    await rig.mark()
    return new_bench(rig, tmp_path)


async def test_a_tree_of_many_folders_makes_few_processes(counted: Bench) -> None:
    called = counted.folder.parent / "called"

    async def calls() -> Counter[str]:
        stage, place = counted.effects()
        assert await counted.trees.stage(stage) == Done()
        called.write_text("")
        assert await counted.trees.place(place) == Done()
        assert read_tree(counted.place, ()) == read_tree(counted.folder, ())
        return Counter(called.read_text().split())

    folders = [counted.folder / f"many/{number // 5}/{number}" for number in range(20)]
    for folder in folders:
        folder.mkdir(parents=True)
        for number in range(10):
            (folder / f"{number}.py").write_text("")
    fixed = 8
    assert (await calls()).total() <= fixed, "folders that are new go as they are"
    for folder in folders:
        for number in range(5):
            (folder / f"{number}.py").unlink()
    second = await calls()
    assert second["mv"] <= len(folders) + fixed
    assert second["rm"] <= len(folders) + fixed
    assert second["rmdir"] <= fixed
    assert second["mkdir"] == 0


async def test_links_are_sent_as_they_are_written(synced: Bench) -> None:
    (synced.folder / "deep/odd").symlink_to("./.././/run")
    assert await synced.bring() == Done()
    assert os.readlink(synced.place / "deep/odd") == "./.././/run"


async def test_removing_a_tree_takes_what_was_staged_too(bench: Bench) -> None:
    await bench.bring()
    stage, place = bench.effects()
    await bench.trees.stage(stage)
    assert await bench.trees.place(replace(place, content="")) == Done()
    assert bench.leftovers() == [".reconciler.json"]
    assert not bench.place.exists()
