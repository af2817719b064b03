"""Turn the end of a sandbox into steps: only what is proved to be ours, by id, and the proof itself last.

Containers, networks and the sandbox's own folder go. Volumes, and directories under a storage root, are data: they
stay, and the plan says so.
"""

from __future__ import annotations

import msgspec

from reconciler.model.effect import DropPath, PutMarker, RemoveNetwork, RenameContainer, StopContainer, UpdateContainer
from reconciler.model.marker import Marker
from reconciler.model.names import sandbox_uid
from reconciler.model.observed import STOPPED_STATES, HostView, SeenPath
from reconciler.model.plan import Step
from reconciler.plan.holdings import Holding, OwnedContainer
from reconciler.plan.placed import own_folder
from reconciler.plan.step_list import StepList, existing, remove_container


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what lowering the end of one sandbox needs to know."""

    fleet: str
    host: str
    holding: Holding
    view: HostView
    measured: bool

    @property
    def uid(self) -> str:
        """Give the sandbox's uid."""
        return sandbox_uid(self.fleet, self.holding.sandbox)

    @property
    def steps(self) -> StepList:
        """Begin the steps of its action."""
        return StepList(f"{self.host}/{self.holding.sandbox}")


def destroy(ending: Ending) -> tuple[Step, ...]:
    """Remove everything that is the sandbox's own; its folder with the marker goes last, so that a cut can go on."""
    steps = ending.steps
    with steps.measured(ending.measured):
        _remove_parts(ending, steps)
        _drop_folder(ending, steps)
    return steps.finish()


def expire(ending: Ending, marker: Marker) -> tuple[Step, ...]:
    """Remove the sandbox and leave `marker`, which says that it is expired and keeps it absent.

    Whom it adopted stays in the marker: that is the only proof that those containers are ours to remove.
    """
    steps, base_dir = ending.steps, ending.view.identity.base_dir
    with steps.measured(ending.measured):
        steps.effect(PutMarker(base_dir, marker), "mark it expired")
        _remove_parts(ending, steps)
        _drop_paths(ending, marker, steps)
    return steps.finish()


def _drop_paths(ending: Ending, marker: Marker, steps: StepList) -> None:
    """Remove what stands in the sandbox's own folder but the marker, then forget which files were ours."""
    base_dir = ending.view.identity.base_dir
    paths = _own_paths(ending)
    unseen = {f"{own_folder(base_dir, ending.uid)}/{name}" for name in marker.files} - {seen.path for seen in paths}
    for path in sorted(unseen, reverse=True):
        steps.effect(DropPath(path, base_dir), f"remove {path}")
    for seen in paths:
        steps.effect(DropPath(seen.path, base_dir, seen.inode), f"remove {seen.path}")
    if marker.files:
        steps.effect(PutMarker(base_dir, msgspec.structs.replace(marker, files=())), "write the marker without them")


def leaves_anything(ending: Ending) -> bool:
    """Tell whether anything besides its marker and its data is left of an expired sandbox."""
    known = ending.holding.marker.files if ending.holding.marker is not None else ()
    return bool(ending.holding.containers or ending.holding.networks or known or _own_paths(ending))


def bury(ending: Ending, *, tomb_epoch_s: int) -> tuple[Step, ...]:
    """Begin to reap: stop and rename, so that what was somebody's can be had back until the grace is over."""
    steps = ending.steps
    taken = {owned.seen.name for owned in ending.holding.tombs}
    for owned in (*ending.holding.settled.values(), *ending.holding.arriving):
        tomb = msgspec.structs.replace(owned.proof.name, next_hex=None, tomb_epoch_s=tomb_epoch_s)
        while str(tomb) in taken:
            tomb = msgspec.structs.replace(tomb, tomb_epoch_s=(tomb.tomb_epoch_s or 0) + 1)
        taken.add(str(tomb))
        target, spec = existing(owned), owned.seen.spec
        if spec.restart == "always":
            # The engine would start it again with itself, and a tomb that runs is one that somebody uses.
            update = UpdateContainer(target, "no", spec.cpu_nanos, spec.memory_bytes, spec.pids)
            steps.effect(update, f"let {owned.seen.name} stay stopped")
        if owned.seen.live.state not in STOPPED_STATES:
            steps.effect(StopContainer(target, spec.stop_grace_s), f"stop {owned.seen.name}")
        steps.effect(RenameContainer(target, str(tomb)), f"mark {owned.seen.name} for removal")
    return steps.finish()


def what_stays(holding: Holding) -> tuple[str, ...]:
    """Name the data that the end of a sandbox leaves behind."""
    return tuple(f"volume {seen.name} is data and stays" for seen in holding.volumes.values())


def _remove_parts(ending: Ending, steps: StepList) -> None:
    ordered: list[OwnedContainer] = list(reversed(ending.holding.containers))
    for owned in ordered:
        remove_container(owned, steps)
    for network in ending.holding.networks.values():
        steps.effect(RemoveNetwork(network.id, network.name, ending.uid), f"remove network {network.name}")


def _own_paths(ending: Ending) -> list[SeenPath]:
    """List what stands in the sandbox's own folder of what was asked about, and may be removed alone, deepest first.

    A directory that a container made another user's goes with the whole folder, when the sandbox does.
    """
    me = ending.view.identity
    folder = own_folder(me.base_dir, ending.uid) + "/"
    seen = [item for path, item in ending.view.paths.items() if path.startswith(folder) and me.uid in (0, item.uid)]
    return sorted(
        (item for item in seen if item.kind in ("directory", "file")), key=lambda item: item.path, reverse=True
    )


def _drop_folder(ending: Ending, steps: StepList) -> None:
    folder = ending.holding.folder
    if folder is None:
        return
    base_dir = ending.view.identity.base_dir
    path = f"{base_dir}/{folder.folder}"
    marker = ending.uid if ending.holding.marker is not None else ""
    steps.effect(DropPath(path, base_dir, folder.inode or None, marker), f"remove {path}")
