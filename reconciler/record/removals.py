"""Write down each removal with what proved it right, and check such a record again without asking anybody."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Literal

import msgspec

from reconciler.model import labels as label
from reconciler.model.desired import Desired
from reconciler.model.effect import Done, DropPath, Effect, NotDone, Outcome, PutMarker, RemoveNetwork
from reconciler.model.names import Key, sandbox_uid
from reconciler.model.observed import HostView, ImageFact, Observed, Reachable, SeenContainer, SeenNetwork
from reconciler.model.outcome import ActionEnded, PassEnded, StepEnded
from reconciler.model.ownership import Ours, carries_ours, derived_from, prove_labels, trusted_markers
from reconciler.model.plan import Action, Apply, Bucket, Plan, Step
from reconciler.model.record import Records
from reconciler.model.removal import ContainerEvidence, LookEvidence, NetworkEvidence, RemovalRecord, Touched
from reconciler.record.finds import faults_of_find, see_find


def removals_in(
    made: Plan, ended: PassEnded, looks: tuple[Observed, ...], *, desired: Desired, records: Records
) -> tuple[RemovalRecord, ...]:
    """Give a record for each action that ended a sandbox and did not end before its first step.

    Args:
        made: the plan that was walked.
        ended: what became of it.
        looks: what was seen before it was walked, in order.
        desired: what the specs want, with what they say of reaping.
        records: what was remembered before the pass.
    """
    told = {item.id: item for item in ended.actions}
    known = {(record.host, record.sandbox) for record in records.sandboxes}
    return tuple(
        sealed(
            RemovalRecord(
                fleet=made.fleet,
                sandbox=f"legacy-{action.uid}" if action.bucket is Bucket.LEGACY else action.sandbox,
                legacy=action.sandbox if action.bucket is Bucket.LEGACY else "",
                uid=action.uid,
                host=action.host,
                pass_id=made.pass_id,
                by=ended.by,
                at=ended.finished_at,
                verb=action.verb,
                bucket=action.bucket,
                cause=action.cause.text,
                recorded=(action.host, action.sandbox) in known,
                wanted=action.sandbox in desired.sandboxes,
                older_than_s=desired.reap.older_than_s,
                looks=tuple(_looks(looks, action, fleet=made.fleet)),
                touched=tuple(_touched(action, done)),
                end=done.end,
            )
        )
        for action in made.actions
        if action.verb.ends and (done := told.get(action.id)) is not None and done.end != "skipped"
    )


def faults_of(record: RemovalRecord) -> tuple[str, ...]:
    """Say what in a record does not hold: that it was changed, or that what it tells does not prove the removal right.

    Nothing is asked: everything that is needed stands in the record.
    """
    if record.digest != _digest(record):
        return ("its digest is another: it was changed after it was written, or is not whole",)
    is_legacy = record.bucket is Bucket.LEGACY
    found = list(faults_of_find(record)) if is_legacy else [*_faults_of_proof(record), *_faults_of_targets(record)]
    if not record.looks and record.touched:
        found.append("something was done, and no look at the host stands behind it")
    if record.bucket is Bucket.ORPHAN:
        if record.recorded:
            found.append("it was no orphan: a record knew it")
        found += _faults_of_age(record)
    return tuple(found)


# What was seen -------------------------------------------------------------------------------------------------------


def _looks(looks: tuple[Observed, ...], action: Action, *, fleet: str) -> Iterator[LookEvidence]:
    for observed in looks:
        state = observed.hosts.get(action.host)
        if isinstance(state, Reachable):
            yield _look(state.view, action, fleet=fleet)


def _look(view: HostView, action: Action, *, fleet: str) -> LookEvidence:
    networks = (one for one in view.networks if _is_of(one, fleet=fleet, sandbox=action.sandbox))
    return LookEvidence(
        observed_at=view.observed_at,
        host_clock_epoch_s=view.host_clock_epoch_s,
        host_id=view.identity.host_id,
        folder=f"{view.identity.base_dir}/{action.uid}",
        containers=tuple(
            _container(one, view) for one in view.containers if _is_of(one, fleet=fleet, sandbox=action.sandbox)
        ),
        networks=tuple(
            NetworkEvidence(id=one.id, name=one.name, labels=_ours(one.labels), created_at=one.created_at)
            for one in networks
        ),
        marker=trusted_markers(view, fleet=fleet).get(action.uid),
        find=see_find(view, action) if action.bucket is Bucket.LEGACY else None,
    )


def _is_of(one: SeenContainer | SeenNetwork, *, fleet: str, sandbox: str) -> bool:
    derived = derived_from(one.name, one.labels)
    return derived is not None and (derived.fleet, derived.sandbox) == (fleet, sandbox)


def _container(seen: SeenContainer, view: HostView) -> ContainerEvidence:
    image = view.images.get(seen.image_id)
    return ContainerEvidence(
        full_id=seen.full_id,
        name=seen.name,
        image_id=seen.image_id,
        created_at=seen.created_at,
        state=seen.live.state,
        labels=_ours(seen.labels),
        image_is_clean=not carries_ours(image.labels) if isinstance(image, ImageFact) else None,
    )


def _ours(labels: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in sorted(labels.items()) if name.startswith(label.PREFIX)}


def _touched(action: Action, done: ActionEnded) -> Iterator[Touched]:
    steps = {step.id: step for step in action.steps}
    for ended in done.steps:
        step = steps.get(ended.step)
        if step is not None and isinstance(step.do, Apply):
            yield _touch(step, step.do.effect, ended)


def _touch(step: Step, effect: Effect, ended: StepEnded) -> Touched:
    return Touched(
        title=step.title,
        effect=str(effect.__struct_config__.tag),
        target=_target(effect),
        outcome=_word(ended.result),
        at=ended.finished_at,
    )


def _target(effect: Effect) -> str:
    if isinstance(effect, DropPath):
        return effect.path
    if isinstance(effect, PutMarker):
        return f"{effect.base_dir}/{effect.marker.uid}"
    if isinstance(effect, RemoveNetwork):
        return effect.id
    target = getattr(effect, "target", None)
    return str(getattr(target, "full_id", ""))


def _word(result: Outcome) -> Literal["done", "not done", "unknown"]:
    return "done" if isinstance(result, Done) else "not done" if isinstance(result, NotDone) else "unknown"


# Checking it again ---------------------------------------------------------------------------------------------------


def _faults_of_proof(record: RemovalRecord) -> Iterator[str]:
    if record.uid != sandbox_uid(record.fleet, record.sandbox):
        yield f"the uid {record.uid} is not the one that fleet and sandbox derive"
    for look in record.looks:
        for seen in _touched_of(look, record):
            if not _is_proved(seen, look, record):
                yield f"container {seen.full_id} was not provably ours"


def _touched_of(look: LookEvidence, record: RemovalRecord) -> Iterator[ContainerEvidence]:
    """Give the containers of a look that something was done to: what merely has such a name was left alone."""
    targets = {one.target for one in record.touched}
    return (seen for seen in look.containers if seen.full_id in targets)


def _is_proved(seen: ContainerEvidence, look: LookEvidence, record: RemovalRecord) -> bool:
    name = derived_from(seen.name, seen.labels)
    if look.marker is not None and name is not None:
        adopted = look.marker.adopted.get(str(Key("containers", name.resource)))
        if adopted == seen.full_id:
            return True
    proof = prove_labels(seen.name, seen.labels, fleet=record.fleet)
    return seen.image_is_clean is True and isinstance(proof, Ours) and proof.name.sandbox == record.sandbox


def _faults_of_targets(record: RemovalRecord) -> Iterator[str]:
    """Find what was touched and was not in the last look."""
    last = record.looks[-1] if record.looks else None
    ids = set() if last is None else {one.full_id for one in last.containers} | {one.id for one in last.networks}
    folder = "" if last is None else last.folder
    for one in record.touched:
        inside = bool(folder) and f"{one.target}/".startswith(f"{folder}/")
        if one.target not in ids and not inside:
            yield f"{one.title}: {one.target} was in no look"


def _faults_of_age(record: RemovalRecord) -> Iterator[str]:
    """Find what was younger than wanted: a part by both clocks, the marker by ours, which wrote it."""
    targets = {one.target for one in record.touched}
    for look in record.looks:
        now_s = min(look.host_clock_epoch_s, look.observed_at.timestamp())
        ages_s = {f"container {one.full_id}": now_s - one.created_at.timestamp() for one in _touched_of(look, record)}
        ages_s |= {
            f"network {one.name}": now_s - one.created_at.timestamp()
            for one in look.networks
            if one.id in targets and one.created_at is not None
        }
        if look.marker is not None:
            ages_s["its marker"] = (look.observed_at - look.marker.created_at).total_seconds()
        for what, age_s in ages_s.items():
            if age_s < record.older_than_s:
                yield f"{what} was {age_s:.0f} s old, and {record.older_than_s} s were wanted"


def _digest(record: RemovalRecord) -> str:
    bare = msgspec.structs.replace(record, digest="")
    return f"sha256:{hashlib.sha256(msgspec.json.encode(bare, order='sorted')).hexdigest()}"


def sealed(record: RemovalRecord) -> RemovalRecord:
    """Give the record with the digest of all else in it."""
    return msgspec.structs.replace(record, digest=_digest(record))
