"""Sinks as the Fleet declares them, opened without asking anybody; and a pass that has none loads nothing of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.cli.telemetry import sinks_of
from reconciler.model.desired import SinkDesired
from reconciler.model.secret import Secret
from reconciler.model.text import Late, Template
from reconciler.sink import DownSink, FileSink, HubSink, OtherSink, TextfileSink
from tests import builders as b
from tests.unit.load.bad_specs import FLEET

TOKEN = Template((Late("secret:hub"),))


def test_each_type_becomes_its_sink_and_files_of_ours_lie_in_the_status_folder(tmp_path: Path) -> None:
    (tmp_path / "hub").write_text("the-token-itself\n")
    hub = SinkDesired(type="stateHub", name="hub", url="https://h/", workstream="lab", path="in/", token=TOKEN)
    other = SinkDesired(type="archive", name="a", options={"key": TOKEN, "bucket": "logs"})
    desired = b.a_desired(
        telemetry=(
            SinkDesired(type="file", name="file"),
            hub,
            SinkDesired(type="prometheus", name="prom", folder="/var/lib/prom"),
            other,
        ),
        secrets={"hub": str(tmp_path / "hub")},
    )
    made = sinks_of(desired, Path("status"))
    assert made == (
        FileSink(folder=Path("status/telemetry")),
        HubSink(name="hub", url="https://h/", workstream_id="lab", path="in/", token=Secret("the-token-itself")),
        TextfileSink(
            name="prom",
            folder=Path("/var/lib/prom"),
            fleet=desired.fleet,
            hosts=tuple(desired.hosts),
            kept=Path("status/telemetry/figures.prom.json"),
        ),
        OtherSink(type="archive", name="a", options={"key": Secret("the-token-itself"), "bucket": "logs"}),
    )
    assert "the-token-itself" not in repr(made)


def test_a_sink_whose_secret_cannot_be_read_is_down_and_the_others_are_not(tmp_path: Path) -> None:
    hub = SinkDesired(type="stateHub", name="hub", url="https://h/", workstream="lab", token=TOKEN)
    desired = b.a_desired(telemetry=(hub, SinkDesired(type="file", name="f")), secrets={"hub": str(tmp_path / "no")})
    down, file = sinks_of(desired, tmp_path)
    assert down == DownSink(
        name="hub", why=f"secret hub: its file {tmp_path}/no cannot be read: No such file or directory"
    )
    assert isinstance(file, FileSink)


def test_what_only_sandboxes_need_is_not_read_for_a_sink(tmp_path: Path) -> None:
    sandbox = b.a_sandbox(resources=(b.a_container(env={"A": Template((Late("secret:gone"),))}),))
    desired = b.a_desired(sandbox, telemetry=(SinkDesired(type="file", name="file"),), secrets={"gone": "/nowhere"})
    assert isinstance(sinks_of(desired, tmp_path)[0], FileSink)


@pytest.mark.parametrize(
    ("words", "fleet", "loads"),
    [
        (["--help"], FLEET, False),
        (["apply", "--yes"], FLEET, False),
        (["plan"], FLEET + "spec: {telemetry: {sinks: [{type: file}]}}\n", False),
        (["apply", "--yes"], FLEET + "spec: {telemetry: {sinks: [{type: file}]}}\n", True),
    ],
)
def test_only_a_pass_with_sinks_loads_them(tmp_path: Path, words: list[str], fleet: str, *, loads: bool) -> None:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/fleet.yaml").write_text(fleet)
    script = (
        "import json, sys\n"
        "from reconciler.cli import run\n"
        "status = run(sys.argv[1:])\n"
        "found = sorted(name for name in sys.modules if name.startswith('reconciler.sink'))\n"
        "print('\\n' + json.dumps([status, found]))\n"
    )
    env = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", script, *words], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    status, found = json.loads(done.stdout.splitlines()[-1])
    assert (status, bool(found)) == (0, loads), done.stderr
