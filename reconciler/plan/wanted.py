"""Decide about a sandbox that the specs want on this host: D = 1 in the decision table."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from reconciler.model.desired import SandboxDesired
from reconciler.model.marker import Marker
from reconciler.model.names import DerivedName
from reconciler.model.plan import Action, Bucket, Cause, Verb
from reconciler.plan import teardown
from reconciler.plan.admission import admission_trouble
from reconciler.plan.assess import Assessment, Trouble, assess
from reconciler.plan.case import Case, Verdict
from reconciler.plan.runs import run_id
from reconciler.plan.steps import Work, lower


def classify_wanted(case: Case, want: SandboxDesired) -> Verdict:
    """Decide between creating, adopting, changing, ending and leaving it."""
    clash = _clash(case, want)
    if clash is not None:
        return case.hold(Bucket.CLASH, clash)
    marker = case.holding.marker
    if marker is not None and marker.phase == "expired" and marker.intent == want.intent:
        if case.holding.containers or case.holding.networks:
            return _expire(case, marker)
        return case.settle(Bucket.EXPIRED, "expired: absent until its spec changes")
    if _expired(case, want):
        return _expire(case, case.holding.marker or fresh_marker(case, want))
    view = case.state.view
    bindings = {**case.world.bindings(case.place.host), **case.world.request.secrets}
    assessment = assess(want, case.holding, view, bindings=bindings)
    bucket = _bucket(case, assessment)
    if want.suspend is not None and bucket is not Bucket.MATCHING:
        by = f" by {want.suspend.by}" if want.suspend.by else ""
        trouble = Trouble("Suspended", f"suspended{by}: {want.suspend.reason}", "remove spec.suspend to go on")
        return case.hold(Bucket.HELD, trouble)
    if assessment.trouble is not None:
        return case.hold(Bucket.HELD, assessment.trouble)
    if bucket is Bucket.MATCHING:
        return case.settle(bucket)
    return _change(case, want, assessment, bucket)


def _bucket(case: Case, assessment: Assessment) -> Bucket:
    """Name the class of a wanted sandbox on a host that answered."""
    standing = case.holding.exists and (bool(case.holding.containers) or not _lost_containers(case, assessment))
    if not standing:
        return Bucket.ZOMBIE_WANTED if case.record is not None else Bucket.MISSING
    if assessment.verb is not None:
        return Bucket.DRIFTED
    return Bucket.MATCHING if case.record is not None else Bucket.UNRECORDED


def _lost_containers(case: Case, assessment: Assessment) -> bool:
    """Tell whether containers are wanted and none of them is there."""
    wanted = case.world.desired.sandboxes[case.place.sandbox].containers
    return bool(wanted) and len([key for key in assessment.vanished if key.startswith("containers/")]) == len(wanted)


def _change(case: Case, want: SandboxDesired, assessment: Assessment, bucket: Bucket) -> Verdict:
    """Decide the creation, adoption, update or replacement of a wanted sandbox."""
    verb = Verb.CREATE if bucket in (Bucket.MISSING, Bucket.ZOMBIE_WANTED) else assessment.verb or Verb.ADOPT
    trouble = _forbidden(case, want, assessment, verb)
    if trouble is not None:
        return case.hold(Bucket.HELD, trouble)
    marker = _next_marker(case, want, assessment, verb)
    host = case.world.desired.hosts[case.place.host]
    work = Work(
        fleet=case.world.desired.fleet,
        pass_id=case.world.request.pass_id,
        want=want,
        holding=case.holding,
        view=case.state.view,
        marker=marker,
        bindings=case.world.bindings(case.place.host),
        storage_roots=tuple(sorted(host.storage.values())),
    )
    adopting = case.record is None and case.holding.exists
    return Action(
        id=case.place.action_id,
        address=f"sandbox/{want.name}",
        sandbox=want.name,
        uid=want.uid,
        host=case.place.host,
        verb=verb,
        bucket=bucket,
        cause=_cause(case, want, assessment, bucket),
        resources=tuple(item.change for item in assessment.items),
        steps=lower(work, assessment, adopting=adopting),
        after=tuple(f"{case.world.desired.sandboxes[name].host}/{name}" for name in want.depends_on),
        generation=marker.generation,
        run=marker.run,
        intent=want.intent,
        revision=case.world.request.revision,
        keys=tuple(str(resource.key) for resource in want.resources),
        profile=want.profile,
        strategy=want.update if verb is Verb.REPLACE else None,
        notes=_notes(bucket, adopting=adopting, verb=verb),
        marker=assessment.marker,
    )


def _forbidden(case: Case, want: SandboxDesired, assessment: Assessment, verb: Verb) -> Trouble | None:
    if verb is Verb.REPLACE and want.protected:
        return Trouble(
            "Protected",
            "it is protected, and this change would replace it",
            "set protect: false in its spec to allow that",
        )
    if want.drift == "report" and verb is not Verb.CREATE and assessment.changes and assessment.only_drift:
        fields = ", ".join(change.path for change in assessment.changes)
        return Trouble(
            "DriftReported", f"drifted, and drift is only reported: {fields}", "set drift: heal to repair it"
        )
    if verb is Verb.CREATE:
        return admission_trouble(case.world, case.place)
    return None


def _cause(case: Case, want: SandboxDesired, assessment: Assessment, bucket: Bucket) -> Cause:
    match bucket:
        case Bucket.MISSING:
            return Cause("wanted by its spec", want.at)
        case Bucket.ZOMBIE_WANTED:
            return Cause(f"in the records, and gone from {case.place.host}", want.at)
        case Bucket.UNRECORDED if assessment.verb is None:
            return Cause("ours on the host, and not in the records", want.at)
        case _:
            first = next(iter(assessment.changes), None)
            if first is None:
                items = ", ".join(item.change.key for item in assessment.items)
                return Cause(f"{items} differ", want.at)
            return Cause(f"{first.path} {'changed' if first.origin == 'intent' else 'drifted'}", first.at)


def _notes(bucket: Bucket, *, adopting: bool, verb: Verb) -> tuple[str, ...]:
    notes: list[str] = []
    if bucket is Bucket.ZOMBIE_WANTED:
        notes.append("it vanished from its host behind the reconciler's back")
    if adopting and verb is not Verb.ADOPT:
        notes.append("adopted first: it is ours and not in the records")
    return tuple(notes)


def _clash(case: Case, want: SandboxDesired) -> Trouble | None:
    """Find a container that has a name we need and is not ours."""
    others = case.world.holdings[case.place.host].others
    for container in want.containers:
        name = str(DerivedName(case.world.desired.fleet, want.name, container.name))
        other = others.get(name)
        if other is not None:
            return Trouble(
                "NameTaken",
                f"container name {name} is taken by {other.owner}: {other.full_id}",
                f"remove or rename it, or take it over with: reconcile adopt {other.full_id}",
            )
    return None


def fresh_marker(case: Case, want: SandboxDesired) -> Marker:
    """Say what a sandbox's marker is when it is written for the first time."""
    request = case.world.request
    record = case.record
    grown = record is not None and record.intent != want.intent
    generation = 1 if record is None else record.generation + int(grown)
    return Marker(
        fleet=case.world.desired.fleet,
        sandbox=want.name,
        uid=want.uid,
        generation=generation,
        intent=want.intent,
        revision=request.revision,
        run=run_id(pass_id=request.pass_id, uid=want.uid, now=request.now),
        created_at=request.now,
        deletion=want.deletion,
        protected=want.protected,
        ttl_s=want.ttl_s,
    )


