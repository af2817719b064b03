"""Directories, files, markers and removals: below their root, never through a link, whole or not at all."""

from __future__ import annotations

import hashlib
import re

import pytest

from reconciler.model.effect import Done, DropPath, MakeDirectory, PutFile, PutMarker
from reconciler.model.observed import SeenPath
from reconciler.model.text import Late, Template
from tests.builders import a_marker
from tests.contract.bench import look
from tests.contract.case import Case


async def see(case: Case, path: str) -> SeenPath:
    return (await look(case.host, paths=(path,), hashed=(path,))).paths[path]


def put(case: Case, content: str = "one\n", *, name: str = "config", mode: str = "0640") -> PutFile:
    return PutFile(path=f"{case.folder}/{name}", mode=mode, content=content, root=case.bench.base_dir)


def folder(case: Case, name: str, *, mode: str = "0750") -> MakeDirectory:
    return MakeDirectory(path=f"{case.folder}/{name}", mode=mode, root=case.bench.base_dir)


async def test_a_marker_makes_its_folder_and_reads_back(case: Case) -> None:
    marker = a_marker(case.sandbox)
    await case.done(PutMarker(base_dir=case.bench.base_dir, marker=marker))
    (seen,) = [found for found in (await look(case.host)).markers if found.folder == case.uid]
    assert (seen.marker, seen.fault) == (marker, None)
    shown = await see(case, case.folder)
    assert (shown.kind, shown.mode, shown.inode) == ("directory", "0700", seen.inode)
    assert (await see(case, f"{case.folder}/.reconciler.json")).mode == "0600"


async def test_the_same_marker_changes_nothing_and_another_replaces_it(case: Case) -> None:
    await case.mark()
    await case.done(PutMarker(base_dir=case.bench.base_dir, marker=a_marker(case.sandbox)), changed=False)
    await case.done(PutMarker(base_dir=case.bench.base_dir, marker=a_marker(case.sandbox, generation=2)))
    (seen,) = [found for found in (await look(case.host)).markers if found.folder == case.uid]
    assert seen.marker is not None
    assert seen.marker.generation == 2


@pytest.mark.parametrize("text", ["", "{", '{"version": 1}', '{"version": 99}'])
async def test_a_marker_that_cannot_be_read_is_a_fault_and_not_an_absence(case: Case, text: str) -> None:
    await case.mark()
    case.bench.write(f"{case.folder}/.reconciler.json", text)
    (seen,) = [found for found in (await look(case.host)).markers if found.folder == case.uid]
    assert seen.marker is None
    assert seen.fault


async def test_a_folder_without_a_marker_is_shown_without_one(case: Case) -> None:
    case.bench.make_directory(case.folder)
    (seen,) = [found for found in (await look(case.host)).markers if found.folder == case.uid]
    assert (seen.marker, seen.fault) == (None, None)


async def test_a_directory_is_made_with_its_parents_and_its_mode(case: Case) -> None:
    await case.mark()
    await case.done(folder(case, "a/b/c"))
    shown = await see(case, f"{case.folder}/a/b/c")
    assert (shown.kind, shown.mode) == ("directory", "0750")
    assert (await see(case, f"{case.folder}/a/b")).kind == "directory"
    await case.done(folder(case, "a/b/c"), changed=False)


async def test_a_directory_that_comes_late_does_not_bring_a_dropped_folder_back(case: Case) -> None:
    assert (await case.refused(folder(case, "a/b"))).code == "E_PATH_MISSING"
    assert (await see(case, case.folder)).kind == "absent"


async def test_the_mode_of_a_directory_is_set(case: Case) -> None:
    await case.mark()
    await case.done(folder(case, "a"))
    before = await see(case, f"{case.folder}/a")
    await case.done(folder(case, "a", mode="0700"))
    shown = await see(case, f"{case.folder}/a")
    assert (shown.mode, shown.inode) == ("0700", before.inode)


async def test_a_directory_is_not_made_where_a_file_stands(case: Case) -> None:
    await case.mark()
    await case.done(put(case))
    await case.refused(folder(case, "config"))
    await case.refused(folder(case, "config/below"))
    assert (await see(case, f"{case.folder}/config")).kind == "file"


async def test_a_file_is_written_with_its_mode_and_digest(case: Case) -> None:
    await case.mark()
    await case.done(put(case, "grüße\n"))
    shown = await see(case, f"{case.folder}/config")
    content = "grüße\n".encode()
    assert (shown.kind, shown.mode, shown.size_bytes) == ("file", "0640", len(content))
    assert shown.sha256 == hashlib.sha256(content).hexdigest()
    assert case.bench.text(f"{case.folder}/config") == "grüße\n"
    await case.done(put(case, "grüße\n"), changed=False)


