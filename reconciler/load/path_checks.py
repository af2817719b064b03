"""Check the paths of one sandbox on its host, and those that sandboxes share there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from reconciler.load.documents import HostDocument, SandboxDocument
from reconciler.load.nodes import find
from reconciler.load.text import shown
from reconciler.model.names import sandbox_uid
from reconciler.model.problem import Problem
from reconciler.model.resource import TREE_NAME
from reconciler.spec.container import Container
from reconciler.spec.host import ALL_FLEETS
from reconciler.spec.paths import forbidden_mount, holds_keys, lies_below, name_of_ours

_UID: Final = re.compile(r"[0-9a-f]{8}")
_HOME: Final = "${host.home}"


class PathCheck:
    """Check the directories, files and mounts of one sandbox; `problems` yields what is wrong."""

    def __init__(
        self,
        sandbox: SandboxDocument,
        host: HostDocument | None,
        *,
        fleet: str | None,
        mounts: tuple[str, ...] | None,
        fleet_place: str,
    ) -> None:
        self.sandbox = sandbox
        self.spec = sandbox.spec
        self.host = host
        self.mounts = mounts
        self.fleet_place = fleet_place
        base = host.spec.base_dir if host is not None else None
        # A base folder below a home is known only when the host answers.
        self.base = base if isinstance(base, str) else None
        self.likely_base = None if host is None else _likely_base(host, fleet=fleet)
        self.own = None if fleet is None else sandbox_uid(fleet, sandbox.name)
        self.roots = tuple(host.spec.storage_roots.values()) if host is not None else ()

    def problems(self) -> Iterator[Problem]:
        """Yield everything that is wrong."""
        for name, container in self.spec.containers.items():
            yield from self._sources(name, container)
            yield from self._targets(name, container)
        yield from self._places()
        yield from self._nesting()

    def _sources(self, name: str, container: Container) -> Iterator[Problem]:
        for target, mount in container.mounts.items():
            if mount.path is None:
                continue
            here = ("containers", name, "mounts", target, "path")
            given_away = self._gives_away(mount.path)
            if given_away is not None:
                message = f"{shown(mount.path)} of the host is never mounted: it would give {given_away} away"
                hint = "mount a folder that holds nothing else, or use directories"
                yield self.sandbox.problem("E_POLICY_MOUNT", message, *here, hint=hint)
            elif not self._allowed(mount.path):
                message = f"the Fleet's policy does not allow to mount {shown(mount.path)}"
                hint = f"add it to policy.mounts of the Fleet{self.fleet_place}, or use directories"
                yield self.sandbox.problem("E_POLICY_MOUNT", message, *here, hint=hint)

    def _allowed(self, path: str) -> bool:
        # Without a Fleet that can be read there is no policy to break.
        if self.mounts is None or any(lies_below(path, root) for root in self.mounts):
            return True
        ours = self.roots if self.base is None else (self.base, *self.roots)
        return any(lies_below(path, root) for root in ours) and not holds_keys(path)

    def _gives_away(self, path: str) -> str | None:
        """Say what a container could take over through this mount, whatever the policy says."""
        if forbidden_mount(path):
            return "the host"
        if self.host is not None and lies_below(self.host.spec.docker_socket, path):
            return "the host's Docker socket"
        base = self.base or self.likely_base
        if base is not None and lies_below(base, path):
            return "the markers of all sandboxes"
        if base is not None and lies_below(path, base):
            return self._given_away_in_base(path.removeprefix(f"{base}/"))
        return "the folders of every fleet" if ALL_FLEETS in path.split("/") else None

    def _given_away_in_base(self, path: str) -> str | None:
        folder, _, inner = path.partition("/")
        if _UID.fullmatch(folder) and not inner:
            return "the marker of a sandbox"
        ours = name_of_ours(folder) or name_of_ours(inner)
        if ours is not None:
            return f"our own {shown(ours)}"
        is_others = _UID.fullmatch(folder) and self.own is not None and folder != self.own
        return "another sandbox's folder" if is_others else None

    def _targets(self, name: str, container: Container) -> Iterator[Problem]:
        here = ("containers", name)
        files = [target for target, mount in container.mounts.items() if mount.file is not None]
        places = {target: ("mounts", target) for target in container.mounts}
        for volume, target in container.volumes.items():
            if target in places:
                message = f"{shown(target)} is mounted twice"
                yield self.sandbox.problem("E_MOUNT_TARGET", message, *here, "volumes", volume)
            places[target] = ("volumes", volume)
        for target, place in places.items():
            above = next((file for file in files if target.startswith(f"{file}/")), None)
            if above is not None:
                message = f"{shown(target)} lies below {shown(above)}, where a file is mounted"
                hint = "mount the two beside each other"
                yield self.sandbox.problem("E_MOUNT_TARGET", message, *here, *place, hint=hint)

    def _placed(self) -> Iterator[tuple[str, str, str]]:
        """Yield kind and name of each directory and file, and its path with late values as `${…}`."""
        for name, directory in self.spec.directories.items():
            yield "directories", name, str(directory.path)
        for name, file in self.spec.files.items():
            yield "files", name, str(file.path)

    def _places(self) -> Iterator[Problem]:
        taken: dict[str, str] = {}
        for kind, name, path in self._placed():
            code, message, hint = self._fault(path)
            first = taken.setdefault(path, f"{kind}.{name}")
            if first != f"{kind}.{name}":
                code, message, hint = "E_DUPLICATE", f"{first} has the same path", "keep one of them"
            if code:
                yield self.sandbox.problem(code, message, kind, name, "path", hint=hint)

    def _fault(self, path: str) -> tuple[str, str, str]:
        """Give code, message and hint of what is wrong with one path; empty texts when nothing is."""
        inner = path
        if path.startswith("/"):
            relative = "write a relative path (below the sandbox's own folder), or begin with ${storage.NAME}"
            if self.base is not None and lies_below(path, self.base):
                message = f"{shown(path)} is in baseDir, where each sandbox has a folder of its own"
                return "E_PATH_OUTSIDE", message, relative
            root = max((root for root in self.roots if lies_below(path, root)), key=len, default=None)
            if root is None:
                if self.host is None:
                    return "", "", ""
                message = f"{shown(path)} is outside of what is ours on host {self.host.name}"
                return "E_PATH_OUTSIDE", message, relative
            if path == root:
                return "E_PATH", "this is the root itself, which is shared", "name a folder in it"
            if holds_keys(path):
                return "E_PATH", f"{shown(path)} leads to keys that people log in with", "choose another folder"
            inner = path.removeprefix(f"{root}/")
        ours = name_of_ours(inner)
        if ours is not None:
            return "E_PATH", f"{shown(ours)} is a name that the reconciler itself uses there", "choose another name"
        if self.spec.source is not None and inner is path and lies_below(path, TREE_NAME):
            return "E_PATH", f"{shown(TREE_NAME)} is where the sandbox's source tree lies", "choose another name"
        return "", "", ""

    def _nesting(self) -> Iterator[Problem]:
        """Refuse what lies below a file, and a file in a folder that nobody makes."""
        files = {str(file.path): name for name, file in self.spec.files.items()}
        made = {above for item in self.spec.directories.values() for above in (str(item.path), *_above(str(item.path)))}
        for kind, name, path in self._placed():
            if self._fault(path)[0]:
                continue
            file = next((files[above] for above in _above(path) if above in files), None)
            folder = path.rpartition("/")[0]
            if file is not None:
                message = f"{shown(path)} lies below files.{file}, which is a file and no folder"
                yield self.sandbox.problem("E_PATH", message, kind, name, "path", hint="choose another path")
            elif kind == "files" and folder and not path.startswith("/") and folder not in made:
                message = f"nothing makes the folder {shown(folder)} that this file is to be in"
                hint = f"declare it: directories: {{NAME: {{path: {shown(folder)}}}}}"
                yield self.sandbox.problem("E_PATH", message, kind, name, "path", hint=hint)


def _likely_base(host: HostDocument, *, fleet: str | None) -> str | None:
    """Give the base folder where only the host knows it, as far as homes are where they usually are."""
    user = host.spec.ssh.user if host.spec.ssh is not None else None
    if user is None:
        return None
    # Of a Fleet that cannot be read the name is not known; what holds all of its folders is.
    return host.spec.base_in(fleet or "unknown").replace(_HOME, "/root" if user == "root" else f"/home/{user}")


def _above(path: str) -> Iterator[str]:
    """Yield the folders above a path, from the nearest."""
    while "/" in path:
        path = path.rpartition("/")[0]
        if path:
            yield path


def shared_path_problems(sandboxes: Iterable[SandboxDocument]) -> Iterator[Problem]:
    """Refuse what two sandboxes of one host would write in turn, each undoing the other."""
    taken: dict[tuple[str, str], tuple[SandboxDocument, str, str]] = {}
    for sandbox in (one for placed in sandboxes for one in placed.everywhere):
        placed = [("directories", name, str(item.path), item.mode) for name, item in sandbox.spec.directories.items()]
        placed += [("files", name, str(item.path), "") for name, item in sandbox.spec.files.items()]
        for kind, name, path, mode in placed:
            if not path.startswith("/"):
                continue
            other, what, other_mode = taken.setdefault((sandbox.host, path), (sandbox, f"{kind}.{name}", mode))
            if other is sandbox or (mode and mode == other_mode):
                continue
            place = find(other.tree, tuple(what.split(".", 1)))
            said = "with another mode" if mode and other_mode else "and only one of them can write it"
            message = f"{shown(path)} is {what} of sandbox {other.name} ({place}) too, {said}"
            hint = "choose another path" if not (mode and other_mode) else "give both one mode"
            yield sandbox.problem("E_DUPLICATE", message, kind, name, "path", hint=hint)
