"""Do the effects on files of an in-memory host: anchored below a root, never through a link, never across a mount."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterator

import msgspec

from reconciler.host.files.change import MARKER_MODE, OWN_FOLDER_MODE, Spot, find_spot, is_own, tell_kept
from reconciler.host.files.look import CLOSED_FOLDER
from reconciler.host.memory.parts import Node
from reconciler.host.memory.world import World
from reconciler.model.effect import Done, DropPath, MakeDirectory, NotDone, Outcome, PutFile, PutMarker
from reconciler.model.legacy import is_aside
from reconciler.model.marker import MARKER_NAME, read_marker
from reconciler.model.observed import SeenEntry, SeenMarker, SeenPath, SeenRoot

_UID = re.compile(r"[0-9a-f]{8}")
_READ, _SEARCH = 4, 1
HOST_ID_NAME = ".host-id"


def make_base_dir(world: World, base_dir: str) -> NotDone | None:
    """Make the only root that we own where it is missing; refuse one that is not ours alone."""
    for part in (*_between("/", base_dir), base_dir):
        node = world.paths.get(part)
        if node is None:
            node = world.add_path(part, kind="directory", mode=OWN_FOLDER_MODE)
        if node.kind == "symlink":
            return NotDone("E_PATH_LINK", f"{part} is a symbolic link")
        if node.kind != "directory":
            return NotDone("E_PATH_KIND", f"{part} is not a folder")
    if world.paths[base_dir].uid != world.uid:
        return NotDone("E_BASE_DIR", f"{base_dir} belongs to another user")
    return None


def make_directory(world: World, effect: MakeDirectory, *, base_dir: str) -> Outcome:
    """Make a directory and its parents below the root, or set its mode."""
    refused = _enter(world, effect.path, root=effect.root, base_dir=base_dir)
    if refused is not None:
        return refused
    spot = find_spot(effect.path, root=effect.root)
    if isinstance(spot, Spot) and is_own(spot, base_dir=base_dir) and "/" in spot.whole:
        folder = f"{base_dir}/{spot.whole.partition('/')[0]}"
        if folder not in world.paths:
            return NotDone("E_PATH_MISSING", f"{folder} is not there")
    node = world.paths.get(effect.path)
    if node is None:
        for parent in _between(effect.root, effect.path):
            if parent not in world.paths:
                world.add_path(parent, kind="directory", mode=OWN_FOLDER_MODE)
        world.add_path(effect.path, kind="directory", mode=effect.mode)
        return Done()
    if node.kind != "directory":
        return NotDone("E_PATH_KIND", f"{effect.path} is not a folder")
    if node.mode == effect.mode:
        return Done(changed=False)
    if node.uid != world.uid:
        return NotDone("E_PATH_OWNER", f"{effect.path} belongs to another user, so its mode is left alone")
    world.paths[effect.path] = msgspec.structs.replace(node, mode=effect.mode)
    return Done()


def put_file(world: World, effect: PutFile, *, base_dir: str) -> Outcome:
    """Write a file by renaming a new one over it."""
    refused = _enter(world, effect.path, root=effect.root, base_dir=base_dir)
    return refused or _write(world, effect.path, str(effect.content).encode(), mode=effect.mode)


def put_marker(world: World, effect: PutMarker, *, base_dir: str) -> Outcome:
    """Write a sandbox's marker, making its folder where it is missing."""
    if not _UID.fullmatch(effect.marker.uid):
        return NotDone("E_PATH_OUTSIDE", f"{effect.marker.uid!r} is no uid, so it names no folder of ours")
    folder = f"{effect.base_dir}/{effect.marker.uid}"
    path = f"{folder}/{MARKER_NAME}"
    refused = _enter(world, path, root=effect.base_dir, base_dir=base_dir)
    if refused is not None:
        return refused
    if folder not in world.paths:
        world.add_path(folder, kind="directory", mode=OWN_FOLDER_MODE)
    return _write(world, path, msgspec.json.encode(effect.marker) + b"\n", mode=MARKER_MODE)


