"""Remove the files that we wrote and that no spec names any more, and forget none of them on the way."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from reconciler.model.desired import SandboxDesired
from reconciler.model.effect import DropPath, PutMarker
from reconciler.model.marker import Marker, read_marker
from reconciler.model.observed import HostView
from reconciler.model.plan import Action, Bucket, Verb
from tests import builders as b
from tests.unit.plan.deciding import decide, effects, kinds, remembered, standing, the_action, the_matched, wanted


def two_files() -> SandboxDesired:
    return b.a_sandbox(resources=(b.a_file("kept"), b.a_file("token"), b.a_container()))


def one_file() -> SandboxDesired:
    return b.a_sandbox(resources=(b.a_file("kept"), b.a_container()))


def path_of(name: str) -> str:
    return next(str(file.path) for file in two_files().files if file.name == name)


def below(name: str) -> str:
    return path_of(name).removeprefix(f"{b.BASE_DIR}/{two_files().uid}/")


def with_marker(view: HostView, **over: Any) -> HostView:
    (folder,) = view.markers
    assert folder.marker is not None
    return replace(view, markers=(replace(folder, marker=replace(folder.marker, **over)),))


def markers_of(action: Action) -> list[Marker]:
    return [effect.marker for effect in effects(action) if isinstance(effect, PutMarker)]


def test_a_file_that_no_spec_names_goes_and_is_forgotten_only_then() -> None:
    before, after = two_files(), one_file()
    action = the_action(decide(wanted(after), standing(before), remembered(before)))

    assert (action.verb, kinds(action)) == (Verb.UPDATE, ["put_marker", "drop_path", "put_marker"])
    assert [effect for effect in effects(action) if isinstance(effect, DropPath)] == [
        DropPath(path_of("token"), b.BASE_DIR)
    ]
    during, done = markers_of(action)
    assert during.files == tuple(sorted((below("kept"), below("token"))))
    assert done == replace(during, files=(below("kept"),))


def test_one_whose_removal_was_cut_is_removed_by_the_next_pass() -> None:
    after = one_file()
    cut = with_marker(standing(after), files=tuple(sorted((below("kept"), below("token")))))
    assert kinds(the_action(decide(wanted(after), cut, remembered(after)))) == ["put_marker", "drop_path", "put_marker"]


def test_a_file_that_is_still_wanted_elsewhere_in_the_folder_stays() -> None:
    one = two_files()
    assert the_matched(decide(wanted(one), standing(one), remembered(one))).bucket is Bucket.MATCHING


def test_a_marker_that_does_not_know_a_file_learns_of_it() -> None:
    one = two_files()
    action = the_action(decide(wanted(one), with_marker(standing(one), files=()), remembered(one)))
    assert [change.path for change in action.marker] == ["files"]
    (marker,) = markers_of(action)
    assert marker.files == b.a_marker(one).files


def test_a_file_below_a_storage_root_is_data_and_stays() -> None:
    far = b.a_sandbox(resources=(b.a_file("kept"), b.a_file("far", path="/srv/data/far"), b.a_container()))
    near = one_file()
    assert b.a_marker(far).files == b.a_marker(near).files
    action = the_action(decide(wanted(near), standing(far), remembered(far)))
    assert "drop_path" not in kinds(action)


def test_an_expired_sandbox_loses_the_files_that_its_spec_does_not_name() -> None:
    one = b.a_sandbox(resources=(b.a_container(),), ttl_s=60)
    view = with_marker(standing(one), files=("token",), created_at=b.later(hours=-1))
    action = the_action(decide(wanted(one), view, remembered(one)))
    assert DropPath(f"{b.BASE_DIR}/{one.uid}/token", b.BASE_DIR) in effects(action)
    first, last = markers_of(action)
    assert (first.phase, first.files) == ("expired", ("token",))
    assert (last.phase, last.files) == ("expired", ())
    gone = replace(with_marker(view, phase="expired", files=("token",)), containers=(), networks=())
    assert kinds(the_action(decide(wanted(one), gone, remembered(one)))) == ["put_marker", "drop_path", "put_marker"]
    settled = with_marker(gone, files=())
    assert the_matched(decide(wanted(one), settled, remembered(one))).bucket is Bucket.EXPIRED


def test_an_expired_sandbox_keeps_a_directory_that_a_container_took_over() -> None:
    folder = b.a_directory()
    one = b.a_sandbox(resources=(folder, b.a_container()), ttl_s=60)
    path = str(folder.path)
    view = with_marker(standing(one, paths={path: b.a_seen_path(path, uid=999)}), created_at=b.later(hours=-1))
    action = the_action(decide(wanted(one), view, remembered(one)))
    assert "drop_path" not in kinds(action)
    gone = replace(with_marker(view, phase="expired"), containers=())
    assert the_matched(decide(wanted(one), gone, remembered(one))).bucket is Bucket.EXPIRED


@pytest.mark.parametrize("path", ["", "..", "../other", "/etc/passwd", "a//b", "a/../../b", "./a", ".reconciler.json"])
def test_a_marker_that_names_a_file_elsewhere_is_none(path: str) -> None:
    said = read_marker(msgspec.json.encode(b.a_marker(files=(path,))).decode())
    assert isinstance(said, str)
    assert "below the sandbox's folder" in said
