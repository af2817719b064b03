"""Fingerprint exactly what a plan read of the objects it acts on, so that only a change of those makes it stale."""

from __future__ import annotations

import msgspec

from reconciler.model.digest import fingerprint
from reconciler.model.effect import CreateContainer
from reconciler.model.observed import ImageFact, Reachable, SeenContainer, SeenPath
from reconciler.model.plan import Action, Apply, Basis, Plan
from reconciler.model.resource import Directory, File, Tree
from reconciler.model.text import bind
from reconciler.plan.holdings import Holding
from reconciler.plan.words import in_words
from reconciler.plan.world import Place, World

FREE = "free"


def bases(world: World, actions: tuple[Action, ...]) -> dict[str, Basis]:
    """Fingerprint per host what these actions rest on. No fingerprint holds the value of a secret."""
    reads: dict[str, dict[str, str]] = {}
    for action in actions:
        state = world.reachable(action.host)
        if state is not None:
            reads.setdefault(action.host, {}).update(_reads_of(world, action, state))
    return {
        host: Basis(
            host_id=state.view.identity.host_id,
            docker_root=state.view.identity.docker_root,
            reads=dict(sorted(found.items())),
        )
        for host, found in sorted(reads.items())
        if (state := world.reachable(host)) is not None
    }


def stale_reads(saved: Plan, fresh: dict[str, Basis], *, specs: str) -> tuple[str, ...]:
    """Name everything a saved plan read that is another now; empty when it still holds.

    Args:
        saved: the plan that was saved.
        fresh: the basis of planning again from a new look.
        specs: digest of the specs as they are now.
    """
    changed: list[str] = []
    if saved.specs != specs:
        changed.append("the specs have changed")
    for host, basis in saved.basis.items():
        now = fresh.get(host)
        if now is None:
            changed.append(f"{host}: it needs none of these actions any more, or did not answer")
            continue
        if (now.host_id, now.docker_root) != (basis.host_id, basis.docker_root):
            changed.append(f"{host}: it is another machine now")
        changed += [f"{host}: {what}" for what, value in basis.reads.items() if now.reads.get(what) != value]
    return tuple(changed)


def _reads_of(world: World, action: Action, state: Reachable) -> dict[str, str]:
    place = Place(action.host, action.sandbox)
    holding = world.held(place)
    reads = _holding_reads(holding, place)
    want = world.wanted(place)
    bindings = world.bindings(action.host)
    for resource in want.resources if want is not None else ():
        if not isinstance(resource, Directory | File | Tree):
            continue
        path = str(bind(resource.path, bindings))
        reads[f"path {path}"] = _path_fingerprint(state.view.paths.get(path))
    asking = {one.name for one in (want.containers if want is not None else ()) if one.gpu is not msgspec.UNSET}
    for step in action.steps:
        if isinstance(step.do, Apply) and isinstance(step.do.effect, CreateContainer):
            reference = step.do.effect.container.image
            if step.do.effect.container.name in asking:
                gpus = step.do.effect.container.gpu
                given = "none" if gpus is msgspec.UNSET else in_words("gpu", gpus)
                reads[f"GPUs for {step.do.effect.container.name}"] = given
            fact = state.view.images.get(reference)
            reads[f"image {reference}"] = fact.id if isinstance(fact, ImageFact) else "absent"
            if isinstance(tag := state.view.tags.get(reference), str):
                reads[f"tag {reference}"] = tag
    return reads


def _holding_reads(holding: Holding, place: Place) -> dict[str, str]:
    marker = holding.marker
    reads = {f"marker of {place.sandbox}": fingerprint(marker) if marker is not None else FREE}
    reads[f"containers of {place.sandbox}"] = fingerprint([_container_state(item.seen) for item in holding.containers])
    reads |= {f"network {seen.name}": seen.id for seen in holding.networks.values()}
    return reads


def _container_state(seen: SeenContainer) -> list[object]:
    """Give what can change about a container: the rest is fixed by its id."""
    spec, live = seen.spec, seen.live
    return [seen.full_id, seen.name, live.state, spec.restart, spec.cpu_nanos, spec.memory_bytes, spec.pids]


def _path_fingerprint(seen: SeenPath | None) -> str:
    if seen is None or seen.kind == "absent":
        return FREE
    written = seen.modified_epoch_s if seen.kind == "file" else 0
    return fingerprint([seen.kind, seen.mode, seen.uid, seen.gid, seen.inode, written])
