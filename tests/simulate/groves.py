"""Hold the operator's trees, and do on a machine what the scripts do with them: file by file, so that half is seen.

The in-memory host keeps a tree's digest alone. Here every file is there, beside those that containers make, and what
is done can end in the middle.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from reconciler.disk.tree import TreeEntry, TreeRead
from reconciler.host.memory.files import refuse
from reconciler.host.memory.world import World
from reconciler.model import labels as label
from reconciler.model.desired import SandboxDesired
from reconciler.model.effect import Done, Effect, NotDone, Outcome, PlaceTree, StageTree
from reconciler.model.names import sandbox_uid
from reconciler.model.resource import STAGED, TREE_NAME, Compose
from tests.simulate import catalogue

if TYPE_CHECKING:
    from tests.simulate.controller import Controller
    from tests.simulate.editor import Wish
    from tests.simulate.machine import Machine
    from tests.simulate.play import Play

Files = Mapping[str, bytes | str]
"""Path below the folder to what is in it; text is what a link names."""

_VARIANTS: tuple[Files, ...] = (
    {"main.txt": b"one", "lib/part.txt": b"one"},
    {"main.txt": b"two", "lib/part.txt": b"one"},
    {"main.txt": b"two", "lib/part.txt": b"one", "lib/more/deep.txt": b"deep", "now": "lib/part.txt"},
    {"main.txt": b"two", "run.sh": b"#!/bin/sh\n", "now": "main.txt"},
    {"run.sh": b"#!/bin/sh\n", "lib/other.txt": b"one"},
)
VARIANTS = len(_VARIANTS)
COMPOSE_FILE = "compose.yaml"
CROP_SHARE = 0.3
_FOLDER = "/operator/"


def files_of(wish: Wish) -> Files:
    """Say what is in the operator's folder for one sandbox."""
    if not wish.services:
        return _VARIANTS[wish.tree]
    services = "".join(f"  {name}: {{image: lab/app:{wish.version}}}\n" for name in wish.services)
    return {**_VARIANTS[wish.tree], COMPOSE_FILE: f"services:\n{services}".encode()}


def with_tree(sandbox: SandboxDesired, wish: Wish) -> SandboxDesired:
    """Fill a sandbox with what is in its tree and its compose file, as loading does."""
    if sandbox.tree is None:
        return sandbox
    read = read_of(wish)
    tree = replace(
        sandbox.tree,
        folder=f"{_FOLDER}{sandbox.name}",
        content=read.content,
        entries=len(read.entries),
        size_bytes=read.size_bytes,
    )
    filled = {tree.key: tree}
    resources = [filled.get(item.key, item) for item in sandbox.resources]
    return replace(
        sandbox,
        resources=tuple(
            replace(item, services=wish.services) if isinstance(item, Compose) else item for item in resources
        ),
    )


@functools.cache
def read_of(wish: Wish) -> TreeRead:
    """Read the operator's folder."""
    return _read(files_of(wish))


def _read(files: Files) -> TreeRead:
    return TreeRead(entries=tuple(_entry(path, inside) for path, inside in sorted(files.items())))


def _entry(path: str, inside: bytes | str) -> TreeEntry:
    if isinstance(inside, str):
        return TreeEntry(path=path, target=inside)
    return TreeEntry(
        path=path,
        size_bytes=len(inside),
        sha256=hashlib.sha256(inside).hexdigest(),
        is_executable=path.endswith(".sh"),
    )


def found_by(play: Play, controller: Controller, effect: StageTree) -> Files:
    """Say what is in a folder when it is sent: the editor may have changed it since the pass began."""
    name, begun = effect.folder.removeprefix(_FOLDER), controller.revision
    now = play.editor.head if controller.is_current else begun
    return files_of(now.wishes.get(name, begun.wishes[name]))


def grow(play: Play) -> None:
    """Let containers write beside the trees that they have."""
    dice = play.dice("crops")
    for machine in play.machines.values():
        sandboxes = {seen.labels[label.PREFIX + "sandbox"] for seen in machine.ours() if seen.live.state == "running"}
        for sandbox in sorted(sandboxes):
            bed = bed_of(machine, sandbox)
            if bed.place in machine.world.paths and dice.random() < CROP_SHARE:
                folder = dice.choice(("", "lib/", "lib/more/", "var/"))
                name = f"{folder}out-{machine.world.fresh_number()}"
                bed.plant(bed.place, name, b"a container's")
                machine.crops.add(f"{bed.place}/{name}")
                play.tally["deed/crop"] += 1


