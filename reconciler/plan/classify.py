"""Put every sandbox of every host into exactly one class of the decision table, and decide what follows from it."""

from __future__ import annotations

from reconciler.model.plan import Action, Bucket, Verb
from reconciler.plan.assessment import Trouble
from reconciler.plan.case import Case, Verdict, held_back
from reconciler.plan.unwanted import classify_unwanted
from reconciler.plan.wanted import classify_wanted
from reconciler.plan.world import Place, World, unreachable_reason


def classify(world: World, place: Place, *, gpus_reserved: int = 0) -> Verdict:
    """Decide about one object; `gpus_reserved` are those that the plan gives to others on its host first."""
    nowhere = _nowhere(world, place)
    if nowhere is not None:
        return held_back(place, Bucket.HELD, nowhere)
    state = world.reachable(place.host)
    if state is None:
        return held_back(place, Bucket.UNKNOWN, unreachable_reason(world, place.host))
    case = Case(
        world=world,
        place=place,
        state=state,
        holding=world.held(place),
        record=world.recorded(place),
        gpus_reserved=gpus_reserved,
    )
    want = world.wanted(place)
    trouble = world.host_troubles.get(place.host) or _doubt(case)
    if trouble is not None:
        return case.hold(Bucket.HELD, trouble)
    verdict = classify_wanted(case, want) if want is not None else classify_unwanted(case)
    if isinstance(verdict, Action) and verdict.verb not in (Verb.ADOPT, Verb.FORGET):
        strange = _strange_revision(case)
        if strange is not None:
            return case.hold(Bucket.HELD, strange)
    return verdict


def _nowhere(world: World, place: Place) -> Trouble | None:
    """Say why a sandbox whose host the specs leave open is placed nowhere."""
    placed = world.placements.get(place.sandbox)
    return placed.trouble if placed is not None and world.wanted(place) is not None else None


def _doubt(case: Case) -> Trouble | None:
    """Hold what looks like ours and cannot be proved, and a sandbox whose marker cannot be read."""
    damaged = case.world.holdings[case.place.host].damaged.get(case.uid)
    if damaged is not None:
        return Trouble(
            "MarkerDamaged",
            f"the marker in {case.state.view.identity.base_dir}/{case.uid} cannot be read: {damaged}",
            "restore it, or remove that one file after a look: the next apply writes it anew",
        )
    renamed = case.world.holdings[case.place.host].renamed.get(case.place.sandbox)
    if renamed is not None:
        return Trouble(
            "Unprovable",
            "; ".join(renamed),
            "if it was renamed by hand: docker rename it back; else remove it: a second one is not made beside it",
        )
    if case.holding.doubts:
        return Trouble("Unprovable", "; ".join(case.holding.doubts), "rename or remove what is not ours by hand")
    return None


def _strange_revision(case: Case) -> Trouble | None:
    """Hold what was made from a commit that this checkout does not contain: it may be a colleague's newer work."""
    for revision in sorted(case.holding.revisions):
        commit = revision.partition("+")[0]
        if commit != "none" and commit not in case.world.request.ancestors:
            return Trouble(
                "AnotherRevision",
                f"made by revision {commit[:12]}, which this checkout does not contain",
                "fetch and merge that revision; if it is gone for good: --accept-revision " + commit[:12],
            )
    return None
