"""A real node exporter reads the textfile, and a real Prometheus scrapes it; both are Debian's."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from reconciler.sink import TextfileSink
from tests import builders as b
from tests.integration.sinks.conftest import Send
from tests.integration.sinks.monitoring import exporting, lint, query, scraping, text_of
from tests.lab.world import wait_until
from tests.unit.sink.envelopes import a_candidate, a_look, a_provision, a_teardown
from tests.unit.sink.test_exposition import OWN

pytestmark = pytest.mark.lab

AWKWARD = 'gpu "big"\\new\nline {} # ü'
CHANGE = {"memory_available_bytes": -536870912.0, "disk_used_bytes": 1048576.0}


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Give a folder that everybody may look into, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="sinks-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def textfiles(scratch: Path) -> Path:
    (scratch / "textfiles").mkdir(mode=0o755)
    return scratch / "textfiles"


def sink(textfiles: Path, scratch: Path, fleet: str = "lab") -> TextfileSink:
    kept = scratch / f"status-{fleet}/prometheus.kept.json"
    return TextfileSink(folder=textfiles, fleet=fleet, hosts=("h1", "h2"), kept=kept, name=f"prometheus-{fleet}")


async def test_what_a_fleet_tells_can_be_asked_of_prometheus(scratch: Path, textfiles: Path, to: Send) -> None:
    ours = sink(textfiles, scratch)
    stale: dict[str, Any] = {"stale": (a_candidate("orphan"), a_candidate("orphan"), a_candidate("idle"))}
    provision = a_provision(1, profile_id=AWKWARD, delta=b.a_delta(change=CHANGE, own=OWN))
    assert await to(provision, a_look(2, report=stale), a_look(2, host="h2"), sinks=[ours]) == ()
    with exporting(textfiles, scratch) as exporter, scraping(exporter, scratch) as prometheus:

        def values(expression: str, label: str = "host") -> dict[str, float]:
            return {one["metric"].get(label, ""): float(one["value"][1]) for one in query(prometheus, expression)}

        assert values("node_textfile_scrape_error") == {"": 0.0}
        assert values("reconciler_host_load1") == {"h1": 0.1, "h2": 0.1}
        assert values("reconciler_host_memory_available_bytes") == {"h1": 12 * 2.0**30, "h2": 12 * 2.0**30}
        disks = values('reconciler_host_disk_available_bytes{host="h1"}', "filesystem")
        assert disks == dict.fromkeys(("root", "base_dir", "docker_root"), 60 * 2.0**30)
        kinds = values('reconciler_host_stale_objects{host="h1"} > 0', "kind")
        assert kinds == {"orphan": 2.0, "idle": 1.0}
        changed = values("reconciler_sandbox_provision_memory_available_change_bytes", "profile")
        assert changed == {AWKWARD: CHANGE["memory_available_bytes"]}
        assert values("reconciler_sandbox_provision_disk_used_change_bytes", "sandbox") == {"web-1": 1048576.0}
        own = values('{__name__=~"reconciler_sandbox_provision_own_.+"}', "__name__")
        assert {name.removeprefix("reconciler_sandbox_provision_own_"): value for name, value in own.items()} == {
            "memory_working_set_bytes": 52428800.0,
            "cpu_seconds": 1.5,
            "network_bytes": 0.0,
            "layer_bytes": 7.0,
        }
        assert values("reconciler_last_pass_timestamp_seconds", "fleet") == {"lab": b.later(minutes=2).timestamp()}

        gone = 'reconciler_sandbox_provision_timestamp_seconds{sandbox="web-1"}'
        assert values(gone, "sandbox") != {}
        assert await to(a_teardown(3), sinks=[ours]) == ()
        wait_until(lambda: values(gone) == {}, timeout_s=30, what="the end of what is gone")
        assert values("reconciler_host_load1") == {"h1": 0.1, "h2": 0.1}


async def test_several_fleets_share_one_exporter(scratch: Path, textfiles: Path, to: Send) -> None:
    fleets = [sink(textfiles, scratch, fleet) for fleet in ("lab", "prod")]
    assert await to(a_provision(1), a_look(2), sinks=fleets) == ()
    assert sorted(path.name for path in textfiles.iterdir()) == ["reconciler-lab.prom", "reconciler-prod.prom"]
    with exporting(textfiles, scratch) as exporter:
        text = text_of(exporter)
    assert "node_textfile_scrape_error 0" in text
    for fleet in ("lab", "prod"):
        assert f'reconciler_host_load1{{fleet="{fleet}",host="h1"}} 0.1' in text


async def test_the_exporter_never_meets_half_a_file(scratch: Path, textfiles: Path, to: Send) -> None:
    ours = sink(textfiles, scratch)
    many = [a_provision(1, sandbox_id=f"lab/web-{number}", profile_id="x" * 200) for number in range(300)]
    assert await to(*many, a_provision(2), sinks=[ours], limit_s=60) == ()
    with exporting(textfiles, scratch) as exporter:
        number = 2
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(lambda: [text_of(exporter) for _ in range(40)])
            while not reading.done():
                number += 1
                assert await to(a_provision(number), sinks=[ours]) == ()
        texts = reading.result()
    assert number > 5, "the file was written again and again while it was read"
    for text in texts:
        assert "node_textfile_scrape_error 0" in text
        assert text.count("reconciler_sandbox_provision_timestamp_seconds{") == 300


async def test_prometheus_own_tool_has_nothing_against_the_text(scratch: Path, textfiles: Path, to: Send) -> None:
    await to(a_provision(1, profile_id=AWKWARD), a_look(2), sinks=[sink(textfiles, scratch)])
    assert lint((textfiles / "reconciler-lab.prom").read_text()) == ""
    assert lint("reconciler_x{a=} 1\n") != "", "or it proves nothing"
