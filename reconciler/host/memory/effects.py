"""Do one effect to the world of an in-memory host, with the outcomes that a real one has."""

from __future__ import annotations

from typing import assert_never

import msgspec
from msgspec.structs import replace

from reconciler.host.docker.refusals import no_gpu_driver
from reconciler.host.effects.engine import unresolved
from reconciler.host.effects.supplies import image_labels_refused
from reconciler.host.memory import compose, files, trees
from reconciler.host.memory.world import World
from reconciler.model.effect import (
    ConnectNetwork,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    Done,
    DropPath,
    Effect,
    JudgeCompose,
    Made,
    MakeDirectory,
    NotDone,
    Outcome,
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
    Target,
    UpCompose,
    UpdateContainer,
)
from reconciler.model.legacy import doubt_legacy
from reconciler.model.names import is_full_id
from reconciler.model.observed import RUNNING_STATES, SeenContainer, SeenVolume
from reconciler.model.ownership import (
    carries_ours,
    doubt_container,
    doubt_labels,
    same_attempt,
    same_owner,
)


def perform(world: World, effect: Effect, *, base_dir: str) -> Outcome:
    """Do `effect` now, after checking its target again. It must be bound; `base_dir` is our own root."""
    world.settle()
    match effect:
        case MakeDirectory():
            return files.make_directory(world, effect, base_dir=base_dir)
        case PutFile():
            return files.put_file(world, effect, base_dir=base_dir)
        case StageTree():
            return trees.stage_tree(world, effect)
        case PlaceTree():
            return trees.place_tree(world, effect)
        case JudgeCompose():
            return compose.judge_compose(world, effect)
        case UpCompose():
            return compose.up_compose(world, effect, launch=_launch)
        case PutMarker():
            return files.put_marker(world, effect, base_dir=base_dir)
        case DropPath():
            return files.drop_path(world, effect, base_dir=base_dir)
        case PullImage():
            return _pull(world, effect)
        case CreateVolume():
            return _create_volume(world, effect)
        case CreateNetwork():
            return _create_network(world, effect)
        case RemoveNetwork():
            return _remove_network(world, effect)
        case CreateContainer():
            return _create(world, effect)
        case ConnectNetwork():
            return _connect(world, effect)
        case StartContainer():
            return _start(world, effect)
        case RestartContainer():
            return _restart(world, effect)
        case StopContainer():
            return _stop(world, effect)
        case UpdateContainer():
            return _update(world, effect)
        case RenameContainer():
            return _rename(world, effect)
        case RemoveContainer():
            return _remove(world, effect)
        case _:
            assert_never(effect)


def _pull(world: World, effect: PullImage) -> Outcome:
    there = world.images.get(effect.reference)
    is_good = there is not None and (effect.digest is None or effect.digest in there.digests)
    fact = there if is_good else world.registry.get(effect.reference)
    if fact is None:
        return NotDone("E_IMAGE", f"the image {effect.reference} could not be pulled: the registry has none")
    world.images[effect.reference] = fact
    if carries_ours(fact.labels):
        return image_labels_refused(effect.reference)
    return Done(value=fact.id, changed=not is_good)


def _create_volume(world: World, effect: CreateVolume) -> Outcome:
    there = world.volumes.get(effect.name)
    if there is None:
        world.volumes[effect.name] = SeenVolume(name=effect.name, labels=dict(effect.labels))
        return Done(value=effect.name)
    if not same_owner(there.labels, effect.labels):
        return NotDone("E_NAME_CONFLICT", f"a volume {effect.name} is there already, and is not this sandbox's")
    return Done(value=effect.name, changed=False)


def _create_network(world: World, effect: CreateNetwork) -> Outcome:
    there = [network for network in world.networks.values() if network.name == effect.name]
    if not there:
        return Done(value=world.add_network(effect.name, dict(effect.labels)).id)
    ours = [network for network in there if same_owner(network.labels, effect.labels)]
    if len(there) > 1 or not ours:
        return NotDone("E_NAME_CONFLICT", f"a network {effect.name} is there already, and is not this sandbox's alone")
    return Done(value=ours[0].id, changed=False)


