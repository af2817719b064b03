"""Read a folder as a tree: what is left out, what is refused, one digest here and on a host, and its archive."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.disk.tree import DIGEST_PREFIX, TreeArchive, TreeEntry, TreeRead, list_tree, read_tree
from reconciler.disk.unreadable import TreeUnreadable
from reconciler.host.scripts import load_script


def fill(folder: Path, *paths: str, **texts: str) -> Path:
    """Make empty files, and files of which the text is given by name (`__` for a dot)."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)
    for name, text in texts.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def told_by_a_host(folder: Path) -> str:
    """Digest a folder as a host does."""
    script = f"LC_ALL=C; export LC_ALL; {load_script('digest')}\ndigest_tree"
    done = subprocess.run(["/bin/sh", "-c", script], cwd=folder, capture_output=True, check=True, text=True)
    return DIGEST_PREFIX + done.stdout.strip()


def listed(folder: Path, *exclude: str) -> list[str]:
    return [path for path in list_tree(folder, exclude) if not path.endswith(".gitignore")]


def refused(folder: Path, *exclude: str) -> str:
    with pytest.raises(TreeUnreadable) as caught:
        read_tree(folder, exclude)
    assert caught.value.hint
    return caught.value.message


# What is left out -----------------------------------------------------------------------------------------------------


def test_all_but_git_is_listed_in_order(tmp_path: Path) -> None:
    fill(tmp_path, "b", "a/z", "a.x", ".git/config", "lib/.git/config", "lib/keep", ".github/ci")
    assert listed(tmp_path) == [".github/ci", "a.x", "a/z", "b", "lib/keep"]


def test_a_git_file_of_a_worktree_is_left_out_like_the_folder(tmp_path: Path) -> None:
    assert listed(fill(tmp_path, "a", "sub/.git")) == ["a"]


def test_the_last_pattern_that_matches_decides(tmp_path: Path) -> None:
    fill(tmp_path, "a.log", "keep.log", "b", __gitignore="*.log\n!keep.log\n")
    assert listed(tmp_path) == ["b", "keep.log"]


def test_a_nearer_gitignore_goes_before_a_farther_one(tmp_path: Path) -> None:
    fill(tmp_path, "a.log", "sub/a.log", "sub/deep/a.log", __gitignore="*.log\n")
    (tmp_path / "sub/.gitignore").write_text("!a.log\n")
    (tmp_path / "sub/deep/.gitignore").write_text("a.log\n")
    assert listed(tmp_path) == ["sub/a.log"]


def test_what_is_in_a_folder_that_is_left_out_cannot_be_taken_in(tmp_path: Path) -> None:
    fill(tmp_path, "dist/a", "dist/keep", "b", __gitignore="dist/\n!dist/keep\n")
    assert listed(tmp_path) == ["b"]


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("/x", ["sub/deep/x", "sub/x", "y"]),
        ("x", ["y"]),
        ("sub/x", ["sub/deep/x", "x", "y"]),
        ("**/deep/", ["sub/x", "x", "y"]),
        ("x/", ["sub/deep/x", "sub/x", "x", "y"]),
        ("# x", ["sub/deep/x", "sub/x", "x", "y"]),
        ("", ["sub/deep/x", "sub/x", "x", "y"]),
    ],
)
def test_patterns_mean_what_they_mean_to_git(tmp_path: Path, pattern: str, left: list[str]) -> None:
    fill(tmp_path, "x", "y", "sub/x", "sub/deep/x", __gitignore=f"{pattern}\n")
    assert listed(tmp_path) == left


def test_the_specs_own_patterns_go_before_all_others(tmp_path: Path) -> None:
    fill(tmp_path, "dist/a", "src/a", "src/b.bin", __gitignore="dist/\n")
    (tmp_path / "src/.gitignore").write_text("!*.bin\n")
    assert listed(tmp_path, "*.bin", "!dist/") == ["dist/a", "src/a"]


def test_a_gitignore_that_is_a_link_says_nothing(tmp_path: Path) -> None:
    fill(tmp_path, "a", rules="a\n")
    (tmp_path / ".gitignore").symlink_to("rules")
    assert listed(tmp_path) == ["a", "rules"]


@pytest.mark.parametrize("pattern", ["!", "a\\", "[z-a]"])
def test_a_pattern_that_means_nothing_is_said_to(tmp_path: Path, pattern: str) -> None:
    assert "a pattern that means nothing" in refused(fill(tmp_path, "a"), pattern)
    fill(tmp_path, __gitignore=pattern)
    assert ".gitignore holds a pattern that means nothing" in refused(tmp_path)


def test_what_the_checkout_leaves_out_above_the_folder_is_left_out_too(tmp_path: Path) -> None:
    fill(tmp_path, ".git/config", "app/.env", "app/src/keep.env", "app/src/a", "app/log", "other/b")
    fill(tmp_path, __gitignore="*.env\n.env\n/app/log\n/src/a\n")
    (tmp_path / "app/src/.gitignore").write_text("!keep.env\n")
    assert listed(tmp_path / "app") == ["src/a", "src/keep.env"]


