"""Turn what an assessment says into steps: single effects in dependency order, that a walker follows without choices.

The order within one sandbox: measure, marker, images, what containers stand on, containers, readiness, measure. Images
are pulled and replacements are created before anything is stopped, so nothing is destroyed before what replaces it
is known to be possible.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from reconciler.model import labels as label
from reconciler.model.desired import SandboxDesired
from reconciler.model.digest import container_digest
from reconciler.model.effect import (
    ConnectNetwork,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    DropPath,
    Existing,
    JudgeCompose,
    Made,
    MakeDirectory,
    PlaceTree,
    PullImage,
    PutFile,
    PutMarker,
    RemoveContainer,
    RemoveNetwork,
    RenameContainer,
    RestartContainer,
    StageTree,
    StartContainer,
    StopContainer,
    UpdateContainer,
)
from reconciler.model.marker import Marker
from reconciler.model.names import DerivedName, Key
from reconciler.model.observed import HostView, ImageFact
from reconciler.model.plan import Note, Step, Verb
from reconciler.model.resource import (
    STAGED,
    TREE_BEGUN,
    TREE_KEY,
    Compose,
    Container,
    Directory,
    File,
    Network,
    Tree,
    Volume,
)
from reconciler.model.rule import rules
from reconciler.model.size import round_size
from reconciler.model.text import bind, is_secret
from reconciler.plan.assessment import Assessment, Item
from reconciler.plan.composed import lower_compose, project_of
from reconciler.plan.gpus import Grant
from reconciler.plan.holdings import Holding
from reconciler.plan.placed import unnamed_files
from reconciler.plan.runs import arrival_hex, run_bindings
from reconciler.plan.step_list import StepList, existing, remove_container
from reconciler.plan.tags import moved_to


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what lowering one sandbox needs to know.

    Attributes:
        marker: what the sandbox's marker will say.
        bindings: `host.…` values; `run.…` are derived from the marker's run, secrets stay symbolic.
        storage_roots: folders besides baseDir in which the specs may make directories.
        grants: which GPUs containers get that ask for some, by name.
    """

    fleet: str
    pass_id: str
    want: SandboxDesired
    holding: Holding
    view: HostView
    marker: Marker
    bindings: Mapping[str, str]
    storage_roots: tuple[str, ...] = ()
    grants: Mapping[str, Grant] = {}

    @property
    def base_dir(self) -> str:
        """Give the resolved folder of the host that we own."""
        return self.view.identity.base_dir


def lower(work: Work, assessment: Assessment, *, adopting: bool) -> tuple[Step, ...]:
    """Lower the creation, update or replacement of one sandbox."""
    steps = StepList(f"{work.want.host}/{work.want.name}")
    if adopting:
        steps.add(Note("adopted"), "remember it as ours")
    with steps.measured(bool(assessment.items) and work.want.observability != "off"):
        if assessment.items or assessment.marker:
            steps.effect(PutMarker(work.base_dir, _marker_until_done(work, assessment)), "write the marker")
        _lower_items(work, assessment, steps)
    return steps.finish()


def _lower_items(work: Work, assessment: Assessment, steps: StepList) -> None:
    for pull in _pulls(work, assessment):
        steps.effect(pull, f"pull {pull.reference}")
    for item in assessment.items:
        _lower_support(work, item, steps)
    marker = _marker_with_files(work)
    if any(isinstance(item.resource, Tree) for item in assessment.items):
        steps.effect(PutMarker(work.base_dir, msgspec.structs.replace(marker, compose="")), "remember the tree")
    leftovers = [item for item in assessment.items if item.change.verb is Verb.DESTROY]
    for owned in (item.owned for item in leftovers if item.owned is not None):
        remove_container(owned, steps)
    _lower_containers(work, assessment, steps)
    lower_compose(work, assessment, steps, marker=marker)
    # A network goes last: the container that is replaced hangs on it until then.
    for network in (work.holding.networks[item.change.key.removeprefix("networks/")] for item in _networks(leftovers)):
        steps.effect(RemoveNetwork(network.id, network.name, work.want.uid), f"remove network {network.name}")
    _drop_leftovers(work, leftovers, steps)


def prove(want: SandboxDesired, *, fleet: str, action: str) -> tuple[Step, ...]:
    """Ask every probe of a sandbox, and change nothing."""
    steps = StepList(action)
    for part in want.parts(fleet):
        steps.wait_for(part)
    return steps.finish()


def _marker_until_done(work: Work, assessment: Assessment) -> Marker:
    """Give the marker with what is still to go, and without what is still to come whole: a cut forgets neither."""
    marker, before = _marker_with_files(work), work.holding.marker
    if any(isinstance(item.resource, Tree | Compose) for item in assessment.items):
        marker = msgspec.structs.replace(marker, compose="")
    for item in assessment.items:
        if isinstance(item.resource, Tree):
            marker = msgspec.structs.replace(marker, tree=TREE_BEGUN)
        elif item.change.key == str(TREE_KEY) and before is not None:
            marker = msgspec.structs.replace(marker, tree=before.tree)
    return marker


