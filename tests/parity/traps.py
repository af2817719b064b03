"""Set traps for a reaper on one real host, and tell afterwards whether everything is still there, byte for byte.

A trap is a thing that must not be removed, with the words of the command line that try to remove it. What is
truly to be removed is a control.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.driver import Driver
from tests.e2e.sights import IDLE, name_of
from tests.lab.host import LabHost
from tests.lab.missing import LabError

PROJECT = "com.docker.compose.project"
IMAGE = "lab/busybox:1"
SLEEP = ("sleep", "86400")


@dataclass(frozen=True, kw_only=True)
class Thing:
    """Name one thing on a host: a container by its full id, a network, a volume, or a path."""

    kind: str
    what: str
    host: LabHost


@dataclass(kw_only=True)
class Ground:
    """Hold the host on which traps are set, and what was set."""

    fleet: Driver
    alpha: LabHost
    root: Path
    beta: LabHost
    traps: dict[str, list[Thing]] = field(default_factory=dict)
    controls: dict[str, list[Thing]] = field(default_factory=dict)
    named: list[str] = field(default_factory=list)

    # What is there ---------------------------------------------------------------------------------------------------

    def container(self, *words: str, run: bool = False) -> Thing:
        """Make a container of somebody's."""
        verb = ("run", "--detach") if run else ("create",)
        command = () if IMAGE not in words and any(word.startswith(f"{self.fleet.fleet}:") for word in words) else SLEEP
        image = () if command == () else (IMAGE,)
        full_id = self.alpha.docker(*verb, *words, *image, *command).strip()
        return Thing(kind="container", what=full_id, host=self.alpha)

    def of_project(self, project: str, name: str, *words: str, run: bool = False) -> Thing:
        """Make a container of a compose project."""
        return self.container("--name", name, "--label", f"{PROJECT}={project}", *words, run=run)

    def folder(self, path: Path, *, ours: bool = True, old: bool = True) -> Thing:
        """Make a folder with a file in it."""
        (path / "deep").mkdir(parents=True)
        (path / "deep/precious").write_text(f"precious {path}")
        if ours:
            self.give(path)
        if old:
            self.age(path)
        return Thing(kind="path", what=str(path), host=self.alpha)

    def give(self, path: Path) -> None:
        """Let a tree belong to the SSH user; links themselves, never what they lead to."""
        gid = self.alpha.record.gid
        for one in (path, *path.rglob("*")):
            os.chown(one, self.alpha.uid, gid, follow_symlinks=False)

    def age(self, path: Path, days: float = 3) -> None:
        """Let a tree be some days old."""
        for one in (path, *path.rglob("*")):
            then = one.lstat().st_mtime - days * 86400
            os.utime(one, (then, then), follow_symlinks=False)

    def sandbox(self, name: str, host: LabHost | None = None) -> list[Thing]:
        """Give the container and the folder of a sandbox."""
        where = host or self.alpha
        full_id = self.fleet.containers(where)[name_of(self.fleet, name)]
        parts = [Thing(kind="container", what=full_id, host=where)]
        folder = self.folder_of(name, where)
        return [*parts, Thing(kind="path", what=str(folder), host=where)] if folder is not None else parts

    def folder_of(self, name: str, host: LabHost | None = None) -> Path | None:
        """Give the folder of a sandbox by its marker."""
        for marker in Path(self.fleet.base_dir(host or self.alpha)).glob("*/.reconciler.json"):
            if f'"sandbox":"{name}"' in marker.read_text():
                return marker.parent
        return None

    def marker(self, name: str) -> Path:
        """Give the marker of a sandbox."""
        folder = self.folder_of(name)
        assert folder is not None, name
        return folder / ".reconciler.json"

    def remark(self, name: str, **over: Any) -> None:
        """Change what a marker says, as its owner would write it."""
        path = self.marker(name)
        path.write_text(json.dumps({**json.loads(path.read_text()), **over}, separators=(",", ":")) + "\n")

    # What is named ---------------------------------------------------------------------------------------------------

    def trap(self, title: str, *things: Thing, named: str = "") -> None:
        """Set one trap; `named` is given to `--legacy`, e.g. `folder//tmp/x`."""
        assert title not in self.traps, title
        self.traps[title] = list(things)
        self.named += [named] if named else []

    def control(self, title: str, *things: Thing, named: str = "") -> None:
        """Set one thing that is to be removed."""
        assert title not in self.controls, title
        self.controls[title] = list(things)
        self.named += [named] if named else []

    def words(self) -> Iterator[str]:
        """Give the words of the command line that name all that is named."""
        for one in self.named:
            yield from ("--legacy", f"alpha:{one}")

    def sights(self, things: dict[str, list[Thing]]) -> dict[str, list[object]]:
        """Say of each thing all that must not change."""
        return {title: [see(one) for one in parts] for title, parts in things.items()}


def see(one: Thing) -> object:
    """Say all that must not change of a thing, or None where it is gone."""
    if one.kind == "path":
        return see_path(Path(one.what))
    route = {
        "container": f"/containers/{one.what}/json",
        "network": f"/networks/{one.what}",
        "volume": f"/volumes/{one.what}",
    }
    try:
        told = one.host.engine("GET", route[one.kind])
    except LabError as error:
        if ": 404 " not in str(error):
            raise
        return None
    if one.kind != "container":
        return (told.get("Id"), told["Name"], told["CreatedAt" if one.kind == "volume" else "Created"], told["Labels"])
    state = told["State"]
    return (told["Id"], told["Name"], state["Status"], state["StartedAt"], state["Pid"], told["Config"]["Labels"])


def see_path(path: Path) -> object:
    """Give every entry at and below a path: kind, mode, owner, inode, links, and content or target."""
    if not path.is_symlink() and not path.exists():
        return None
    below = sorted(path.rglob("*")) if path.is_dir() and not path.is_symlink() else []
    found = []
    for one in (path, *below):
        at = one.lstat()
        content = os.readlink(one) if one.is_symlink() else ""
        if one.is_file() and not one.is_symlink():
            content = hashlib.sha256(one.read_bytes()).hexdigest()
        found.append((str(one.relative_to(path)), at.st_mode, at.st_uid, at.st_ino, content))
    return tuple(found)


def orphan(ground: Ground, *names: str, host: str = "alpha", **spec: Any) -> None:
    """Declare sandboxes that are to be orphans."""
    for name in names:
        ground.fleet.declare_sandbox(name, host=host, observability="off", containers={"main": IDLE}, **spec)


def remove(path: Path) -> None:
    """Remove a tree of a test."""
    shutil.rmtree(path, ignore_errors=True)
