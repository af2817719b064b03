"""Make a Docker engine do something. Each method is one request, sent at most once.

A method returns when the engine confirmed, raises `DockerRefused` when it said no, `ConnectFailed` when nothing was
sent, and `OutcomeUnknown` when it was sent and no confirmation came: then look, and never just try again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import msgspec

from reconciler.errors import OutcomeUnknown, ReadFailed
from reconciler.host.docker.multiplex import Demultiplexer
from reconciler.host.docker.reader import DockerReader, json_lines
from reconciler.host.docker.registry import RegistryLogin, registry_headers
from reconciler.host.docker.wire import Wire
from reconciler.host.foreign import DockerRefused, reply_refused

CHANGE_S = 60.0
PULL_S = 900.0
PULL_SILENCE_S = 300.0
"""A pull that reports nothing for this long is given up; the engine reports at least each layer's progress."""

_EXEC_OUTPUT_LIMIT_BYTES = 1024 * 1024
_FULL_ID_LENGTH = 64


class ExecResult(msgspec.Struct, frozen=True, kw_only=True):
    """Hold a command that ran to its end inside a container."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class DockerWriter:
    """Change what is on one engine. Containers and networks are named by their full 64-hex id only."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._reader = DockerReader(wire)

    async def create_container(self, name: str, config: Mapping[str, Any]) -> str:
        """Create a container under a free name, and give its full id. A taken name is `DockerRefused` 409."""
        said = await self._post("/containers/create", params={"name": name}, body=config)
        return self._created("/containers/create", said)

    async def start_container(self, full_id: str) -> bool:
        """Start a container; False when it already ran."""
        return await self._changed(f"/containers/{_full(full_id)}/start")

    async def stop_container(self, full_id: str, *, grace_s: int) -> bool:
        """Stop a container, killing it after the grace; False when it did not run."""
        return await self._changed(
            f"/containers/{_full(full_id)}/stop", params={"t": grace_s}, deadline_s=CHANGE_S + grace_s
        )

    async def restart_container(self, full_id: str, *, grace_s: int) -> None:
        """Stop a container, killing it after the grace, and start it again."""
        await self._changed(
            f"/containers/{_full(full_id)}/restart", params={"t": grace_s}, deadline_s=CHANGE_S + grace_s
        )

    async def update_container(self, full_id: str, config: Mapping[str, Any]) -> tuple[str, ...]:
        """Set limits and restart policy, and give the engine's warnings.

        The engine answers 200 to a memory or CPU limit of 0 and to unknown fields, and does nothing: read back.
        """
        said = await self._post(f"/containers/{_full(full_id)}/update", body=config)
        return tuple(str(one) for one in said.get("Warnings") or ())

    async def rename_container(self, full_id: str, *, to: str) -> None:
        """Give a container another name. A taken name is `DockerRefused` 409."""
        await self._changed(f"/containers/{_full(full_id)}/rename", params={"name": to})

    async def remove_container(self, full_id: str) -> None:
        """Remove a stopped container with its anonymous volumes."""
        await self._wire.call(
            "DELETE", f"/containers/{_full(full_id)}", params={"v": "true", "force": "false"}, deadline_s=CHANGE_S
        )

    async def create_network(self, config: Mapping[str, Any]) -> str:
        """Create a network, and give its id. `CheckDuplicate` is always set, and still needs a look afterwards."""
        said = await self._post("/networks/create", body={**config, "CheckDuplicate": True})
        return self._created("/networks/create", said)

    async def remove_network(self, full_id: str) -> None:
        """Remove a network."""
        await self._wire.call("DELETE", f"/networks/{_full(full_id)}", deadline_s=CHANGE_S)

    async def connect_network(self, full_id: str, *, container: str, endpoint: Mapping[str, Any]) -> None:
        """Connect a container, by its full id, to a network."""
        await self._changed(
            f"/networks/{_full(full_id)}/connect", body={"Container": _full(container), "EndpointConfig": endpoint}
        )

    async def create_volume(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Create a volume. An existing one of that name is success and keeps its old labels: compare the reply's."""
        return await self._post("/volumes/create", body=config)

    async def pull_image(
        self,
        reference: str,
        *,
        login: RegistryLogin | None = None,
        progress: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        """Pull an image, reporting each of the engine's progress documents.

        Raises:
            DockerRefused: the registry or the engine said no; the status is 500 where it said so in mid-pull.
            OutcomeUnknown: the pull's end did not arrive. Pulling again is harmless.
        """
        name, tag = _split_reference(reference)
        call = "POST /images/create"
        async with self._wire.stream(
            "POST",
            "/images/create",
            params={"fromImage": name, "tag": tag},
            headers=registry_headers(login),
            deadline_s=PULL_S,
            framed=True,
        ) as response:
            parts = _not_silent(response.content.iter_any(), PULL_SILENCE_S)
            async for document in json_lines(self._wire, call, parts):
                if "error" in document:
                    raise DockerRefused(f"host {self._wire.host}: pull {reference}: {document['error']}", status=500)
                if progress is not None:
                    progress(document)

    async def run_in_container(self, full_id: str, command: tuple[str, ...], *, deadline_s: float) -> ExecResult:
        """Run one command inside a running container to its end.

        Past the deadline the command keeps running in the container; the engine has no way to end it.

        Raises:
            OutcomeUnknown: it was started and its end did not arrive.
            DockerRefused: it was not started: no such container (404), not running (409).
            ReadFailed: `E_HOST_REPLY` when it printed more than 1 MiB.
        """
        config = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True}
        path = f"/containers/{_full(full_id)}/exec"
        exec_id = self._created(path, await self._post(path, body=config))
        out: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
        size_bytes = 0
        split = Demultiplexer(self._wire.host)
        start = f"/exec/{exec_id}/start"
        # This stream ends with its connection, so only the exit code read afterwards says that it was whole.
        async with self._wire.stream(
            "POST", start, body={"Detach": False, "Tty": False}, deadline_s=deadline_s, framed=False
        ) as response:
            async for data in response.content.iter_any():
                size_bytes += len(data)
                if size_bytes > _EXEC_OUTPUT_LIMIT_BYTES:
                    raise reply_refused(
                        self._wire.host, "exec", f"it printed more than {_EXEC_OUTPUT_LIMIT_BYTES} bytes"
                    )
                for chunk in split.feed(data):
                    out[chunk.stream].append(chunk.data)
        ended = await self._reader.inspect_exec(exec_id)
        code = ended.get("ExitCode")
        if ended.get("Running") or not isinstance(code, int):
            raise OutcomeUnknown(
                f"host {self._wire.host}: a command's output in a container ended before the command",
                code="E_DOCKER_UNKNOWN",
                transient=True,
            )
        return ExecResult(exit_code=code, stdout=b"".join(out["stdout"]), stderr=b"".join(out["stderr"]))

    async def close(self) -> None:
        """Close the session."""
        await self._wire.close()

    async def _post(self, path: str, *, params: Mapping[str, Any] | None = None, body: Any = None) -> dict[str, Any]:
        reply = await self._wire.call("POST", path, params=params, body=body, deadline_s=CHANGE_S)
        try:
            said = self._wire.decode(f"POST {path}", reply.body)
        except ReadFailed as error:
            raise self._unknown(path, error.message) from error
        if not isinstance(said, dict):
            raise self._unknown(path, "the reply is not a JSON object")
        return said

    async def _changed(
        self,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        deadline_s: float = CHANGE_S,
    ) -> bool:
        reply = await self._wire.call("POST", path, params=params, body=body, deadline_s=deadline_s)
        return reply.status != 304  # noqa: PLR2004  # how the engine says: nothing to do

    def _created(self, path: str, said: Mapping[str, Any]) -> str:
        made = said.get("Id")
        if not isinstance(made, str) or not _is_full(made):
            raise self._unknown(path, "the reply names no full id")
        return made

    def _unknown(self, path: str, why: str) -> OutcomeUnknown:
        return OutcomeUnknown(
            f"host {self._wire.host}: POST {path}: {why}", code="E_DOCKER_UNKNOWN", hint="look at the host again"
        )


def _is_full(name: str) -> bool:
    return len(name) == _FULL_ID_LENGTH and all(digit in "0123456789abcdef" for digit in name)


def _full(name: str) -> str:
    if not _is_full(name):
        raise ValueError(f"only a full 64-hex id may be acted on, not {name!r}")
    return name


def _split_reference(reference: str) -> tuple[str, str]:
    """Split a reference into what the engine calls image and tag; without a tag it would pull every tag there is."""
    name, at, digest = reference.partition("@")
    if at:
        return name, digest
    head, colon, tag = reference.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (reference, "latest")


async def _not_silent(parts: AsyncIterator[bytes], silence_s: float) -> AsyncIterator[bytes]:
    """Give what arrives, and end with `TimeoutError` when nothing does for too long."""
    while True:
        try:
            async with asyncio.timeout(silence_s):
                part = await anext(parts)
        except StopAsyncIteration:
            return
        yield part