async def test_a_digest_is_given_only_where_asked(case: Case) -> None:
    await case.mark()
    await case.done(put(case))
    path = f"{case.folder}/config"
    assert (await look(case.host, paths=(path,))).paths[path].sha256 is None


async def test_a_file_is_replaced_as_a_whole(case: Case) -> None:
    await case.mark()
    await case.done(put(case))
    before = await see(case, f"{case.folder}/config")
    await case.done(put(case, "two\n"))
    assert case.bench.text(f"{case.folder}/config") == "two\n"
    assert (await see(case, f"{case.folder}/config")).inode != before.inode


async def test_another_mode_alone_is_a_change(case: Case) -> None:
    await case.mark()
    await case.done(put(case))
    await case.done(put(case, mode="0600"))
    assert (await see(case, f"{case.folder}/config")).mode == "0600"


async def test_a_secret_reaches_the_file_and_nothing_is_written_without_it(case: Case) -> None:
    await case.mark()
    order = PutFile(
        path=f"{case.folder}/token",
        mode="0600",
        content=Template(("token=", Late("secret:hub"), "\n")),
        root=case.bench.base_dir,
    )
    await case.refused(order)
    assert (await see(case, f"{case.folder}/token")).kind == "absent"
    await case.do(order, hub="s3 'quoted' $HOME")
    assert case.bench.text(f"{case.folder}/token") == "token=s3 'quoted' $HOME\n"


async def test_an_empty_file_and_odd_names_are_written(case: Case) -> None:
    await case.mark()
    await case.done(put(case, "", name="it's $(empty) -rf"))
    assert (await see(case, f"{case.folder}/it's $(empty) -rf")).size_bytes == 0


@pytest.mark.parametrize("path", ["/outside", "/up/../../../outside", "", "/"])
async def test_nothing_is_done_outside_the_root(case: Case, path: str) -> None:
    await case.mark()
    outside = f"{case.bench.home}{path}" if path == "/outside" else f"{case.folder}{path}"
    root = case.folder if path in {"", "/"} else case.bench.base_dir
    assert (await case.refused(DropPath(path=outside, root=root))).code == "E_PATH_OUTSIDE"
    writing = await case.refused(PutFile(path=outside, mode="0640", content="x", root=root))
    assert writing.code in {"E_PATH_OUTSIDE", "E_PATH_KIND"}
    assert (await see(case, f"{case.folder}/.reconciler.json")).kind == "file"
    assert case.bench.text(f"{case.bench.home}/outside") is None


async def test_nothing_is_written_or_removed_through_a_link(case: Case) -> None:
    await case.mark()
    victim = f"{case.bench.home}/victim-{case.uid}"
    case.bench.make_directory(victim)
    case.bench.write(f"{victim}/precious", "precious\n")
    case.bench.link(f"{case.folder}/way", victim)
    through = DropPath(path=f"{case.folder}/way/precious", root=case.bench.base_dir)
    for effect in (put(case, name="way/precious"), folder(case, "way/made"), folder(case, "way"), through):
        assert (await case.refused(effect)).code == "E_PATH_LINK"
    assert case.bench.text(f"{victim}/precious") == "precious\n"
    assert (await see(case, f"{victim}/made")).kind == "absent"


async def test_a_link_in_a_files_place_is_refused(case: Case) -> None:
    await case.mark()
    victim = f"{case.bench.home}/victim-{case.uid}"
    case.bench.write(victim, "precious\n")
    case.bench.link(f"{case.folder}/config", victim)
    assert (await case.refused(put(case))).code == "E_PATH_LINK"
    assert case.bench.text(victim) == "precious\n"
    assert (await see(case, f"{case.folder}/config")).kind == "symlink"


async def test_a_dropped_file_is_gone_and_stays_gone(case: Case) -> None:
    await case.mark()
    await case.done(put(case))
    order = DropPath(path=f"{case.folder}/config", root=case.bench.base_dir)
    await case.done(order)
    assert (await see(case, f"{case.folder}/config")).kind == "absent"
    await case.done(order, changed=False)


