"""Be a controller that holds a host's lock, waits for a word, and then orders one effect: to be paused from outside.

Run as a program: `python -m tests.integration.holder ACCESS EFFECT BLIND`, the first two as JSON. A blind one stands in
for a controller that is paused after it last asked itself whether it still holds the lock, and before it sends.
"""

import asyncio
import sys

import msgspec

from reconciler.host import lock, open_gate, open_host
from reconciler.host.interface import Busy
from reconciler.model.access import HostAccess
from reconciler.model.effect import Effect, Outcome
from tests.integration.subject import now

SILENCE_S, BEAT_S, BELIEF_S = 2, 1 / 3, 4 / 3
"""As the product's, a fifteenth as long."""


async def main(access: HostAccess, effect: Effect) -> None:
    host = open_host(access, gate=open_gate(), clock=now)
    try:
        assert not isinstance(await host.hold("the paused one"), Busy)
        print("held", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        outcome: Outcome = await host.effect(effect, secrets={})
        print(msgspec.json.encode(outcome).decode(), flush=True)
    finally:
        await host.close()


if __name__ == "__main__":
    lock.SILENCE_S, lock.BEAT_S, lock.BELIEF_S = SILENCE_S, BEAT_S, BELIEF_S
    if sys.argv[3] == "blind":
        lock.HostLease.lost = property(lambda _: False)  # type: ignore[method-assign,assignment]  # that is its blindness
    decoded = msgspec.json.decode(sys.argv[1], type=HostAccess), msgspec.json.decode(sys.argv[2], type=Effect)
    asyncio.run(main(*decoded))
