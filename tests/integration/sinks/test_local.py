"""Sinks that are files on this machine, fed through the front door."""

from __future__ import annotations

import json
from pathlib import Path

from reconciler.sink import FileSink, TextfileSink
from tests.integration.sinks.conftest import Send
from tests.unit.sink.envelopes import a_look, a_provision


def ids_in(path: Path) -> list[str]:
    return [one["id"] for one in json.loads(path.read_text())["envelopes"]]


async def test_one_that_is_refused_holds_up_none_of_its_batch(to: Send, tmp_path: Path, spool: Path) -> None:
    bad = a_provision(3, sandbox_id="lab/../../etc/cron.d/x")
    batch = [a_provision(1), a_provision(2), bad, a_provision(4), a_look(5)]
    (said,) = await to(*batch, sinks=[FileSink(folder=tmp_path / "status/telemetry")])
    assert "sink file: 1 envelope is refused for good" in said
    assert ids_in(tmp_path / "status/telemetry/web-1.json") == ["e-0001", "e-0002", "e-0004"]
    assert ids_in(tmp_path / "status/telemetry/host.h1.json") == ["e-0005"]
    assert len(list((spool / "file/refused").iterdir())) == 1
    assert sorted(path.name for path in (tmp_path / "status").iterdir()) == ["spool", "telemetry"]


async def test_a_line_of_the_spool_that_is_damaged_holds_up_none(to: Send, tmp_path: Path, spool: Path) -> None:
    sink = TextfileSink(folder=tmp_path / "exporter", fleet="lab", hosts=("h1",), kept=tmp_path / "status/kept.json")
    await to(a_provision(1), a_look(2), sinks=[sink])
    (part,) = (spool / "prometheus").glob("*.jsonl")
    part.write_bytes(b'{"half\n' + part.read_bytes())
    (tmp_path / "exporter").mkdir()
    (said,) = await to(sinks=[sink])
    assert "1 envelope is refused for good" in said
    assert "damaged, or of another version" in said
    assert 'sandbox="web-1"' in (tmp_path / "exporter/reconciler-lab.prom").read_text()


async def test_files_that_cannot_be_written_get_everything_later(to: Send, tmp_path: Path) -> None:
    sink = TextfileSink(folder=tmp_path / "exporter", fleet="lab", hosts=("h1",), kept=tmp_path / "status/kept.json")
    (said,) = await to(a_provision(1), a_look(2), sinks=[sink])
    assert said == (
        "sink prometheus: 2 envelopes are kept since 2025-06-01 12:01:00 UTC: "
        f"{tmp_path}/exporter/reconciler-lab.prom cannot be written: No such file or directory"
    )
    (tmp_path / "exporter").mkdir()
    assert await to(sinks=[sink]) == ()
    text = (tmp_path / "exporter/reconciler-lab.prom").read_text()
    assert 'reconciler_host_load1{fleet="lab",host="h1"}' in text
    assert 'sandbox="web-1"' in text
