"""Plan the end of legacy finds: what nothing proves to be ours goes only when a person names exactly it.

It has to be listed now, old enough, the SSH user's, at rest and without an owner; each of these is judged again by the
host itself when its turn comes.
"""

from __future__ import annotations

import msgspec

from reconciler.model.digest import fingerprint
from reconciler.model.effect import DropPath, Existing, Legacy, RemoveContainer, RenameContainer
from reconciler.model.legacy import (
    LegacyName,
    aside,
    aside_since,
    claimed_by,
    entry_of,
    legacy_uid,
    mounted_by,
    parts_of,
    running,
)
from reconciler.model.names import sandbox_uid
from reconciler.model.observed import Neighbour, Reachable, SeenEntry, SeenRoot
from reconciler.model.plan import Action, Basis, Bucket, Cause, Held, Plan, Step, Verb
from reconciler.model.stale import Found
from reconciler.plan.assessment import Trouble
from reconciler.plan.case import held_back
from reconciler.plan.stale import legacy_on
from reconciler.plan.step_list import StepList
from reconciler.plan.world import Place, World, unreachable_reason

_OURS = "sbx-"
"""Compose projects of fleets begin so."""

CLOCKS_APART_S = 300
"""Clocks that are closer count as one: a look takes a while."""


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one named find, on a host that answered."""

    world: World
    state: Reachable
    named: LegacyName
    meant: LegacyName

    @property
    def place(self) -> Place:
        return Place(self.named.host, self.named.object)

    @property
    def now_s(self) -> float:
        """Give the moment that has come by both clocks: one that is ahead makes nothing old."""
        return min(self.state.view.host_clock_epoch_s, self.world.request.now.timestamp())

    @property
    def at_rest_s(self) -> int:
        """Tell for how long nothing in it may have changed by the host's clock, which may be ahead."""
        older_than_s = self.world.desired.reap.older_than_s
        ahead_s = self.state.view.host_clock_epoch_s - self.world.request.now.timestamp()
        return older_than_s + int(ahead_s) if older_than_s and ahead_s > CLOCKS_APART_S else older_than_s

    def hold(self, trouble: Trouble) -> Held:
        return held_back(self.place, Bucket.LEGACY, trouble)

    def left_s(self, since_s: float) -> float:
        """Tell for how long what was put aside is still kept."""
        return self.world.desired.reap.grace_s - (self.now_s - since_s)

    def end(self, cause: str, steps: tuple[Step, ...], *, notes: tuple[str, ...] = ()) -> Action:
        return Action(
            id=self.place.action_id,
            sandbox=self.named.object,
            uid=legacy_uid(self.named),
            host=self.named.host,
            verb=Verb.REAP,
            bucket=Bucket.LEGACY,
            cause=Cause(cause),
            steps=steps,
            revision=self.world.request.revision,
            notes=notes,
        )


def judge_legacy(world: World, named: LegacyName) -> Action | Held:
    """Decide about one legacy find that a person named."""
    place = Place(named.host, named.object)
    state = world.reachable(named.host)
    if state is None:
        return held_back(place, Bucket.UNKNOWN, unreachable_reason(world, named.host))
    trouble = world.host_troubles.get(named.host)
    if trouble is not None:
        return held_back(place, Bucket.LEGACY, trouble)
    meant = _meant(state, named)
    case = _Case(world=world, state=state, named=named, meant=meant)
    candidate = legacy_on(world, named.host).get(meant.object)
    if candidate is None:
        return case.hold(_not_listed(state, named))
    doubt = _doubt_age(case, candidate.found)
    if named.kind == "compose":
        parts = parts_of(state.view, meant.name)
        doubt = _doubt_project(case, parts) or doubt
        return case.hold(doubt) if doubt is not None else _end_project(case, parts)
    there = entry_of(state.view, meant.name)
    if there is None:
        return case.hold(_not_listed(state, named))
    doubt = _doubt_folder(case, *there) or doubt
    return case.hold(doubt) if doubt is not None else _end_folder(case, *there)


def with_reads(made: Plan, world: World, named: tuple[LegacyName, ...]) -> Plan:
    """Add to a plan what it rests on of the legacy finds that it ends, so that their change makes it stale."""
    basis = dict(made.basis)
    ids = {action.id for action in made.actions}
    for one in named:
        state = world.reachable(one.host)
        if state is None or Place(one.host, one.object).action_id not in ids:
            continue
        identity, view, meant = state.view.identity, state.view, _meant(state, one)
        before = basis.get(one.host, Basis(host_id=identity.host_id, docker_root=identity.docker_root))
        if one.kind == "compose":
            parts = [[part.full_id, part.name, part.state] for part in parts_of(view, one.name)]
            seen = fingerprint(parts)
        else:
            there = entry_of(view, meant.name)
            seen = fingerprint(None if there is None else [there[1].inode, there[1].uid, there[1].modified_epoch_s])
        reads = dict(sorted({**before.reads, one.object: seen}.items()))
        basis[one.host] = msgspec.structs.replace(before, reads=reads)
    return msgspec.structs.replace(made, basis=basis)


def _meant(state: Reachable, named: LegacyName) -> LegacyName:
    """Give what a name means: where only what was put aside is left of a folder, that."""
    if named.kind == "compose" or entry_of(state.view, named.name) is not None:
        return named
    folder, _, name = named.name.rpartition("/")
    put = [
        entry.name
        for root in state.view.roots
        if root.path.rstrip("/") == folder
        for entry in root.entries
        if (since := aside_since(entry.name)) is not None and aside(name, since) == entry.name
    ]
    return msgspec.structs.replace(named, name=f"{folder}/{put[0]}") if len(put) == 1 else named


