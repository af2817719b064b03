"""Build what we remember, plan and measured."""

from __future__ import annotations

from typing import Any

from reconciler.model import labels as label
from reconciler.model.delta import ProvisionDelta, Reading
from reconciler.model.desired import SandboxDesired
from reconciler.model.effect import Effect, Existing, Made
from reconciler.model.observed import (
    SeenContainer,
)
from reconciler.model.plan import Action, Apply, Bucket, Cause, Plan, Step, Verb
from reconciler.model.record import HostRecord, Record, Records
from tests.builders.shown import a_seen, docker_name
from tests.builders.wanted import (
    CONTAINER,
    DOCKER_ROOT,
    FLEET,
    HOST,
    HOST_ID,
    REVISION,
    RUN,
    SANDBOX,
    T0,
    a_sandbox,
    later,
)


def a_record(sandbox: SandboxDesired | None = None, /, **over: Any) -> Record:
    """Remember having made `sandbox` as it is wanted."""
    owner = a_sandbox() if sandbox is None else sandbox
    return Record(
        **{
            "sandbox": owner.name,
            "uid": owner.uid,
            "host": owner.host,
            "host_id": HOST_ID,
            "generation": 1,
            "intent": owner.intent,
            "revision": REVISION,
            "run": RUN,
            "keys": tuple(str(item.key) for item in owner.resources),
            "applied_at": T0,
            **over,
        }
    )


def a_host_record(name: str = HOST, **over: Any) -> HostRecord:
    """Remember a host."""
    return HostRecord(**{"name": name, "host_id": HOST_ID, "docker_root": DOCKER_ROOT, **over})


def a_records(*sandboxes: Record, **over: Any) -> Records:
    """Remember these, and their hosts."""
    hosts = {record.host: a_host_record(record.host, host_id=record.host_id) for record in sandboxes}
    return Records(**{"sandboxes": sandboxes, "hosts": hosts, **over})


def existing(seen: SeenContainer | None = None, **over: Any) -> Existing:
    """Target a seen container."""
    held = a_seen() if seen is None else seen
    return Existing(
        **{"full_id": held.full_id, "name": held.name, "uid": held.labels.get(label.PREFIX + "uid", ""), **over}
    )


def made(sandbox: SandboxDesired | None = None, resource: str = CONTAINER, **over: Any) -> Made:
    """Target the container that this action makes."""
    owner = a_sandbox() if sandbox is None else sandbox
    return Made(**{"name": docker_name(owner, resource), "uid": owner.uid, **over})


def a_step(effect: Effect, **over: Any) -> Step:
    """Order one effect."""
    return Step(**{"id": f"{HOST}/{SANDBOX}/1", "do": Apply(effect), "title": "do it", **over})


def an_action(*steps: Step, **over: Any) -> Action:
    """Order the creation of `web-1`."""
    owner = a_sandbox()
    return Action(
        **{
            "id": f"{HOST}/{SANDBOX}",
            "sandbox": SANDBOX,
            "uid": owner.uid,
            "host": HOST,
            "verb": Verb.CREATE,
            "bucket": Bucket.MISSING,
            "cause": Cause("new in the specs", owner.at),
            "steps": steps,
            "generation": 1,
            "run": RUN,
            "intent": owner.intent,
            "revision": REVISION,
            "keys": tuple(str(item.key) for item in owner.resources),
            **over,
        }
    )


def a_plan(*actions: Action, **over: Any) -> Plan:
    """Plan these actions."""
    return Plan(
        **{
            "tool": "reconciler 0",
            "fleet": FLEET,
            "revision": REVISION,
            "specs": "0" * 64,
            "pass_id": "p-00000001",
            "made_at": T0,
            "actions": actions,
            **over,
        }
    )


def a_reading(**over: Any) -> Reading:
    """Measure one moment in three samples."""
    return Reading(
        **{
            "at": T0,
            "boot_id": "6f1f9a52-9a7e-4b3a-9a43-0f1b2c3d4e5f",
            "samples": 3,
            "median": {"memory_available_bytes": float(12 << 30), "load_1": 0.1},
            "spread": {"memory_available_bytes": float(1 << 20), "load_1": 0.01},
            **over,
        }
    )


def a_delta(**over: Any) -> ProvisionDelta:
    """Hold what a creation took."""
    after = a_reading(at=later(seconds=10), median={"memory_available_bytes": float(11 << 30), "load_1": 0.4})
    change = {"memory_available_bytes": float(-(1 << 30)), "load_1": 0.3}
    return ProvisionDelta(**{"verb": "create", "before": a_reading(), "after": after, "change": change, **over})
