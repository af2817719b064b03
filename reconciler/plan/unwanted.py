"""Decide about what no spec wants on this host: D = 0 in the decision table."""

from __future__ import annotations

from datetime import timedelta

from reconciler.model.desired import SandboxDesired
from reconciler.model.observed import STOPPED_STATES
from reconciler.model.plan import Bucket, Cause, Note, Verb
from reconciler.plan import teardown
from reconciler.plan.assessment import Trouble
from reconciler.plan.case import Case, Verdict
from reconciler.plan.step_list import StepList
from reconciler.plan.suspension import suspension
from reconciler.plan.world import Place

AD_HOC_TTL_S = 24 * 3600


def classify_unwanted(case: Case) -> Verdict:
    """Decide about what no spec wants at this place."""
    holding = case.holding
    marker = holding.marker
    if not holding.exists:
        return _forget(case)
    if case.place.sandbox in case.world.request.destroying:
        return _destroy_by_name(case)
    if marker is not None and marker.deletion == "Retain":
        return case.settle(Bucket.RETAINED, "retained: its spec is gone and deletionPolicy is Retain")
    if marker is not None and marker.protected:
        trouble = Trouble(
            "Protected", "protected on its host, and no spec wants it", "put its spec back, protect: false"
        )
        return case.hold(Bucket.HELD, trouble)
    if holding.origin == "adhoc":
        return _end_ad_hoc(case)
    want = case.world.desired.sandboxes.get(case.place.sandbox)
    if case.record is None:
        return _reap(case)
    if marker is None:
        trouble = Trouble(
            "MarkerMissing",
            "no spec wants it any more, and its marker is gone: it may have been protected or retained",
            f"put its spec back, or remove it by name: reconcile destroy {case.place.sandbox}",
        )
        return case.hold(Bucket.HELD, trouble)
    chosen = "it is placed on" if case.place.sandbox in case.world.placements else "its spec names host"
    moved = Cause(f"{chosen} {want.host} now", want.at) if want is not None else None
    cause = moved or Cause("no spec wants it any more")
    return case.end(Verb.DESTROY, Bucket.REMOVED, cause, teardown.destroy(case.ending))


def second_copy(place: Place, want: SandboxDesired) -> Trouble:
    """Say that there are two copies, and that no record tells whether this one was made for a move, or left by one."""
    name, host = place.sandbox, place.host
    return Trouble(
        "SecondCopy",
        f"a second copy of ours: the specs want {name} on {want.host}, and no record tells how this one came about",
        f"look which of the two is in use; to remove this one: reconcile destroy {name} --on {host}",
    )


def _destroy_by_name(case: Case) -> Verdict:
    """Decide about what a person asked to destroy: a word in its spec or its marker still stands against it."""
    marker = case.holding.marker
    want = case.world.desired.sandboxes.get(case.place.sandbox)
    if (want is not None and want.protected) or (marker is not None and marker.protected):
        trouble = Trouble("Protected", "it is protected", "apply a spec that says protect: false first")
        return case.hold(Bucket.HELD, trouble)
    if (want is not None and want.deletion == "Retain") or (marker is not None and marker.deletion == "Retain"):
        trouble = Trouble(
            "Retained", "its deletionPolicy is Retain", "apply a spec that says deletionPolicy: Delete first"
        )
        return case.hold(Bucket.HELD, trouble)
    suspended = suspension(want.suspend, "it", now=case.world.request.now) if want is not None else None
    if suspended is not None:
        return case.hold(Bucket.HELD, suspended)
    return case.end(Verb.DESTROY, Bucket.REMOVED, Cause("asked to be destroyed"), teardown.destroy(case.ending))


def _forget(case: Case) -> Verdict:
    """Decide about what is not on the host, but for the marker that kept it absent."""
    marker = case.holding.marker
    if marker is not None and marker.deletion == "Delete" and not marker.protected:
        cause = Cause("it has expired, and no spec wants it any more")
        return case.end(Verb.DESTROY, Bucket.REMOVED, cause, teardown.destroy(case.ending), counted=False)
    if case.record is None:
        if marker is None and case.holding.volumes:
            return case.settle(Bucket.RETAINED)
        return case.settle(Bucket.EXPIRED if marker is not None else Bucket.LOST_TO_OTHERS)
    steps = StepList(case.place.action_id)
    steps.add(Note("forgotten"), "forget its record")
    others = case.world.holdings[case.place.host].others
    prefix = f"sbx-{case.world.desired.fleet}.{case.place.sandbox}."
    taken = any(name.startswith(prefix) for name in others)
    bucket = Bucket.LOST_TO_OTHERS if taken else Bucket.ZOMBIE
    text = "its name is somebody else's now" if taken else "in the records, gone from the host, and no spec wants it"
    return case.end(Verb.FORGET, bucket, Cause(text), steps.finish(), counted=False)


