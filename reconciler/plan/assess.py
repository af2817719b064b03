"""Look at one wanted sandbox beside what its host holds of it, and say per resource what differs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal, assert_never

import msgspec

from reconciler.model.desired import SandboxDesired
from reconciler.model.digest import container_digest, same_version
from reconciler.model.names import parse_derived
from reconciler.model.observed import STOPPED_STATES, HostView, ImageFact, Live, SeenPath
from reconciler.model.plan import FieldChange, ResourceChange, Verb
from reconciler.model.resource import Container, Directory, File, Network, Resource, Volume
from reconciler.model.rule import Remedy, strongest
from reconciler.model.text import bind, is_run_scoped, is_secret
from reconciler.plan.compare import (
    Difference,
    Said,
    Wanted,
    compare_container,
    compare_directory,
    compare_file,
    compare_marker,
    where_said,
)
from reconciler.plan.holdings import Holding, OwnedContainer
from reconciler.plan.intent import same_intent
from reconciler.plan.runs import run_bindings

_VERB_OF_REMEDY = {
    Remedy.IN_PLACE: Verb.UPDATE,
    Remedy.START: Verb.START,
    Remedy.RESTART: Verb.RESTART,
    Remedy.REPLACE: Verb.REPLACE,
}
_ABSENT = SeenPath(path="", kind="absent")


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """Say what one resource needs. `owned` is the container it concerns, where there is one."""

    change: ResourceChange
    resource: Resource | None = None
    owned: OwnedContainer | None = None


class Trouble(msgspec.Struct, frozen=True):
    """Say why a sandbox cannot be brought to its desired state, and what a person can do about it."""

    reason: str
    message: str
    hint: str | None = None


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """Hold how one wanted sandbox compares with its host.

    Attributes:
        items: what is to be done, in the order of the sandbox's resources, leftovers last.
        marker: what its marker lacks; counts as a change only where nothing else does.
        trouble: what stands in the way, or None.
        vanished: resources that our marker says were there and that are gone.
    """

    items: tuple[Item, ...] = ()
    marker: tuple[FieldChange, ...] = ()
    trouble: Trouble | None = None
    vanished: tuple[str, ...] = ()

    @property
    def verb(self) -> Verb | None:
        """Give the strongest thing that any resource needs; None when nothing differs."""
        verbs = {item.change.verb for item in self.items}
        for verb in (Verb.REPLACE, Verb.RESTART, Verb.START):
            if verb in verbs:
                return verb
        return Verb.UPDATE if verbs or self.marker else None

    @property
    def changes(self) -> tuple[FieldChange, ...]:
        """Give every field change, in order."""
        return (*(change for item in self.items for change in item.change.changes), *self.marker)

    @property
    def begins_run(self) -> bool:
        """Tell whether a container is made anew, which begins another run."""
        return _begins_run(self.items)

    @property
    def only_drift(self) -> bool:
        """Tell whether it is the host alone that moved."""
        return all(change.origin == "drift" for change in self.changes)


class _Scene(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one sandbox beside its host while it is assessed. `bindings` are those of the host and of secrets."""

    want: SandboxDesired
    holding: Holding
    view: HostView
    bindings: Mapping[str, str]
    applied: str | None

    @property
    def known(self) -> list[str]:
        """Give the intents that were applied: the last whole one too, for a marker may be of an action that was cut."""
        marker = self.holding.marker
        return [text for text in (marker.intent if marker is not None else None, self.applied) if text is not None]

    @property
    def changed(self) -> bool:
        """Tell whether the specs certainly changed since the last whole action."""
        return not all(same_intent(text, self.want.intent) for text in self.known)

    @property
    def said(self) -> Said:
        return Said(self.want.origins, self.changed or not self.known)

    def drift(self, path: str, *, old: str, new: str, remedy: Remedy) -> FieldChange:
        """Describe a change of what moves; what was created and never started is work of ours that was cut."""
        origin: Literal["intent", "drift"] = "intent" if old == "created" or self.changed else "drift"
        at = where_said(self.want.origins, path)
        return FieldChange(path=path, old=old, new=new, remedy=remedy, origin=origin, at=at)


