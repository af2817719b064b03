"""Hold a host's lock over the same connection as the effects, so that neither outlives the other.

The lock is `flock` on `<baseDir>/.lock`, held by a script on the host that wants a beat every few seconds: sshd keeps
the session of a powered-off controller for hours, and the script does not.

The connection is the fence. Docker compares no epoch that we could send along, so the one who lost the lock must be
unable to send: where a holder did not give the lock back, the script kills its connection's sshd process before it
lets go of the lock. What a paused controller still has in memory, or a line still has under way, then arrives nowhere;
what the engine had taken before goes on, as decided under the lock, and the next holder looks before it acts. On this
machine (`local`) there is no connection: there, as everywhere, a lease that has not been answered for `BELIEF_S` by a
clock that also counts sleep is taken as lost, and that is asked right before each change is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Self

from reconciler.errors import ReadFailed
from reconciler.host.interface import Busy
from reconciler.host.scripts import load_script

if TYPE_CHECKING:
    from reconciler.host.shell import Pipe, Shell

BEAT_S = 5.0
SILENCE_S = 30
"""The host lets go after this long without a beat."""

BELIEF_S = 20.0
"""We take the lock as lost after this long without an answer: well before the host gives it to another."""

_TAKE_S = 15.0
_RELEASE_S = 3.0
_HINTS = {
    "E_LOCK_TOOLS": "install util-linux and coreutils there",
    "E_BASE_DIR": "spec.baseDir must be a folder of this user alone, with no symbolic link on the way to it",
    "E_LOCK_FILE": "look at the disk and the permissions of spec.baseDir on the host",
    "E_HOST_DISK": "free space on the host; `reconcile inspect host` shows its disks",
}


class HostLease:
    """Hold a host's lock until `release`, or until the connection dies.

    Attributes:
        line: what the host keeps of this hold; before: what it kept of the one before, empty for none.
    """

    def __init__(self, pipe: Pipe, *, line: str, before: str) -> None:
        self.line = line
        self.before = before
        self._pipe = pipe
        self._gone = asyncio.Event()
        self._answered_s = _awake_s()
        self._beating = asyncio.create_task(self._beat())

    @property
    def lost(self) -> bool:
        """Tell whether the lock is certainly or possibly gone."""
        return self._gone.is_set() or self._pipe.ended or _awake_s() - self._answered_s > BELIEF_S

    async def release(self) -> None:
        """Give the lock back, and return when the host has; safe to call twice."""
        self._beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._beating
        if not self._pipe.ended:
            self._pipe.send(b"release\n")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RELEASE_S):
                    await self._pipe.wait_ended()
        await self._pipe.close()
        self._gone.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.release()

    async def _beat(self) -> None:
        """Send a beat and want its answer, again and again; the first that fails ends the lease."""
        try:
            while not self._pipe.ended:
                sent_s = _awake_s()
                self._pipe.send(b"beat\n")
                await self._pipe.read_until(b"ok\n", deadline_s=BELIEF_S - BEAT_S)
                self._answered_s = sent_s
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(BEAT_S):
                        # Nothing is printed between beats: only the end of the script ends this wait early.
                        await self._pipe.wait_ended()
        except ReadFailed:
            # Whoever holds the lease learns it from `lost`; there is nobody here to tell.
            return
        finally:
            self._gone.set()


async def hold(shell: Shell, *, base_dir: str, holder: str, since: str) -> HostLease | Busy:
    """Take a host's lock, or learn who has it.

    Args:
        shell: the host's; the lock lives on its connection.
        base_dir: absolute; made (0700) where it is not there yet.
        holder: who we are, for the people who find it locked; one line.
        since: the controller's clock, as text without blanks.

    Raises:
        ReadFailed: `E_LOCK_TOOLS`, `E_BASE_DIR`, `E_LOCK_FILE` or `E_HOST_DISK`, or the host's answer did not come.
        ConnectFailed: there is no session.
    """
    line = " ".join(holder.split())
    pipe = await shell.start(load_script("lock"), args=(base_dir, line, since, str(SILENCE_S)), deadline_s=_TAKE_S)
    answer = (await pipe.read_until(b"\n", deadline_s=_TAKE_S)).decode("utf-8", "replace").rstrip("\n")
    word, _, rest = answer.partition(" ")
    if word == "held":
        return HostLease(pipe, line=f"{since} {line}", before=rest)
    await pipe.close()
    if word == "busy":
        since_when, _, who = rest.partition(" ")
        return Busy(who or "someone who left no name", since_when or "an unknown time")
    code, _, why = rest.partition(" ")
    raise ReadFailed(f"host {shell.host}: {base_dir}: {why}", code=code, hint=_HINTS.get(code))


def _awake_s() -> float:
    """Read a clock that goes on while this machine sleeps, where the system has one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