def test_a_folder_that_git_leaves_out_is_sent_where_it_is_named(tmp_path: Path) -> None:
    fill(tmp_path, ".git/config", "build/a", "build/b.tmp", __gitignore="build/\n")
    (tmp_path / "build/.gitignore").write_text("*.tmp\n")
    assert listed(tmp_path / "build") == ["a"]


@pytest.mark.parametrize("top", ["app/.git", "none"])
def test_what_is_said_outside_of_the_checkout_says_nothing(tmp_path: Path, top: str) -> None:
    fill(tmp_path, f"{top}/config", "app/.env", __gitignore=".env\n")
    assert ".env" in listed(tmp_path / "app")


@pytest.mark.parametrize("text", [b"\xef\xbb\xbf.env\nb\n", b".env\r\nb\r\n", b"a\x0cc\n.env\nb\n"])
def test_a_gitignore_is_read_as_git_reads_it(tmp_path: Path, text: bytes) -> None:
    fill(tmp_path, ".env", "a", "b", "c")
    (tmp_path / ".gitignore").write_bytes(text)
    assert listed(tmp_path) == ["a", "c"]


def test_rules_and_names_in_an_older_encoding_are_no_fault_where_they_are_left_out(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9")).write_text("x")
    (tmp_path / ".gitignore").write_bytes(b"caf\xe9\n")
    assert listed(tmp_path) == []


def test_empty_folders_are_no_part_of_a_tree(tmp_path: Path) -> None:
    fill(tmp_path, "a")
    before = read_tree(tmp_path, ())
    (tmp_path / "empty/inner").mkdir(parents=True)
    assert read_tree(tmp_path, ()) == before


# What is refused ------------------------------------------------------------------------------------------------------


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "gone").endswith("is not there")
    assert refused(fill(tmp_path, "file") / "file").endswith("is not a folder")


@pytest.mark.parametrize(
    "target",
    ["/etc/hostname", "..", "../x", "sub/../../x", "sub/deep/../../../x", "up/../x", "./up/../../x", "a\tb"],
)
def test_a_link_that_may_lead_outside_is_refused(tmp_path: Path, target: str) -> None:
    """`up` leads to the tree's top, so what follows it with `..` is outside, whatever the words say."""
    fill(tmp_path, "sub/deep/x")
    (tmp_path / "up").symlink_to(".")
    (tmp_path / "link").symlink_to(target)
    assert "which is outside the tree" in refused(tmp_path)
    assert listed(tmp_path, "link") == ["sub/deep/x", "up"]


@pytest.mark.parametrize("target", ["x", "../x", "../../top", "./../x", "../gone", ".", "..", "../sub//x/"])
def test_a_link_that_stays_inside_is_sent_as_it_is(tmp_path: Path, target: str) -> None:
    fill(tmp_path, "top", "sub/x")
    (tmp_path / "sub/deep").mkdir()
    (tmp_path / "sub/deep/link").symlink_to(target)
    (found,) = [entry for entry in read_tree(tmp_path, ()).entries if entry.target]
    assert found == TreeEntry(path="sub/deep/link", target=target)


@pytest.mark.parametrize("name", ["a\\b", "a\nb", "a\tb", "a\x7fb", os.fsdecode(b"a\xff")])
def test_a_name_that_a_host_would_write_otherwise_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x")
    assert "no name with a backslash or a control character" in refused(tmp_path)


def test_a_pipe_is_refused_and_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "neither a file nor a link" in refused(tmp_path)
    assert read_tree(tmp_path, ("pipe",)).entries == ()


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    fill(tmp_path, "a", "b", "c")
    assert len(list_tree(tmp_path, (), entries_max=3)) == 3
    with pytest.raises(TreeUnreadable, match="more than 2 files"):
        list_tree(tmp_path, (), entries_max=2)


def test_too_much_is_refused_before_it_is_read(tmp_path: Path) -> None:
    fill(tmp_path, a="12345", b="12345")
    assert read_tree(tmp_path, (), size_max_bytes=10).size_bytes == 10
    with pytest.raises(TreeUnreadable, match="more than 9 bytes"):
        read_tree(tmp_path, (), size_max_bytes=9)
    with (tmp_path / "c").open("wb") as stream:
        stream.truncate(2**42)
    assert "as much as is sent" in refused(tmp_path)


def test_folders_without_end_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "/".join(["d"] * 100)
    folder.mkdir(parents=True)
    (folder / "x").write_text("x")
    assert len(list_tree(tmp_path, ())) == 1
    (folder / "d").mkdir()
    assert "more than 100 folders deep" in refused(tmp_path)


# The digest -----------------------------------------------------------------------------------------------------------

names = st.text(st.sampled_from("ab -<./$'\"é*~#%&;"), min_size=1, max_size=6).filter(
    lambda name: name.strip("./") and "//" not in f"/{name}/" and not {".", "..", ".git"} & set(name.split("/"))
)
contents = st.tuples(st.binary(max_size=20), st.booleans())


