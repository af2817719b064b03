"""Find what a host holds that nobody may need any more, from the same classes as a plan; it decides nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatchcase

import msgspec

from reconciler.model.desired import Desired
from reconciler.model.legacy import aside_since, mounted_by
from reconciler.model.names import parse_derived
from reconciler.model.observed import Neighbour, Observed, Reachable, SeenEntry, SeenRoot
from reconciler.model.ownership import owner_of, project_of
from reconciler.model.plan import Action, Bucket, Held, Matched
from reconciler.model.record import Records
from reconciler.model.stale import Found, SandboxInventory, StaleCandidate, StaleKind, Suggestion
from reconciler.plan.case import Case, Verdict
from reconciler.plan.classify import classify
from reconciler.plan.request import PlanRequest
from reconciler.plan.unwanted import grace_left_s, second_copy
from reconciler.plan.world import Place, World, lay_out


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what the asked hosts hold, by host, and what of it may be stale; silent hosts are in neither."""

    inventories: dict[str, SandboxInventory]
    stale: tuple[StaleCandidate, ...]


class _Judged(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the class of one thing, with what follows from it."""

    kind: StaleKind
    suggestion: Suggestion
    reason: str


def survey(desired: Desired, observed: Observed, records: Records, request: PlanRequest) -> Survey:
    """Survey every host that answered in full.

    Args:
        desired: says what is wanted, from which age on a thing is stale, and where legacy finds are looked for.
        observed: with the listings of baseDir and of the legacy roots.
        records: with what containers were seen to do.
        request: as for a plan; what it selects is left out of account, a survey is of everything.
    """
    world = lay_out(desired, observed, records, request)
    places: defaultdict[str, list[Place]] = defaultdict(list)
    for place in world.places():
        places[place.host].append(place)
    inventories: dict[str, SandboxInventory] = {}
    stale: list[StaleCandidate] = []
    for host in sorted(desired.hosts):
        state = world.reachable(host)
        if state is None:
            continue
        here = _Here(world=world, host=host, state=state)
        findings = (*_sandboxes(here, places[host]), *_legacy(here))
        found = tuple(one.found for one in findings)
        unread = tuple(root.path for root in state.view.roots if root.state == "unreadable")
        inventories[host] = SandboxInventory(host=host, collected_at=state.view.observed_at, found=found, unread=unread)
        stale += [one.stale for one in findings if one.stale is not None]
    return Survey(inventories=inventories, stale=tuple(stale))


def legacy_on(world: World, host: str) -> dict[str, StaleCandidate]:
    """Give the finds without proof on a host that answered, by what they are, as a survey lists them."""
    state = world.reachable(host)
    findings = _legacy(_Here(world=world, host=host, state=state)) if state is not None else ()
    return {one.found.object: one.stale for one in findings if one.stale is not None}


class _Here(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one host that answered."""

    world: World
    host: str
    state: Reachable

    @property
    def now_s(self) -> float:
        """Give the moment that has come by both clocks: one that is ahead makes nothing old."""
        return min(self.state.view.host_clock_epoch_s, self.world.request.now.timestamp())

    def candidate(self, found: Found, judged: _Judged, evidence: dict[str, str]) -> StaleCandidate:
        """Say of something here that it may be stale; evidence that tells nothing is left out."""
        told = {name: text for name, text in evidence.items() if text}
        return StaleCandidate(
            host=self.host,
            found=found,
            kind=judged.kind,
            suggestion=judged.suggestion,
            reason=judged.reason,
            evidence=told,
        )


class _Finding(msgspec.Struct, frozen=True):
    """Hold one thing that is there, and why it may be stale where it may."""

    found: Found
    stale: StaleCandidate | None = None


# Sandboxes -----------------------------------------------------------------------------------------------------------


def _sandboxes(here: _Here, places: list[Place]) -> Iterator[_Finding]:
    """Give every sandbox of ours on a host, and those that are gone from it."""
    world = here.world
    for place in places:
        case = Case(world=world, place=place, state=here.state, holding=world.held(place), record=world.recorded(place))
        if not case.holding.exists and case.record is None:
            continue
        found = _describe(case)
        judged = _judge(case, classify(world, place), found)
        yield _Finding(found, None if judged is None else here.candidate(found, judged, _evidence_of(case)))


def _describe(case: Case) -> Found:
    want = case.world.desired.sandboxes.get(case.place.sandbox)
    profile = want.profile if want is not None else None
    if profile is None and case.record is not None:
        profile = case.record.profile
    states = sorted({owned.seen.live.state for owned in case.holding.containers})
    return Found(
        object=f"sandbox/{case.place.sandbox}",
        owner="ours",
        state=", ".join(states) or None,
        age_s=round(case.age_s) if case.holding.exists else None,
        idle_s=_idle_s(case),
        profile=profile,
    )


def _idle_s(case: Case) -> float | None:
    """Tell for how long all containers of a sandbox have done nothing; None where that of one is not known."""
    known = case.world.records.hosts.get(case.place.host)
    running = [owned.seen.full_id for owned in case.holding.containers if owned.seen.live.state == "running"]
    seen = [] if known is None else [known.activity[one].idle_s for one in running if one in known.activity]
    told = [idle_s for idle_s in seen if idle_s is not None]
    return min(told) if running and len(told) == len(running) else None


def _judge(case: Case, verdict: Verdict, found: Found) -> _Judged | None:
    """Say what speaks for the end of a sandbox, or None."""
    reap, where = case.world.desired.reap, case.place.host
    match verdict.bucket:
        case Bucket.ORPHAN if (want := case.world.desired.sandboxes.get(case.place.sandbox)) is not None:
            return _Judged(kind="orphan", suggestion="inspect", reason=second_copy(case.place, want).message)
        case Bucket.ORPHAN if case.holding.tombs and isinstance(verdict, Held) and verdict.reason == "StartedAgain":
            return _Judged(kind="orphan", suggestion="inspect", reason=verdict.message)
        case Bucket.ORPHAN if case.holding.tombs:
            left_s = grace_left_s(case)
            if left_s > 0:
                reason = f"stopped and marked for removal, {left_s:.0f} s of grace left"
                return _Judged(kind="orphan", suggestion="ignore", reason=reason)
            return _Judged(kind="orphan", suggestion="reap", reason="stopped and marked for removal, its grace is over")
        case Bucket.ORPHAN:
            return _by_age(case.age_s, reap.older_than_s, reap.grace_s, "no spec wants it and no record knows it")
        case Bucket.ZOMBIE:
            return _Judged(kind="zombie", suggestion="reap", reason=f"in the records, gone from {where}, not wanted")
        case Bucket.ZOMBIE_WANTED:
            return _Judged(
                kind="zombie", suggestion="inspect", reason=f"in the records, gone from {where}; apply makes it again"
            )
        case Bucket.EXPIRED if isinstance(verdict, Action):
            return _Judged(kind="expired", suggestion="reap", reason=verdict.cause.text)
        case Bucket.AD_HOC if isinstance(verdict, Action):
            return _Judged(kind="ad_hoc", suggestion="reap", reason=verdict.cause.text)
        case Bucket.AD_HOC if isinstance(verdict, Matched):
            return _Judged(kind="ad_hoc", suggestion="ignore", reason=verdict.listed)
        case Bucket.RETAINED if isinstance(verdict, Matched) and verdict.listed:
            return _Judged(kind="retained", suggestion="inspect", reason=verdict.listed)
        case Bucket.REMOVED:
            return _Judged(kind="unwanted", suggestion="inspect", reason="no spec wants it any more; apply destroys it")
        case Bucket.HELD if isinstance(verdict, Held) and case.world.wanted(case.place) is None:
            kind: StaleKind = "orphan" if case.record is None else "unwanted"
            return _Judged(kind=kind, suggestion="inspect", reason=verdict.message) if case.holding.exists else None
        case _:
            return _idle(found, reap.idle_after_s)


def _by_age(age_s: float, older_than_s: int, grace_s: int, why: str) -> _Judged:
    """Judge what is provably ours and wanted by nobody."""
    if age_s >= older_than_s:
        return _Judged(kind="orphan", suggestion="reap", reason=f"{why}, and it is older than {older_than_s} s")
    if age_s < grace_s:
        return _Judged(kind="orphan", suggestion="ignore", reason=f"{why}, but it is younger than {grace_s} s")
    return _Judged(kind="orphan", suggestion="inspect", reason=f"{why}, but it is younger than {older_than_s} s")


def _idle(found: Found, idle_after_s: int | None) -> _Judged | None:
    if idle_after_s is None or found.idle_s is None or found.idle_s < idle_after_s:
        return None
    reason = f"it used next to no CPU and was not seen to send anything for {found.idle_s:.0f} s"
    return _Judged(kind="idle", suggestion="inspect", reason=reason)


def _evidence_of(case: Case) -> dict[str, str]:
    marker, record = case.holding.marker, case.record
    return {
        "uid": case.uid,
        "containers": ", ".join(owned.seen.full_id for owned in case.holding.containers),
        "marker": "" if marker is None else f"generation {marker.generation}, made {marker.created_at.isoformat()}",
        "record": "none" if record is None else f"applied {record.applied_at.isoformat()}",
        "revision": ", ".join(sorted(case.holding.revisions)),
    }


# Legacy finds --------------------------------------------------------------------------------------------------------


def _legacy(here: _Here) -> Iterator[_Finding]:
    yield from _projects(here)
    yield from _folders(here)


def _projects(here: _Here) -> Iterator[_Finding]:
    """Give every compose project whose name fits a pattern; whose it is, its name does not prove."""
    view, patterns = here.state.view, here.world.desired.reap.legacy_patterns
    grouped: defaultdict[str, list[Neighbour]] = defaultdict(list)
    for other in view.neighbours:
        project = project_of(other.labels)
        if project is not None and parse_derived(other.name) is None:
            grouped[project].append(other)
    for project, parts in sorted(grouped.items()):
        if not any(fnmatchcase(project, one) for one in patterns):
            continue
        made = [part.created_epoch_s for part in parts if part.created_epoch_s is not None]
        age_s = round(here.now_s - max(made)) if made else None
        states = sorted({part.state for part in parts})
        found = Found(
            object=f"compose/{project}", owner=owner_of(parts[0].labels), state=", ".join(states), age_s=age_s
        )
        what = f"a compose project of this name, {'running' if 'running' in states else 'not running'}"
        put = [aside_since(part.name) for part in parts]
        kept = _put_aside(here, max((since for since in put if since is not None), default=None))
        judged = kept if kept is not None and None not in put else _unproved(here, age_s, what, kind="legacy")
        evidence = {"containers": ", ".join(sorted(part.full_id for part in parts))}
        yield _Finding(found, here.candidate(found, judged, evidence))


def _folders(here: _Here) -> Iterator[_Finding]:
    """Give every folder below baseDir that is no sandbox's, and every one below a legacy root."""
    view = here.state.view
    base_dir = view.identity.base_dir
    ours = {seen.folder for seen in view.markers if seen.marker is not None}
    for root in {root.path: root for root in view.roots}.values():
        is_base = root.path == base_dir
        for entry in sorted(root.entries, key=lambda one: one.name):
            known = is_base and (entry.name in ours or entry.name.startswith("."))
            if not known and entry.kind == "directory":
                yield _folder(here, root, entry, is_base=is_base)


def _folder(here: _Here, root: SeenRoot, entry: SeenEntry, *, is_base: bool) -> _Finding:
    view = here.state.view
    path = f"{root.path.rstrip('/')}/{entry.name}"
    holders, users = ", ".join(mounted_by(view, path)), ", ".join(entry.used_by)
    age_s = max(0, round(here.now_s - entry.modified_epoch_s))
    found = Found(object=f"folder/{path}", owner=f"uid {entry.uid}", age_s=age_s)
    what = "a folder in our base folder without a marker of ours" if is_base else "a folder in a legacy root"
    used = (f", mounted by {holders}" if holders else "") + (f", open in {users}" if users else "")
    kept = _put_aside(here, aside_since(entry.name))
    judged = kept or _unproved(here, age_s, f"{what}{used}", kind="orphan" if is_base else "legacy")
    return _Finding(found, here.candidate(found, judged, {"inode": entry.inode, "mounted": holders, "open": users}))


def _put_aside(here: _Here, since_s: int | None) -> _Judged | None:
    """Judge what a person named before, and what was put aside for the grace."""
    if since_s is None:
        return None
    left_s = here.world.desired.reap.grace_s - (here.now_s - since_s)
    if left_s > 0:
        reason = f"put aside for removal, {left_s:.0f} s of grace left"
        return _Judged(kind="legacy", suggestion="ignore", reason=reason)
    return _Judged(
        kind="legacy", suggestion="inspect", reason="put aside for removal, its grace is over: name it again"
    )


def _unproved(here: _Here, age_s: float | None, what: str, *, kind: StaleKind) -> _Judged:
    """Judge what nothing proves to be ours: a person has to look, unless it is only just there."""
    grace_s = here.world.desired.reap.grace_s
    if age_s is not None and age_s < grace_s:
        return _Judged(kind=kind, suggestion="ignore", reason=f"{what}, but younger than {grace_s} s")
    return _Judged(kind=kind, suggestion="inspect", reason=f"{what}: nothing proves whose it is")
