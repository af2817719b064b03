"""Name runs. A run is one start of a sandbox by us; its id holds when, so that both travel in one label."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime

_RUN = re.compile(r"run-(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z-[0-9a-f]{8}")


def run_id(*, pass_id: str, uid: str, now: datetime) -> str:
    """Derive the id of the run that this pass starts: `run-20261121T231900Z-<8 hex>`."""
    tail = hashlib.sha256(f"{pass_id}\n{uid}".encode()).hexdigest()[:8]
    return f"run-{now:%Y%m%dT%H%M%SZ}-{tail}"


def arrival_hex(*, pass_id: str, uid: str, resource: str) -> str:
    """Derive the 6 hex digits that a replacement's name carries until it takes the lasting one."""
    return hashlib.sha256(f"{pass_id}\n{uid}\n{resource}".encode()).hexdigest()[:6]


def run_bindings(run: str) -> dict[str, str]:
    """Give what `${run.id}` and `${run.startedAt}` mean in this run; nothing for a run that is not known."""
    found = _RUN.fullmatch(run)
    if found is None:
        return {"run.id": run} if run else {}
    year, month, day, hour, minute, second = found.groups()
    return {"run.id": run, "run.startedAt": f"{year}-{month}-{day}T{hour}:{minute}:{second}Z"}
