"""Requests are sent at most once, replies are whole and bounded, and a reader cannot change anything.

The engines here are stand-ins: a few lines of HTTP on a Unix socket, so that each byte can be chosen.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from reconciler.errors import ConnectFailed, HostError, OutcomeUnknown, ReadFailed
from reconciler.host.docker import wire as wire_module
from reconciler.host.docker.reader import DockerReader, EngineFacts
from reconciler.host.docker.wire import ReadOnlyViolation, Wire
from reconciler.host.docker.writer import DockerWriter
from reconciler.host.foreign import DockerRefused

FULL = "ab" * 32


class StandIn:
    """Count the requests that arrive at a socket, and answer each with fixed bytes, or by a rule."""

    def __init__(self, answer: bytes | Callable[[str], bytes]) -> None:
        self.requests: list[str] = []
        self._answer = answer
        self.silent = False
        self.serving: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        try:
            await self._answer_one(reader, writer)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        line = head.split(b"\r\n", 1)[0].decode()
        self.requests.append(line)
        if self.silent:
            await reader.read()
        writer.write(self._answer if isinstance(self._answer, bytes) else self._answer(line))


@asynccontextmanager
async def engine(
    folder: Path, answer: bytes | Callable[[str], bytes], *, read_only: bool = False
) -> AsyncIterator[tuple[Wire, StandIn]]:
    stand_in = StandIn(answer)
    path = str(folder / "s")
    server = await asyncio.start_unix_server(stand_in.serve, path)
    connector = aiohttp.UnixConnector(path)
    wire = Wire(connector, host="h1", path=path, read_only=read_only)
    try:
        yield wire, stand_in
    finally:
        await wire.close()
        await connector.close()
        server.close()
        await asyncio.gather(*stand_in.serving)


def reply(body: bytes, *, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def chunked(*parts: bytes) -> bytes:
    body = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in (*parts, b""))
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + body


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
async def test_a_dropped_connection_never_sends_a_request_twice(tmp_path: Path, method: str) -> None:
    async with engine(tmp_path, b"") as (wire, stand_in):
        with pytest.raises(ReadFailed if method == "GET" else OutcomeUnknown):
            await wire.call(method, "/x", deadline_s=5)
        assert len(stand_in.requests) == 1


async def test_a_connection_dropped_while_kept_alive_never_sends_a_request_twice(tmp_path: Path) -> None:
    async def first_then_drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        seen.append("second")
        writer.close()

    seen: list[str] = []
    path = str(tmp_path / "s")
    server = await asyncio.start_unix_server(first_then_drop, path)
    connector = aiohttp.UnixConnector(path)
    wire = Wire(connector, host="h1", path=path, read_only=False)
    await wire.call("DELETE", "/x", deadline_s=5)
    with pytest.raises(OutcomeUnknown):
        await wire.call("DELETE", "/x", deadline_s=5)
    assert seen == ["second"]
    await wire.close()
    await connector.close()
    server.close()


async def test_a_reader_sends_nothing_but_reads(tmp_path: Path) -> None:
    async with engine(tmp_path, reply(b""), read_only=True) as (wire, stand_in):
        await wire.call("GET", "/x", deadline_s=5)
        await wire.call("HEAD", "/x", deadline_s=5)
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            with pytest.raises(ReadOnlyViolation):
                await wire.call(method, "/x", deadline_s=5)
        with pytest.raises(ReadOnlyViolation):
            await wire.session.post("http://docker/x")
        with pytest.raises(ReadOnlyViolation):
            await DockerWriter(wire).start_container(FULL)
        assert [line.split()[0] for line in stand_in.requests] == ["GET", "HEAD"]


@pytest.mark.parametrize(
    "whole",
    [reply(json.dumps([{"Id": FULL}] * 3).encode()), chunked(b'[{"Id":', b'"x"},', b'{"Id":"y"}]')],
    ids=["length", "chunked"],
)
async def test_a_list_cut_at_any_byte_is_an_error_and_never_a_shorter_list(tmp_path: Path, whole: bytes) -> None:
    for length in range(len(whole)):
        folder = tmp_path / str(length)
        folder.mkdir()
        async with engine(folder, whole[:length], read_only=True) as (wire, _):
            with pytest.raises(HostError):
                await DockerReader(wire).list_containers()


async def test_a_reply_whose_end_cannot_be_told_from_a_cut_is_refused(tmp_path: Path) -> None:
    async with engine(tmp_path, b"HTTP/1.1 200 OK\r\n\r\n[]", read_only=True) as (wire, _):
        with pytest.raises(ReadFailed) as caught:
            await DockerReader(wire).list_containers()
        assert caught.value.code == "E_HOST_REPLY"


@pytest.mark.parametrize(
    "body",
    [b"<html>", b'{"a":', b"[" * 100_000 + b"]" * 100_000, b"\xff\xfe", b"", b"{}", b"[1]", b"null", b'[{"a":1},2]'],
    ids=["html", "half", "deep", "bytes", "empty", "object", "numbers", "null", "mixed"],
)
async def test_a_list_that_is_none_is_refused(tmp_path: Path, body: bytes) -> None:
    async with engine(tmp_path, reply(body), read_only=True) as (wire, _):
        with pytest.raises(ReadFailed) as caught:
            await DockerReader(wire).list_containers()
        assert caught.value.code == "E_HOST_REPLY"


async def test_a_reply_past_the_limit_is_refused_announced_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire_module, "REPLY_LIMIT_BYTES", 1000)
    answers = {
        "/announced": reply(b" " * 1001),
        "/chunked": chunked(b" " * 600, b" " * 600),
        "/fits": reply(b" " * 1000),
    }
    async with engine(tmp_path, lambda line: answers[line.split()[1].removeprefix("/v1.41")]) as (wire, _):
        for path in ("/announced", "/chunked"):
            with pytest.raises(ReadFailed) as caught:
                await wire.call("GET", path, deadline_s=5)
            assert "larger than 1000 bytes" in caught.value.message
        assert len((await wire.call("GET", "/fits", deadline_s=5)).body) == 1000


async def test_an_engine_that_says_nothing_hits_the_deadline(tmp_path: Path) -> None:
    async with engine(tmp_path, b"") as (wire, stand_in):
        stand_in.silent = True
        with pytest.raises(ReadFailed) as read:
            await wire.call("GET", "/x", deadline_s=0.2)
        with pytest.raises(OutcomeUnknown):
            await wire.call("POST", "/x", deadline_s=0.2)
        assert read.value.code == "E_DOCKER_TIMEOUT"


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_what_was_never_sent_is_no_unknown_outcome(tmp_path: Path, method: str) -> None:
    path = str(tmp_path / "missing")
    connector = aiohttp.UnixConnector(path)
    wire = Wire(connector, host="h1", path=path, read_only=False)
    with pytest.raises(ConnectFailed) as caught:
        await wire.call(method, "/x", deadline_s=5)
    assert caught.value.code == "E_DOCKER_SOCKET_MISSING"
    await wire.close()
    await connector.close()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (json.dumps({"message": "Conflict. The name is taken"}).encode(), "The name is taken"),
        (b'{"message": "caf\xe9"}', "Conflict"),
        (b"<html>", "Conflict"),
    ],
)
async def test_the_engines_no_keeps_its_status_and_words(tmp_path: Path, body: bytes, words: str) -> None:
    async with engine(tmp_path, reply(body, status="409 Conflict")) as (wire, _):
        with pytest.raises(DockerRefused) as caught:
            await DockerWriter(wire).create_container("x", {})
        assert caught.value.status == 409
        assert words in caught.value.message


async def test_absent_is_none_only_when_the_engine_says_404(tmp_path: Path) -> None:
    async with engine(tmp_path, reply(b"{}", status="404 Not Found"), read_only=True) as (wire, _):
        assert await DockerReader(wire).inspect_container("x") is None
    (tmp_path / "2").mkdir()
    async with engine(tmp_path / "2", reply(b"{}", status="500 Oops"), read_only=True) as (wire, _):
        with pytest.raises(DockerRefused):
            await DockerReader(wire).inspect_container("x")


@pytest.mark.parametrize(
    ("newest", "oldest", "spoken"), [("1.41", "1.12", "1.41"), ("1.47", "1.24", "1.41"), ("1.52", "1.44", "1.44")]
)
async def test_the_oldest_common_api_version_is_spoken(tmp_path: Path, newest: str, oldest: str, spoken: str) -> None:
    body = json.dumps({"ApiVersion": newest, "MinAPIVersion": oldest, "Version": "x"}).encode()
    async with engine(tmp_path, reply(body), read_only=True) as (wire, stand_in):
        assert await DockerReader(wire).api_version() == spoken
        assert stand_in.requests == ["GET /version HTTP/1.1"]


INFO = json.dumps({"DockerRootDir": "/d", "ID": "i", "ServerVersion": "29.1"}).encode()


async def test_an_engine_is_met_with_one_request(tmp_path: Path) -> None:
    async with engine(tmp_path, reply(INFO), read_only=True) as (wire, stand_in):
        assert await DockerReader(wire).meet() == EngineFacts(root="/d", id="i", version="29.1", api="1.41")
        assert stand_in.requests == ["GET /v1.41/info HTTP/1.1"]


@pytest.mark.parametrize(("newest", "oldest"), [("1.52", "1.44"), ("1.40", "1.12")])
async def test_an_engine_that_does_not_speak_our_version_is_asked_which_it_does(
    tmp_path: Path, newest: str, oldest: str
) -> None:
    def answer(line: str) -> bytes:
        if "/v1.41/" in line:
            return reply(b'{"message": "client version 1.41 is too old"}', status="400 Bad Request")
        version = json.dumps({"ApiVersion": newest, "MinAPIVersion": oldest}).encode()
        return reply(version if "/version" in line else INFO)

    async with engine(tmp_path, answer, read_only=True) as (wire, stand_in):
        if oldest == "1.44":
            assert (await DockerReader(wire).meet()).api == "1.44"
            assert stand_in.requests[1:] == ["GET /version HTTP/1.1", "GET /info HTTP/1.1"]
            return
        with pytest.raises(ConnectFailed) as caught:
            await DockerReader(wire).meet()
        assert caught.value.code == "E_DOCKER_TOO_OLD"


async def test_an_engine_older_than_the_oldest_we_speak_has_its_own_code(tmp_path: Path) -> None:
    body = json.dumps({"ApiVersion": "1.40", "MinAPIVersion": "1.12"}).encode()
    async with engine(tmp_path, reply(body), read_only=True) as (wire, _):
        with pytest.raises(ConnectFailed) as caught:
            await DockerReader(wire).api_version()
        assert caught.value.code == "E_DOCKER_TOO_OLD"
        assert "1.40" in caught.value.message


@pytest.mark.parametrize("name", ["web", "ab" * 6, "AB" * 32, FULL + "a", ""])
async def test_only_full_ids_are_acted_on(tmp_path: Path, name: str) -> None:
    async with engine(tmp_path, reply(b"{}")) as (wire, stand_in):
        writer = DockerWriter(wire)
        for act in (writer.start_container, writer.remove_container, writer.remove_network):
            with pytest.raises(ValueError, match="full 64-hex id"):
                await act(name)
        assert stand_in.requests == []


async def test_a_created_container_without_an_id_is_an_unknown_outcome(tmp_path: Path) -> None:
    async with engine(tmp_path, reply(b'{"Id": "short"}', status="201 Created")) as (wire, _):
        with pytest.raises(OutcomeUnknown):
            await DockerWriter(wire).create_container("x", {})


async def test_a_pull_that_fails_in_the_middle_is_refused_and_one_that_is_cut_is_unknown(tmp_path: Path) -> None:
    line = b'{"status":"Pulling"}\n'
    answers = {
        "whole": chunked(line, line[:5], line[5:]),
        "error": chunked(line, b'{"error":"no such manifest"}\n'),
        "cut": chunked(line, line)[:-20],
    }
    async with engine(tmp_path, lambda got: answers[got.split("fromImage=")[1].split("&")[0]]) as (wire, stand_in):
        writer = DockerWriter(wire)
        seen: list[object] = []
        await writer.pull_image("whole:1", progress=seen.append)
        assert len(seen) == 2
        assert stand_in.requests[0].split()[1].endswith("fromImage=whole&tag=1")
        with pytest.raises(DockerRefused) as caught:
            await writer.pull_image("error")
        assert "no such manifest" in caught.value.message
        assert stand_in.requests[1].split()[1].endswith("fromImage=error&tag=latest")
        with pytest.raises(OutcomeUnknown):
            await writer.pull_image("cut@sha256:" + FULL)
        assert f"tag=sha256%3A{FULL}" in stand_in.requests[2]
