"""Hold what the tests of trees work on: a folder of the operator's, and a host's files."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from reconciler.disk.tree import read_tree
from reconciler.host.files.tree import HostTrees
from reconciler.host.shell import Pipe
from reconciler.host.shell.local import LocalShell
from reconciler.model.effect import Done, Outcome, PlaceTree, StageTree
from tests.integration.rig import MARKER, Rig


class CountingShell(LocalShell):
    """Count what is sent to scripts that stay."""

    sent_bytes = 0

    async def start(self, script: str, *, args: tuple[str, ...] = (), deadline_s: float) -> Pipe:
        pipe = await super().start(script, args=args, deadline_s=deadline_s)
        send = pipe.send

        def counted(data: bytes) -> None:
            self.sent_bytes += len(data)
            send(data)

        pipe.send = counted  # type: ignore[method-assign]  # of this one pipe
        return pipe


class Bench:
    """Hold a folder of the operator's, and a host that it is brought to."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self.rig = rig
        self.folder = folder
        self.said: list[str] = []
        self.trees = HostTrees(rig.shell, base_dir=str(rig.base), is_held=lambda: True, progress=self.said.append)
        self.own = rig.base / MARKER.uid
        self.place = self.own / "source"

    def effects(self, *exclude: str) -> tuple[StageTree, PlaceTree]:
        content = read_tree(self.folder, exclude).content
        base = str(self.rig.base)
        stage = StageTree(str(self.place), base, str(self.folder), exclude, content)
        return stage, PlaceTree(str(self.place), base, content)

    async def bring(self, *exclude: str) -> Outcome:
        stage, place = self.effects(*exclude)
        staged = await self.trees.stage(stage)
        assert staged == Done(), staged
        return await self.trees.place(place)

    def leftovers(self) -> list[str]:
        return sorted(name for name in os.listdir(self.own) if name.startswith("."))


def new_bench(rig: Rig, tmp_path: Path) -> Bench:
    """Fill a folder with what trees are made of."""
    folder = tmp_path / "app tree"
    (folder / "deep/er").mkdir(parents=True)
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o700)
    (folder / "deep/er/data").write_bytes(bytes(range(256)) * 4096)
    (folder / "-rf $(x) 'y' é.txt").write_text("odd\n")
    (folder / "deep/link").symlink_to("../run")
    (folder / "empty").write_text("")
    return Bench(rig, folder)


def modes_in(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): stat.filemode(path.lstat().st_mode) for path in folder.rglob("*")}


MODES = {
    "deep": "drwxr-xr-x",
    "deep/er": "drwxr-xr-x",
    "deep/er/data": "-rw-r--r--",
    "deep/link": "lrwxrwxrwx",
    "run": "-rwxr-xr-x",
    "empty": "-rw-r--r--",
    "-rf $(x) 'y' é.txt": "-rw-r--r--",
}