def assess(
    want: SandboxDesired, holding: Holding, view: HostView, *, bindings: Mapping[str, str], applied: str | None = None
) -> Assessment:
    """Compare one sandbox in full.

    Args:
        want: the sandbox, unbound.
        holding: what the host holds of it; empty when nothing.
        view: the host's view, for paths, images and the clock.
        bindings: `host.home` and its like, and `secret:NAME`, to their values.
        applied: the intent that the last whole action brought about, where that is remembered.
    """
    scene = _Scene(want=want, holding=holding, view=view, bindings=bindings, applied=applied)
    found = [_assess_support(scene, resource) for resource in want.resources if not isinstance(resource, Container)]
    support = [item for item in found if isinstance(item, Item)]
    containers = [_assess_container(scene, container, support) for container in want.containers]
    if _begins_run([item for item in containers if isinstance(item, Item)]):
        found += _made_for_the_run(scene, support)
        support = [item for item in found if isinstance(item, Item)]
        containers = [_assess_container(scene, container, support) for container in want.containers]
    found += containers
    items = [item for item in found if isinstance(item, Item)]
    return Assessment(
        items=(*items, *_leftovers(scene, items)),
        marker=compare_marker(want, holding.marker),
        trouble=next((item for item in found if isinstance(item, Trouble)), None),
        vanished=tuple(item.change.key for item in items if item.change.verb is Verb.CREATE),
    )


def _begins_run(items: Iterable[Item]) -> bool:
    return any(
        isinstance(item.resource, Container) and item.change.verb in (Verb.CREATE, Verb.REPLACE) for item in items
    )


def _made_for_the_run(scene: _Scene, support: list[Item]) -> list[Item]:
    """Find the files that tell their run and would go on telling the last one, and the paths that each run has anew."""
    busy = {item.change.key for item in support}
    written = [file for file in scene.want.files if is_run_scoped(file.content)]
    placed: tuple[Directory | File, ...] = (*scene.want.directories, *scene.want.files)
    paths = [item for item in placed if is_run_scoped(item.path)]
    note = "written anew for the new run"
    items = [Item(resource=item, change=ResourceChange(key=str(item.key), verb=Verb.CREATE)) for item in paths]
    items += [
        Item(resource=file, change=ResourceChange(key=str(file.key), verb=Verb.UPDATE, note=note))
        for file in written
        if file not in paths
    ]
    return [item for item in items if item.change.key not in busy]


def _assess_support(scene: _Scene, raw: Directory | File | Network | Volume) -> Item | Trouble | None:
    """Compare what containers stand on."""
    match raw:
        case Network():
            return None if raw.name in scene.holding.networks else _missing(raw)
        case Volume():
            return None if raw.name in scene.holding.volumes else _missing(raw)
        case Directory() | File():
            return _assess_path(scene, raw)
        case _ as never:
            assert_never(never)


def _missing(resource: Resource) -> Item:
    return Item(resource=resource, change=ResourceChange(key=str(resource.key), verb=Verb.CREATE))


def _assess_path(scene: _Scene, raw: Directory | File) -> Item | Trouble | None:
    """Compare a directory or file; anything else in its place, or another owner, is trouble that is never repaired."""
    bound = bind(raw, {**scene.bindings, **run_bindings(scene.holding.run)})
    me = scene.view.identity
    path = str(bound.path)
    if is_run_scoped(raw.path) and path not in scene.view.paths:
        return None  # which run stands there was not known when the host was asked: not seen is not gone
    seen = scene.view.paths.get(path, _ABSENT)
    expected = "directory" if isinstance(bound, Directory) else "file"
    if seen.kind == "absent":
        return _missing(raw)
    if seen.kind == "unreadable":
        return Trouble(
            "PathUnreadable",
            f"nobody may look at {path} as {me.uid}:{me.gid}, so it cannot be told what stands there",
            f"let the SSH user enter the folders above it: namei -l '{path}' shows whose they are",
        )
    if seen.kind != expected:
        return Trouble(
            "PathTaken",
            f"{bound.key} should be a {expected}, but {path} is a {seen.kind} on the host",
            "move it away, or name another path in the spec",
        )
    if isinstance(bound, Directory) and seen.uid != me.uid and scene.holding.containers:
        return None  # a container that has it mounted made it its own, as databases do
    if seen.uid != me.uid:
        return Trouble(
            "PathOwner",
            f"{path} is owned by {seen.uid}:{seen.gid}, not {me.uid}:{me.gid}",
            f"fix it with: chown -R {me.uid}:{me.gid} '{path}'",
        )
    if isinstance(bound, Directory):
        return _changed(raw, compare_directory(bound, seen, scene.said))
    digest = hashlib.sha256(str(bound.content).encode()).hexdigest()
    return _changed(raw, compare_file(bound, seen, scene.said, sha256=digest, secret=is_secret(raw)))


