"""Hold the way to one host: its shell, and clients of its Docker engine that are made when first asked for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp

from reconciler.errors import HostError
from reconciler.host.docker.reader import DockerReader, EngineFacts
from reconciler.host.docker.wire import CONNECTIONS, OLDEST_API, Wire
from reconciler.host.docker.writer import DockerWriter
from reconciler.host.foreign import DockerRefused
from reconciler.host.shell.held import Hand, HeldShell
from reconciler.host.together import as_read_failure
from reconciler.host.way.engine_cause import find_cause

if TYPE_CHECKING:
    from reconciler.host.shell import Shell
    from reconciler.host.way.connection import SshConnection
    from reconciler.model.access import HostAccess


class Link:
    """Hold the way to one host.

    Attributes:
        access: what was dialled.
        ssh: the connection, or None for this machine.
        shell: runs scripts, mutations included, each in a session of its own.
        held: runs looks, cheaper where they repeat.
        hand: makes small changes, cheaper where they repeat.
    """

    def __init__(self, access: HostAccess, *, shell: Shell, ssh: SshConnection | None, meet_s: float) -> None:
        self.access = access
        self.shell = shell
        self.ssh = ssh
        self.held = HeldShell(shell)
        self.hand = Hand(shell)
        self._meet_s = meet_s
        self._meeting = asyncio.Lock()
        self._jump: SshConnection | None = None
        self._connector: aiohttp.BaseConnector | None = None
        self._wires: dict[bool, Wire] = {}
        self._engine: EngineFacts | None = None

    @property
    def is_lost(self) -> bool:
        """Tell whether the connection is gone for good."""
        return self.ssh is not None and self.ssh.lost.is_set()

    async def engine(self) -> EngineFacts:
        """Give what the engine says of itself, asked once. Raises `ConnectFailed` or `ReadFailed`."""
        async with self._meeting:
            if self._engine is None:
                self._engine = await self._meet_engine()
            return self._engine

    async def reader(self) -> DockerReader:
        """Give a client of the engine that cannot change anything. Raises as `engine`."""
        return DockerReader(await self.wire())

    async def wire(self) -> Wire:
        """Give the way to ask the engine itself that cannot change anything. Raises as `engine`."""
        return await self._wire(read_only=True)

    async def writer(self) -> DockerWriter:
        """Give a client of the engine for effects. Raises as `engine`."""
        return DockerWriter(await self._wire(read_only=False))

    async def close(self) -> None:
        """Close everything in order, within a few seconds; safe to call twice."""
        await asyncio.gather(self.held.close(), self.hand.close())
        for wire in self._wires.values():
            await wire.close()
        self._wires.clear()
        if self._connector is not None:
            await self._connector.close()
        for ssh in (self.ssh, self._jump):
            if ssh is not None:
                await ssh.close()

    def keep_jump(self, jump: SshConnection) -> None:
        """Close this connection too when the link is closed."""
        self._jump = jump

    async def _wire(self, *, read_only: bool) -> Wire:
        engine = await self.engine()
        if read_only not in self._wires:
            self._wires[read_only] = self._new_wire(read_only=read_only, api=engine.api)
        return self._wires[read_only]

    async def _meet_engine(self) -> EngineFacts:
        wire = self._new_wire(read_only=True)
        try:
            return await DockerReader(wire).meet(deadline_s=self._meet_s)
        except DockerRefused as refused:
            raise as_read_failure(refused) from refused
        except HostError as error:
            raise await find_cause(error, shell=self.shell, path=self.access.docker_socket) from error
        finally:
            await wire.close()

    def _new_wire(self, *, read_only: bool, api: str = OLDEST_API) -> Wire:
        if self._connector is None:
            self._connector = self._new_connector()
        return Wire(
            self._connector,
            host=self.access.name,
            path=self.access.docker_socket,
            read_only=read_only,
            api=api,
        )

    def _new_connector(self) -> aiohttp.BaseConnector:
        if self.ssh is None:
            return aiohttp.UnixConnector(self.access.docker_socket, limit=CONNECTIONS)
        from reconciler.host.way.channel import ChannelConnector  # noqa: PLC0415  # `local` needs no asyncssh

        return ChannelConnector(self.ssh.connection, self.access.docker_socket, limit=CONNECTIONS)