async def test_a_directory_is_dropped_by_its_inode_with_all_below_it(case: Case) -> None:
    await case.mark()
    await case.done(folder(case, "a/b"))
    case.bench.write(f"{case.folder}/a/b/file", "x")
    shown = await see(case, f"{case.folder}/a")
    await case.done(DropPath(path=f"{case.folder}/a", root=case.bench.base_dir, inode=shown.inode))
    assert (await see(case, f"{case.folder}/a")).kind == "absent"
    assert (await see(case, case.folder)).kind == "directory"


async def test_a_link_below_a_dropped_directory_is_not_followed(case: Case) -> None:
    await case.mark()
    victim = f"{case.bench.home}/victim-{case.uid}"
    case.bench.make_directory(victim)
    case.bench.write(f"{victim}/precious", "precious\n")
    await case.done(folder(case, "a"))
    case.bench.link(f"{case.folder}/a/way", victim)
    shown = await see(case, f"{case.folder}/a")
    await case.done(DropPath(path=f"{case.folder}/a", root=case.bench.base_dir, inode=shown.inode))
    assert case.bench.text(f"{victim}/precious") == "precious\n"


async def test_another_thing_at_the_path_is_left_alone(case: Case) -> None:
    await case.mark()
    await case.done(folder(case, "a"))
    await case.done(folder(case, "b"))
    other = await see(case, f"{case.folder}/b")
    refusal = await case.refused(DropPath(path=f"{case.folder}/a", root=case.bench.base_dir, inode=other.inode))
    assert refusal.code == "E_PATH_CHANGED"
    assert (await see(case, f"{case.folder}/a")).kind == "directory"


async def test_a_directory_is_not_dropped_by_its_path_alone(case: Case) -> None:
    await case.mark()
    await case.done(folder(case, "a"))
    refusal = await case.refused(DropPath(path=f"{case.folder}/a", root=case.bench.base_dir))
    assert refusal.code == "E_PATH_KIND"
    assert (await see(case, f"{case.folder}/a")).kind == "directory"


async def test_what_stands_at_a_path_is_told_by_kind(case: Case) -> None:
    await case.mark()
    await case.done(put(case))
    case.bench.link(f"{case.folder}/link", "/nowhere")
    kinds = {"config": "file", "link": "symlink", "absent": "absent"}
    paths = tuple(f"{case.folder}/{name}" for name in kinds)
    seen = (await look(case.host, paths=(*paths, case.folder))).paths
    assert [seen[path].kind for path in (*paths, case.folder)] == [*kinds.values(), "directory"]
    assert seen[case.folder].uid == seen[paths[0]].uid == (await case.host.identify()).uid


async def test_a_file_needs_its_folder(case: Case) -> None:
    await case.mark()
    assert (await case.refused(put(case, name="absent/config"))).code == "E_PATH_MISSING"


async def test_a_root_that_is_given_is_never_made(case: Case) -> None:
    root = f"{case.bench.home}/storage-{case.uid}"
    order = MakeDirectory(path=f"{root}/data", mode="0750", root=root)
    assert (await case.refused(order)).code == "E_PATH_MISSING"
    case.bench.make_directory(root)
    await case.done(order)
    assert (await see(case, f"{root}/data")).mode == "0750"


async def test_what_is_written_first_gives_the_host_its_id_for_ever(case: Case) -> None:
    await case.mark()
    said = (await case.host.identify()).host_id
    assert said is not None
    assert len(said) == 32
    await case.mark(generation=2)
    assert (await case.host.identify()).host_id == said


async def test_a_marker_of_another_sandbox_is_a_fault(case: Case) -> None:
    await case.mark()
    text = case.bench.text(f"{case.folder}/.reconciler.json")
    assert text is not None
    case.bench.write(f"{case.folder}/.reconciler.json", text.replace(case.uid, "00000000"))
    (seen,) = [found for found in (await look(case.host)).markers if found.folder == case.uid]
    assert seen.marker is None
    assert "00000000" in str(seen.fault)


async def test_what_lies_in_a_closed_folder_is_unreadable_and_not_absent(case: Case) -> None:
    await case.mark()
    await case.done(folder(case, "shut/deep"))
    await case.done(put(case))
    shut = f"{case.folder}/shut"
    case.bench.set_mode(shut, "0000")
    paths = (f"{shut}/deep", f"{shut}/none", f"{shut}/deep/none", shut, f"{case.folder}/config", f"{case.folder}/none")
    seen = (await look(case.host, paths=paths)).paths
    kinds = ["unreadable", "unreadable", "unreadable", "directory", "file", "absent"]
    assert [seen[path].kind for path in paths] == kinds
    assert seen[shut].mode == "0000"
    assert seen[f"{shut}/none"] == SeenPath(path=f"{shut}/none", kind="unreadable")
    assert (await case.refused(DropPath(path=f"{shut}/none", root=case.bench.base_dir))).code == "E_HOST_PERMISSION"
    case.bench.set_mode(shut, "0700")