def _changed(resource: Resource, difference: Difference, *, owned: OwnedContainer | None = None) -> Item | None:
    if not difference.changes:
        return None
    remedy = strongest([change.remedy for change in difference.changes])
    return Item(
        resource=resource,
        owned=owned,
        change=ResourceChange(
            key=str(resource.key),
            verb=_VERB_OF_REMEDY[remedy],
            changes=difference.changes,
            unchanged=difference.unchanged,
            irreversible=remedy is Remedy.REPLACE,
        ),
    )


def _assess_container(scene: _Scene, raw: Container, support: list[Item]) -> Item | Trouble | None:
    owned = scene.holding.settled.get(raw.name)
    if owned is None:
        for other in (*scene.holding.arriving, *scene.holding.tombs):
            if other.proof.name.resource == raw.name and not _difference(scene, raw, other).changes:
                buried = other.proof.name.tomb_epoch_s is not None
                note = "take it back: it was marked for removal" if buried else "finish the replacement that was begun"
                change = ResourceChange(key=str(raw.key), verb=Verb.UPDATE, note=note)
                return Item(resource=raw, owned=other, change=change)
        return _missing(raw)
    if owned.seen.live.state == "removing":
        return Trouble("BeingRemoved", f"{owned.seen.name} is being removed by Docker", "plan again in a moment")
    difference = _difference(scene, raw, owned)
    replaced = any(change.remedy is Remedy.REPLACE for change in difference.changes)
    moved = None if replaced else _compare_state(scene, raw, owned, support)
    changes = (*difference.changes, moved) if moved is not None else difference.changes
    return _changed(raw, Difference(changes, difference.unchanged), owned=owned)


def _difference(scene: _Scene, raw: Container, owned: OwnedContainer) -> Difference:
    ours = owned.proof.labels
    run = ours.run if ours is not None else scene.holding.run
    image = scene.view.images.get(owned.seen.image_id)
    return compare_container(
        Wanted(
            raw=raw,
            bound=bind(raw, {**scene.bindings, **run_bindings(run)}),
            is_intended=lambda: _is_intended(scene, raw, ours.digest if ours is not None else ""),
            changed=scene.said.intended,
            origins=scene.want.origins,
            bindings=scene.bindings,
        ),
        owned.seen,
        image=image if isinstance(image, ImageFact) else None,
        hidden=frozenset(ours.secrets.split(",")) if ours is not None else frozenset(),
        adopted=ours is None,
    )


def _is_intended(scene: _Scene, raw: Container, made_by: str) -> bool:
    """Tell whether the specs changed since a container was made; what other rules digested is told by the sandbox."""
    now = container_digest(raw)
    if made_by and not same_version(made_by, now):
        return scene.said.intended
    return made_by != now


