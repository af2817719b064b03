"""Remember what a pass that was cut short may have made: its journal is all that tells, until a later pass ends well.

Without it, a sandbox that was being moved when the process died would be nobody's on the host that it moved to.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from reconciler.model.plan import Action, Plan
from reconciler.model.record import Record
from reconciler.model.status import Condition, SandboxStatus, Statuses
from reconciler.record.journal import OUTCOMES_FILE, PASSES, PLAN_FILE, Line, pass_ids, read_lines


def remember_cut(statuses: Statuses, folder: Path) -> Statuses:
    """Add a record for every sandbox that the newest passes began to make and that none is kept of.

    Args:
        statuses: as loaded.
        folder: the status folder. A pass whose plan cannot be read tells nothing, and is passed over.
    """
    for pass_id in pass_ids(folder):
        if (folder / PASSES / pass_id / OUTCOMES_FILE).exists():
            break
        for fleet, record in _made_by(folder, pass_id):
            statuses = _with(statuses, record, fleet=fleet)
    return statuses


def _made_by(folder: Path, pass_id: str) -> Iterator[tuple[str, Record]]:
    """Give the fleet of a pass with each record that it should have left."""
    try:
        plan = msgspec.json.decode((folder / PASSES / pass_id / PLAN_FILE).read_bytes(), type=Plan)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return
    lines = list(read_lines(folder, pass_id))
    last = {line.step: line for line in lines}
    # A try that was sent and never answered may have happened, whatever a later one was told.
    maybe_done = {line.step for line in lines if line.moment == "after" and line.outcome != "not_done"}
    maybe_done |= {step for step, line in last.items() if line.moment == "before"}
    for action in plan.actions:
        begun = [last[step.id] for step in action.steps if step.id in last]
        # What an action was to end has its record still, or never had one.
        if not action.verb.ends and maybe_done.intersection(line.step for line in begun):
            yield plan.fleet, _record(action, plan, begun)


def _record(action: Action, plan: Plan, begun: list[Line]) -> Record:
    basis = plan.basis.get(action.host)
    return Record(
        sandbox=action.sandbox,
        uid=action.uid,
        host=action.host,
        host_id=basis.host_id if basis is not None else None,
        generation=action.generation,
        intent=action.intent,
        revision=action.revision,
        run=action.run,
        keys=action.keys,
        applied_at=begun[-1].at,
        complete=False,
    )


def _with(statuses: Statuses, record: Record, *, fleet: str) -> Statuses:
    status = statuses.sandboxes.get(record.sandbox)
    if status is None:
        status = _unheard_of(record, fleet)
    if any(known.host == record.host for known in status.records):
        return statuses
    after = msgspec.structs.replace(status, records=(*status.records, record))
    return msgspec.structs.replace(statuses, sandboxes={**statuses.sandboxes, record.sandbox: after})


def _unheard_of(record: Record, fleet: str) -> SandboxStatus:
    ready = Condition(
        type="Ready",
        status="Unknown",
        reason="Interrupted",
        message="the pass that made it was cut short",
        last_transition_time=record.applied_at,
    )
    return SandboxStatus(
        fleet=fleet,
        name=record.sandbox,
        host=record.host,
        sync="Unknown",
        health="Unknown",
        generation=record.generation,
        observed_generation=0,
        last_attempted_revision=record.revision,
        last_applied_revision="",
        conditions=(ready,),
    )
