"""Move damaged status files aside when a pass does it, and leave them out when somebody only reads."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from reconciler.errors import StatusFolderError
from reconciler.record.store import StatusStore
from tests import builders as b
from tests.unit.record.test_folder import ROOT_ONLY
from tests.unit.record.test_store import FILES, files_of, some, store_in

SAMPLE_SEED = 20250601


def entries(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_five_hundred_damaged_files_are_moved_aside_or_read_whole(tmp_path: Path) -> None:
    dice = random.Random(SAMPLE_SEED)  # noqa: S311 - a seeded sample of damage, no secret
    store = store_in(tmp_path / "status", some())
    whole = files_of(tmp_path / "status")
    moved = 0
    with store.lock("a test", now=b.T0):
        for at in range(500):
            name = dice.choice(sorted(whole))
            path = tmp_path / "status" / name
            path.write_bytes(damaged(whole[name], dice))
            try:
                loaded = store.load(now=b.later(seconds=at))
            except StatusFolderError as refused:
                assert "fleet" in refused.message or "newer" in refused.message  # noqa: PT017 - either is right here
            else:
                moved += len(loaded.warnings)
                assert path.exists() != bool(loaded.warnings), name
                store.save(loaded.statuses)
            for aside in (tmp_path / "status").rglob("*.corrupt-*"):
                aside.unlink()
            path.write_bytes(whole[name])
            store.save(store.load(now=b.T0).statuses)
    assert moved > 400
    assert store.load(now=b.T0).statuses == some()


def damaged(raw: bytes, dice: random.Random) -> bytes:
    broken = bytearray(raw)
    match dice.randrange(4):
        case 0:
            for _ in range(dice.randint(1, 40)):
                at = dice.randrange(len(broken))
                broken[at] ^= 1 << dice.randrange(8)
        case 1:
            del broken[dice.randrange(len(broken) - 2) :]
        case 2:
            start = dice.randrange(len(broken))
            broken[start : start + 64] = b"\0" * len(broken[start : start + 64])
        case _:
            broken = bytearray(dice.choice([b"", b"[]", b"null", b"{}", b'"x"', b"\xff\xfe", b"[" * 100_000]))
    return bytes(broken)


def test_a_symlinked_file_is_neither_followed_nor_written_through(tmp_path: Path) -> None:
    store = store_in(tmp_path / "status", some())
    target = tmp_path / "precious.json"
    path = tmp_path / "status/sandboxes/web-1.json"
    path.rename(target)
    path.symlink_to(target)
    kept = target.read_bytes()
    with store.lock("a test", now=b.T0):
        loaded = store.load(now=b.T0)
        assert loaded.statuses.sandboxes == {}
        assert "no regular file" in loaded.warnings[0]
        store.save(some())
    assert target.read_bytes() == kept
    assert not path.is_symlink()


def test_a_reader_without_the_lock_moves_nothing(tmp_path: Path) -> None:
    store = store_in(tmp_path / "status", some())
    path = tmp_path / "status/sandboxes/web-1.json"
    path.write_bytes(b"{")
    with store.lock("a pass", now=b.T0):
        loaded = StatusStore(tmp_path / "status").load(now=b.T0)
    assert "left out" in loaded.warnings[0]
    assert path.exists()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["cut", "link", "folder", pytest.param("somebody else's", marks=ROOT_ONLY), "none"])
def test_only_a_pass_moves_damage_aside(tmp_path: Path, name: str, damage: str) -> None:
    store = store_in(tmp_path / "status", some())
    path = tmp_path / "status" / name
    whole = path.read_bytes()
    match damage:
        case "cut":
            path.write_bytes(whole[:40])
        case "link":
            path.rename(tmp_path / "precious.json")
            path.symlink_to(tmp_path / "precious.json")
        case "folder":
            path.unlink()
            path.mkdir()
        case "somebody else's":
            os.chown(path, 12345, 12345)
        case _:
            path.write_bytes(b"{}")
    before = entries(tmp_path / "status")
    loaded = StatusStore(tmp_path / "status").load(now=b.T0)
    assert "left out" in loaded.warnings[0]
    assert entries(tmp_path / "status") == before

    with store.lock("a test", now=b.T0):
        moved = store.load(now=b.T0)
    aside = f"{path.name}.corrupt-20250601T120000"
    assert f"moved to {aside}" in moved.warnings[0]
    assert entries(tmp_path / "status") == before - {name} | {str(Path(name).with_name(aside))}
    assert StatusStore(tmp_path / "status").load(now=b.T0).warnings == ()