def _remove_network(world: World, effect: RemoveNetwork) -> Outcome:
    network = world.networks.get(effect.id)
    if network is None:
        return Done(changed=False)
    doubt = (
        doubt_labels(network.name, network.labels, uid=effect.uid)
        if network.name == effect.name
        else "it has another name now"
    )
    if doubt is not None:
        return NotDone("E_TARGET_CHANGED", f"the network {effect.id} is not touched: {doubt}", "plan again")
    users = [seen.name for seen in world.containers.values() if network.name in seen.spec.networks]
    if any(world.by_name(name) is not None and _runs(world, name) for name in users):
        return NotDone("E_IN_USE", f"the network {effect.name} is used by {', '.join(sorted(users))}", transient=True)
    del world.networks[effect.id]
    return Done()


def _create(world: World, effect: CreateContainer) -> Outcome:
    reference = effect.container.image
    image = world.images.get(reference)
    if image is None:
        return NotDone("E_IMAGE", f"there is no image {reference} on this host", "plan and apply again")
    if effect.image_id is not None and image.id != effect.image_id:
        return NotDone("E_IMAGE", f"{reference} is another image than when this was planned", "plan again")
    if carries_ours(image.labels):
        return image_labels_refused(reference)
    there = world.by_name(effect.name)
    if there is not None:
        if same_attempt(there.labels, effect.labels):
            return Done(value=there.full_id, changed=False)
        return _name_taken(effect.name, there)
    for mount in effect.container.mounts.values():
        if mount.kind == "bind" and str(mount.source) not in world.paths:
            return NotDone("E_MOUNT_MISSING", f"the bind mount's source {mount.source} is not there")
    made = world.make_container(effect.name, effect.container, labels=dict(effect.labels), image=image)
    return Done(value=made.full_id)


def _name_taken(name: str, there: SeenContainer) -> NotDone:
    return NotDone(
        "E_NAME_CONFLICT",
        f"the name {name} is taken by the container {there.full_id} ({there.live.state})",
        f"look at it; if it is to be managed from here: reconcile adopt {there.full_id}",
    )


def _connect(world: World, effect: ConnectNetwork) -> Outcome:
    seen = _target(world, effect.target)
    if isinstance(seen, NotDone):
        return seen
    if effect.network not in {network.name for network in world.networks.values()}:
        return NotDone("E_NETWORK_ABSENT", f"there is no network {effect.network}")
    if effect.network in seen.spec.networks:
        return Done(changed=False)
    networks = {**seen.spec.networks, effect.network: tuple(sorted(effect.aliases))}
    world.containers[seen.full_id] = replace(seen, spec=replace(seen.spec, networks=networks))
    return Done()


def _start(world: World, effect: StartContainer) -> Outcome:
    seen = _target(world, effect.target)
    if isinstance(seen, NotDone):
        return seen
    if seen.live.state == "paused":
        return NotDone("E_PAUSED", f"{seen.name} is paused", hint="docker unpause it, or remove it")
    if seen.live.state in RUNNING_STATES:
        return Done(changed=False)
    return _launch(world, seen)


def _launch(world: World, seen: SeenContainer) -> Outcome:
    known = {network.name for network in world.networks.values()}
    missing = sorted(set(seen.spec.networks) - known)
    # What was started before looks for the network by its id, not by its name.
    missing += sorted(network_id for network_id in seen.network_ids.values() if network_id not in world.networks)
    if missing:
        return _fail(world, seen, "E_NETWORK_ABSENT", f"network {missing[0]} not found", exit_code=128)
    clash = _port_clash(world, seen)
    if clash is not None:
        message = f"Bind for {clash} failed: port is already allocated"
        return _fail(world, seen, "E_PORT_CONFLICT", message, exit_code=128)
    if seen.spec.gpu is not msgspec.UNSET and not world.lends_gpus:
        message = 'could not select device driver "" with capabilities: [[gpu]]'
        _fail(world, seen, "E_GPU_DRIVER", message, exit_code=128)
        return no_gpu_driver(f"{seen.name} did not start")
    error = world.behaviour(seen).start_error
    if error is not None:
        return _fail(world, seen, "E_START_FAILED", error, exit_code=127)
    world.start(seen.full_id)
    return Done()


def _fail(world: World, seen: SeenContainer, code: str, message: str, *, exit_code: int) -> NotDone:
    live = replace(seen.live, exit_code=exit_code, error=message)
    world.containers[seen.full_id] = replace(seen, live=live)
    return NotDone(code, f"{seen.name} did not start: {message}")


