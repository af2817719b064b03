"""Rows 68 to 70 and 72 of the parity table: telemetry reaches every sink, a dead one costs no pass, no secret leaves.

The State Hub here is a stand-in on loopback: an HTTP server that keeps what it is sent. It is no State Hub.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.e2e.driver import CHECKOUT, Driver
from tests.e2e.sights import IDLE, inspect, name_of
from tests.lab.host import LabHost
from tests.security.canary import files_below, hatch, sightings

pytestmark = pytest.mark.lab

FILE = {"type": "file"}
PACKAGE = """
import asyncio
import msgspec
from reconciler.sink import NotDelivered

class Lines:
    def __init__(self, name, path):
        self.name, self.path = name, path

    async def deliver(self, envelope):
        with open(self.path, "ab") as file:
            file.write(msgspec.json.encode(envelope) + b"\\n")

    async def close(self):
        pass

class Stubborn(Lines):
    async def deliver(self, envelope):
        while True:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                pass

def open_sink(name, options):
    return Lines(name, options["path"])

def open_stubborn(name, options):
    return Stubborn(name, "")
"""
ENTRY_POINTS = """
[reconciler.sinks]
lines = acme_lines:open_sink
stubborn = acme_lines:open_stubborn
"""


class StandIn(ThreadingHTTPServer):
    """Take what a State Hub is sent, and keep it with the headers that it came with."""

    def __init__(self, port: int = 0) -> None:
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.is_asked = threading.Event()
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        super().__init__(("127.0.0.1", port), _Answer)


class _Answer(BaseHTTPRequestHandler):
    server: StandIn

    def log_message(self, *_: object) -> None:
        """Say nothing on the test's own output."""

    def do_POST(self) -> None:
        self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.server.headers.append(dict(self.headers))
        self.server.is_asked.set()
        self.server.may_answer.wait(60)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def serving(port: int = 0) -> Iterator[StandIn]:
    with StandIn(port) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def send_to(fleet: Driver, *sinks: dict[str, Any], **spec: Any) -> None:
    fleet.drop("Host", "beta")
    fleet.declare_fleet(telemetry={"sinks": list(sinks)}, limits={"removalsPerPlan": "100%"}, **spec)


def declare(fleet: Driver, name: str = "web", **spec: Any) -> None:
    fleet.declare_sandbox(name, **{"host": "alpha", "containers": {"main": IDLE}, **spec})


def history(fleet: Driver, name: str) -> list[dict[str, Any]]:
    """Read one file of telemetry, and check every envelope in it against the published schema."""
    told = json.loads((fleet.status / "telemetry" / f"{name}.json").read_text())
    assert told["format"] == "reconciler-telemetry-history/1"
    schema = json.loads((CHECKOUT / "schemas/telemetry-envelope.json").read_text())
    for envelope in told["envelopes"]:
        jsonschema.validate(envelope, schema)
    envelopes: list[dict[str, Any]] = told["envelopes"]
    return envelopes


def test_row_68_what_a_create_and_an_end_measured_is_in_a_file(fleet: Driver, alpha: LabHost) -> None:
    send_to(fleet, FILE)
    declare(fleet)
    applied = fleet.run("apply", "--yes").expect(0)
    assert "warning" not in applied.stderr
    (made,) = history(fleet, "web")
    assert (made["event"], made["schema_version"], made["host"]) == ("provision", "reconciler-telemetry/1", "alpha")
    assert made["sandbox_id"] == f"{fleet.fleet}/web"
    assert made["delta"]["verb"] == "create"
    assert made["delta"]["change"]["containers_running"] >= 1
    (looked,) = history(fleet, "host.alpha")
    assert looked["event"] == "introspection"
    assert looked["report"]["snapshot"]["memory_total_bytes"] > 0
    fleet.run("apply", "--yes").expect(0)
    assert [one["event"] for one in history(fleet, "web")] == ["provision"], "nothing was done again"
    (seen,) = history(fleet, "host.alpha")[1]["report"]["inventory"]["found"]
    assert (seen["object"], seen["state"]) == ("sandbox/web", "running")
    before = (fleet.status / "telemetry/host.alpha.json").read_bytes()
    for words in (("plan",), ("status",), ("inspect", "stale"), ("inspect", "host", "alpha")):
        fleet.run(*words).expect(0)
    assert (fleet.status / "telemetry/host.alpha.json").read_bytes() == before, "who only looks sends nothing"
    fleet.run("destroy", "web", "--yes").expect(0)
    assert [one["event"] for one in history(fleet, "web")] == ["provision", "teardown"]
    assert history(fleet, "host.alpha")[-1]["report"]["inventory"]["found"] == []
    assert fleet.containers(alpha) == {}


