"""Hold what the tests of files work on: a base folder, a shell, and what nothing may touch."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec.structs import replace

from reconciler.host.files.change import HostFiles
from reconciler.host.files.look import FilesSeen, look_at_files
from reconciler.host.shell import Shell
from reconciler.model.effect import DropPath, MakeDirectory, Outcome, PutFile, PutMarker
from tests.builders import a_marker

MARKER = a_marker()


class Rig:
    """Hold one host's files: its base folder, a decoy that nothing may touch, and a shell."""

    def __init__(self, folder: Path, shell: Shell) -> None:
        self.folder = folder
        self.shell = shell
        self.base = folder / "home" / ".reconciler" / "lab"
        self.files = HostFiles(shell, base_dir=str(self.base), is_held=lambda: True)
        self.decoy = folder / "decoy"
        (self.decoy / "deep").mkdir(parents=True)
        (self.decoy / "deep/precious").write_text("precious")
        self.before = self.decoy_state()

    def decoy_state(self) -> list[tuple[str, int]]:
        return sorted((str(path), path.lstat().st_mode) for path in self.decoy.rglob("*"))

    async def look(self, *paths: Path, hashed: tuple[Path, ...] = (), base: str | None = None) -> FilesSeen:
        return await look_at_files(
            self.shell,
            host="h1",
            base_dir=base or str(self.base),
            markers=True,
            paths=[str(path) for path in paths],
            hashed=[str(path) for path in hashed],
        )

    async def make(self, path: Path | str, mode: str = "0750", root: Path | None = None) -> Outcome:
        return await self.files.make_directory(MakeDirectory(str(path), mode, str(root or self.base)))

    async def put(self, path: Path | str, content: str, mode: str = "0640", root: Path | None = None) -> Outcome:
        return await self.files.put_file(PutFile(str(path), mode, content, str(root or self.base)))

    async def mark(self, **over: object) -> Outcome:
        return await self.files.put_marker(PutMarker(str(self.base), replace(MARKER, **over)))

    async def drop(self, path: Path | str, inode: str | None = "now", root: Path | None = None) -> Outcome:
        if inode == "now":
            found = os.lstat(path)
            inode = f"{found.st_dev}:{found.st_ino}"
        return await self.files.drop_path(DropPath(str(path), str(root or self.base), inode))

    def trash(self) -> list[str]:
        return [name for name in os.listdir(self.base) if name.startswith((".trash", ".kept", ".new"))]