def drop_path(world: World, effect: DropPath, *, base_dir: str) -> Outcome:
    """Remove a path with all below it, if it still is what was seen; in a sandbox's own folder, what may be removed."""
    refused = refuse(world, effect.path, root=effect.root)
    if refused is not None:
        return refused
    if effect.path == effect.root:
        return NotDone("E_PATH_OUTSIDE", f"{effect.path} is the root itself")
    node = world.paths.get(effect.path)
    if node is None:
        return Done(changed=False)
    if effect.inode is None and node.kind != "file":
        return NotDone("E_PATH_KIND", f"{effect.path} is not a plain file, and only such a one goes by its path alone")
    if effect.inode is not None and effect.inode != _inode(node):
        return NotDone("E_PATH_CHANGED", f"{effect.path} is another one than before")
    if effect.root == base_dir and f"{base_dir}/{HOST_ID_NAME}" not in world.paths:
        return NotDone("E_BASE_DIR", f"{base_dir} has no {HOST_ID_NAME}: it is another folder than before")
    whole = [effect.path, *(path for path in world.paths if path.startswith(f"{effect.path}/"))]
    nodes = [world.paths[path] for path in whole]
    if any(below.device != world.paths[effect.root].device for below in nodes):
        return NotDone("E_PATH_MOUNT", f"something is mounted at or below {effect.path}")
    foreign = [path for path in whole if world.paths[path].kind == "directory" and world.paths[path].uid != world.uid]
    spot = find_spot(effect.path, root=effect.root)
    part = isinstance(spot, Spot) and is_own(spot, base_dir=base_dir) and effect.legacy is None
    if world.uid != 0 and foreign and (effect.path in foreign or not part):
        return NotDone("E_PATH_OWNER", f"a folder at or below {effect.path} belongs to another user")
    stuck = [path for path in whole if any(path.startswith(f"{folder}/") for folder in foreign) and world.uid != 0]
    doubt = _doubt_marker(world, effect) or _doubt_legacy(world, effect, whole)
    if doubt is not None:
        return doubt
    removed = {path: world.paths.pop(path) for path in whole}
    if effect.legacy is not None and effect.legacy.aside:
        put = f"{effect.path.rpartition('/')[0]}/{effect.legacy.aside}"
        world.paths |= {put + path.removeprefix(effect.path): node for path, node in removed.items()}
        return Done()
    if not stuck:
        return Done()
    kept = f"{effect.root}/.kept-{world.fresh_number()}"
    world.add_path(kept, kind="directory", mode=OWN_FOLDER_MODE)
    for path, node in removed.items():
        if any(below == path or below.startswith(f"{path}/") for below in stuck):
            world.paths[f"{kept}/x{path.removeprefix(effect.path)}"] = node
    return Done(warning=f"{effect.path} is gone, but for {tell_kept(kept)}")


def _doubt_marker(world: World, effect: DropPath) -> NotDone | None:
    node = world.paths.get(f"{effect.path}/{MARKER_NAME}")
    if not effect.marker_uid or (
        node is not None and f'"uid":"{effect.marker_uid}"'.encode() in node.content.replace(b" ", b"")
    ):
        return None
    return NotDone("E_PATH_CHANGED", f"{effect.path} has no marker of ours any more")


def _doubt_legacy(world: World, effect: DropPath, whole: list[str]) -> NotDone | None:
    """Refuse what nothing proves to be ours, unless it is the user's own, at rest, and mounted by nobody."""
    legacy = effect.legacy
    if legacy is None:
        return None
    name = effect.path.rpartition("/")[2]
    if legacy.aside and not is_aside(legacy.aside, of=name):
        return NotDone("E_PATH_OUTSIDE", f"{effect.path} is not put aside as {legacy.aside!r}")
    if world.paths[effect.root].uid not in (world.uid, 0):
        return NotDone("E_BASE_DIR", f"{effect.root} belongs to another user")
    if world.paths[effect.path].uid != world.uid:
        return NotDone("E_PATH_OWNER", f"{effect.path} belongs to another user")
    if any(world.clock() - world.paths[path].modified_epoch_s < legacy.older_than_s for path in whole):
        return NotDone("E_PATH_YOUNG", f"something in {effect.path} was modified only just now")
    mounts = [(seen.name, mount) for seen in world.containers.values() for mount in seen.spec.mounts.values()]
    users = [name for name, mount in mounts if f"{mount.source}/".startswith(f"{effect.path}/")]
    return NotDone("E_IN_USE", f"{effect.path} is mounted by {', '.join(users)}") if users else None


def see_path(world: World, path: str, *, hashed: bool) -> SeenPath:
    """Report what stands at a path, or that a folder above it is closed to us."""
    if any(not _may(world, part, _SEARCH) for part in _between("/", path)):
        return SeenPath(path=path, kind="unreadable")
    node = world.paths.get(path)
    if node is None:
        return SeenPath(path=path, kind="absent")
    return SeenPath(
        path=path,
        kind=node.kind,
        mode=node.mode,
        uid=node.uid,
        gid=node.gid,
        size_bytes=len(node.content) if node.kind == "file" else 0,
        modified_epoch_s=node.modified_epoch_s,
        inode=_inode(node),
        sha256=_sha256(node) if hashed and node.kind == "file" and _may(world, path, _READ) else None,
    )


def see_markers(world: World, base_dir: str) -> tuple[SeenMarker, ...]:
    """Report every folder under `base_dir` that is named like a uid, with its marker."""
    found = []
    for path in sorted(world.paths):
        parent, _, folder = path.rpartition("/")
        if parent == base_dir and _UID.fullmatch(folder):
            found.append(_see_marker(world, path, folder))
    return tuple(found)


def see_host_id(world: World, base_dir: str) -> str | None:
    """Read the host's id, as far as one was ever written."""
    node = world.paths.get(f"{base_dir}/{HOST_ID_NAME}")
    return None if node is None else node.content.decode().strip() or None


def see_roots(world: World, roots: tuple[str, ...], *, base_dir: str) -> tuple[SeenRoot, ...]:
    """List what stands directly in folders, hidden names left out."""
    return tuple(_see_root(world, base_dir if root == "${host.baseDir}" else root) for root in roots)


