"""Tell what a container of a made-up machine takes by itself, as a real host does."""

from __future__ import annotations

from reconciler.host.memory.world import World
from reconciler.model.observed import RUNNING_STATES, SeenContainer
from reconciler.model.snapshot import SandboxUse, Weight

_IMAGE_BYTES = 2 << 20


def group_use(world: World, seen: SeenContainer) -> SandboxUse:
    """Give the counters of a running container: they are what its behaviour says, and it never computes anything."""
    behaviour = world.behaviour(seen)
    return SandboxUse(
        cpu_usage_ns=0,
        memory_current_bytes=behaviour.memory_bytes,
        memory_working_set_bytes=behaviour.memory_bytes - behaviour.idle_cache_bytes,
        network_bytes=0,
    )


def weigh(world: World, seen: SeenContainer) -> Weight:
    """Measure one container."""
    runs = seen.live.state in RUNNING_STATES - {"restarting"}
    missing = {} if runs else {"use": "no control group of this container was found: it does not run"}
    image_bytes = _unique_bytes(world, seen.image_id)
    if image_bytes is None:
        missing["image_bytes"] = "the engine does not list its image"
    return Weight(
        full_id=seen.full_id,
        name=seen.name,
        image_id=seen.image_id,
        runs=runs,
        use=group_use(world, seen) if runs else None,
        layer_bytes=0 if seen.live.state == "created" else world.behaviour(seen).written_bytes,
        image_bytes=image_bytes,
        missing=missing,
    )


def _unique_bytes(world: World, image_id: str) -> int | None:
    there = {fact.id for fact in world.images.values()}
    if image_id not in there:
        return None
    shared = {layer for other in there - {image_id} for layer in _layers(world, other)}
    return sum(amount for layer, amount in _layers(world, image_id).items() if layer not in shared)


def _layers(world: World, image_id: str) -> dict[str, int]:
    return world.layers.get(image_id, {image_id: _IMAGE_BYTES})