def _marker_with_files(work: Work) -> Marker:
    """Give the marker with the files that are still to go."""
    going = unnamed_files(work.holding.marker, work.marker.files)
    return msgspec.structs.replace(work.marker, files=tuple(sorted({*work.marker.files, *going})))


def _drop_leftovers(work: Work, items: list[Item], steps: StepList) -> None:
    """Remove the files and trees that no spec names any more, once nothing runs that was made with them."""
    for path, is_tree in ((item.dropped, item.change.key == str(TREE_KEY)) for item in items if item.dropped):
        effect = PlaceTree(path, work.base_dir, "") if is_tree else DropPath(path, work.base_dir)
        steps.effect(effect, f"remove {path}")
    if any(item.dropped for item in items):
        steps.effect(PutMarker(work.base_dir, work.marker), "write the marker without them")


def _pulls(work: Work, assessment: Assessment) -> list[PullImage]:
    """Pull each image that a container to be created needs and the host does not have, or has an older one of."""
    return [
        PullImage(reference, digest)
        for reference in sorted({container.image for container in assessment.made_anew})
        if (digest := moved_to(work.view, reference, image_id=reference)) is not None
        or not isinstance(work.view.images.get(reference), ImageFact)
    ]


def _lower_support(work: Work, item: Item, steps: StepList) -> None:
    """Lower what containers stand on."""
    resource = bind(item.resource, {**work.bindings, **run_bindings(work.marker.run)})
    match resource:
        case Directory():
            root = _root_of(work, str(resource.path))
            steps.effect(MakeDirectory(str(resource.path), resource.mode, root), f"make {resource.path}")
        case File():
            path = str(resource.path)
            steps.effect(PutFile(path, resource.mode, resource.content, _root_of(work, path)), f"write {path}")
        case Tree():
            told = f"{resource.entries} files, {round_size(resource.size_bytes)}"
            path = str(resource.path)
            staged = StageTree(path, work.base_dir, resource.folder, resource.exclude, resource.content)
            steps.effect(staged, f"send {resource.name} ({told})")
            if work.want.compose is not None:
                fresh = f"{path.rpartition('/')[0]}/{STAGED}{resource.name}"
                judge = JudgeCompose(work.want.compose.file, project_of(work, folder=fresh))
                steps.effect(judge, f"judge {work.want.compose.file}")
            steps.effect(PlaceTree(path, work.base_dir, resource.content), f"put {resource.name} in its place")
        case Network() | Volume():
            name = str(DerivedName(work.fleet, work.want.name, resource.name))
            labels = label.to_docker(_labels(work, resource.key, digest="", steps=steps))
            made = CreateNetwork(name, labels) if isinstance(resource, Network) else CreateVolume(name, labels)
            steps.effect(made, f"create {resource.key.kind.removesuffix('s')} {resource.name}")
        case _:
            return


def _root_of(work: Work, path: str) -> str:
    """Find the folder below which a path may be written: baseDir, or the storage root that holds it."""
    return next((root for root in work.storage_roots if path.startswith(root + "/")), work.base_dir)


def _lower_containers(work: Work, assessment: Assessment, steps: StepList) -> None:
    """Lower containers in start order; what others wait for is awaited before they start."""
    by_name = {item.resource.name: item for item in assessment.items if isinstance(item.resource, Container)}
    waited: set[str] = set()
    touched = [container for container in start_order(work.want.containers) if container.name in by_name]
    for container in touched:
        for name in container.after:
            for other in touched:
                if other.name == name and name not in waited:
                    steps.wait_for(work.want.part(other, work.fleet))
            waited.add(name)
        if _lower_container(work, container, by_name[container.name], steps):
            waited.add(container.name)
    pending = [
        container for container in touched if container.name not in waited and _is_started(by_name[container.name])
    ]
    for container in pending:
        steps.wait_for(work.want.part(container, work.fleet))


def _is_started(item: Item) -> bool:
    """Tell whether the item's container is started anew, so that its readiness has to be asked."""
    return item.change.verb in (Verb.CREATE, Verb.REPLACE, Verb.START, Verb.RESTART) or item.change.changes == ()


def start_order(containers: tuple[Container, ...]) -> list[Container]:
    """Order containers so that each comes after those it waits for; ties keep the order of the spec."""
    ordered: list[Container] = []
    rest = list(containers)
    while rest:
        names = {container.name for container in rest}
        ready = next((item for item in rest if not names.intersection(item.after)), rest[0])
        ordered.append(ready)
        rest.remove(ready)
    return ordered


