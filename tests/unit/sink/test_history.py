from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest

from reconciler.model.telemetry import Envelope
from reconciler.sink.history import HISTORY_BYTES_MAX, FileHistory, FileSink
from reconciler.sink.interface import NotDelivered
from tests import builders as b
from tests.unit.sink.envelopes import a_look, a_provision


def history(folder: Path) -> FileHistory:
    return FileHistory(FileSink(folder=folder))


def read(path: Path) -> list[Envelope]:
    return msgspec.convert(json.loads(path.read_text())["envelopes"], type=list[Envelope])


async def test_each_sandbox_and_each_host_has_its_file(tmp_path: Path) -> None:
    sink = history(tmp_path / "telemetry")
    for envelope in (a_provision(1), a_look(2), a_provision(3)):
        await sink.deliver(envelope)
    assert sorted(path.name for path in (tmp_path / "telemetry").iterdir()) == ["host.h1.json", "web-1.json"]
    assert read(tmp_path / "telemetry/web-1.json") == [a_provision(1), a_provision(3)]
    assert read(tmp_path / "telemetry/host.h1.json") == [a_look(2)]


async def test_a_sandbox_that_is_called_host_is_no_host(tmp_path: Path) -> None:
    sink = history(tmp_path)
    await sink.deliver(a_provision(1, sandbox_id="lab/host"))
    await sink.deliver(a_look(2))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["host.h1.json", "host.json"]


async def test_files_are_private_and_lines_are_envelopes(tmp_path: Path) -> None:
    sink = history(tmp_path / "telemetry")
    await sink.deliver(a_provision(1))
    await sink.deliver(a_provision(2))
    path = tmp_path / "telemetry/web-1.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert len(path.read_text().splitlines()) == 4


async def test_the_last_fifty_are_kept(tmp_path: Path) -> None:
    sink = history(tmp_path)
    for number in range(53):
        await sink.deliver(a_provision(number))
    assert read(tmp_path / "web-1.json") == [a_provision(number) for number in range(3, 53)]


async def test_a_repeat_does_not_count_twice(tmp_path: Path) -> None:
    sink = history(tmp_path)
    for number in (1, 2, 2):
        await sink.deliver(a_provision(number))
    assert read(tmp_path / "web-1.json") == [a_provision(1), a_provision(2)]


async def test_several_at_once_are_as_one_by_one(tmp_path: Path) -> None:
    envelopes = [a_provision(number, sandbox_id=f"lab/web-{number % 3}") for number in range(200)]
    envelopes += [a_look(300), envelopes[-1]]
    for envelope in envelopes:
        await history(tmp_path / "singly").deliver(envelope)
    await history(tmp_path / "at-once").deliver_all(envelopes[:90])
    await history(tmp_path / "at-once").deliver_all(envelopes[90:])
    files = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("singly", "at-once")]
    assert len(files[0]) == 4
    assert files[0] == files[1]


async def test_large_envelopes_push_older_ones_out(tmp_path: Path) -> None:
    sink = history(tmp_path)
    large = "x" * (HISTORY_BYTES_MAX // 3)
    for number in range(4):
        await sink.deliver(a_provision(number, profile_id=large))
    assert [one.id for one in read(tmp_path / "web-1.json")] == ["e-0002", "e-0003"]


async def test_an_envelope_that_no_history_can_hold_is_refused_for_good(tmp_path: Path) -> None:
    with pytest.raises(NotDelivered, match="too large") as refused:
        await history(tmp_path).deliver(a_provision(1, profile_id="x" * HISTORY_BYTES_MAX))
    assert refused.value.permanent


@pytest.mark.parametrize(
    "over",
    [{"sandbox_id": "lab/../../etc"}, {"sandbox_id": "lab"}, {"sandbox_id": None, "host": "../h1"}],
)
async def test_no_name_leads_out_of_the_folder(tmp_path: Path, over: dict[str, Any]) -> None:
    with pytest.raises(NotDelivered) as refused:
        await history(tmp_path / "in").deliver(a_provision(1, **over))
    assert refused.value.permanent
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", '{"format":"other/1","envelopes":[]}', "[1]"])
async def test_a_damaged_file_is_moved_aside(tmp_path: Path, text: str) -> None:
    (tmp_path / "web-1.json").write_text(text)
    await history(tmp_path).deliver(a_provision(1))
    assert read(tmp_path / "web-1.json") == [a_provision(1)]
    assert (tmp_path / "web-1.json.corrupt").read_text() == text


async def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "telemetry"
    folder.mkdir()
    (folder / "web-1.json").symlink_to(victim)
    await history(folder).deliver(a_provision(1))
    assert victim.read_text() == "precious"
    assert not (folder / "web-1.json").is_symlink()
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(NotDelivered, match="link"):
        await history(tmp_path / "link").deliver(a_provision(2))


async def test_a_folder_that_cannot_be_written_is_said_and_no_refusal(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotDelivered, match="cannot be written") as refused:
        await history(tmp_path / "file").deliver(a_provision(1))
    assert not refused.value.permanent


async def test_what_a_killed_process_left_half_written_is_swept_up(tmp_path: Path) -> None:
    (tmp_path / ".new-0123456789abcdef").write_text("half")
    await history(tmp_path).deliver(a_provision(1))
    assert os.listdir(tmp_path) == ["web-1.json"]


async def test_nothing_is_left_beside_the_files(tmp_path: Path) -> None:
    await history(tmp_path).deliver(a_provision(1, collected_at=b.T0))
    assert os.listdir(tmp_path) == ["web-1.json"]