async def test_a_root_that_cannot_be_looked_at_is_not_gone(case: Case) -> None:
    above = f"{case.bench.home}/above-{case.uid}"
    root = f"{above}/data"
    case.bench.make_directory(root)
    case.bench.write(f"{root}/file", "precious\n")
    case.bench.set_mode(above, "0000")
    assert (await case.refused(DropPath(path=f"{root}/file", root=root))).code == "E_HOST_PERMISSION"
    case.bench.set_mode(above, "0700")
    await case.done(DropPath(path=f"{root}/file", root=root))


@pytest.mark.parametrize("name", ["", "/.reconciler.json"])
async def test_a_marker_that_cannot_be_looked_at_is_a_fault_and_not_an_absence(case: Case, name: str) -> None:
    await case.mark()
    case.bench.set_mode(f"{case.folder}{name}", "0000")
    (seen,) = [found for found in (await look(case.host)).markers if found.folder == case.uid]
    assert seen.marker is None
    assert seen.fault
    assert "read" in seen.fault
    case.bench.set_mode(f"{case.folder}{name}", "0700")


async def test_a_sandboxs_own_folder_goes_even_if_root_wrote_into_it(case: Case) -> None:
    await case.mark()
    await case.done(folder(case, "data/theirs/deep"))
    for name in ("data/theirs/deep/file", "data/ours", "data/theirs/file"):
        case.bench.write(f"{case.folder}/{name}", "x")
    case.bench.give_to_root(f"{case.folder}/data/theirs")
    shown = await see(case, case.folder)
    done = await case.done(DropPath(path=case.folder, root=case.bench.base_dir, inode=shown.inode))
    assert (await see(case, case.folder)).kind == "absent"
    assert case.folder in done.warning
    kept = re.search(r"kept as (\S+); to remove it: sudo rm -rf -- '(\S+)'$", done.warning)
    assert kept is not None
    assert kept[1] == kept[2]
    assert kept[1].startswith(f"{case.bench.base_dir}/.kept-")
    left = {name: case.bench.text(f"{kept[1]}/x/{name}") for name in ("data/theirs/deep/file", "data/ours")}
    assert left == {"data/theirs/deep/file": "x", "data/ours": None}
    assert case.uid not in [found.folder for found in (await look(case.host)).markers]
    await case.done(DropPath(path=case.folder, root=case.bench.base_dir, inode=shown.inode), changed=False)
    case.bench.remove_tree(kept[1])


async def test_what_root_made_and_we_may_remove_is_removed_without_a_word(case: Case) -> None:
    await case.mark()
    await case.done(folder(case, "data/empty"))
    case.bench.write(f"{case.folder}/data/file", "x")
    for name in ("data/empty", "data/file"):
        case.bench.give_to_root(f"{case.folder}/{name}")
    shown = await see(case, case.folder)
    done = await case.done(DropPath(path=case.folder, root=case.bench.base_dir, inode=shown.inode))
    assert done == Done()
    assert (await see(case, case.folder)).kind == "absent"


async def test_a_folder_that_is_another_users_itself_is_not_touched(case: Case) -> None:
    await case.mark()
    await case.done(folder(case, "data"))
    case.bench.write(f"{case.folder}/data/file", "x")
    case.bench.give_to_root(f"{case.folder}/data")
    shown = await see(case, f"{case.folder}/data")
    order = DropPath(path=f"{case.folder}/data", root=case.bench.base_dir, inode=shown.inode)
    assert (await case.refused(order)).code == "E_PATH_OWNER"
    assert case.bench.text(f"{case.folder}/data/file") == "x"
    case.bench.remove_tree(f"{case.folder}/data")


async def test_data_of_others_under_a_given_root_is_not_half_removed(case: Case) -> None:
    root = f"{case.bench.home}/storage-{case.uid}"
    case.bench.make_directory(f"{root}/data/theirs")
    case.bench.write(f"{root}/data/theirs/file", "x")
    case.bench.give_to_root(f"{root}/data/theirs")
    shown = await see(case, f"{root}/data")
    refused = await case.refused(DropPath(path=f"{root}/data", root=root, inode=shown.inode))
    assert refused.code == "E_PATH_OWNER"
    assert case.bench.text(f"{root}/data/theirs/file") == "x"
    case.bench.remove_tree(f"{root}/data")
