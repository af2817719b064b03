"""Only what lies below its root, in its shortest form, is ever named to a host; markers that are none are faults."""

from __future__ import annotations

import msgspec
import pytest

from reconciler.host.files.change import Spot, find_spot, read_answer, read_mode
from reconciler.host.shell import Completed
from reconciler.model.effect import Done, NotDone, Unknown
from reconciler.model.marker import read_marker
from tests.builders import a_marker


@pytest.mark.parametrize(
    ("path", "folders", "name"),
    [
        ("/srv/data", "", ""),
        ("/srv/data/a", "", "a"),
        ("/srv/data/a b/ü/c", "a b/ü", "c"),
        ("/srv/data/-rf", "", "-rf"),
    ],
)
def test_a_path_is_split_at_its_root(path: str, folders: str, name: str) -> None:
    assert find_spot(path, root="/srv/data") == Spot(root="/srv/data", folders=folders, name=name)


@pytest.mark.parametrize(
    ("path", "root"),
    [
        ("/srv/data2", "/srv/data"),
        ("/srv", "/srv/data"),
        ("/srv/data/../x", "/srv/data"),
        ("/srv/data/./x", "/srv/data"),
        ("/srv/data//x", "/srv/data"),
        ("/srv/data/x/", "/srv/data"),
        ("srv/data/x", "/srv/data"),
        ("", "/srv/data"),
        ("/x", "/"),
        ("//x", "//"),
        ("/srv/data/a\nb", "/srv/data"),
        ("/srv/data/a\x1bb", "/srv/data"),
        ("/srv/data/" + "x" * 5000, "/srv/data"),
        ("/srv/data/x", "/srv/data/"),
    ],
)
def test_everything_else_is_outside(path: str, root: str) -> None:
    refused = find_spot(path, root=root)
    assert isinstance(refused, NotDone)
    assert refused.code == "E_PATH_OUTSIDE"
    assert refused.message.isprintable()


@pytest.mark.parametrize(("mode", "bits"), [("0750", "750"), ("700", "700"), ("2770", "2770"), ("0000", "0")])
def test_modes_are_written_as_hosts_do(mode: str, bits: str) -> None:
    assert read_mode(mode) == bits


@pytest.mark.parametrize("mode", ["", "8", "0888", "u+x", "-750", "75", "00750", "\u0667\u0665\u0660", "750\n"])
def test_what_is_no_mode_is_refused(mode: str) -> None:
    assert isinstance(read_mode(mode), NotDone)


@pytest.mark.parametrize("out", [b"", b"done made", b"done made\n", b"done made\nEND\nmore\n", b"rubbish"])
def test_an_answer_cut_short_leaves_the_outcome_unknown(out: bytes) -> None:
    done = Completed(exit_status=0, stdout=out, stderr=b"\x1b[31mno")
    outcome = read_answer(done, host="h1", what="/x")
    assert isinstance(outcome, Unknown)
    assert "\x1b" not in outcome.why


def test_an_answer_is_read_and_a_failed_script_is_not_believed() -> None:
    def answer(out: bytes, exit_status: int = 0) -> object:
        return read_answer(Completed(exit_status=exit_status, stdout=out, stderr=b""), host="h1", what="/x")

    assert answer(b"done made\nEND\n") == Done()
    assert answer(b"done same\nEND\n") == answer(b"done gone\nEND\n") == Done(changed=False)
    assert isinstance(answer(b"done made\nEND\n", exit_status=1), Unknown)
    refused = answer(b"no E_HOST_DISK the disk \x07 is full\nEND\n")
    assert isinstance(refused, NotDone)
    assert (refused.code, refused.transient) == ("E_HOST_DISK", True)
    assert "\x07" not in refused.message


def test_a_marker_is_read_and_a_newer_or_damaged_one_is_a_fault() -> None:
    whole = msgspec.json.encode(a_marker()).decode()
    assert read_marker(whole) == a_marker()
    for bad in ("", "{", "[]", whole[:-1], whole.replace('"version":1', '"version":2'), "\udcff", '{"uid": 7}'):
        assert isinstance(read_marker(bad), str)
