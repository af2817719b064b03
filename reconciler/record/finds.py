"""Write down what was seen of a legacy find before it went, and check again whether that proves its removal right."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model import labels as label
from reconciler.model.effect import DropPath
from reconciler.model.legacy import LegacyName, aside, aside_since, entry_of, legacy_uid, mounted_by, parts_of
from reconciler.model.observed import STOPPED_STATES, HostView
from reconciler.model.plan import Action, Apply
from reconciler.model.removal import FindEvidence, FindPart, LookEvidence, RemovalRecord


def see_find(view: HostView, action: Action) -> FindEvidence | None:
    """Give what a look showed of the find that an action ends, or None where it was not there."""
    kind, _, name = action.sandbox.partition("/")
    if kind == "compose":
        parts = tuple(
            FindPart(
                full_id=one.full_id,
                name=one.name,
                state=one.state,
                project=name,
                created_epoch_s=one.created_epoch_s,
                labels={key: text for key, text in one.labels.items() if key.startswith(label.PREFIX)},
            )
            for one in parts_of(view, name)
        )
        return FindEvidence(parts=parts, ssh_uid=view.identity.uid) if parts else None
    effects = (step.do.effect for step in action.steps if isinstance(step.do, Apply))
    path = next((effect.path for effect in effects if isinstance(effect, DropPath)), name)
    there = entry_of(view, path)
    if there is None:
        return None
    entry = there[1]
    return FindEvidence(
        path=path,
        inode=entry.inode,
        uid=entry.uid,
        modified_epoch_s=entry.modified_epoch_s,
        ssh_uid=view.identity.uid,
        users=(*mounted_by(view, path), *entry.used_by),
    )


def faults_of_find(record: RemovalRecord) -> Iterator[str]:
    """Say what in the record of a legacy find does not prove its removal right."""
    kind, _, name = record.legacy.partition("/")
    if kind not in ("compose", "folder"):
        yield f"{record.legacy!r} is no legacy find"
        return
    named = LegacyName(record.host, kind, name)  # type: ignore[arg-type]  # one of the two, as just seen
    if record.uid != legacy_uid(named):
        yield f"the uid {record.uid} is not the one that host and name derive"
    for look in record.looks:
        if look.find is None:
            yield f"it was not there at {look.observed_at.isoformat(timespec='seconds')}"
        else:
            yield from _faults_of_look(record, look, look.find)
    last = record.looks[-1].find if record.looks else None
    known = set() if last is None else {last.path, *(one.full_id for one in last.parts)}
    yield from (f"{one.title}: {one.target} was in no look" for one in record.touched if one.target not in known)


def _faults_of_look(record: RemovalRecord, look: LookEvidence, find: FindEvidence) -> Iterator[str]:
    kind, _, name = record.legacy.partition("/")
    made = [find.modified_epoch_s] if kind == "folder" else [one.created_epoch_s for one in find.parts]
    now_s = min(look.host_clock_epoch_s, look.observed_at.timestamp())
    for at in made:
        if at is None or now_s - at < record.older_than_s:
            age = "of no known age" if at is None else f"{now_s - at:.0f} s old"
            yield f"it was {age}, and {record.older_than_s} s were wanted"
    if find.users:
        yield f"it was in use by {', '.join(find.users)}"
    for one in find.parts:
        if one.project != name or one.labels:
            yield f"container {one.full_id} was not of this project, or had an owner"
        if one.state not in STOPPED_STATES:
            yield f"container {one.full_id} was {one.state}"
    if kind == "folder":
        if find.path != name and not _is_of(find.path, name):
            yield f"{find.path} is not what was named"
        if find.uid != find.ssh_uid:
            yield f"it belonged to uid {find.uid}, and we were uid {find.ssh_uid}"


def _is_of(path: str, name: str) -> bool:
    since = aside_since(path)
    return since is not None and path == aside(name, since)
