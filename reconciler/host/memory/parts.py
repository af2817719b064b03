"""Hold the small parts of an in-memory host's world: its clock, what containers do, files, the lock, what happened."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Literal

import msgspec
from msgspec.structs import replace

from reconciler.model.effect import Effect, Outcome
from reconciler.model.observed import Live, SeenContainer
from reconciler.model.resource import Container

RESTART_PAUSE_S = 0.1
RESTART_PAUSE_MAX_S = 60.0
RESTART_DOUBLINGS_MAX = 10
RESTARTS_COUNTED_MAX = 10_000
HEALTH_INTERVAL_DEFAULT_MS = 30_000
DEVICE = 2049


class ManualClock:
    """Tell a time, in seconds since 1970, that moves only when told to; `sleep` moves it and yields once."""

    def __init__(self, epoch_s: float = 1_750_000_000.0) -> None:
        self.epoch_s = epoch_s

    def __call__(self) -> float:
        """Read it."""
        return self.epoch_s

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.epoch_s += seconds

    async def sleep(self, seconds: float) -> None:
        """Let time pass, and others run."""
        self.epoch_s += seconds
        await asyncio.sleep(0)


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """Say what a container does once it is started.

    Attributes:
        start_error: the engine cannot start it, and says this.
        exit_code: it ends by itself with this code, `exits_after_s` after its start; None runs on.
        stop_code: what it exits with when it is stopped.
        output: the lines it prints at each start.
        ready_after: how many asks of each probe are answered with "not yet".
        listens: ports on which it answers; None answers on all.
        health: what its health check says in the end.
        memory_bytes: what it takes while it runs, of which `idle_cache_bytes` is file cache that nobody uses.
        written_bytes: what it writes into its own layer.
    """

    start_error: str | None = None
    exit_code: int | None = None
    exits_after_s: float = 0.0
    stop_code: int = 143
    output: tuple[str, ...] = ()
    ready_after: int = 0
    listens: tuple[int, ...] | None = None
    health: Literal["starting", "healthy", "unhealthy"] = "healthy"
    memory_bytes: int = 1 << 20
    idle_cache_bytes: int = 0
    written_bytes: int = 0


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what stands at one path."""

    kind: Literal["directory", "file", "symlink", "other"]
    mode: str
    inode: int
    modified_epoch_s: float
    uid: int = 0
    gid: int = 0
    content: bytes = b""
    target: str = ""
    device: int = DEVICE


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """Remember one effect that reached the machine, and what it came to. `by` is the lock's owner, or `late`."""

    effect: Effect
    outcome: Outcome
    by: str


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """Hold who has the lock, and since when by the host's clock. `token` tells two holds by one owner apart."""

    owner: str
    since: str
    token: int
    before: str = ""

    @property
    def line(self) -> str:
        """Give what the host keeps of this hold."""
        return f"{self.since} {self.owner} {self.token}"


def live_by(now_s: float, *, seen: SeenContainer, behaviour: Behaviour, started_s: float) -> Live:
    """Tell what has become by `now_s` of a container that was started at `started_s`: run on, restarted or ended."""
    if behaviour.exit_code is None:
        if seen.live.state != "running":
            return seen.live
        return replace(seen.live, health=_health(seen.spec, behaviour, runs_s=now_s - started_s))
    begun_s, count = started_s, 0
    while (ended_s := begun_s + behaviour.exits_after_s) <= now_s:
        live = Live(
            state="restarting",
            exit_code=behaviour.exit_code,
            started_at=_moment(begun_s),
            finished_at=_moment(ended_s),
            restart_count=count,
        )
        if not _restarts(seen.spec.restart, exit_code=behaviour.exit_code, count=count):
            return replace(live, state="exited")
        begun_s = ended_s + min(RESTART_PAUSE_S * 2.0 ** min(count, RESTART_DOUBLINGS_MAX), RESTART_PAUSE_MAX_S)
        count += 1
        if begun_s > now_s or count > RESTARTS_COUNTED_MAX:
            return replace(live, restart_count=count)
    return Live(state="running", started_at=_moment(begun_s), restart_count=count)


def _moment(epoch_s: float) -> datetime:
    return datetime.fromtimestamp(epoch_s, UTC)


def _restarts(policy: str, *, exit_code: int, count: int) -> bool:
    kind, _, limit = policy.partition(":")
    if kind == "on-failure":
        return exit_code != 0 and (not limit or count < int(limit))
    return kind in {"always", "unless-stopped"}


def _health(spec: Container, behaviour: Behaviour, *, runs_s: float) -> str | None:
    check = spec.healthcheck
    if check is None or not check.test or check.test[0] == "NONE":
        return None
    interval_ms = HEALTH_INTERVAL_DEFAULT_MS if check.interval_ms is None else check.interval_ms
    return "starting" if runs_s * 1000 < interval_ms else behaviour.health
