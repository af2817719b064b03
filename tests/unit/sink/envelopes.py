"""Build valid envelopes for tests; every keyword overrides one field."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from reconciler.model.stale import Found, SandboxInventory, StaleCandidate
from reconciler.model.telemetry import Envelope, IntrospectionReport
from tests import builders as b

MIB = 1024 * 1024


def a_provision(number: int = 1, /, **over: Any) -> Envelope:
    """Tell of the provision of `lab/web-1` on `h1`, so many minutes after the first moment."""
    known: dict[str, Any] = {
        "id": f"e-{number:04d}",
        "event": "provision",
        "host": "h1",
        "sandbox_id": "lab/web-1",
        "profile_id": "service",
        "collected_at": b.T0 + timedelta(minutes=number),
        "delta": b.a_delta(),
    }
    return Envelope(**{**known, **over})


def a_teardown(number: int = 2, /, **over: Any) -> Envelope:
    """Tell of its end."""
    return a_provision(number, **{"event": "teardown", "delta": b.a_delta(verb="destroy"), **over})


def a_look(number: int = 3, /, *, host: str = "h1", report: dict[str, Any] | None = None, **over: Any) -> Envelope:
    """Tell of a look at `h1`, which holds `web-1` and nothing stale."""
    at = b.T0 + timedelta(minutes=number)
    told: dict[str, Any] = {
        "host": host,
        "collected_at": at,
        "snapshot": b.a_snapshot(host=host, collected_at=at),
        "inventory": an_inventory("web-1", host=host, at=at),
        **(report or {}),
    }
    known: dict[str, Any] = {
        "id": f"e-{number:04d}",
        "event": "introspection",
        "host": host,
        "sandbox_id": None,
        "profile_id": None,
        "collected_at": at,
        "report": IntrospectionReport(**told),
    }
    return Envelope(**{**known, **over})


def an_inventory(*sandboxes: str, host: str = "h1", at: Any = b.T0) -> SandboxInventory:
    """List sandboxes of ours that are there."""
    found = tuple(Found(object=f"sandbox/{name}", owner="ours", state="running", age_s=60.0) for name in sandboxes)
    return SandboxInventory(host=host, collected_at=at, found=found)


def a_candidate(kind: Any = "orphan", **over: Any) -> StaleCandidate:
    """Say that `sandbox/old` may be stale."""
    known: dict[str, Any] = {
        "host": "h1",
        "found": Found(object="sandbox/old", owner="ours"),
        "kind": kind,
        "suggestion": "inspect",
        "reason": "no spec wants it",
    }
    return StaleCandidate(**{**known, **over})
