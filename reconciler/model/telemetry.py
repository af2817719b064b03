"""Hold what leaves the controller: one envelope for each thing that is worth keeping of a pass or a look."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from reconciler.model.delta import ProvisionDelta
from reconciler.model.snapshot import HostSnapshot
from reconciler.model.stale import SandboxInventory, StaleCandidate

TELEMETRY_SCHEMA = "reconciler-telemetry/1"

TelemetryEvent = Literal["provision", "teardown", "introspection"]


class IntrospectionReport(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what a look at one host told: its counters, what it holds, what of that is stale, and what a change did.

    Attributes:
        host: its name in the specs.
        collected_at: by the controller's clock.
        snapshot: its counters; None where it did not tell them.
        inventory: what it holds.
        stale: what of that may be stale.
        provision: what bringing the sandbox up did to the host; teardown: what taking it away did.
    """

    host: str
    collected_at: datetime
    snapshot: HostSnapshot | None
    inventory: SandboxInventory
    stale: tuple[StaleCandidate, ...] = ()
    provision: ProvisionDelta | None = None
    teardown: ProvisionDelta | None = None


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """Wrap what is sent to a sink.

    Attributes:
        schema_version: of everything inside; a reader refuses what it does not know.
        id: of this envelope, the same whenever it is sent again, so that a receiver can tell a repeat.
        event: what it tells of.
        host: by its name in the specs.
        sandbox_id: `<fleet>/<sandbox>`, or None for what is about the host alone.
        profile_id: the sandbox's profile, or None.
        collected_at: by the controller's clock.
        delta: of a provision or a teardown; report: of an introspection, and of a canary's provision.
    """

    schema_version: str = TELEMETRY_SCHEMA
    id: str
    event: TelemetryEvent
    host: str
    sandbox_id: str | None
    profile_id: str | None
    collected_at: datetime
    delta: ProvisionDelta | None = None
    report: IntrospectionReport | None = None

    @property
    def sandbox(self) -> str | None:
        """Give the sandbox's name, or None for what is about the host alone."""
        return None if self.sandbox_id is None else self.sandbox_id.partition("/")[2]