def _port_clash(world: World, seen: SeenContainer) -> str | None:
    taken = world.taken_ports()
    for inside, published in sorted(seen.spec.ports.items()):
        protocol = inside.partition("/")[2]
        for other in taken:
            bind, _, rest = other.rpartition(":")
            anywhere = {bind, published.bind} & {"0.0.0.0", "::", ""}  # noqa: S104 - compared, not bound
            if rest == f"{published.host_port}/{protocol}" and (bind == published.bind or anywhere):
                return f"{published.bind}:{published.host_port}"
    return None


def _restart(world: World, effect: RestartContainer) -> Outcome:
    seen = _target(world, effect.target)
    if isinstance(seen, NotDone):
        return seen
    if seen.live.state in RUNNING_STATES:
        seen = world.end(seen.full_id, exit_code=world.behaviour(seen).stop_code)
    return _launch(world, seen)


def _stop(world: World, effect: StopContainer) -> Outcome:
    seen = _target(world, effect.target)
    if isinstance(seen, NotDone):
        return seen
    if seen.live.state not in RUNNING_STATES:
        return Done(changed=False)
    world.end(seen.full_id, exit_code=world.behaviour(seen).stop_code)
    return Done()


def _update(world: World, effect: UpdateContainer) -> Outcome:
    seen = _target(world, effect.target)
    if isinstance(seen, NotDone):
        return seen
    spec = replace(
        seen.spec,
        restart=effect.restart,
        cpu_nanos=seen.spec.cpu_nanos if effect.cpu_nanos is None else effect.cpu_nanos,
        memory_bytes=seen.spec.memory_bytes if effect.memory_bytes is None else effect.memory_bytes,
        pids=effect.pids,
    )
    world.containers[seen.full_id] = replace(seen, spec=spec)
    if (spec.cpu_nanos, spec.memory_bytes) != (effect.cpu_nanos, effect.memory_bytes):
        return NotDone("E_READBACK", f"{seen.name} still has its limits of CPU or memory after the update")
    return Done(changed=spec != seen.spec)


def _rename(world: World, effect: RenameContainer) -> Outcome:
    there = world.by_name(effect.to)
    if there is not None and _is_renamed(world, effect):
        return Done(changed=False)
    seen = _target(world, effect.target)
    if isinstance(seen, NotDone):
        return seen
    if there is not None:
        return _name_taken(effect.to, there)
    world.rename(seen.full_id, effect.to)
    return Done()


def _is_renamed(world: World, effect: RenameContainer) -> bool:
    return isinstance(_target(world, replace(effect.target, name=effect.to)), SeenContainer)


def _remove(world: World, effect: RemoveContainer) -> Outcome:
    seen = _target(world, effect.target)
    if isinstance(seen, NotDone):
        return Done(changed=False) if seen.code == "E_TARGET_GONE" else seen
    if seen.live.state in RUNNING_STATES:
        return NotDone("E_RUNNING", f"{seen.name} is {seen.live.state}: it is stopped before it is removed")
    world.drop(seen.full_id)
    return Done()


def _target(world: World, target: Target) -> SeenContainer | NotDone:
    """Look the target up, and check that it still is what was meant."""
    if isinstance(target, Made):
        return unresolved(target)
    if not is_full_id(target.full_id):
        return NotDone("E_TARGET_ID", f"{target.full_id!r} is no full container id")
    seen = world.containers.get(target.full_id)
    if seen is None:
        return NotDone("E_TARGET_GONE", f"the container {target.name} is gone")
    if seen.name != target.name:
        return NotDone("E_TARGET_CHANGED", f"the container {seen.full_id[:12]} is {seen.name} now, not {target.name}")
    image = next((fact for fact in world.images.values() if fact.id == seen.image_id), None)
    legacy = target.project
    why = doubt_legacy(seen, project=legacy) if legacy else doubt_container(seen, image, uid=target.uid)
    if why is not None:
        return NotDone("E_TARGET_CHANGED", f"{target.name} is not touched: {why}")
    return seen


def _runs(world: World, name: str) -> bool:
    seen = world.by_name(name)
    return seen is not None and seen.live.state in RUNNING_STATES
