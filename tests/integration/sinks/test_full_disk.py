"""Disks of the controller that are full: telemetry is sent from memory, or said to be lost, and never raises."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.sink import FileSink, TextfileSink
from tests.integration.faults.test_disks import fill, small_disk
from tests.integration.sinks.conftest import Send
from tests.integration.sinks.stand_in import StandIn
from tests.unit.sink.envelopes import a_look, a_provision


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "status"
    with small_disk(folder, size="1m"):
        yield folder


async def test_what_cannot_be_kept_is_sent_all_the_same(hub: StandIn, to: Send, disk: Path) -> None:
    fill(disk)
    assert await to(a_provision(1), a_provision(2), sinks=[hub.config()]) == ()
    assert hub.ids == ["e-0001", "e-0002"]


async def test_what_can_be_neither_kept_nor_sent_is_said_to_be_lost(hub: StandIn, to: Send, disk: Path) -> None:
    fill(disk)
    hub.moods = ["ok", "503"]
    (said,) = await to(a_provision(1), a_provision(2), a_provision(3), sinks=[hub.config()])
    assert said.startswith("sink hub: 2 envelopes are lost: no file can keep them (the disk is full), and the sink: ")
    assert "answered 503" in said


async def test_files_say_that_the_disk_is_full_and_what_they_held_is_whole(to: Send, disk: Path) -> None:
    sinks = [
        FileSink(folder=disk / "telemetry"),
        TextfileSink(folder=disk, fleet="lab", hosts=("h1",), kept=disk / "telemetry/prometheus.kept.json"),
    ]
    assert await to(a_look(1), sinks=sinks) == ()
    before = (disk / "reconciler-lab.prom").read_text()
    filler = fill(disk)
    said = await to(a_look(2), sinks=sinks)
    assert len(said) == 2
    assert all("1 envelope is lost: no file can keep them (the disk is full)" in text for text in said), said
    assert (disk / "reconciler-lab.prom").read_text() == before
    assert len(json.loads((disk / "telemetry/host.h1.json").read_text())["envelopes"]) == 1
    left = [path.name for path in disk.rglob("*") if path.is_file()]
    assert sorted(left) == ["filler", "host.h1.json", "prometheus.kept.json", "reconciler-lab.prom"]
    filler.unlink()
    assert await to(a_look(3), sinks=sinks) == ()
    assert len(json.loads((disk / "telemetry/host.h1.json").read_text())["envelopes"]) == 2


async def test_a_batch_is_kept_as_a_whole_or_not_at_all(hub: StandIn, to: Send, disk: Path, spool: Path) -> None:
    hub.after = "503"
    batch = [a_provision(number, profile_id="x" * 600_000) for number in range(2)]
    (said,) = await to(*batch, sinks=[hub.config()])
    assert "2 envelopes are lost" in said, "the first would have fitted"
    assert list((spool / "hub").iterdir()) == []


async def test_a_refusal_that_cannot_be_moved_aside_waits(hub: StandIn, to: Send, disk: Path) -> None:
    hub.moods = ["503", "400"]
    await to(a_provision(1), sinks=[hub.config()])
    filler = fill(disk)
    (said,) = await to(sinks=[hub.config()])
    assert "1 envelope is kept since" in said
    assert "the disk is full" in said
    filler.unlink()
    assert await to(sinks=[hub.config()]) == ()
    assert hub.ids == ["e-0001"] * 3


async def test_a_disk_that_fills_up_while_sending_delivers_on(hub: StandIn, to: Send, disk: Path) -> None:
    hub.moods = ["503"]
    await to(*map(a_provision, range(1, 6)), sinks=[hub.config()])
    fill(disk)
    assert await to(sinks=[hub.config()]) == ()
    assert hub.ids == ["e-0001", *(f"e-{number:04d}" for number in range(1, 6))]
