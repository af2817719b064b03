from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from reconciler.sink.interface import NotDelivered
from reconciler.sink.textfile import Textfile, TextfileSink
from tests.unit.sink.envelopes import a_look, a_provision, a_teardown


def config(tmp_path: Path) -> TextfileSink:
    folder = tmp_path / "exporter"
    folder.mkdir(exist_ok=True)
    return TextfileSink(folder=folder, fleet="lab", hosts=("h1",), kept=tmp_path / "telemetry/prometheus.kept.json")


async def test_there_is_one_file_for_the_fleet_that_everybody_may_read(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        for envelope in (a_provision(1), a_look(2)):
            await Textfile(config(tmp_path)).deliver(envelope)
    finally:
        os.umask(before)
    (path,) = (tmp_path / "exporter").iterdir()
    assert path.name == "reconciler-lab.prom"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "telemetry/prometheus.kept.json").stat().st_mode) == 0o600
    assert 'reconciler_host_load1{fleet="lab",host="h1"} 0.1\n' in path.read_text()


async def test_what_one_process_learned_the_next_one_knows(tmp_path: Path) -> None:
    await Textfile(config(tmp_path)).deliver(a_provision(1))
    await Textfile(config(tmp_path)).deliver(a_look(2))
    text = (tmp_path / "exporter/reconciler-lab.prom").read_text()
    assert 'sandbox="web-1"' in text
    await Textfile(config(tmp_path)).deliver(a_teardown(3))
    text = (tmp_path / "exporter/reconciler-lab.prom").read_text()
    assert 'sandbox="web-1"' not in text
    assert 'host="h1"' in text


async def test_several_at_once_are_as_one_by_one(tmp_path: Path) -> None:
    envelopes = [a_provision(1), a_look(2), a_teardown(3), a_provision(4)]
    texts = []
    for name in ("singly", "at-once"):
        (tmp_path / name).mkdir()
        sink = Textfile(config(tmp_path / name))
        if name == "at-once":
            await sink.deliver_all(envelopes)
        else:
            for envelope in envelopes:
                await sink.deliver(envelope)
        texts.append((tmp_path / name / "exporter/reconciler-lab.prom").read_text())
    assert texts[0] == texts[1]
    assert 'sandbox="web-1"' in texts[0]


@pytest.mark.parametrize("text", ["", "{}x", '{"hosts":7}'])
async def test_figures_that_are_damaged_start_anew(tmp_path: Path, text: str) -> None:
    sink = Textfile(config(tmp_path))
    (tmp_path / "telemetry").mkdir()
    (tmp_path / "telemetry/prometheus.kept.json").write_text(text)
    await sink.deliver(a_provision(1))
    assert 'sandbox="web-1"' in (tmp_path / "exporter/reconciler-lab.prom").read_text()


async def test_a_folder_that_is_not_there_is_said_and_not_made(tmp_path: Path) -> None:
    sink = Textfile(config(tmp_path))
    (tmp_path / "exporter").rmdir()
    with pytest.raises(NotDelivered, match=r"exporter/reconciler-lab\.prom cannot be written: No such") as refused:
        await sink.deliver(a_provision(1))
    assert not refused.value.permanent
    assert not (tmp_path / "exporter").exists()


async def test_nothing_is_written_or_opened_up_through_a_link(tmp_path: Path) -> None:
    sink = Textfile(config(tmp_path))
    victim = tmp_path / "victim"
    victim.write_text("precious")
    victim.chmod(0o600)
    for name in ("reconciler-lab.prom", ".reconciler-lab.prom.part"):
        (tmp_path / "exporter" / name).symlink_to(victim)
    await sink.deliver(a_provision(1))
    assert victim.read_text() == "precious"
    assert stat.S_IMODE(victim.stat().st_mode) == 0o600
    assert not (tmp_path / "exporter/reconciler-lab.prom").is_symlink()
