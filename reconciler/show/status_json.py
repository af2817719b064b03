"""Write the status of a fleet as the JSON document that scripts may rely on (`status -o json`)."""

from __future__ import annotations

from typing import Any

import msgspec

from reconciler.model.plan import address_of
from reconciler.model.status import HostStatus, SandboxStatus, Statuses
from reconciler.model.unfinished import UnfinishedPass
from reconciler.show.unfinished_text import unfinished_json

FORMAT = "reconciler-status/1"


def status_json(statuses: Statuses, *, fleet: str, unfinished: UnfinishedPass | None = None) -> dict[str, Any]:
    """Give the document: `format`, `fleet`, `unfinished_pass`, `sandboxes`, `hosts`."""
    return {
        "format": FORMAT,
        "fleet": fleet,
        "unfinished_pass": None if unfinished is None else unfinished_json(unfinished),
        "sandboxes": [_sandbox(statuses.sandboxes[name]) for name in sorted(statuses.sandboxes)],
        "hosts": [_host(statuses.hosts[name]) for name in sorted(statuses.hosts)],
    }


def status_names(statuses: Statuses) -> str:
    """Write one `sandbox/NAME` a line (`-o name`)."""
    return "".join(f"{address_of(name)}\n" for name in sorted(statuses.sandboxes))


def _sandbox(status: SandboxStatus) -> dict[str, Any]:
    return {
        "name": status.name,
        "host": status.host,
        "sync": status.sync,
        "health": status.health,
        "conditions": msgspec.to_builtins(status.conditions),
        "generation": status.generation,
        "observed_generation": status.observed_generation,
        "revision": status.last_applied_revision,
        "attempted_revision": status.last_attempted_revision,
        "instances": msgspec.to_builtins(status.instances),
        "observed_at": None if status.observed_at is None else status.observed_at.isoformat(),
        "stale": status.stale,
    }


def _host(status: HostStatus) -> dict[str, Any]:
    reachable = next((one for one in status.conditions if one.type == "Reachable"), None)
    since = status.record.unreachable_since
    return {
        "name": status.name,
        "reachable": None if reachable is None else reachable.status == "True",
        "conditions": msgspec.to_builtins(status.conditions),
        "host_id": status.record.host_id,
        "unreachable_since": None if since is None else since.isoformat(),
        "observed_at": None if status.observed_at is None else status.observed_at.isoformat(),
        "stale": status.stale,
    }
