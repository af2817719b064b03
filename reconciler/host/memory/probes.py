"""Answer probes of an in-memory host's containers, by what their `Behaviour` says."""

from __future__ import annotations

from reconciler.host.memory.world import World
from reconciler.model.observed import CRASHES_MAX, SeenContainer
from reconciler.model.pattern import compile_pattern
from reconciler.model.probe import (
    FinishedProbe,
    HealthProbe,
    HttpProbe,
    LogProbe,
    Probe,
    ProbeFailed,
    ProbePassed,
    ProbeResult,
    ProbeWaiting,
    TcpProbe,
)


def answer(world: World, probe: Probe, seen: SeenContainer) -> ProbeResult:
    """Answer one probe once, counting how often it was asked."""
    state, code = seen.live.state, seen.live.exit_code
    if isinstance(probe, FinishedProbe) and state == "exited":
        return ProbePassed() if code == 0 else ProbeFailed(f"{seen.name} exited with {code}")
    if isinstance(probe, LogProbe) and any(map(compile_pattern(probe.pattern), world.run_output(seen.full_id))):
        return ProbePassed()
    if state in {"exited", "dead", "removing"}:
        return ProbeFailed(f"{seen.name} exited with {code}")
    if state == "restarting" and seen.live.restart_count >= CRASHES_MAX:
        return ProbeFailed(f"{seen.name} does not stay up: it was restarted {seen.live.restart_count} times")
    if state != "running" or isinstance(probe, FinishedProbe):
        return ProbeWaiting(f"{seen.name} is {state}")
    return _answer_running(world, probe, seen)


def _answer_running(world: World, probe: Probe, seen: SeenContainer) -> ProbeResult:
    behaviour = world.behaviour(seen)
    asked = (seen.full_id, probe.name)
    world.asks[asked] = world.asks.get(asked, 0) + 1
    if world.asks[asked] <= behaviour.ready_after:
        return ProbeWaiting("not yet")
    match probe:
        case HttpProbe() | TcpProbe() if behaviour.listens is not None and probe.port not in behaviour.listens:
            return ProbeWaiting(f"port {probe.port} refuses connections")
        case HealthProbe() if seen.live.health != "healthy":
            return ProbeWaiting(f"its health check says {seen.live.health or 'nothing: there is none'}")
        case LogProbe():
            return ProbeWaiting(f"no line holds {probe.pattern!r} yet")
        case _:
            return ProbePassed()
