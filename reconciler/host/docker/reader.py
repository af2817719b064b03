"""Ask a Docker engine what there is. Replies come back as plain decoded JSON, checked for their top-level type only.

API version 1.41: the oldest that we support, and understood by newer engines, so one shape of replies serves them all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import msgspec

from reconciler.host.docker.multiplex import Demultiplexer
from reconciler.host.docker.registry import RegistryLogin, registry_headers
from reconciler.host.docker.replies import InfoReply, read_reply
from reconciler.host.docker.wire import OLDEST_API, Wire, quoted
from reconciler.host.foreign import DockerRefused, docker_too_old, reply_refused

READ_S = 15.0
LIST_S = 30.0
DISK_S = 60.0
REGISTRY_S = 30.0
LOG_LIMIT_BYTES = 4 * 1024 * 1024


class EngineFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what an engine says of itself: where it keeps its data, its id and version, and the API that we speak."""

    root: str
    id: str
    version: str
    api: str


class DockerReader:
    """Read from one engine. Its session refuses anything but GET and HEAD before a byte is sent.

    Every method raises `ReadFailed` (late, cut, unacceptable), `DockerRefused` (the engine said no), or `ConnectFailed`
    (the engine cannot be reached).
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def meet(self, *, deadline_s: float = READ_S) -> EngineFacts:
        """Read what the engine says of itself, and choose the API version to go on with.

        It begins processes of its own for this, and again for its bare version, which is only asked where it must be.
        Raises `ConnectFailed` `E_DOCKER_TOO_OLD` besides.
        """
        api = OLDEST_API
        try:
            said = await self._object("/info", deadline_s=deadline_s)
        except DockerRefused as refused:
            if refused.status != HTTPStatus.BAD_REQUEST:
                raise
            # It does not speak our version; which it speaks, it tells whoever names none.
            api = await self.api_version(deadline_s=deadline_s)
            said = await self._object("/info", deadline_s=deadline_s, versioned=False)
        info = read_reply(said, InfoReply, host=self._wire.host, what="the engine's description of itself")
        return EngineFacts(root=info.docker_root_dir, id=info.id, version=info.server_version, api=api)

    async def api_version(self, *, deadline_s: float = READ_S) -> str:
        """Choose the API version by what the engine says that it speaks. Raises `ConnectFailed` `E_DOCKER_TOO_OLD`."""
        said = await self._object("/version", deadline_s=deadline_s, versioned=False)
        newest, oldest = _numbers(said.get("ApiVersion")), _numbers(said.get("MinAPIVersion"))
        if newest < _numbers(OLDEST_API):
            raise docker_too_old(self._wire.host, str(said.get("ApiVersion")), OLDEST_API)
        # An engine that has dropped our version is asked for the oldest that it still speaks.
        return OLDEST_API if oldest <= _numbers(OLDEST_API) else f"{oldest[0]}.{oldest[1]}"

    async def list_containers(self) -> list[dict[str, Any]]:
        """List all containers, running or not. The list has no limits and no environment: inspect for those."""
        return await self._objects("/containers/json", params={"all": "true"})

    async def inspect_container(self, name_or_id: str) -> dict[str, Any] | None:
        """Inspect one container; None when the engine says that there is none.

        A container may be *named* like another's short id, so the caller compares `Id` or `Name` with what it meant.
        """
        return await self._maybe(f"/containers/{quoted(name_or_id)}/json")

    async def inspect_image(self, reference: str) -> dict[str, Any] | None:
        """Inspect one image by reference, digest or id; None when the engine does not have it."""
        return await self._maybe(f"/images/{quoted(reference)}/json")

    async def registry_digest(self, reference: str, *, login: RegistryLogin | None) -> str:
        """Ask a reference's registry, through the engine, for the digest that it names there now."""
        call = f"/distribution/{quoted(reference)}/json"
        said = await self._object(call, deadline_s=REGISTRY_S, headers=registry_headers(login))
        descriptor = said.get("Descriptor")
        digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
        if not isinstance(digest, str) or not digest.startswith("sha256:"):
            raise reply_refused(self._wire.host, f"GET {call}", "without the digest of an image")
        return digest

    async def list_networks(self) -> list[dict[str, Any]]:
        """List all networks."""
        return await self._objects("/networks")

    async def inspect_network(self, name_or_id: str) -> dict[str, Any] | None:
        """Inspect one network; None when there is none."""
        return await self._maybe(f"/networks/{quoted(name_or_id)}")

    async def list_volumes(self) -> list[dict[str, Any]]:
        """List all volumes."""
        said = await self._object("/volumes", deadline_s=LIST_S)
        return self._check_objects("/volumes", said.get("Volumes") or [])

    async def inspect_volume(self, name: str) -> dict[str, Any] | None:
        """Inspect one volume; None when there is none."""
        return await self._maybe(f"/volumes/{quoted(name)}")

    async def disk_usage(self) -> dict[str, Any]:
        """Sum what the engine stores. It walks the disk: seconds where there are many files."""
        return await self._object("/system/df", deadline_s=DISK_S)

    async def inspect_exec(self, exec_id: str) -> dict[str, Any]:
        """Inspect one command that was run in a container."""
        return await self._object(f"/exec/{quoted(exec_id)}/json")

    async def logs(self, full_id: str, *, lines: int, tty: bool, since_s: float = 0) -> bytes:
        """Read the last lines that a container wrote, both streams in the order they came.

        Args:
            full_id: the container.
            lines: how many at most.
            tty: whether the container has a terminal (`Config.Tty`); its stream is then not framed.
            since_s: only what was written after this time of the host's clock, in seconds since 1970.

        Raises:
            ReadFailed: also `E_HOST_REPLY` past 4 MiB.
        """
        parts: list[bytes] = []
        size_bytes = 0
        split = Demultiplexer(self._wire.host)
        async with self._wire.stream(
            "GET",
            f"/containers/{quoted(full_id)}/logs",
            params={"stdout": "true", "stderr": "true", "tail": lines, "since": since_s},
            deadline_s=READ_S,
            framed=True,
        ) as response:
            async for data in response.content.iter_any():
                size_bytes += len(data)
                if size_bytes > LOG_LIMIT_BYTES:
                    raise reply_refused(
                        self._wire.host, "logs", f"larger than {LOG_LIMIT_BYTES} bytes; ask for fewer lines"
                    )
                parts += [data] if tty else [chunk.data for chunk in split.feed(data)]
        split.finish()
        return b"".join(parts)

    async def close(self) -> None:
        """Close the session."""
        await self._wire.close()

    async def _maybe(self, path: str) -> dict[str, Any] | None:
        try:
            return await self._object(path)
        except DockerRefused as refused:
            if refused.is_absent:
                return None
            raise

    async def _object(
        self,
        path: str,
        *,
        deadline_s: float = READ_S,
        versioned: bool = True,
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        said = await self._wire.read_json(path, deadline_s=deadline_s, versioned=versioned, headers=headers)
        if not isinstance(said, dict):
            raise reply_refused(self._wire.host, f"GET {path}", "not a JSON object")
        return said

    async def _objects(self, path: str, *, params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        return self._check_objects(path, await self._wire.read_json(path, params=params, deadline_s=LIST_S))

    def _check_objects(self, path: str, said: Any) -> list[dict[str, Any]]:
        if not isinstance(said, list) or not all(isinstance(one, dict) for one in said):
            raise reply_refused(self._wire.host, f"GET {path}", "not a list of JSON objects")
        return said


async def json_lines(wire: Wire, call: str, parts: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    """Decode a stream of JSON documents, one a line. Raises `ReadFailed` for a line that is no object, or too long."""
    limit_bytes = 4 * 1024 * 1024
    rest = b""
    async for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        if len(rest) > limit_bytes:
            raise reply_refused(wire.host, call, f"a line longer than {limit_bytes} bytes")
        for line in lines:
            if line.strip():
                yield _document(wire, call, line)
    if rest.strip():
        yield _document(wire, call, rest)


def _document(wire: Wire, call: str, line: bytes) -> dict[str, Any]:
    document = wire.decode(call, line)
    if not isinstance(document, dict):
        raise reply_refused(wire.host, call, "not a JSON object")
    return document


def _numbers(version: Any) -> tuple[int, int]:
    major, _, minor = str(version or "0.0").partition(".")
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else (0, 0)