def test_row_68_reaping_sends_what_it_ended(fleet: Driver, alpha: LabHost) -> None:
    send_to(fleet, FILE)
    declare(fleet)
    declare(fleet, "kept")
    fleet.run("apply", "--yes").expect(0)
    fleet.drop("Sandbox", "web")
    for file in fleet.status.glob("*/web.json"):
        file.unlink()
    fleet.run("apply", "--yes").expect(0, 3)
    (found,) = history(fleet, "host.alpha")[-1]["report"]["stale"]
    assert (found["kind"], found["found"]["object"]) == ("orphan", "sandbox/web")
    fleet.run("reap-stale", "--apply", "--older-than", "0", "--yes").expect(0)
    assert history(fleet, "host.alpha")[-1]["report"]["stale"] != [], "it is stopped, and not gone yet"
    fleet.run("reap-stale", "--apply", "--older-than", "0", "--grace", "0", "--yes").expect(0)
    assert list(fleet.containers(alpha)) == [name_of(fleet, "kept")]
    assert history(fleet, "host.alpha")[-1]["report"]["stale"] == []


def test_row_69_a_hub_that_is_down_costs_no_create_and_gets_all_of_it_later_in_order(fleet: Driver) -> None:
    with serving() as gone:
        port = gone.server_port
    send_to(fleet, FILE, {"type": "stateHub", "url": f"http://127.0.0.1:{port}", "workstream": "ws-7"})
    declare(fleet, "web")
    down = fleet.run("apply", "--yes").expect(0)
    assert "warning: sink stateHub: 2 envelopes are kept since " in down.stderr
    assert f"http://127.0.0.1:{port}/progress/: it refuses connections" in down.stderr
    declare(fleet, "api")
    streamed = fleet.run("apply", "--yes", "--json").expect(0)
    assert "4 envelopes are kept" in streamed.stderr
    assert streamed.lines[-1]["type"] == "status_written", "the stream is whole, and nothing else is in it"
    with serving(port) as hub:
        up = fleet.run("apply", "--yes").expect(0)
    assert "warning" not in up.stderr
    assert [(one["event"], one["sandbox_id"]) for one in hub.bodies] == [
        ("introspection", None),
        ("provision", f"{fleet.fleet}/web"),
        ("introspection", None),
        ("provision", f"{fleet.fleet}/api"),
        ("introspection", None),
    ]
    assert {one["workstream_id"] for one in hub.bodies} == {"ws-7"}
    assert hub.bodies[1]["detail"]["delta"]["verb"] == "create"
    assert [header["Idempotency-Key"] for header in hub.headers] == [one["detail"]["id"] for one in hub.bodies]
    assert [one["id"] for one in history(fleet, "web")] == [hub.bodies[1]["detail"]["id"]]


def test_row_69_who_is_stopped_while_it_sends_has_done_its_pass(fleet: Driver, alpha: LabHost) -> None:
    with serving() as hub:
        hub.may_answer.clear()
        send_to(fleet, {"type": "stateHub", "url": f"http://127.0.0.1:{hub.server_port}"})
        declare(fleet)
        running = fleet.start("apply", "--yes")
        assert hub.is_asked.wait(60)
        running.signal(signal.SIGTERM)
        said = running.wait().expect(0).stderr
        assert "warning: sending telemetry was stopped; the next pass sends what is kept" in said
        assert name_of(fleet, "web") in fleet.containers(alpha)
        hub.may_answer.set()
        fleet.run("apply", "--yes").expect(0)
    events = [one["event"] for one in hub.bodies]
    assert events == ["introspection", "introspection", "provision", "introspection"], "what was cut off came again"


def test_row_69_a_failed_pass_keeps_its_status(fleet: Driver) -> None:
    send_to(fleet, {"type": "stateHub", "url": "http://127.0.0.1:1"})
    declare(fleet, containers={"main": {**IDLE, "image": "lab/no-such:1"}})
    assert "it refuses connections" in fleet.run("apply", "--yes").expect(1).stderr