def _compare_state(scene: _Scene, raw: Container, owned: OwnedContainer, support: list[Item]) -> FieldChange | None:
    """Compare what moves: whether it runs, whether its network is still there, whether it has seen its files."""
    prefix = f"containers.{raw.name}"
    live = owned.seen.live
    gone = _vanished_network(raw, support) or _remade_network(scene, raw, owned)
    if gone is not None:
        path = f"{prefix}.networks.{gone}"
        return scene.drift(path, old="(removed behind it)", new="connected", remedy=Remedy.REPLACE)
    if raw.run == "once":
        return _compare_end(scene, prefix, live)
    if live.state in STOPPED_STATES:
        old = live.state if live.state == "created" else f"{live.state} ({live.exit_code})"
        return scene.drift(f"{prefix}.state", old=old, new="running", remedy=Remedy.START)
    if live.state == "paused":
        return scene.drift(f"{prefix}.state", old="paused", new="running", remedy=Remedy.RESTART)
    stale = _unseen_mount(scene, raw, live.started_at, support)
    if stale is not None:
        path = f"{prefix}.mounts.{stale}"
        return scene.drift(path, old="mounted before it changed", new="current", remedy=Remedy.RESTART)
    return None


def _compare_end(scene: _Scene, prefix: str, live: Live) -> FieldChange | None:
    """Compare one that runs once: what never began, or did not end well, is started again."""
    if live.state == "created":
        return scene.drift(f"{prefix}.state", old="created", new="finished", remedy=Remedy.START)
    if live.state in STOPPED_STATES and live.exit_code != 0:
        old = f"{live.state} ({live.exit_code})"
        return scene.drift(f"{prefix}.state", old=old, new="finished", remedy=Remedy.START)
    return None


def _vanished_network(raw: Container, support: list[Item]) -> str | None:
    """Find a network of the container that has to be made again: the container hangs on the one that was removed."""
    missing = {item.resource.name for item in support if isinstance(item.resource, Network)}
    derived = (parse_derived(network) for network in raw.networks)
    return next((name.resource for name in derived if name is not None and name.resource in missing), None)


def _remade_network(scene: _Scene, raw: Container, owned: OwnedContainer) -> str | None:
    """Find a network that was removed and made again since the container started: it cannot start in the new one."""
    for network in raw.networks:
        name = parse_derived(network)
        there = scene.holding.networks.get(name.resource) if name is not None else None
        joined = owned.seen.network_ids.get(network)
        if name is not None and there is not None and joined is not None and there.id != joined:
            return name.resource
    return None


def _unseen_mount(scene: _Scene, raw: Container, started_at: datetime | None, support: list[Item]) -> str | None:
    """Find a mounted path that changed after the container's start: a bind mount keeps the old one until a restart.

    Both times are the same host's. A file from the host's own future proves nothing (its clock was set back).
    """
    rewritten = {
        str(bind(item.resource.path, scene.bindings))
        for item in support
        if isinstance(item.resource, File) or (isinstance(item.resource, Directory) and item.change.verb is Verb.CREATE)
    }
    for target, mount in raw.mounts.items():
        if is_run_scoped(mount.source):
            continue  # another run's path is another mount: a restart would not bring it
        source = str(bind(mount.source, scene.bindings))
        if source in rewritten:
            return target
        seen = scene.view.paths.get(source)
        if seen is None or seen.kind != "file" or started_at is None:
            continue
        if started_at.timestamp() < seen.modified_epoch_s <= scene.view.host_clock_epoch_s:
            return target
    return None


def _leftovers(scene: _Scene, items: list[Item]) -> list[Item]:
    """Find what is ours and no longer wanted: dropped containers and networks, abandoned replacements, tombs."""
    holding = scene.holding
    wanted = {container.name for container in scene.want.containers}
    kept = {item.owned.seen.full_id for item in items if item.owned is not None}
    extra = [owned for name, owned in holding.settled.items() if name not in wanted]
    extra += [owned for owned in (*holding.arriving, *holding.tombs) if owned.seen.full_id not in kept]
    found = [
        Item(
            owned=owned,
            change=ResourceChange(
                key=str(owned.proof.key), verb=Verb.DESTROY, note=f"remove {owned.seen.name}", irreversible=True
            ),
        )
        for owned in extra
    ]
    networks = {network.name for network in scene.want.networks}
    found += [
        Item(change=ResourceChange(key=f"networks/{name}", verb=Verb.DESTROY, note=f"remove network {seen.name}"))
        for name, seen in holding.networks.items()
        if name not in networks
    ]
    return found