def entry(path: str, content: bytes | str) -> TreeEntry:
    return (
        TreeEntry(path=path, target=content) if isinstance(content, str) else TreeEntry(path=path, sha256=content.hex())
    )


@given(st.dictionaries(names, st.one_of(st.binary(max_size=3), names), max_size=5), st.randoms())
def test_the_digest_knows_no_order(parts: dict[str, bytes | str], random: st.DataObject) -> None:
    entries = [entry(path, content) for path, content in parts.items()]
    before = TreeRead(entries=tuple(entries)).content
    random.shuffle(entries)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    assert TreeRead(entries=tuple(entries)).content == before


trees = st.dictionaries(names, st.one_of(st.binary(max_size=1), names), max_size=3)


@given(trees, trees)
def test_two_trees_have_two_digests(one: dict[str, bytes | str], other: dict[str, bytes | str]) -> None:
    digests = [TreeRead(entries=tuple(entry(*part) for part in tree.items())).content for tree in (one, other)]
    assert (digests[0] == digests[1]) == (one == other)


def test_a_link_is_not_mistaken_for_another() -> None:
    one = TreeRead(entries=(TreeEntry(path="z", target="x <- ./y"),))
    other = TreeRead(entries=(TreeEntry(path="y <- ./z", target="x"),))
    assert one.content != other.content


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(names, contents, max_size=6), st.lists(names, max_size=2))
def test_a_host_tells_the_same_digest(files: dict[str, tuple[bytes, bool]], links: list[str]) -> None:
    with tempfile.TemporaryDirectory() as named:
        folder = Path(named)
        for path, (content, is_executable) in files.items():
            place = folder / path
            if any((folder / above).is_file() for above in Path(path).parents) or place.is_dir():
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
            place.chmod(0o700 if is_executable else 0o640)
        for number, target in enumerate(links):
            if not target.startswith("/") and ".." not in target:
                (folder / f"link {number}").symlink_to(target)
        found = read_tree(folder, ("!**",))
        assert found.content == told_by_a_host(folder)
        check_archive(folder, found)


def test_whether_a_file_may_be_run_counts_and_owners_and_times_do_not(tmp_path: Path) -> None:
    fill(tmp_path, "run")
    before = read_tree(tmp_path, ()).content
    (tmp_path / "run").chmod(0o604)
    os.utime(tmp_path / "run", (1, 1))
    assert read_tree(tmp_path, ()).content == before
    (tmp_path / "run").chmod(0o744)
    assert read_tree(tmp_path, ()).content != before


def test_what_is_no_part_of_a_tree_changes_a_hosts_digest(tmp_path: Path) -> None:
    fill(tmp_path, "a")
    before = told_by_a_host(tmp_path)
    assert before == read_tree(tmp_path, ()).content
    os.mkfifo(tmp_path / "pipe")
    assert told_by_a_host(tmp_path) != before


# The archive ----------------------------------------------------------------------------------------------------------


def check_archive(folder: Path, tree: TreeRead) -> None:
    """Check that the archive has the size it says, and unpacks to the same tree."""
    archive = TreeArchive(folder, tree)
    data = b"".join(archive.pieces())
    assert len(data) == archive.size_bytes
    assert len(data) % tarfile.RECORDSIZE == 0
    with tempfile.TemporaryDirectory() as named:
        with tarfile.open(fileobj=io.BytesIO(data)) as packed:
            packed.extractall(named, filter="fully_trusted")  # noqa: S202  # made above
        assert read_tree(Path(named), ("!**",)) == tree


def test_an_archive_holds_long_names_and_large_files(tmp_path: Path) -> None:
    fill(tmp_path, "é" * 100, "/".join(["deep" * 20] * 5), "-n")
    (tmp_path / "large").write_bytes(os.urandom(600_001))
    (tmp_path / "link").symlink_to("x" * 150)
    check_archive(tmp_path, read_tree(tmp_path, ()))


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513])
def test_a_file_that_changed_its_size_in_between_leaves_the_archive_whole(tmp_path: Path, size: int) -> None:
    fill(tmp_path, a="x" * 512, b="y")
    tree = read_tree(tmp_path, ())
    archive = TreeArchive(tmp_path, tree)
    (tmp_path / "a").write_text("z" * size)
    data = b"".join(archive.pieces())
    assert len(data) == archive.size_bytes
    with tarfile.open(fileobj=io.BytesIO(data)) as packed:
        assert packed.getnames() == ["./a", "./b"]
        read = packed.extractfile("./a")
        assert read is not None
        assert read.read() == (b"z" * size)[:512].ljust(512, b"\0")


def test_a_file_that_went_in_between_is_an_error_of_the_system(tmp_path: Path) -> None:
    fill(tmp_path, "a")
    archive = TreeArchive(tmp_path, read_tree(tmp_path, ()))
    (tmp_path / "a").unlink()
    with pytest.raises(FileNotFoundError):
        list(archive.pieces())
