from __future__ import annotations

import msgspec

from reconciler.model.delta import OwnUse
from reconciler.model.secret import Secret
from reconciler.sink.hub import HubSink, hub_body
from tests import builders as b
from tests.unit.sink.envelopes import a_look, a_provision

TOKEN = "not-to-be-seen-anywhere"


def config(**over: object) -> HubSink:
    return msgspec.structs.replace(HubSink(url="https://hub.example", workstream_id="ws-7", token=TOKEN), **over)


def test_the_body_is_as_it_was_agreed_upon() -> None:
    envelope = a_provision(1)
    assert hub_body(envelope, config()) == {
        "workstream_id": "ws-7",
        "event": "provision",
        "host": "h1",
        "sandbox_id": "lab/web-1",
        "profile_id": "service",
        "collected_at": "2025-06-01T12:01:00Z",
        "schema_version": "reconciler-telemetry/1",
        "detail": {"id": "e-0001", "delta": msgspec.to_builtins(envelope.delta)},
    }


def test_what_a_sandbox_takes_by_itself_is_in_detail() -> None:
    own = OwnUse(at=b.T0, containers=1, memory_working_set_bytes=5, cpu_usage_ns=6, network_bytes=7, layer_bytes=8)
    told = hub_body(a_provision(1, delta=b.a_delta(own=own)), config())["detail"]["delta"]["own"]
    names = ("memory_working_set_bytes", "cpu_usage_ns", "network_bytes", "layer_bytes")
    assert [told[name] for name in names] == [5, 6, 7, 8]


def test_a_look_reports_in_detail() -> None:
    envelope = a_look(3)
    body = hub_body(envelope, config())
    assert (body["sandbox_id"], body["profile_id"]) == (None, None)
    assert body["detail"] == {"id": "e-0003", "report": msgspec.to_builtins(envelope.report)}


def test_more_fields_come_beside_and_may_correct_our_assumption() -> None:
    body = hub_body(a_provision(1), config(fields={"team": "gpu", "event": "sandboxer.provision"}))
    assert (body["team"], body["event"], body["host"]) == ("gpu", "sandboxer.provision", "h1")


def test_a_config_shows_no_token() -> None:
    for made in (config(), config(token=Secret(TOKEN)), HubSink(url="https://h", workstream_id="w", token=TOKEN)):
        assert isinstance(made.token, Secret)
        assert TOKEN not in repr(made)
        assert TOKEN not in f"{(made,)}"