def test_row_69_a_token_whose_file_is_gone_keeps_what_is_for_the_hub(fleet: Driver, tmp_path: Path) -> None:
    token = tmp_path / "token"
    with serving() as hub:
        sink = {"type": "stateHub", "url": f"http://127.0.0.1:{hub.server_port}", "token": "${secret:hub}"}
        send_to(fleet, sink, secrets={"hub": {"file": str(token)}})
        declare(fleet)
        said = fleet.run("apply", "--yes").expect(0).stderr
        assert f"secret hub: its file {token} cannot be read: No such file or directory" in said
        assert hub.bodies == []
        token.write_text("a-token-of-ours\n")
        assert "warning" not in fleet.run("apply", "--yes").expect(0).stderr
    assert [one["event"] for one in hub.bodies] == ["introspection", "provision", "introspection"]
    assert {one["Authorization"] for one in hub.headers} == {"Bearer a-token-of-ours"}
    assert {one["workstream_id"] for one in hub.bodies} == {fleet.fleet}, "the fleet's name where none is given"


def test_row_70_a_sink_of_another_package_is_called_with_the_envelope(fleet: Driver, tmp_path: Path) -> None:
    info = tmp_path / "site/acme_lines-1.0.dist-info"
    info.mkdir(parents=True)
    (tmp_path / "site/acme_lines.py").write_text(PACKAGE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-lines\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    lines = {"type": "lines", "name": "archive", "options": {"path": str(tmp_path / "all.jsonl")}}
    send_to(fleet, lines, {"type": "stubborn"})
    declare(fleet)
    down = fleet.run("apply", "--yes").expect(0)
    assert "sink archive: 2 envelopes are kept" in down.stderr
    assert "no installed package brings a sink of type lines" in down.stderr
    up = fleet.run("apply", "--yes", env={"PYTHONPATH": f"{CHECKOUT}:{tmp_path / 'site'}"}).expect(0)
    (said,) = [line for line in up.stderr.splitlines() if "sink" in line]
    assert said.startswith("warning: sink stubborn: 3 envelopes are kept since ")
    assert said.endswith("it did not answer within 3 s"), "nobody waits for one that lets nobody stop it"
    told = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [one["event"] for one in told] == ["introspection", "provision", "introspection"]
    assert told[1]["delta"]["verb"] == "create"


def test_row_72_no_secret_and_nothing_of_an_environment_leaves(fleet: Driver, alpha: LabHost, tmp_path: Path) -> None:
    canaries = {name: hatch() for name in ("env", "file", "plain variable")}
    canaries["token"] = hatch().replace('"', "").replace("&", "").replace("%", "")
    vault = tmp_path / "vault"
    vault.mkdir()
    for name in ("env", "file", "token"):
        (vault / name).write_text(canaries[name] + "\n")
    prom = tmp_path / "prom"
    prom.mkdir()
    with serving() as hub:
        port = hub.server_port
        send_to(
            fleet,
            FILE,
            {"type": "stateHub", "url": f"http://127.0.0.1:{port}", "token": "${secret:token}"},
            {"type": "prometheus", "folder": str(prom)},
            {"type": "gone", "options": {"key": "${secret:token}"}},
            secrets={name: {"file": str(vault / name)} for name in ("env", "file", "token")},
        )
        main = {**IDLE, "env": {"CANARY_NAME": "${secret:env}", "OTHER_NAME": canaries["plain variable"]}}
        note = {"path": "note", "content": "it is ${secret:file}\n"}
        declare(fleet, containers={"main": {**main, "mounts": {"/note": {"file": "note"}}}}, files={"note": note})
        said = [fleet.run("apply", "--yes").expect(0), fleet.run("apply", "--yes", "--json").expect(0)]
    said += [fleet.run("apply", "--yes").expect(0), fleet.run("destroy", "web", "--yes").expect(0)]
    assert {one["Authorization"] for one in hub.headers} == {f"Bearer {canaries['token']}"}, "or it proves nothing"
    assert any(path.suffix == ".prom" for path in prom.iterdir())
    assert list((fleet.status / "spool/gone").glob("*.jsonl")), "or the spool proves nothing"
    assert list((fleet.status / "spool/stateHub").glob("*.jsonl"))
    sent = [*files_below(fleet.status / "telemetry", fleet.status / "spool", prom)]
    sent += [("the hub", json.dumps(hub.bodies).encode())]
    words = [("output", f"{ran.stdout}\n{ran.stderr}".encode()) for ran in said]
    assert sightings(canaries, [*sent, *words]) == []
    image = inspect(alpha, IDLE["image"])["Config"]["Env"][0].partition("=")[0]
    for name in ("CANARY_NAME", "OTHER_NAME", image, "NetworkSettings", "HostConfig"):
        assert [place for place, text in sent if name.encode() in text] == [], name
    assert name_of(fleet, "web") not in fleet.containers(alpha)
