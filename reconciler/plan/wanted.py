"""Decide about a sandbox that the specs want on this host: D = 1 in the decision table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

import msgspec

from reconciler.model.desired import SandboxDesired
from reconciler.model.marker import Marker
from reconciler.model.names import WHAT_RUNS, DerivedName
from reconciler.model.plan import Action, Bucket, Cause, FieldChange, Verb
from reconciler.model.resource import Network, Volume
from reconciler.model.rule import Remedy
from reconciler.plan import teardown
from reconciler.plan.admission import admission_trouble
from reconciler.plan.assess import assess
from reconciler.plan.assessment import Assessment, Trouble
from reconciler.plan.case import Case, Verdict
from reconciler.plan.compare import where_said
from reconciler.plan.composed import digest_of
from reconciler.plan.gpus import GPU_HINT, Grant, held_for
from reconciler.plan.intent import same_intent
from reconciler.plan.mounts import mount_trouble
from reconciler.plan.placed import own_files
from reconciler.plan.runs import run_id
from reconciler.plan.steps import Work, lower
from reconciler.plan.suspension import suspension

_EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104 - compared with, never bound to


def classify_wanted(case: Case, want: SandboxDesired) -> Verdict:
    """Decide between creating, adopting, changing, ending and leaving it."""
    clash = _clash(case, want)
    if clash is not None:
        return case.hold(Bucket.CLASH, clash)
    suspended = suspension(want.suspend, "it", now=case.world.request.now)
    over = _after_its_ttl(case, want, suspended)
    if over is not None:
        return over
    view = case.state.view
    bindings = {**case.world.bindings(case.place.host), **case.world.request.secrets}
    applied = case.record.intent if case.record is not None else None
    grants = case.world.rooms[case.place.host].grants(want, reserved_gpus=case.gpus_reserved)
    assessment = assess(want, case.holding, view, bindings=bindings, applied=applied, grants=grants)
    if _begins_anew(case, want):
        anew = FieldChange(path="ttl", old="over", new="anew", remedy=Remedy.IN_PLACE, origin="intent", at=want.at)
        assessment = msgspec.structs.replace(assessment, marker=(*assessment.marker, anew))
    bucket = _bucket(case, assessment)
    if suspended is not None and bucket is not Bucket.MATCHING:
        return case.hold(Bucket.HELD, suspended)
    if assessment.trouble is not None:
        return case.hold(Bucket.HELD, assessment.trouble)
    if bucket is Bucket.MATCHING:
        return case.settle(bucket)
    return _change(case, want, assessment, bucket, grants)


def _bucket(case: Case, assessment: Assessment) -> Bucket:
    """Name the class of a wanted sandbox on a host that answered."""
    standing = case.holding.exists and (bool(case.holding.containers) or not _lost_containers(case, assessment))
    if not standing:
        return Bucket.ZOMBIE_WANTED if case.record is not None and case.record.complete else Bucket.MISSING
    if assessment.verb is not None:
        return Bucket.DRIFTED
    return Bucket.MATCHING if case.record is not None else Bucket.UNRECORDED


def _lost_containers(case: Case, assessment: Assessment) -> bool:
    """Tell whether containers are wanted and none of them is there."""
    want = case.world.desired.sandboxes[case.place.sandbox]
    wanted = [key for key in want.keys if key.startswith(WHAT_RUNS)]
    gone = [key for key in assessment.vanished if key.startswith(WHAT_RUNS)]
    return bool(wanted) and len(gone) == len(wanted)


def _change(
    case: Case, want: SandboxDesired, assessment: Assessment, bucket: Bucket, grants: Mapping[str, Grant]
) -> Verdict:
    """Decide the creation, adoption, update or replacement of a wanted sandbox."""
    verb = Verb.CREATE if bucket in (Bucket.MISSING, Bucket.ZOMBIE_WANTED) else assessment.verb or Verb.ADOPT
    trouble = _forbidden(case, want, assessment, verb) or _short_of_gpus(case, assessment, grants)
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
        grants=grants,
    )
    adopting = case.record is None and case.holding.exists
    return Action(
        id=case.place.action_id,
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
        keys=want.keys,
        profile=want.profile,
        strategy=want.update if verb is Verb.REPLACE else None,
        notes=(*_notes(case, bucket, adopting=adopting, verb=verb), *_without_gpus(case, assessment, grants)),
        marker=_told_of_marker(assessment, verb),
    )


def _told_of_marker(assessment: Assessment, verb: Verb) -> tuple[FieldChange, ...]:
    """Give what changes about the sandbox as a whole; a new generation goes without saying where anything else does."""
    if verb is Verb.CREATE:
        return ()
    return tuple(change for change in assessment.marker if not assessment.items or change.path != "generation")


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
    exposing = mount_trouble(
        assessment.made_anew,
        uid=want.uid,
        identity=case.state.view.identity,
        bindings=case.world.bindings(case.place.host),
    )
    if exposing is not None:
        return exposing
    if verb is Verb.CREATE:
        return admission_trouble(case.world.rooms[case.place.host], want) or _taken_port(case, want)
    return _taken_port(case, want) if verb in (Verb.REPLACE, Verb.START) else None


def _short_of_gpus(case: Case, assessment: Assessment, grants: Mapping[str, Grant]) -> Trouble | None:
    """Hold back what needs GPUs that are not to be had, or of which nothing is known."""
    lacking = held_for(grants, assessment.made_anew)
    return None if lacking is None else Trouble("AdmissionRefused", f"{case.place.host} {lacking}", GPU_HINT)


def _without_gpus(case: Case, assessment: Assessment, grants: Mapping[str, Grant]) -> Iterator[str]:
    """Say which containers are made without the GPUs that they would rather have, and why."""
    for one in assessment.made_anew:
        if one.name in grants and grants[one.name].lacking:
            yield f"{one.name} is made without GPUs: {case.place.host} {grants[one.name].lacking}"


def _taken_port(case: Case, want: SandboxDesired) -> Trouble | None:
    """Find a fixed port that a container which is not ours has: nothing of ours is stopped for what cannot start."""
    others = case.world.holdings[case.place.host].others
    for container in want.containers:
        for inside, published in container.ports.items():
            if published.host_port is None:
                continue
            spot = f"{published.host_port}/{inside.partition('/')[2]}"
            for taken, holder in case.state.view.taken_ports.items():
                bind, _, rest = taken.rpartition(":")
                if (
                    rest == spot
                    and holder in others
                    and (bind == published.bind or {bind, published.bind} & _EVERYWHERE)
                ):
                    return Trouble(
                        "PortTaken",
                        f"port {published.bind}:{spot} is taken by container {holder} of {others[holder].owner}",
                        "stop that one, or publish another port",
                    )
    return None


def _cause(case: Case, want: SandboxDesired, assessment: Assessment, bucket: Bucket) -> Cause:
    match bucket:
        case Bucket.MISSING:
            begun = case.record is not None or case.holding.exists
            return Cause("its creation was begun and not finished" if begun else "wanted by its spec", want.at)
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


def _notes(case: Case, bucket: Bucket, *, adopting: bool, verb: Verb) -> tuple[str, ...]:
    placed = case.world.placements.get(case.place.sandbox)
    notes = [*placed.notes] if placed is not None else []
    if bucket is Bucket.ZOMBIE_WANTED:
        notes.append("it vanished from its host behind the reconciler's back")
    if adopting and verb is not Verb.ADOPT:
        notes.append("adopted first: it is ours and not in the records")
    return tuple(notes)


def _clash(case: Case, want: SandboxDesired) -> Trouble | None:
    """Find something that has a name we need and is not ours."""
    holdings = case.world.holdings[case.place.host]
    parts: tuple[Network | Volume, ...] = (*want.networks, *want.volumes)
    for resource in parts:
        name = str(DerivedName(case.world.desired.fleet, want.name, resource.name))
        held = case.holding.networks if isinstance(resource, Network) else case.holding.volumes
        if f"{resource.key.kind}/{name}" in holdings.strangers and resource.name not in held:
            kind = resource.key.kind.removesuffix("s")
            return Trouble(
                "NameTaken",
                f"{kind} name {name} is taken by somebody else's",
                f"look at it, then: docker {kind} rm {name}",
            )
    others = holdings.others
    for part in want.parts(case.world.desired.fleet):
        other = others.get(part.docker_name)
        if other is not None:
            return Trouble(
                "NameTaken",
                f"container name {part.docker_name} is taken by {other.owner}: {other.full_id}",
                f"remove or rename it, or take it over with: reconcile adopt {other.full_id}",
            )
    return None


def fresh_marker(case: Case, want: SandboxDesired) -> Marker:
    """Say what a sandbox's marker is when it is written for the first time."""
    request = case.world.request
    latest = case.world.latest(want.name)
    grown = latest is not None and not same_intent(latest.intent, want.intent)
    known = 1 if latest is None else latest.generation + int(grown)
    generation = max(known, case.holding.generation)
    return Marker(
        fleet=case.world.desired.fleet,
        sandbox=want.name,
        uid=want.uid,
        generation=generation,
        intent=want.intent,
        revision=request.revision,
        run=run_id(pass_id=request.pass_id, uid=want.uid, now=request.now),
        created_at=case.dated_by_both_clocks,
        deletion=want.deletion,
        protected=want.protected,
        ttl_s=want.ttl_s,
        origin=want.origin,
        tree=want.tree.content if want.tree is not None else "",
        compose=digest_of(want.compose),
        files=own_files(
            want, base_dir=case.state.view.identity.base_dir, bindings=case.world.bindings(case.place.host)
        ),
    )


