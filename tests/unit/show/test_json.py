from __future__ import annotations

import json

import msgspec
import pytest

from reconciler.model.outcome import ActionEnded
from reconciler.model.problem import Problem
from reconciler.show import stream
from reconciler.show.host_text import host_json
from reconciler.show.plan_json import plan_json
from reconciler.show.status_json import status_json, status_names
from tests import builders as b
from tests.golden.show import sample_plans as sample
from tests.golden.show.pages import statuses

STAMP = stream.Stamp(b.T0, "p-1")


def test_a_plan_has_exactly_the_keys_that_scripts_rely_on() -> None:
    document = json.loads(msgspec.json.encode(plan_json(sample.everything())))
    assert list(document) == [
        "format",
        "fleet",
        "revision",
        "summary",
        "actions",
        "held_back",
        "owned",
        "foreign",
        "unknown_hosts",
        "being_changed",
        "refused",
    ]
    assert set(document["summary"]) == {
        "create", "update", "replace", "destroy", "adopt", "forget", "reap", "unknown", "held_back",
    }  # fmt: skip
    for action in document["actions"]:
        assert list(action) == ["address", "host", "action", "cause", "changes", "steps", "notes"]
    for held in document["held_back"]:
        assert {"address", "host", "reason", "message"} <= set(held)


def test_a_status_has_the_keys_that_scripts_rely_on() -> None:
    document = json.loads(msgspec.json.encode(status_json(statuses(), fleet="lab")))
    assert {"format", "fleet", "unfinished_pass", "sandboxes", "hosts"} == set(document)
    wanted = {"name", "host", "sync", "health", "conditions", "generation", "revision"}
    assert all(wanted <= set(one) for one in document["sandboxes"])
    kept = {"type", "status", "reason", "message", "lastTransitionTime"}
    assert all(set(cond) == kept for one in document["sandboxes"] for cond in one["conditions"])
    assert status_names(statuses()).splitlines()[0] == "sandbox/agent-10"


def test_a_host_shows_no_environment() -> None:
    secret = "hunter2"
    seen = b.a_seen(spec=b.a_container(env={"TOKEN": secret}))
    document = host_json("h1", snapshot=b.a_snapshot(), view=b.a_view(seen), fleet=b.FLEET)
    assert {"host", "snapshot", "inventory"} <= set(document)
    assert secret not in msgspec.json.encode(document).decode()


def messages() -> list[stream.Message]:
    plan = sample.everything()
    action = plan.actions[0]
    looks = b.an_observed({"h1": b.a_reachable(), "h9": b.an_unreachable()})
    return [
        stream.version(STAMP, tool="1.0"),
        stream.diagnostic(STAMP, Problem("E_X", b.a_ref(), "wrong")),
        *stream.hosts_observed(STAMP, looks),
        *stream.planned(STAMP, plan),
        stream.apply_start(STAMP, action),
        stream.apply_progress(STAMP, action, step="s1", text="pulling \x1b[1m"),
        stream.apply_ended(STAMP, action, ActionEnded(id=action.id, end="done")),
        stream.apply_ended(STAMP, action, ActionEnded(id=action.id, end="failed", message="no")),
        stream.host_delta(STAMP, action, b.a_delta()),
        stream.status_written(STAMP, folder="status", sandboxes=3),
    ]


def test_the_stream_speaks_every_type_and_each_message_is_whole() -> None:
    read = [json.loads(stream.json_line(message)) for message in messages()]
    assert {message["type"] for message in read} == {
        "version", "diagnostic", "host_observed", "resource_drift", "planned_change", "held_back", "change_summary",
        "apply_start", "apply_progress", "apply_complete", "apply_errored", "host_delta", "status_written",
    }  # fmt: skip
    for message in read:
        assert {"@timestamp", "@level", "@message", "pass_id"} <= set(message)
        assert message["@level"] in {"info", "warn", "error"}
        fleet_wide = {"version", "diagnostic", "change_summary", "status_written"}
        assert ("address" in message) == (message["type"] not in fleet_wide)


@pytest.mark.parametrize("message", messages(), ids=lambda message: message["type"])
def test_each_message_is_one_line_without_control_characters(message: stream.Message) -> None:
    line = stream.json_line(message)
    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert "\x1b" not in line
