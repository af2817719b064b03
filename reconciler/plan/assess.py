"""Look at one wanted sandbox beside what its host holds of it, and say per resource what differs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import assert_never

import msgspec

from reconciler.model.desired import SandboxDesired
from reconciler.model.digest import container_digest, same_version
from reconciler.model.names import parse_derived
from reconciler.model.observed import HostView, ImageFact, SeenPath, TagUnknown
from reconciler.model.plan import FieldChange, ResourceChange, Verb
from reconciler.model.resource import (
    TREE_KEY,
    TREE_NAME,
    Compose,
    Container,
    Directory,
    File,
    Gpus,
    Network,
    Resource,
    Tree,
    Volume,
)
from reconciler.model.rule import Remedy, strongest
from reconciler.model.text import bind, is_run_scoped, is_secret
from reconciler.plan.assessment import Assessment, Item, Trouble, made_anew
from reconciler.plan.compare import (
    SAME,
    Difference,
    Wanted,
    compare_container,
    compare_directory,
    compare_file,
    compare_marker,
    compare_tree,
    is_as_wanted,
    where_said,
)
from reconciler.plan.composed import assess_compose, service_key
from reconciler.plan.gpus import Grant
from reconciler.plan.holdings import Holding, OwnedContainer
from reconciler.plan.motion import compare_state
from reconciler.plan.placed import own_folder, unnamed_files
from reconciler.plan.scene import Scene, set_scene
from reconciler.plan.tags import moved_to

_VERB_OF_REMEDY = {
    Remedy.IN_PLACE: Verb.UPDATE,
    Remedy.START: Verb.START,
    Remedy.RESTART: Verb.RESTART,
    Remedy.REPLACE: Verb.REPLACE,
}
_DIGEST_SHOWN = len("sha256:") + 12
_ABSENT = SeenPath(path="", kind="absent")


def assess(
    want: SandboxDesired,
    holding: Holding,
    view: HostView,
    *,
    bindings: Mapping[str, str],
    applied: str | None = None,
    grants: Mapping[str, Grant],
) -> Assessment:
    """Compare one sandbox in full.

    Args:
        want: the sandbox, unbound.
        holding: what the host holds of it; empty when nothing.
        view: the host's view, for paths, images and the clock.
        bindings: `host.home` and its like, and `secret:NAME`, to their values.
        applied: the intent that the last whole action brought about, where that is remembered.
        grants: which GPUs containers get that ask for some, by name, where they are made now.
    """
    scene = set_scene(want, holding, view, bindings=bindings, applied=applied, grants=grants)
    found = [
        item
        for resource in want.resources
        if not isinstance(resource, Container | Compose) and (item := _assess_support(scene, resource)) is not None
    ]
    support = [item for item in found if isinstance(item, Item)]
    containers = _assess_containers(scene, support)
    if containers and made_anew(item for item in containers if isinstance(item, Item)):
        found += _made_for_the_run(scene, support)
        support = [item for item in found if isinstance(item, Item)]
        containers = _assess_containers(scene, support)
    found += containers
    found += assess_compose(scene, support)
    items = [item for item in found if isinstance(item, Item)]
    return Assessment(
        items=(*items, *_leftovers(scene, items)),
        marker=compare_marker(want, holding.marker, files=scene.files),
        trouble=next((item for item in found if isinstance(item, Trouble)), None),
        vanished=tuple([item.change.key for item in items if item.change.verb is Verb.CREATE]),
    )


def _made_for_the_run(scene: Scene, support: list[Item]) -> list[Item]:
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


def _assess_support(scene: Scene, raw: Directory | File | Tree | Network | Volume) -> Item | Trouble | None:
    """Compare what containers stand on."""
    match raw:
        case Network():
            return None if raw.name in scene.holding.networks else _missing(raw)
        case Volume():
            return None if raw.name in scene.holding.volumes else _missing(raw)
        case Directory() | File() | Tree():
            return _assess_path(scene, raw)
        case _ as never:
            assert_never(never)


def _missing(resource: Resource) -> Item:
    return Item(resource=resource, change=ResourceChange(key=str(resource.key), verb=Verb.CREATE))


def _assess_path(scene: Scene, raw: Directory | File | Tree) -> Item | Trouble | None:
    """Compare what lies at a path; anything else in its place, or another owner, is trouble that is never repaired."""
    bound = bind(raw, scene.bindings_now)
    me = scene.view.identity
    path = str(bound.path)
    seen = scene.view.paths.get(path, _ABSENT)
    if seen is _ABSENT and is_run_scoped(raw.path):
        return None  # which run stands there was not known when the host was asked: not seen is not gone
    expected = "file" if isinstance(bound, File) else "directory"
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
    if isinstance(bound, Tree):
        marker = scene.holding.marker
        return _changed(raw, compare_tree(bound, marker.tree if marker is not None else "", scene.said))
    digest = hashlib.sha256(str(bound.content).encode()).hexdigest()
    secret = seen.sha256 != digest and is_secret(raw)
    return _changed(raw, compare_file(bound, seen, scene.said, sha256=digest, secret=secret))


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


def _assess_containers(scene: Scene, support: list[Item]) -> list[Item | Trouble]:
    found = (_assess_container(scene, container, support) for container in scene.containers)
    return [item for item in found if item is not None]


def _assess_container(scene: Scene, raw: Container, support: list[Item]) -> Item | Trouble | None:
    unknown = scene.view.tags.get(raw.image)
    if isinstance(unknown, TagUnknown):
        return Trouble(
            "TagUnknown",
            f"nobody told what {raw.image} names in its registry now: {unknown.why}",
            "is its registry up, and reachable from the host? Without asking for its tags, the image stays as it is",
        )
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
    difference = _with_moved_tag(scene, raw, owned, _difference(scene, raw, owned))
    replaced = difference is not SAME and any(change.remedy is Remedy.REPLACE for change in difference.changes)
    moved = None if replaced else compare_state(scene, raw, owned, support)
    if moved is not None:
        difference = Difference((*difference.changes, moved), difference.unchanged)
    return _changed(raw, difference, owned=owned)


def _difference(scene: Scene, raw: Container, owned: OwnedContainer) -> Difference:
    ours = owned.proof.labels
    run = ours.run if ours is not None else scene.holding.run
    fact = scene.view.images.get(owned.seen.image_id)
    image = fact if isinstance(fact, ImageFact) else None
    bound = bind(raw, scene.bindings_in(run))
    if raw.gpu is not msgspec.UNSET:
        bound = msgspec.structs.replace(bound, gpu=_gpus_beside(scene, raw, raw.gpu, owned))
    if is_as_wanted(bound, owned.seen, image=image):
        return SAME
    return compare_container(
        Wanted(
            raw=raw,
            bound=bound,
            is_intended=lambda: _is_intended(scene, raw, ours.digest if ours is not None else ""),
            changed=scene.said.intended,
            origins=scene.want.origins,
            bindings=scene.bindings,
        ),
        owned.seen,
        image=image,
        hidden=frozenset(ours.secrets.split(",")) if ours is not None else frozenset(),
        adopted=ours is None,
    )


def _gpus_beside(scene: Scene, raw: Container, asked: Gpus, owned: OwnedContainer) -> Gpus | msgspec.UnsetType:
    """Say which GPUs a container that is there should have.

    What `auto` decided when it was made stays, until the specs ask for something else.
    """
    granted = scene.grants[raw.name]
    if asked.policy == "require":
        return asked.plain
    ours = owned.proof.labels
    stands = owned.seen.spec.gpu
    is_possible = stands is msgspec.UNSET or stands == asked.plain
    is_new = scene.said.intended and _is_intended(scene, raw, ours.digest if ours is not None else "")
    if is_possible and (granted.is_held or not is_new):
        return stands
    return asked.plain if granted.is_held else granted.gpus


def _with_moved_tag(scene: Scene, raw: Container, owned: OwnedContainer, difference: Difference) -> Difference:
    """Add that the registry has another image under the tag now."""
    digest = moved_to(scene.view, raw.image, image_id=owned.seen.image_id)
    path = f"containers.{raw.name}.image"
    if digest is None or any(change.path == path for change in difference.changes):
        return difference
    has = scene.view.images[owned.seen.image_id]
    old = has.digests[0] if isinstance(has, ImageFact) else "not known"
    moved = FieldChange(
        path=path,
        old=f"{raw.image} ({old[:_DIGEST_SHOWN]})",
        new=f"{raw.image} ({digest[:_DIGEST_SHOWN]})",
        remedy=Remedy.REPLACE,
        origin="intent",
        at=where_said(scene.want.origins, path),
    )
    return Difference((moved, *difference.changes), difference.unchanged)


def _is_intended(scene: Scene, raw: Container, made_by: str) -> bool:
    """Tell whether the specs changed since a container was made; what other rules digested is told by the sandbox."""
    now = container_digest(raw)
    if made_by and not same_version(made_by, now):
        return scene.said.intended
    return made_by != now


def _leftovers(scene: Scene, items: list[Item]) -> list[Item]:
    """Find what is ours and no longer wanted: containers, networks and files, abandoned replacements, tombs."""
    holding = scene.holding
    found = [
        Item(
            owned=owned,
            change=ResourceChange(
                key=str(owned.proof.key), verb=Verb.DESTROY, note=f"remove {owned.seen.name}", irreversible=True
            ),
        )
        for owned in _extra(scene, items)
    ]
    if holding.networks:
        networks = {network.name for network in scene.want.networks}
        found += [
            Item(change=ResourceChange(key=f"networks/{name}", verb=Verb.DESTROY, note=f"remove network {seen.name}"))
            for name, seen in holding.networks.items()
            if name not in networks and (scene.want.compose is None or parse_derived(seen.name) is not None)
        ]
    folder = own_folder(scene.view.identity.base_dir, scene.want.uid)
    if scene.want.tree is None and holding.marker is not None and holding.marker.tree:
        change = ResourceChange(key=str(TREE_KEY), verb=Verb.DESTROY, note=f"remove {folder}/{TREE_NAME}")
        found.append(Item(dropped=f"{folder}/{TREE_NAME}", change=change))
    for name in unnamed_files(holding.marker, scene.files):
        change = ResourceChange(key=f"files/{name}", verb=Verb.DESTROY, note=f"remove {folder}/{name}")
        found.append(Item(dropped=f"{folder}/{name}", change=change))
    return found


def _extra(scene: Scene, items: list[Item]) -> list[OwnedContainer]:
    """Find the containers that are neither wanted nor taken back."""
    holding = scene.holding
    wanted = {container.name for container in scene.containers}
    if scene.want.compose is not None:
        wanted |= {service_key(name) for name in scene.want.compose.services}
    extra = [owned for name, owned in holding.settled.items() if name not in wanted]
    if holding.arriving or holding.tombs:
        kept = {item.owned.seen.full_id for item in items if item.owned is not None}
        extra += [owned for owned in (*holding.arriving, *holding.tombs) if owned.seen.full_id not in kept]
    return extra
