"""Whoever lost a host's lock changes nothing there any more, even if it does not know: its connection is the fence."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec
import pytest
from msgspec.structs import replace

from reconciler.model.access import LOCAL, HostAccess
from reconciler.model.effect import CreateVolume, Done, Effect, NotDone, Outcome, PutMarker, Unknown
from tests.builders import a_marker, a_sandbox
from tests.integration.subject import Subject, access_to, changing, do
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab


class Holder:
    """Hold another controller: a process of its own, which can be paused."""

    def __init__(self, access: HostAccess, effect: Effect, *, blind: bool) -> None:
        words = [msgspec.json.encode(access).decode(), msgspec.json.encode(effect).decode(), "blind" if blind else "-"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.holder", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    async def read(self) -> str:
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            return (await asyncio.to_thread(self._process.stdout.readline)).strip()

    def pause(self) -> None:
        os.kill(self._process.pid, signal.SIGSTOP)

    async def act(self) -> Outcome:
        """Wake it up, and let it order its effect."""
        assert self._process.stdin is not None
        os.kill(self._process.pid, signal.SIGCONT)
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        outcome: Outcome = msgspec.json.decode(await self.read(), type=Outcome)
        return outcome

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


@asynccontextmanager
async def holding(access: HostAccess, effect: Effect, *, blind: bool = False) -> AsyncIterator[Holder]:
    holder = Holder(access, effect, blind=blind)
    try:
        assert await holder.read() == "held"
        yield holder
    finally:
        holder.end()


def volume_of(subject: Subject) -> CreateVolume:
    return CreateVolume(subject.name, {})


def volumes(lab: LabHost) -> list[str]:
    return lab.docker("volume", "ls", "--format", "{{.Name}}").split()


def way(lab: LabHost, kind: str) -> HostAccess:
    access = access_to(lab)
    return replace(access, address=LOCAL, base_dir=f"{lab.home}/local") if kind == LOCAL else access


@pytest.mark.parametrize("kind", ["ssh", LOCAL])
async def test_a_holder_that_is_not_paused_does_its_effect(lab: LabHost, subject: Subject, kind: str) -> None:
    async with holding(way(lab, kind), volume_of(subject)) as holder:
        assert await holder.act() == Done(value=subject.name)
    lab.docker("volume", "rm", subject.name)


@pytest.mark.parametrize("kind", ["ssh", LOCAL])
async def test_a_paused_holder_knows_that_it_lost_the_lock(lab: LabHost, subject: Subject, kind: str) -> None:
    async with holding(way(lab, kind), volume_of(subject)) as holder:
        holder.pause()
        async with changing(way(lab, kind)) as other:
            outcome = await holder.act()
            assert isinstance(outcome, NotDone)
            assert outcome.code == "E_NO_LEASE"
            assert subject.name not in volumes(lab)
            # Whoever has the lock now is not disturbed.
            await do(other, volume_of(subject))
    lab.docker("volume", "rm", subject.name)


@pytest.mark.parametrize("what", ["volume", "marker"])
async def test_a_paused_holder_that_does_not_know_it_reaches_nothing(lab: LabHost, subject: Subject, what: str) -> None:
    sandbox = a_sandbox(subject.sandbox.name)
    marker = PutMarker(str(lab.home / ".reconciler/lab"), a_marker(sandbox))
    effect: Effect = volume_of(subject) if what == "volume" else marker
    async with holding(access_to(lab), effect, blind=True) as holder:
        holder.pause()
        async with changing(access_to(lab)) as other:
            assert isinstance(await holder.act(), NotDone | Unknown)
            assert subject.name not in volumes(lab)
            assert not (lab.home / ".reconciler/lab" / sandbox.uid).exists()
            await do(other, effect)
    if what == "volume":
        lab.docker("volume", "rm", subject.name)


async def test_a_paused_holder_whose_connection_was_cut_reaches_nothing(lab: LabHost, subject: Subject) -> None:
    before = set(lab.describe()["sshd_pids"])
    async with holding(access_to(lab), volume_of(subject), blind=True) as holder:
        holder.pause()
        for pid in set(lab.describe()["sshd_pids"]) - before:
            # sshd has two processes for a connection, and either may follow the other by itself.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        async with changing(access_to(lab)) as other:
            assert isinstance(await holder.act(), NotDone | Unknown)
            assert subject.name not in volumes(lab)
            await do(other, volume_of(subject))
    lab.docker("volume", "rm", subject.name)
