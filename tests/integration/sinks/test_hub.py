"""A State Hub that is there, is down, refuses, hangs, drops and redirects. The hub is a stand-in on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

import msgspec
import pytest

from reconciler.sink import FileSink, HubSink
from reconciler.sink.hub import hub_body
from tests.integration.sinks.conftest import Send
from tests.integration.sinks.stand_in import StandIn, answer
from tests.unit.sink.envelopes import a_look, a_provision


def ids(*numbers: int) -> list[str]:
    return [f"e-{number:04d}" for number in numbers]


def left(spool: Path, name: str = "hub") -> list[str]:
    return sorted(path.name for path in (spool / name).iterdir())


async def test_what_is_delivered_leaves_nothing_behind(hub: StandIn, to: Send, spool: Path) -> None:
    envelopes = (a_provision(1), a_look(2), a_provision(3))
    assert await to(*envelopes, sinks=[hub.config()]) == ()
    assert hub.ids == ids(1, 2, 3)
    for request, envelope in zip(hub.requests, envelopes, strict=True):
        assert (request.method, request.path) == ("POST", "/progress/")
        assert request.headers["content-type"] == "application/json"
        assert "authorization" not in request.headers
        assert request.json == json.loads(msgspec.json.encode(hub_body(envelope, hub.config())))
    assert hub.connections == 1, "one connection serves a batch"
    assert left(spool) == []


@pytest.mark.parametrize(
    ("url", "path", "asked"),
    [
        ("", "progress/", "/progress/"),
        ("/", "/progress/", "/progress/"),
        ("/api/v1/", "events", "/api/v1/events"),
        ("/api?key=k", "progress/", "/api/progress/?key=k"),
    ],
)
async def test_url_and_path_are_joined(hub: StandIn, to: Send, *, url: str, path: str, asked: str) -> None:
    assert await to(a_provision(1), sinks=[hub.config(url=hub.url + url, path=path)]) == ()
    assert [request.path for request in hub.requests] == [asked]


async def test_what_a_hub_that_is_down_misses_comes_later_in_order(to: Send, spool: Path) -> None:
    down = StandIn()
    async with down.serve():
        pass  # now its port is known, and nobody listens there
    (said,) = await to(a_provision(1), a_provision(2), sinks=[down.config()])
    assert said == (
        f"sink hub: 2 envelopes are kept since 2025-06-01 12:01:00 UTC: {down.url}/progress/: it refuses connections"
    )
    (said,) = await to(a_provision(3), sinks=[down.config()])
    assert "3 envelopes are kept since 2025-06-01 12:01:00 UTC" in said
    async with down.serve():
        assert await to(a_provision(4), sinks=[down.config()]) == ()
    assert down.ids == ids(1, 2, 3, 4)
    assert left(spool) == []


async def test_a_pass_with_nothing_to_tell_still_delivers_what_is_kept(hub: StandIn, to: Send) -> None:
    hub.moods = ["500"]
    (said,) = await to(a_provision(1), sinks=[hub.config()])
    assert "answered 500 Internal Server Error" in said
    assert await to(sinks=[hub.config()]) == ()
    assert hub.ids == ids(1, 1)
    assert hub.requests[0].body == hub.requests[1].body


async def test_nothing_to_do_touches_nothing(hub: StandIn, to: Send, spool: Path) -> None:
    assert await to(sinks=[hub.config()]) == ()
    assert await to(a_provision(1), sinks=[]) == ()
    assert not spool.exists()
    assert hub.requests == []


@pytest.mark.parametrize("mood", ["500", "502", "503", "401", "403", "408", "429", "drop", "redirect"])
async def test_a_trouble_that_may_pass_stops_at_the_first_and_loses_none(hub: StandIn, to: Send, mood: str) -> None:
    hub.moods = ["ok", mood]
    (said,) = await to(*map(a_provision, (1, 2, 3)), sinks=[hub.config()])
    assert "2 envelopes are kept since 2025-06-01 12:02:00 UTC" in said
    assert hub.ids == ids(1, 2), "nothing overtakes what is not delivered"
    assert await to(sinks=[hub.config()]) == ()
    assert hub.ids == ids(1, 2, 2, 3)


async def test_redirects_are_not_followed(hub: StandIn, to: Send) -> None:
    hub.after = "redirect"
    (said,) = await to(a_provision(1), sinks=[hub.config(token="secret-token-of-a-hub")])
    assert "answered 302 Found, and redirects are not followed" in said
    assert [request.path for request in hub.requests] == ["/progress/"]


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422])
async def test_a_refusal_for_good_is_moved_aside_and_holds_nobody_up(
    hub: StandIn, to: Send, spool: Path, status: int
) -> None:
    hub.moods = ["ok", lambda _: answer(status, b"no:\n\x1b[31m" + b"y" * 500)]
    (said,) = await to(*map(a_provision, (1, 2, 3)), sinks=[hub.config()])
    assert hub.ids == ids(1, 2, 3)
    assert f"sink hub: 1 envelope is refused for good and kept in {spool}/hub/refused; the first: " in said
    assert f"answered {status} " in said
    assert f'"no: \\x1b[31m{"y" * (200 - len("no: [31m") - len("x1b") - 1)}…"' in said
    (path,) = (spool / "hub/refused").iterdir()
    told = json.loads(path.read_text())
    assert told["envelope"]["id"] == "e-0002"
    assert f"answered {status}" in told["why"]
    assert await to(sinks=[hub.config()]) == (), "it is said once, and not tried again"
    assert hub.ids == ids(1, 2, 3)


async def test_a_hub_that_hangs_costs_no_more_than_the_limit(hub: StandIn, to: Send) -> None:
    hub.moods = ["ok", "hang"]
    began = time.monotonic()
    (said,) = await to(*map(a_provision, (1, 2, 3)), sinks=[hub.config()], limit_s=0.4)
    assert time.monotonic() - began < 3
    assert said == ("sink hub: 2 envelopes are kept since 2025-06-01 12:02:00 UTC: it took only a part within 0.4 s")
    assert await to(sinks=[hub.config()]) == ()
    assert hub.ids == ids(1, 2, 2, 3)


async def test_a_hub_that_never_ends_its_yes_has_taken_it(hub: StandIn, to: Send) -> None:
    hub.moods = ["half 200"]
    assert await to(a_provision(1), a_provision(2), sinks=[hub.config()]) == ()
    assert hub.ids == ids(1, 2)


async def test_a_hub_that_never_ends_its_no_has_refused(hub: StandIn, to: Send) -> None:
    hub.moods = ["half 400"]
    (said,) = await to(a_provision(1), a_provision(2), sinks=[hub.config()])
    assert 'answered 400 Bad Request: "half an…"' in said
    assert hub.ids == ids(1, 2)


async def test_what_had_to_be_dropped_is_said_until_all_was_delivered(hub: StandIn, to: Send) -> None:
    hub.moods = ["503", "hang"]
    await to(*map(a_provision, range(10_002)), sinks=[hub.config()])
    said = await to(sinks=[hub.config()], limit_s=0.5)
    assert [text.partition(" since")[0].partition(",")[0] for text in said] == [
        "sink hub: 10000 envelopes are kept",
        "sink hub: 2 envelopes are dropped",
    ]
    (said_last,) = await to(sinks=[hub.config()], limit_s=60)
    assert "2 envelopes are dropped" in said_last
    assert await to(sinks=[hub.config()]) == ()
    assert hub.ids == [hub.ids[0], *ids(2, *range(2, 10_002))]


async def test_nothing_of_the_environment_stands_between(
    hub: StandIn, to: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert await to(a_provision(1), sinks=[hub.config()]) == ()
    assert hub.ids == ids(1)


async def test_sinks_do_not_wait_for_each_other(hub: StandIn, to: Send, tmp_path: Path) -> None:
    other = StandIn(after="hang")
    async with other.serve():
        sinks = [other.config(name="slow"), hub.config(), FileSink(folder=tmp_path / "status/telemetry")]
        said = await to(*map(a_provision, range(20)), sinks=sinks, limit_s=1.0)
    assert said == ("sink slow: 20 envelopes are kept since 2025-06-01 12:00:00 UTC: it did not answer within 1 s",)
    assert hub.ids == ids(*range(20))
    assert (tmp_path / "status/telemetry/web-1.json").exists()


async def test_two_processes_do_not_send_at_once(hub: StandIn, to: Send) -> None:
    hub.moods = ["hang"]
    first = asyncio.ensure_future(to(a_provision(1), sinks=[hub.config()], limit_s=1.0))
    await hub.got(1)
    (said,) = await to(a_provision(2), sinks=[hub.config()])
    assert "2 envelopes are kept since 2025-06-01 12:01:00 UTC: another process sends to it" in said
    await first
    assert await to(sinks=[hub.config()]) == ()
    assert hub.ids == ids(1, 1, 2)


async def test_being_interrupted_loses_nothing(hub: StandIn, to: Send) -> None:
    hub.moods = ["ok", "hang"]
    sending = asyncio.ensure_future(to(*map(a_provision, (1, 2, 3)), sinks=[hub.config()], limit_s=60.0))
    await hub.got(2)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert await to(sinks=[hub.config()]) == ()
    assert hub.ids == ids(1, 2, 2, 3)


@pytest.mark.parametrize("mood", ["ok", "400", "503", "drop", "hang"])
async def test_no_file_stays_open(hub: StandIn, to: Send, mood: str) -> None:
    await to(a_provision(1), sinks=[hub.config()])
    hub.after = mood
    before = len(os.listdir("/proc/self/fd"))
    for number in range(2, 5):
        await to(a_provision(number), sinks=[hub.config()], limit_s=0.2)
    sending = asyncio.ensure_future(to(a_provision(5), sinks=[hub.config()], limit_s=60.0))
    if mood == "hang":
        await hub.got(len(hub.requests) + 1)
        sending.cancel()
    await asyncio.wait([sending])
    await hub.idle()
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_sink_that_is_gone_from_the_specs_is_said(hub: StandIn, to: Send, spool: Path) -> None:
    hub.moods = ["500"]
    await to(a_provision(1), sinks=[hub.config(name="old")])
    (said,) = await to(sinks=[hub.config()])
    assert said == (
        "sink old: 1 envelope is kept since 2025-06-01 12:01:00 UTC: no sink has this name any more; "
        f"remove {spool}/old if nobody wants it"
    )


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://no-such-host.invalid", "its name does not resolve"),
        ("http://user:pass-word@127.0.0.1:1", "http://127.0.0.1:1/progress/: it refuses connections"),
        ("http://127.0.0.1:1/?key=pass-word", "http://127.0.0.1:1/progress/: it refuses connections"),
    ],
)
async def test_why_it_cannot_be_reached_is_said_without_what_is_secret_in_its_address(
    to: Send, url: str, why: str
) -> None:
    (said,) = await to(a_provision(1), sinks=[HubSink(url=url, workstream_id="ws", name="hub")])
    assert why in said
    assert "pass-word" not in said