def _next_marker(case: Case, want: SandboxDesired, assessment: Assessment, verb: Verb) -> Marker:
    """Say what the marker will be: a new generation for new intent, a new run where a container is started."""
    fresh = fresh_marker(case, want)
    old = case.holding.marker
    if old is None:
        return fresh
    begins_run = assessment.begins_run or verb is Verb.CREATE
    replaced = {
        item.change.key for item in assessment.items if item.change.verb in (Verb.REPLACE, Verb.CREATE, Verb.DESTROY)
    }
    return msgspec.structs.replace(
        fresh,
        generation=old.generation + int(old.intent != want.intent),
        created_at=fresh.created_at if verb is Verb.CREATE else old.created_at,
        run=fresh.run if begins_run else old.run,
        adopted={key: full_id for key, full_id in old.adopted.items() if key not in replaced},
    )


def _expired(case: Case, want: SandboxDesired) -> bool:
    marker = case.holding.marker
    if marker is None or want.ttl_s is None or marker.phase != "present":
        return False
    return marker.created_at + timedelta(seconds=want.ttl_s) <= case.world.request.now


def _expire(case: Case, marker: Marker) -> Action:
    cause = Cause(f"its ttl of {marker.ttl_s} s ran out", None)
    return case.end(Verb.DESTROY, Bucket.EXPIRED, cause, teardown.expire(case.ending, marker), counted=False)
