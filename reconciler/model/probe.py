"""Say how a sandbox shows that it is ready. Each probe is asked from the host, never from the controller's network."""

from __future__ import annotations

import msgspec


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Carry what every probe has: its name, whom it asks, for how long and how often."""

    name: str
    container: str
    timeout_s: float = 60.0
    interval_s: float = 1.0


class HttpProbe(_Asked, frozen=True, kw_only=True, tag="http"):
    """Want an HTTP answer with a status from `status_min` to `status_max` on the container's own port."""

    port: int
    path: str = "/"
    status_min: int = 200
    status_max: int = 399


class TcpProbe(_Asked, frozen=True, kw_only=True, tag="tcp"):
    """Want the container's port to accept a connection."""

    port: int


class ExecProbe(_Asked, frozen=True, kw_only=True, tag="exec"):
    """Want the command to exit 0 inside the container."""

    command: tuple[str, ...]


class LogProbe(_Asked, frozen=True, kw_only=True, tag="log"):
    """Want a line of this run's output that holds `pattern`, a regular expression."""

    pattern: str


class HealthProbe(_Asked, frozen=True, kw_only=True, tag="health"):
    """Want Docker's own health check to say `healthy`."""


class RunningProbe(_Asked, frozen=True, kw_only=True, tag="running"):
    """Want the container to be running (`run: always`): asked where a spec names no probe for it."""


class FinishedProbe(_Asked, frozen=True, kw_only=True, tag="finished"):
    """Want the container to have exited with 0 (`run: once`)."""


Probe = HttpProbe | TcpProbe | ExecProbe | LogProbe | HealthProbe | RunningProbe | FinishedProbe


class ProbePassed(msgspec.Struct, frozen=True, tag="passed"):
    """Report that a probe got the answer it wants."""


class ProbeWaiting(msgspec.Struct, frozen=True, tag="waiting"):
    """Report that the answer is not there yet, and what came instead."""

    why: str


class ProbeFailed(msgspec.Struct, frozen=True, tag="failed"):
    """Report that the answer cannot come any more: the container exited or is gone."""

    why: str


ProbeResult = ProbePassed | ProbeWaiting | ProbeFailed