# On a machine --------------------------------------------------------------------------------------------------------


class Bed:
    """Name what lies in one sandbox's own folder for its tree."""

    def __init__(self, world: World, path: str) -> None:
        self.world, self.place = world, path
        self.folder, _, name = path.rpartition("/")
        self.fresh = f"{self.folder}/{STAGED}{name}"
        self.fresh_list = f"{self.fresh}.list"
        self.known_list = f"{self.folder}/.tree-{name}"
        self.digest = f"{self.known_list}.digest"

    def names(self, at: str) -> list[str]:
        """Read a list of what a tree brought; nothing where there is none."""
        node = self.world.paths.get(at)
        return [] if node is None else node.content.decode().split()

    def tell(self, at: str, names: list[str]) -> None:
        """Write such a list."""
        self.world.add_path(at, content="\n".join(sorted(set(names))).encode())

    def below(self, top: str) -> Files:
        """Give the files and links below a folder."""
        return {
            path.removeprefix(f"{top}/"): node.target if node.kind == "symlink" else node.content
            for path, node in self.world.paths.items()
            if path.startswith(f"{top}/") and node.kind != "directory"
        }

    def plant(self, top: str, name: str, inside: bytes | str) -> None:
        """Put one file, and the folders above it."""
        parts = name.split("/")
        for length in range(1, len(parts)):
            if (folder := "/".join((top, *parts[:length]))) not in self.world.paths:
                self.world.add_path(folder, kind="directory")
        path = f"{top}/{name}"
        if isinstance(inside, str):
            self.world.add_path(path, kind="symlink", target=inside)
        else:
            self.world.add_path(path, content=inside, mode="0755" if path.endswith(".sh") else "0644")

    def clear(self, *tops: str) -> None:
        """Remove whole folders, and files."""
        for path in [path for path in self.world.paths if any(f"{path}/".startswith(f"{top}/") for top in tops)]:
            del self.world.paths[path]

    def weed(self, names: list[str]) -> None:
        """Remove files that a tree brought, and the folders that are left empty by that."""
        for name in names:
            path = f"{self.place}/{name}"
            self.world.paths.pop(path, None)
            while (path := path.rpartition("/")[0]) != self.place and path in self.world.paths:
                if any(other.startswith(f"{path}/") for other in self.world.paths):
                    break
                del self.world.paths[path]


def proved(bed: Bed, top: str, content: str) -> bool:
    """Tell whether a folder holds what `content` digests."""
    return _read(bed.below(top)).content == content


def stage(world: World, effect: StageTree, files: Files, *, share: float = 1.0, is_cut: bool = False) -> Outcome:
    """Send files into a fresh folder, or only some of them; a cut is seen by nobody but by what is missing."""
    bed = Bed(world, effect.path)
    refused = _refuse(bed, root=effect.root)
    if refused is not None:
        return refused
    if _read(files).content != effect.content:
        return NotDone("E_TREE_CHANGED", f"{effect.folder} is not what it was when this was planned", "plan again")
    bed.clear(bed.fresh, bed.fresh_list)
    world.add_path(bed.fresh, kind="directory", mode="0700")
    arrived = sorted(files.items())[: round(share * len(files))]
    for name, inside in arrived:
        bed.plant(bed.fresh, name, inside)
    if is_cut:
        return NotDone("E_READ_CUT", "the line was cut")
    if not proved(bed, bed.fresh, effect.content):
        return NotDone("E_TREE_CHANGED", "what arrived is not what was planned")
    bed.tell(bed.fresh_list, [name for name, _ in arrived])
    return Done()


def put(world: World, effect: PlaceTree, *, steps_max: int | None = None) -> Outcome:
    """Exchange the tree for what is staged, or take it away; `steps_max` ends that in the middle."""
    bed = Bed(world, effect.path)
    refused = _refuse(bed, root=effect.root) or _not_as_staged(bed, effect)
    if refused is not None:
        return refused
    if not any(
        path in world.paths for path in (bed.fresh, *((bed.place, bed.known_list) if not effect.content else ()))
    ):
        return Done(changed=False)
    for number, _ in enumerate(_steps(bed, effect)):
        if number == steps_max:
            return NotDone("E_READ_CUT", "the line was cut")
    return Done()


