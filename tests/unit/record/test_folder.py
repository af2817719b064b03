"""Refuse a status folder that cannot be trusted, that is another fleet's, or that a newer version wrote."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from reconciler.errors import StatusFolderError
from reconciler.record.store import StatusStore
from tests import builders as b
from tests.unit.record.test_store import FILES, files_of, some, store_in

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


@pytest.mark.parametrize("kind", ["symlink", "file", "group", "world", "fifo"])
def test_a_folder_that_cannot_be_trusted_is_refused(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "status"
    if kind == "symlink":
        (tmp_path / "real").mkdir()
        folder.symlink_to(tmp_path / "real")
    elif kind == "file":
        folder.write_text("")
    elif kind == "fifo":
        os.mkfifo(folder)
    else:
        folder.mkdir()
        folder.chmod(0o770 if kind == "group" else 0o707)
    with pytest.raises(StatusFolderError) as refused:
        StatusStore(folder).open()
    assert refused.value.hint
    assert refused.value.exit_status == 1


@pytest.mark.parametrize("path", ["/", "//", "/.", "/etc/.."])
def test_the_root_of_the_file_system_is_refused(path: str) -> None:
    with pytest.raises(StatusFolderError, match="root of the file system"):
        StatusStore(Path(path)).open()


@ROOT_ONLY
def test_somebody_elses_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "status").mkdir(mode=0o700)
    os.chown(tmp_path / "status", 12345, 12345)
    with pytest.raises(StatusFolderError, match="belongs to uid 12345"):
        StatusStore(tmp_path / "status").open()


def test_a_missing_parent_is_said(tmp_path: Path) -> None:
    with pytest.raises(StatusFolderError, match="cannot be used"):
        StatusStore(tmp_path / "a" / "b").open()


@pytest.mark.parametrize("kind", ["file", "symlink", "dangling"])
def test_what_is_no_folder_is_not_taken_for_an_empty_one(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "status"
    if kind == "file":
        folder.write_text("")
    else:
        folder.symlink_to(tmp_path / ("none" if kind == "dangling" else "."))
    with pytest.raises(StatusFolderError, match="cannot be opened"):
        StatusStore(folder).load(now=b.T0)


def test_another_fleets_folder_is_refused(tmp_path: Path) -> None:
    store_in(tmp_path / "status", some())
    other = StatusStore(tmp_path / "status", fleet="other")
    for refused in (other.open, lambda: other.load(now=b.T0)):
        with pytest.raises(StatusFolderError, match="belongs to fleet lab") as error:
            refused()
        assert error.value.code == "E_STATUS_FLEET"
        assert "--status" in (error.value.hint or "")


def test_whose_folder_it_is_is_known_without_its_summary(tmp_path: Path) -> None:
    store_in(tmp_path / "status", some())
    (tmp_path / "status/fleet.json").unlink()
    assert StatusStore(tmp_path / "status").load(now=b.T0).fleet == b.FLEET


def refused_untouched(folder: Path, *, fleet: str | None, code: str) -> None:
    """Check that nobody takes the folder, with its lock or without, and that nothing in it is another for that."""
    kept = files_of(folder)
    store = StatusStore(folder, fleet=fleet)
    with pytest.raises(StatusFolderError) as unlocked:
        store.load(now=b.T0)
    with store.lock("a test", now=b.T0), pytest.raises(StatusFolderError) as locked:
        store.load(now=b.T0)
    assert unlocked.value.code == locked.value.code == code
    assert files_of(folder) == kept


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("fleet", [b.FLEET, None])
def test_one_file_of_another_fleet_is_enough_to_touch_none(tmp_path: Path, name: str, fleet: str | None) -> None:
    folder = tmp_path / "status"
    store_in(folder, some())
    said = json.loads((folder / name).read_bytes())
    (folder / name).write_text(json.dumps({**said, "fleet": "other"}))
    # What comes first is damaged besides, and stays where it is all the same.
    (folder / "sandboxes/a-1.json").write_text("{")
    refused_untouched(folder, fleet=fleet, code="E_STATUS_FLEET")


def test_without_its_summary_another_fleets_folder_is_still_refused(tmp_path: Path) -> None:
    folder = tmp_path / "status"
    store_in(folder, some())
    (folder / "fleet.json").write_text("{")
    refused_untouched(folder, fleet="other", code="E_STATUS_FLEET")


@pytest.mark.parametrize("name", FILES)
def test_a_newer_format_is_refused_and_left_as_it_is(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "status"
    store_in(folder, some())
    (folder / name).write_bytes((folder / name).read_bytes().replace(b"-status/1", b"-status/2"))
    (folder / "sandboxes/a-1.json").write_text("{")
    refused_untouched(folder, fleet=b.FLEET, code="E_STATUS_NEWER")