def _end_ad_hoc(case: Case) -> Verdict:
    """Leave what a command made until its ttl is over."""
    marker = case.holding.marker
    if marker is None:
        trouble = Trouble(
            "MarkerMissing", "made by a command, and its marker is gone", "remove it by hand after a look"
        )
        return case.hold(Bucket.HELD, trouble)
    ttl_s = marker.ttl_s if marker.ttl_s is not None else AD_HOC_TTL_S
    if marker.created_at + timedelta(seconds=ttl_s) > case.now_by_both_clocks:
        return case.settle(Bucket.AD_HOC, "made by a command, and left until its ttl")
    cause = Cause(f"made by a command, and its ttl of {ttl_s} s is over")
    # Whoever made it agreed to its ttl.
    return case.end(Verb.REAP, Bucket.AD_HOC, cause, teardown.destroy(case.ending), counted=False)


def _reap(case: Case) -> Verdict:
    """Decide about an orphan: report it, or end it in two phases with a grace between."""
    policy, age_s = case.world.desired.reap, case.age_s
    want = case.world.desired.sandboxes.get(case.place.sandbox)
    if policy.mode == "report":
        return case.hold(Bucket.ORPHAN, _report(case) if want is None else second_copy(case.place, want))
    started = next((one.seen.name for one in case.holding.tombs if one.seen.live.state not in STOPPED_STATES), None)
    if started is not None:
        message = f"{started} was stopped and marked for removal, and somebody has started it again: it is in use"
        return case.hold(Bucket.ORPHAN, Trouble("StartedAgain", message, "write its spec to keep it, or stop it"))
    is_buried = len(case.holding.tombs) == len(case.holding.containers) > 0
    if is_buried:
        return _bury_on(case)
    if age_s < policy.older_than_s:
        message = f"an orphan, and younger ({age_s:.0f} s) than reap.olderThan ({policy.older_than_s} s)"
        return case.hold(
            Bucket.ORPHAN, Trouble("TooYoung", message, "write its spec to keep it; else it goes when it is old enough")
        )
    if case.holding.containers:
        then = f"removed after {policy.grace_s} s of grace" if policy.grace_s else "removed by the next pass"
        cause = Cause(f"an orphan, {age_s:.0f} s old: stopped now, {then}")
        steps = teardown.bury(case.ending, tomb_epoch_s=int(case.state.view.host_clock_epoch_s))
        return case.end(Verb.REAP, Bucket.ORPHAN, cause, steps)
    left_s = policy.older_than_s + policy.grace_s - age_s
    if left_s > 0:
        return case.hold(Bucket.ORPHAN, _in_grace("an orphan without containers", left_s))
    return case.end(Verb.REAP, Bucket.ORPHAN, _GRACE_OVER, teardown.destroy(case.ending))


def _bury_on(case: Case) -> Verdict:
    """Decide about an orphan that was stopped and marked: it goes once the grace is over."""
    left_s = grace_left_s(case)
    if left_s > 0:
        return case.hold(Bucket.ORPHAN, _in_grace("stopped and marked for removal", left_s))
    return case.end(Verb.REAP, Bucket.ORPHAN, _GRACE_OVER, teardown.destroy(case.ending))


def grace_left_s(case: Case) -> float:
    """Tell for how long what was stopped and marked is still kept."""
    buried_s = max((item.proof.name.tomb_epoch_s or 0 for item in case.holding.tombs), default=0)
    return case.world.desired.reap.grace_s - (case.now_by_both_clocks.timestamp() - buried_s)


def _report(case: Case) -> Trouble:
    count = len(case.holding.containers)
    what = f"{count} container{'s' if count != 1 else ''} of ours that no spec wants and no record knows"
    marked = ", stopped and marked for removal" if case.holding.tombs else ""
    hint = "adopt it with a spec of this name, or end it: reconcile reap-stale --apply, or spec.reap.mode: apply"
    return Trouble("Orphan", f"an orphan: {what}{marked}", hint)


def _in_grace(what: str, left_s: float) -> Trouble:
    return Trouble("InGrace", f"{what}; {left_s:.0f} s of grace left", "adopt it with a spec of this name to keep it")


_GRACE_OVER = Cause("an orphan whose grace is over")