def _not_as_staged(bed: Bed, effect: PlaceTree) -> NotDone | None:
    """Refuse what was not staged, unless it was placed before and the reply was lost."""
    paths = bed.world.paths
    if not effect.content:
        return None
    if bed.fresh not in paths:
        placed = paths.get(bed.digest)
        if bed.place in paths and placed is not None and placed.content == effect.content.encode():
            return None
        return NotDone("E_TREE_MISSING", f"{bed.place} was not staged")
    if bed.fresh_list not in paths:
        return NotDone("E_TREE_MISSING", f"{bed.place} was not staged whole")
    if not proved(bed, bed.fresh, effect.content):
        return NotDone("E_TREE_CHANGED", "what is staged is not what was planned")
    return None


def _steps(bed: Bed, effect: PlaceTree) -> Iterator[None]:
    """Do what the script does, one thing after the other."""
    world = bed.world
    if not effect.content:
        bed.weed(bed.names(bed.known_list))
        if bed.place in world.paths and not any(path.startswith(f"{bed.place}/") for path in world.paths):
            del world.paths[bed.place]
        yield
        bed.clear(bed.fresh, bed.fresh_list, bed.known_list, bed.digest)
        return
    world.paths.pop(bed.digest, None)
    known, fresh = bed.names(bed.known_list), bed.names(bed.fresh_list)
    bed.tell(bed.known_list, [*known, *fresh])
    yield
    if bed.place not in world.paths:
        world.add_path(bed.place, kind="directory")
    for name, inside in bed.below(bed.fresh).items():
        bed.plant(bed.place, name, inside)
        del world.paths[f"{bed.fresh}/{name}"]
        yield
    bed.weed([name for name in known if name not in fresh])
    bed.tell(bed.known_list, fresh)
    world.paths.pop(bed.fresh_list, None)
    yield
    bed.clear(bed.fresh)
    world.add_path(bed.digest, content=effect.content.encode())


def _refuse(bed: Bed, *, root: str) -> NotDone | None:
    """Refuse a way that leads elsewhere, and a sandbox's folder that is gone."""
    refused = refuse(bed.world, bed.place, root=root)
    if refused is None and bed.folder not in bed.world.paths:
        refused = NotDone("E_PATH_MISSING", f"{bed.folder} is not there")
    return refused


# Judged --------------------------------------------------------------------------------------------------------------


def bed_of(machine: Machine, sandbox: str) -> Bed:
    """Give the place of a sandbox's tree on a machine."""
    world = machine.world
    return Bed(world, f"{world.base_dir}/{sandbox_uid(catalogue.FLEET, sandbox)}/{TREE_NAME}")


def i27_only_its_own_is_removed(play: Play, machine: Machine, effect: Effect, removed: list[str]) -> None:
    """I27: bringing or removing a tree removes nothing that containers made beside it."""
    if not machine.crops:
        return
    lost = sorted(machine.crops & set(removed))
    if isinstance(effect, StageTree | PlaceTree):
        play.demand("I27", not lost, f"{machine.name}: {effect.__struct_config__.tag} removed {lost} of containers")
    machine.crops -= set(lost)


def differences(machine: Machine, want: SandboxDesired, wish: Wish) -> Iterator[str]:
    """I27: at rest a tree is on its host as it is in the folder, whole, and nothing of its coming is left."""
    bed, where = bed_of(machine, want.name), f"{machine.name}/{want.name}"
    there = {
        name: inside for name, inside in bed.below(bed.place).items() if f"{bed.place}/{name}" not in machine.crops
    }
    wanted = files_of(wish) if want.tree is not None else {}
    if dict(there) != dict(wanted):
        yield f"{where} has the tree {there}, and {wanted} is wanted"
    # A marker that another pass writes, late or with a broken lock, while a tree is brought says that it is whole: what
    # was sent for it then stays until the next one.
    staged = () if machine.deeds & {"late_marker", "lock_broken"} else (bed.fresh, bed.fresh_list)
    for path in (*staged, *((bed.known_list, bed.digest) if want.tree is None else ())):
        if path in machine.world.paths:
            yield f"{where} still has {path}"


def is_of_tree(machine: Machine, path: str, sandbox: str) -> bool:
    """Tell whether a path is a sandbox's tree, in it, or about it."""
    bed = bed_of(machine, sandbox)
    return path == bed.place or path.startswith((f"{bed.place}/", f"{bed.folder}/.tree-", bed.fresh))


def told(machine: Machine, sandbox: str) -> list[object]:
    """Say what a sandbox's tree has come to, but for what containers made beside it."""
    bed = bed_of(machine, sandbox)
    return [one for one in sorted(bed.below(bed.place).items()) if f"{bed.place}/{one[0]}" not in machine.crops]