def _lower_container(work: Work, raw: Container, item: Item, steps: StepList) -> bool:
    """Lower one container; tell whether its readiness was awaited on the way."""
    name = str(DerivedName(work.fleet, work.want.name, raw.name))
    old = existing(item.owned) if item.owned is not None else None
    if old is None:
        _create(work, raw, name, steps)
        steps.effect(StartContainer(Made(name, work.want.uid)), f"start {raw.name}")
        return False
    match item.change.verb:
        case Verb.REPLACE:
            return _replace(work, raw, name, old, steps)
        case Verb.START:
            _update(raw, item, old, steps)
            steps.effect(StartContainer(old), f"start {raw.name}")
        case Verb.RESTART:
            _update(raw, item, old, steps)
            steps.effect(RestartContainer(old, raw.stop_grace_s), f"restart {raw.name}")
        case _ if item.owned is not None and not item.owned.proof.name.settled:
            steps.effect(RenameContainer(old, name), f"give {raw.name} its lasting name")
            if item.owned.seen.live.state != "running":
                arrived = Existing(old.full_id, name, old.uid)
                steps.effect(StartContainer(arrived), f"start {raw.name}")
        case _:
            _update(raw, item, old, steps)
    return False


def _update(raw: Container, item: Item, target: Existing, steps: StepList) -> None:
    """Set limits in place, where any of them differs."""
    if any(change.remedy == "in place" for change in item.change.changes):
        effect = UpdateContainer(target, raw.restart, raw.cpu_nanos, raw.memory_bytes, raw.pids)
        steps.effect(effect, f"update {raw.name} in place")


def _create(work: Work, raw: Container, name: str, steps: StepList) -> None:
    has_moved = moved_to(work.view, raw.image, image_id=raw.image) is not None
    image = None if has_moved else work.view.images.get(raw.image)
    labels = _labels(work, raw.key, digest=container_digest(raw), steps=steps, secrets=_secret_fields(raw))
    bound = bind(raw, {**work.bindings, **run_bindings(work.marker.run)})
    if raw.name in work.grants:
        bound = msgspec.structs.replace(bound, gpu=work.grants[raw.name].gpus)
    steps.effect(
        CreateContainer(
            name=name,
            container=bound,
            labels=label.to_docker(labels),
            image_id=image.id if isinstance(image, ImageFact) else None,
        ),
        f"create {raw.name} from {raw.image}",
    )
    for network in sorted(raw.networks)[1:]:
        effect = ConnectNetwork(Made(name, work.want.uid), network, raw.networks[network])
        steps.effect(effect, f"connect {raw.name} to {network}")


def _replace(work: Work, raw: Container, name: str, old: Existing, steps: StepList) -> bool:
    """Create the new container beside the old one first: if it cannot be made, nothing was stopped."""
    hex6 = arrival_hex(pass_id=work.pass_id, uid=work.want.uid, resource=raw.name)
    arriving = str(DerivedName(work.fleet, work.want.name, raw.name, next_hex=hex6))
    new = Made(arriving, work.want.uid)
    _create(work, raw, arriving, steps)
    start_first = work.want.update == "start-first"
    if start_first:
        steps.effect(StartContainer(new), f"start the new {raw.name}")
        steps.wait_for(work.want.part(raw, work.fleet), named=arriving)
    steps.effect(StopContainer(old, raw.stop_grace_s), f"stop the old {raw.name}")
    steps.effect(RemoveContainer(old), f"remove the old {raw.name}")
    steps.effect(RenameContainer(new, name), f"give {raw.name} its lasting name")
    if not start_first:
        steps.effect(StartContainer(Made(name, work.want.uid)), f"start {raw.name}")
    return start_first


def _networks(leftovers: list[Item]) -> list[Item]:
    """Pick the networks among leftovers."""
    return [item for item in leftovers if item.owned is None and item.dropped is None]


def _secret_fields(raw: Container) -> str:
    """Name every field that holds a secret, as differences are named: a map's by key, others whole."""
    found: list[str] = []
    for field, rule in rules(Container).items():
        path, value = rule.path or field, getattr(raw, field)
        if isinstance(value, dict):
            found += [f"{path}.{key}" for key, item in value.items() if is_secret(item)]
        elif is_secret(value):
            found.append(path)
    return ",".join(sorted(found))


def _labels(work: Work, key: Key, *, digest: str, steps: StepList, secrets: str = "") -> label.Labels:
    return label.Labels(
        fleet=work.fleet,
        sandbox=work.want.name,
        uid=work.want.uid,
        kind=key.kind,
        resource=key.name,
        digest=digest or "none",
        generation=work.marker.generation,
        revision=work.marker.revision,
        run=work.marker.run,
        attempt=f"{work.pass_id}:{steps.next_id()}",
        origin=work.marker.origin,
        ttl_s=work.marker.ttl_s,
        secrets=secrets,
    )