def _not_listed(state: Reachable, named: LegacyName) -> Trouble:
    closed = [root.path for root in state.view.roots if root.state == "unreadable"]
    folder = named.name.rpartition("/")[0]
    if named.kind == "folder" and folder in closed:
        hint = "is it closed to the SSH user, a link, or holds it over 5000 entries, or a name with a line break?"
        return Trouble("NotListed", f"{folder} could not be listed, so nobody knows what this is", hint)
    hint = f"reconcile inspect stale --on {named.host} prints the names that can be given"
    where = "a legacy pattern" if named.kind == "compose" else "a legacy root or our base folder"
    return Trouble("NotListed", f"no legacy find of this name is in {where} now", hint)


def _doubt_age(case: _Case, found: Found) -> Trouble | None:
    older_than_s = case.world.desired.reap.older_than_s
    hint = "wait, or set --older-than"
    if found.age_s is None:
        return Trouble("NotOldEnough", "nothing tells how old it is", "look at it, and remove it by hand")
    if found.age_s >= older_than_s:
        return None
    return Trouble("NotOldEnough", f"it is {found.age_s:.0f} s old, and {older_than_s} s are wanted", hint)


def _doubt_project(case: _Case, parts: tuple[Neighbour, ...]) -> Trouble | None:
    name, view = case.named.name, case.state.view
    claimed = claimed_by(view, name)
    if claimed or name.startswith(_OURS):
        whose = f"{', '.join(claimed)} is a fleet's" if claimed else f"projects that begin with {_OURS} are fleets'"
        return Trouble("NotOurs", f"it has an owner: {whose}", "ask the fleet that made it to end it")
    used = running(parts)
    if used:
        return Trouble("InUse", f"{', '.join(used)} runs", f"docker compose -p {name} stop, once nobody needs it")
    nameless = next((one for one in parts if not one.name), None)
    if nameless is not None:
        return Trouble(
            "InUse", f"the container {nameless.full_id} is only half there", "see what the engine does to it"
        )
    return None


def _end_project(case: _Case, parts: tuple[Neighbour, ...]) -> Action | Held:
    """Put the containers of a project aside, or remove those that were, once the grace is over."""
    steps, name = StepList(case.place.action_id), case.named.name
    notes = ("its networks and volumes stay",)
    grace_s = case.world.desired.reap.grace_s
    since = [aside_since(one.name) for one in parts]
    if grace_s > 0 and None in since:
        now_s = int(case.state.view.host_clock_epoch_s)
        for one, was in zip(parts, since, strict=True):
            if was is None:
                target = Existing(one.full_id, one.name, "", name)
                steps.effect(RenameContainer(target, aside(one.name, now_s)), f"mark {one.name} for removal")
        return case.end(_kept(grace_s), steps.finish(), notes=notes)
    left_s = max(case.left_s(was) for was in since if was is not None) if grace_s > 0 else 0
    if left_s > 0:
        return case.hold(_in_grace(left_s))
    for one in parts:
        steps.effect(RemoveContainer(Existing(one.full_id, one.name, "", name)), f"remove {one.name}")
    return case.end(_GONE, steps.finish(), notes=notes)


def _doubt_folder(case: _Case, root: SeenRoot, entry: SeenEntry) -> Trouble | None:
    view, path = case.state.view, case.meant.name
    me = view.identity
    if root.path == me.base_dir:
        fault = next((one.fault for one in view.markers if one.folder == entry.name and one.fault), None)
        uids = {sandbox_uid(case.world.desired.fleet, place.sandbox) for place in case.world.places()}
        if fault is not None or entry.name in uids:
            why = fault or "a sandbox of this fleet has this folder"
            return Trouble("NotOurs", f"it may be a sandbox's: {why}", "restore its marker, or destroy the sandbox")
    if entry.uid != me.uid:
        why = f"it belongs to uid {entry.uid}, and we are uid {me.uid}"
        return Trouble("NotOurs", why, "let its owner remove it")
    users = (*mounted_by(view, path), *entry.used_by)
    return (
        Trouble("InUse", f"it is in use by {', '.join(users)}", "end what uses it, then name it again")
        if users
        else None
    )


def _end_folder(case: _Case, root: SeenRoot, entry: SeenEntry) -> Action | Held:
    """Put a folder aside, or remove one that was, once the grace is over."""
    steps, path = StepList(case.place.action_id), case.meant.name
    reap, since = case.world.desired.reap, aside_since(entry.name)
    if since is None and reap.grace_s > 0:
        put = aside(entry.name, int(case.state.view.host_clock_epoch_s))
        order = Legacy(older_than_s=case.at_rest_s, aside=put)
        steps.effect(DropPath(path, root.path, entry.inode, legacy=order), f"put {path} aside as {put}")
        return case.end(_kept(reap.grace_s), steps.finish())
    left_s = case.left_s(since) if since is not None and reap.grace_s > 0 else 0
    if left_s > 0:
        return case.hold(_in_grace(left_s))
    order = Legacy(older_than_s=case.at_rest_s)
    steps.effect(DropPath(path, root.path, entry.inode, legacy=order), f"remove {path}")
    return case.end(_GONE, steps.finish())


def _kept(grace_s: int) -> str:
    return f"named by a person: put aside now, kept for {grace_s} s, then removed when it is named again"


def _in_grace(left_s: float) -> Trouble:
    return Trouble("InGrace", f"put aside for removal; {left_s:.0f} s of grace left", "give it its old name to keep it")


_GONE = "named by a person, and nothing proves whose it is"
