"""Compare what moves in a container: whether it runs, whether its network is still there, whether it saw its files."""

from __future__ import annotations

from datetime import datetime

from reconciler.model.names import parse_derived
from reconciler.model.observed import STOPPED_STATES, Live
from reconciler.model.plan import FieldChange, Verb
from reconciler.model.resource import Container, Directory, File, Network, Tree
from reconciler.model.rule import Remedy
from reconciler.model.text import bind, is_run_scoped
from reconciler.plan.assessment import Item
from reconciler.plan.holdings import OwnedContainer
from reconciler.plan.scene import Scene


def compare_state(scene: Scene, raw: Container, owned: OwnedContainer, support: list[Item]) -> FieldChange | None:
    """Compare what moves: whether it runs, whether its network is still there, whether it has seen its files."""
    prefix = f"containers.{raw.name}"
    live = owned.seen.live
    gone = _vanished_network(raw, support) or _remade_network(scene, raw, owned)
    if gone is not None:
        path = f"{prefix}.networks.{gone}"
        return scene.drift(path, old="(removed behind it)", new="connected", remedy=Remedy.REPLACE)
    if raw.run == "once":
        return _compare_end(scene, prefix, live)
    halted = compare_run(scene, prefix, live)
    if halted is not None:
        return halted
    stale = _unseen_mount(scene, raw, live.started_at, support)
    if stale is not None:
        path = f"{prefix}.mounts.{stale}"
        return scene.drift(path, old="mounted before it changed", new="current", remedy=Remedy.RESTART)
    return None


def compare_run(scene: Scene, prefix: str, live: Live) -> FieldChange | None:
    """Compare one that is to run; `prefix` names it, such as `containers.main`."""
    if live.state in STOPPED_STATES:
        old = live.state if live.state == "created" else f"{live.state} ({live.exit_code})"
        return scene.drift(f"{prefix}.state", old=old, new="running", remedy=Remedy.START)
    if live.state == "paused":
        return scene.drift(f"{prefix}.state", old="paused", new="running", remedy=Remedy.RESTART)
    return None


def _compare_end(scene: Scene, prefix: str, live: Live) -> FieldChange | None:
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


def _remade_network(scene: Scene, raw: Container, owned: OwnedContainer) -> str | None:
    """Find a network that was removed and made again since the container started: it cannot start in the new one."""
    for network in raw.networks:
        name = parse_derived(network)
        there = scene.holding.networks.get(name.resource) if name is not None else None
        joined = owned.seen.network_ids.get(network)
        if name is not None and there is not None and joined is not None and there.id != joined:
            return name.resource
    return None


def _unseen_mount(scene: Scene, raw: Container, started_at: datetime | None, support: list[Item]) -> str | None:
    """Find a mounted path that changed after the container's start: a bind mount keeps the old one until a restart.

    Both times are the same host's. A file from the host's own future proves nothing (its clock was set back).
    """
    rewritten = {
        str(bind(item.resource.path, scene.bindings))
        for item in support
        if isinstance(item.resource, File)
        or (isinstance(item.resource, Directory | Tree) and item.change.verb is Verb.CREATE)
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
