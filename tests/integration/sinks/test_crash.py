"""SIGKILL at any moment of sending: what was taken may come again with its id, and nothing is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.integration.sinks.conftest import Send
from tests.integration.sinks.stand_in import Request, StandIn, answer

ROOT = Path(__file__).parents[3]


async def sender(hub: StandIn, spool: Path, *, after: int) -> asyncio.subprocess.Process:
    words = ["-m", "tests.integration.sinks.killed_sender", hub.url, str(spool), str(after)]
    return await asyncio.create_subprocess_exec(sys.executable, *words, cwd=ROOT)


def ids(*numbers: int) -> list[str]:
    return [f"e-{number:04d}" for number in numbers]


@pytest.mark.parametrize("after", [1, 3, 5])
async def test_a_kill_between_send_and_forget_gives_a_repeat_and_loses_nothing(
    hub: StandIn, to: Send, spool: Path, after: int
) -> None:
    process = await sender(hub, spool, after=after)
    assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
    assert hub.ids == ids(*range(1, after + 1))
    assert await to(sinks=[hub.config()]) == ()
    assert hub.ids == ids(*range(1, after + 1), *range(after, 6))
    first, repeat = [request for request in hub.requests if request.headers["idempotency-key"] == f"e-{after:04d}"]
    assert first.body == repeat.body


async def test_a_kill_while_the_answer_is_on_its_way_gives_a_repeat_too(hub: StandIn, to: Send, spool: Path) -> None:
    sent: list[int] = []

    def kill_the_sender(_: Request) -> bytes:
        os.kill(sent[0], signal.SIGKILL)
        return answer(200, b"")

    hub.moods = ["ok", kill_the_sender]
    process = await sender(hub, spool, after=99)
    sent.append(process.pid)
    assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
    assert await to(sinks=[hub.config()]) == ()
    assert hub.ids == ids(1, 2, 2, 3, 4, 5)
