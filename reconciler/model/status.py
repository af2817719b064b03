"""Hold what the status files say: kstatus-shaped conditions, and two axes, sync and health."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from reconciler.model.delta import ProvisionDelta
from reconciler.model.outcome import Instance
from reconciler.model.record import HostRecord, Record, Removal
from reconciler.model.snapshot import HostSnapshot
from reconciler.model.telemetry import IntrospectionReport

ConditionType = Literal[
    "Ready",
    "Reconciling",
    "Stalled",
    "Drifted",
    "Reachable",
    "CapacityOK",
    "Suspended",
    "Expired",
    "AwaitingApproval",
    "DeviceOK",
]
Reason = Literal[
    "ProbesPassed",
    "ProbeFailed",
    "CrashLoop",
    "NotProbed",
    "StepFailed",
    "OutcomeUnknown",
    "DependencyFailed",
    "Interrupted",
    "HostUnreachable",
    "HostAnswered",
    "Locked",
    "HeldBack",
    "FieldsDiffer",
    "AsDesired",
    "Missing",
    "Destroyed",
    "TtlElapsed",
    "SuspendedBySpec",
    "Repeating",
    "Stuck",
]
Sync = Literal["Synced", "OutOfSync", "Unknown"]
Health = Literal["Healthy", "Progressing", "Degraded", "Missing", "Suspended", "Unknown"]


class Condition(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Say one thing about an object. `last_transition_time` moves only when `status` does."""

    type: ConditionType
    status: Literal["True", "False", "Unknown"]
    reason: Reason
    message: str
    last_transition_time: datetime


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Remember one action."""

    pass_id: str
    verb: str
    end: str
    cause: str
    at: datetime
    message: str = ""


class SandboxStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Describe `status/sandboxes/<name>.json`.

    `records` is our memory of it, one per host (two while it moves); `removals` lives in `fleet.json`.

    Attributes:
        ready_run: the run whose probes passed, so that Ready can come back after a look that could not see it.
        ready_starts: digest of which containers, started when, passed: one that was started since has not.
        repeated: how often in a row the same action was taken for the same reason, which `evidence` digests.
        report: of a sandbox whose host is reported on, what its last change and the look before it told.
        observed_at: when its host last answered; `stale` says that the host did not answer the last look.
    """

    format: str = "reconciler-sandbox-status/1"
    fleet: str
    name: str
    host: str
    sync: Sync
    health: Health
    generation: int
    observed_generation: int
    last_attempted_revision: str
    last_applied_revision: str
    conditions: tuple[Condition, ...]
    instances: tuple[Instance, ...] = ()
    records: tuple[Record, ...] = ()
    delta: ProvisionDelta | None = None
    history: tuple[HistoryEntry, ...] = ()
    ready_run: str = ""
    ready_starts: str = ""
    evidence: str = ""
    repeated: int = 0
    report: IntrospectionReport | None = None
    observed_at: datetime | None = None
    stale: bool = False

    @property
    def ready(self) -> Condition | None:
        """Give the condition that says whether it answers, once anything could be said of that."""
        return next((one for one in self.conditions if one.type == "Ready"), None)

    @property
    def is_ready(self) -> bool:
        """Tell whether it answered when it was last asked."""
        return self.ready is not None and self.ready.status == "True"


class HostStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Describe `status/hosts/<host>.json`."""

    format: str = "reconciler-host-status/1"
    fleet: str
    name: str
    record: HostRecord
    conditions: tuple[Condition, ...]
    snapshot: HostSnapshot | None = None
    observed_at: datetime | None = None
    stale: bool = False


class SandboxLine(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Hold one sandbox's line of the summary."""

    name: str
    host: str
    sync: Sync
    health: Health
    ready: str


class FleetStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Describe `status/fleet.json`: one summary for people and scripts."""

    format: str = "reconciler-fleet-status/1"
    fleet: str
    revision: str
    last_pass: str
    updated_at: datetime
    sandboxes: tuple[SandboxLine, ...] = ()
    hosts_unreachable: tuple[str, ...] = ()
    removals: tuple[Removal, ...] = ()


class Statuses(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the whole status folder in memory."""

    fleet: FleetStatus | None = None
    sandboxes: dict[str, SandboxStatus] = {}
    hosts: dict[str, HostStatus] = {}


def not_ready_in(statuses: Statuses) -> tuple[str, ...]:
    """Name the sandboxes whose probes did not pass when they were last asked."""
    return tuple(
        name
        for name, status in sorted(statuses.sandboxes.items())
        if status.ready is not None and status.ready.status == "False"
    )