def _next_marker(case: Case, want: SandboxDesired, assessment: Assessment, verb: Verb) -> Marker:
    """Say what the marker will be: a new generation for new intent, a new run where a container is started."""
    fresh = fresh_marker(case, want)
    old = case.holding.marker
    if old is None:
        keeps_run = case.holding.run and verb is not Verb.CREATE and not assessment.begins_run
        return msgspec.structs.replace(fresh, run=case.holding.run) if keeps_run else fresh
    begins_run = assessment.begins_run or verb is Verb.CREATE
    standing = {owned.seen.full_id for owned in case.holding.containers}
    return msgspec.structs.replace(
        fresh,
        generation=max(fresh.generation, old.generation + int(not same_intent(old.intent, want.intent))),
        created_at=fresh.created_at if verb is Verb.CREATE or _begins_anew(case, want) else old.created_at,
        run=fresh.run if begins_run else old.run,
        # The only proof of an adopted container, so it must outlast the container: an id is never given twice.
        adopted={key: full_id for key, full_id in old.adopted.items() if full_id in standing},
    )


def _after_its_ttl(case: Case, want: SandboxDesired, suspended: Trouble | None) -> Verdict | None:
    """Decide about a sandbox whose ttl is over, or was; None while it may live."""
    if want.origin == "adhoc":
        return None  # whoever asks for it now begins its time anew
    marker, record = case.holding.marker, case.record
    absent = "expired: absent until its spec changes"
    if marker is None:
        over = record is not None and record.phase == "expired" and same_intent(record.intent, want.intent)
        return case.settle(Bucket.EXPIRED, absent) if over and not case.holding.exists else None
    stays_absent = marker.phase == "expired" and same_intent(marker.intent, want.intent)
    if not stays_absent and not _expired(case, want):
        return None
    if stays_absent and not teardown.leaves_anything(case.ending):
        return case.settle(Bucket.EXPIRED, absent)
    if suspended is not None:
        return case.hold(Bucket.HELD, suspended)
    if want.protected:
        hint = "set protect: false in its spec to let it go, or give it a longer ttl"
        return case.hold(
            Bucket.HELD, Trouble("Protected", f"it is protected, and its ttl of {want.ttl_s} s ran out", hint)
        )
    return _expire(case, want, marker)