def _see_root(world: World, root: str) -> SeenRoot:
    there = world.paths.get(root)
    if there is None:
        return SeenRoot(path=root, state="absent")
    if there.kind != "directory":
        return SeenRoot(path=root, state="unreadable")
    inside = {path.removeprefix(f"{root}/"): node for path, node in world.paths.items() if path.startswith(f"{root}/")}
    return SeenRoot(
        path=root,
        state="listed",
        entries=tuple(
            SeenEntry(
                name=name,
                kind=node.kind,
                uid=node.uid,
                modified_epoch_s=node.modified_epoch_s,
                inode=_inode(node),
            )
            for name, node in sorted(inside.items())
            if "/" not in name and not name.startswith(".")
        ),
    )


def _see_marker(world: World, path: str, folder: str) -> SeenMarker:
    there = world.paths[path]
    shown = SeenMarker(folder=folder, marker=None, owner_uid=there.uid, inode=_inode(there))
    node = world.paths.get(f"{path}/{MARKER_NAME}")
    if there.kind != "directory":
        return msgspec.structs.replace(shown, fault=f"it is a {there.kind}, not a directory")
    if not _may(world, path, _SEARCH):
        return msgspec.structs.replace(shown, fault=CLOSED_FOLDER)
    if node is None:
        return shown
    if node.kind != "file":
        return msgspec.structs.replace(shown, fault=f"its {MARKER_NAME} is a {node.kind}, not a file")
    if not _may(world, f"{path}/{MARKER_NAME}", _READ):
        return msgspec.structs.replace(shown, fault=f"its {MARKER_NAME} cannot be read by us")
    marker = read_marker(node.content.decode("utf-8", "surrogateescape"))
    if isinstance(marker, str):
        return msgspec.structs.replace(shown, fault=marker)
    if marker.uid != folder:
        return msgspec.structs.replace(shown, fault=f"its marker says that it belongs to {marker.uid}")
    return msgspec.structs.replace(shown, marker=marker)


def _write(world: World, path: str, content: bytes, *, mode: str) -> Outcome:
    parent = path.rpartition("/")[0]
    if parent not in world.paths:
        return NotDone("E_PATH_MISSING", f"{parent} is not there")
    node = world.paths.get(path)
    if node is not None and node.kind != "file":
        return NotDone("E_PATH_KIND", f"{path} is not a plain file")
    if node is not None and (node.content, node.mode) == (content, mode):
        return Done(changed=False)
    world.add_path(path, mode=mode, content=content)
    return Done()


def _enter(world: World, path: str, *, root: str, base_dir: str) -> NotDone | None:
    """Check the way to a path; our own root is made where it is missing, and given the host's id."""
    refused = refuse(world, path, root=root)
    if refused is None and root == base_dir:
        refused = make_base_dir(world, base_dir)
        if refused is None and f"{base_dir}/{HOST_ID_NAME}" not in world.paths:
            host_id = f"{world.derive(f'host {world.fresh_number()}')[:32]}\n"
            world.add_path(f"{base_dir}/{HOST_ID_NAME}", mode=MARKER_MODE, content=host_id.encode())
    elif refused is None and root not in world.paths:
        refused = NotDone("E_PATH_MISSING", f"{root} is not there, or closed to us")
    return refused


def refuse(world: World, path: str, *, root: str) -> NotDone | None:
    """Refuse what is not below the root, and every way that leads through a link."""
    if posixpath.normpath(path) != path or root == "/" or not (path == root or path.startswith(f"{root}/")):
        return NotDone("E_PATH_OUTSIDE", f"{path} does not lie below {root}")
    for part in (*_between("/", path), path):
        node = world.paths.get(part)
        if node is not None and node.kind == "symlink":
            return NotDone("E_PATH_LINK", f"{part} is a symbolic link")
        if node is not None and part != path and node.kind != "directory":
            return NotDone("E_PATH_KIND", f"{part} is not a folder")
        if node is not None and part != path and not _may(world, part, _SEARCH):
            return NotDone("E_HOST_PERMISSION", f"{part} is closed to us")
    return None


def _between(root: str, path: str) -> Iterator[str]:
    """Give every folder from `root`, included, down to the one that holds `path`."""
    parts = path.split("/")
    for length in range(2, len(parts)):
        part = "/".join(parts[:length])
        if part == root or part.startswith(f"{root.rstrip('/')}/"):
            yield part


def _may(world: World, path: str, right: int) -> bool:
    """Tell whether we may read or search what stands at a path; where nothing stands, nothing forbids it."""
    node = world.paths.get(path)
    if node is None or world.uid == 0:
        return True
    shift = 6 if node.uid == world.uid else 3 if node.gid == world.gid else 0
    return bool(int(node.mode, 8) >> shift & right)


def _sha256(node: Node) -> str:
    return hashlib.sha256(node.content).hexdigest()


def _inode(node: Node) -> str:
    return f"{node.device}:{node.inode}"