def _expired(case: Case, want: SandboxDesired) -> bool:
    marker = case.holding.marker
    if marker is None or want.ttl_s is None or marker.phase != "present":
        return False
    return marker.created_at + timedelta(seconds=want.ttl_s) <= case.now_by_both_clocks


def _begins_anew(case: Case, want: SandboxDesired) -> bool:
    """Tell whether a ttl that is over begins again: its spec has changed since, or a command asks for it."""
    marker = case.holding.marker
    return marker is not None and (marker.phase == "expired" or _expired(case, want))


def _expire(case: Case, want: SandboxDesired, marker: Marker) -> Action:
    """End it, and mark it absent for the intent that let it expire.

    A ttl that it already had when it was last applied was agreed to then; one that an edit brings counts as a removal.
    """
    expired = msgspec.structs.replace(
        marker,
        phase="expired",
        tree="",
        compose="",
        intent=want.intent,
        generation=marker.generation + int(not same_intent(marker.intent, want.intent)),
        ttl_s=want.ttl_s,
    )
    cause = Cause(f"its ttl of {want.ttl_s} s ran out", where_said(want.origins, "ttl") or want.at)
    steps = teardown.expire(case.ending, expired)
    counted = marker.phase == "present" and marker.ttl_s != want.ttl_s
    ended = case.end(Verb.DESTROY, Bucket.EXPIRED, cause, steps, counted=counted)
    return msgspec.structs.replace(ended, intent=expired.intent, generation=expired.generation)
