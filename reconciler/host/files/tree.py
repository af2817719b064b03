"""Bring a tree to a host: into a fresh folder first, proved there by its digest, and only then into its place.

Where both ends have rsync, only what differs from the tree that is there is sent; else all of it is, as a tar stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.disk.tree import DIGEST_PREFIX, TreeArchive, TreeRead, read_tree
from reconciler.disk.unreadable import TreeUnreadable
from reconciler.errors import HostError
from reconciler.host.files.change import HINTS, Spot, find_spot, read_answer, run_held, undone
from reconciler.host.scripts import load_script
from reconciler.host.shell import Completed, lock_lost
from reconciler.model.effect import Done, NotDone, Outcome, PlaceTree, StageTree, Unknown
from reconciler.model.size import round_size
from reconciler.model.text import printable, tail_of

if TYPE_CHECKING:
    from reconciler.host.interface import Progress
    from reconciler.host.shell import Pipe, Shell

TREE_DEADLINE_S = 1800.0
"""Sending a tree; a line that is dead is noticed long before."""

_CHECK_DEADLINE_S = 300.0
_OPEN_DEADLINE_S = 30.0
_TOLD_EVERY_BYTES = 4 * 1024**2
_WORD_LIMIT_BYTES = 65536
_BRIDGE = Path(__file__).with_name("bridge.py")


class HostTrees:
    """Bring trees to one host.

    Args:
        shell: the connection's own, since its lock must fence the change.
        base_dir: absolute and canonical.
        is_held: tells whether that lock is still ours; without it nothing is sent.
        progress: told how far sending is.
    """

    def __init__(
        self, shell: Shell, *, base_dir: str, is_held: Callable[[], bool], progress: Progress | None = None
    ) -> None:
        self._shell = shell
        self._base_dir = base_dir
        self._is_held = is_held
        self._progress = progress

    async def stage(self, effect: StageTree) -> Outcome:
        """Send a tree into a fresh folder beside its place."""
        spot = find_spot(effect.path, root=effect.root)
        if isinstance(spot, NotDone):
            return spot
        try:
            tree = await asyncio.to_thread(read_tree, Path(effect.folder), effect.exclude)
        except TreeUnreadable as error:
            return NotDone("E_SOURCE", error.message, error.hint)
        if tree.content != effect.content:
            return NotDone("E_TREE_CHANGED", f"{effect.folder} is not what it was when this was planned", "plan again")
        begun = await self._begin(effect, spot, "fresh")
        if not isinstance(begun, list):
            return begun
        # Whatever became of sending is seen by what arrived.
        failure = await self._send(effect, spot, tree, tools=begun)
        if failure is not None:
            # What arrived of it is of no use, and may be what fills the disk.
            await self._begin(effect, spot, "none")
            return failure
        ended = await self._run(
            "tree_end", (*self._args(spot), _hex(effect.content)), what=effect.path, deadline_s=_CHECK_DEADLINE_S
        )
        return ended if not isinstance(ended, list) else Done()

    async def place(self, effect: PlaceTree) -> Outcome:
        """Exchange what is in a tree's folder for what is staged."""
        spot = find_spot(effect.path, root=effect.root)
        if isinstance(spot, NotDone):
            return spot
        args = (*self._args(spot), _hex(effect.content) or "-")
        done = await self._ask("tree_place", args, deadline_s=TREE_DEADLINE_S)
        return done if isinstance(done, NotDone | Unknown) else self._read(done, what=effect.path)

    async def _begin(self, effect: StageTree, spot: Spot, wanted: str) -> list[str] | Outcome:
        """Clear what was staged, for a `fresh` folder or `none`."""
        args = (*self._args(spot), wanted)
        return await self._run("tree_begin", args, what=effect.path, deadline_s=_CHECK_DEADLINE_S)

    def _args(self, spot: Spot) -> tuple[str, ...]:
        return spot.root, spot.folders, "own" if spot.root == self._base_dir else "given", spot.name

    async def _send(self, effect: StageTree, spot: Spot, tree: TreeRead, *, tools: list[str]) -> NotDone | None:
        """Fill the fresh folder, or say why it could not be filled. What it holds then is nobody's yet."""
        here = shutil.which("rsync")
        if "tar" not in tools and not (here and "rsync" in tools):
            return NotDone(
                "E_HOST_TOOLS", f"host {self._shell.host} has neither rsync nor tar", "install tar or rsync there"
            )
        try:
            async with asyncio.timeout(TREE_DEADLINE_S):
                if here is not None and "rsync" in tools:
                    return await self._send_by_rsync(here, effect, spot, tree)
                return await self._send_by_tar(effect, spot, tree)
        except TimeoutError:
            why = f"host {self._shell.host}: {effect.folder} was not sent in {TREE_DEADLINE_S:g} s"
            return NotDone("E_EXEC_DEADLINE", why, "leave what is large out with `exclude`", transient=True)
        except HostError as error:
            return NotDone(error.code, error.message, error.hint, transient=True)
        except OSError as error:
            return NotDone("E_SOURCE", f"{effect.folder} cannot be read: {error.strerror}", "is it yours to read?")

    async def _send_by_tar(self, effect: StageTree, spot: Spot, tree: TreeRead) -> NotDone | None:
        archive = TreeArchive(Path(effect.folder), tree)
        pipe = await self._open("tree_tar", (*self._args(spot), str(archive.size_bytes)))
        sent_bytes = told_bytes = 0
        try:
            for piece in archive.pieces():
                if pipe.ended:
                    break
                await pipe.pour(piece)
                sent_bytes += len(piece)
                if sent_bytes - told_bytes >= _TOLD_EVERY_BYTES:
                    told_bytes = sent_bytes
                    self._tell(f"sent {round_size(sent_bytes)} of {round_size(archive.size_bytes)}")
            answer = await pipe.read_until(b"END\n", deadline_s=_CHECK_DEADLINE_S)
        finally:
            await pipe.close()
        outcome = self._read(Completed(exit_status=0, stdout=answer, stderr=b""), what=effect.path)
        return None if isinstance(outcome, Done) else undone(outcome)

    async def _send_by_rsync(self, program: str, effect: StageTree, spot: Spot, tree: TreeRead) -> NotDone | None:
        """Let rsync talk to its other end over the connection that we have; it never opens one of its own."""
        ours, its = socket.socketpair()
        with tempfile.TemporaryDirectory() as folder, ours, its:
            names = Path(folder) / "names"
            names.write_bytes(b"".join(entry.path.encode() + b"\0" for entry in tree.entries))
            process = await asyncio.create_subprocess_exec(
                program,
                # Contents are compared, since times say nothing about a tree that somebody else unpacked.
                *("--links", "--perms", "--times", "--checksum", "--from0", f"--files-from={names}"),
                # What cannot be written to could not be removed either, if this is cut.
                "--chmod=Du+rwx",
                *(f"--copy-dest=../{spot.name}", f"--rsh='{sys.executable}' -I -S '{_BRIDGE}' {its.fileno()}"),
                *(f"{effect.folder}/", "host:."),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
                pass_fds=(its.fileno(),),
            )
            its.close()
            try:
                said = await self._carry(ours, spot, process)
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        if process.returncode == 0:
            return None
        words = printable(tail_of(" ".join(said.decode("utf-8", "replace").split()), 300))
        if "No space left" in words or "quota exceeded" in words:
            why = f"host {self._shell.host}: {effect.path}: the disk of the host is full"
            return NotDone("E_HOST_DISK", why, HINTS["E_HOST_DISK"], transient=True)
        why = f"host {self._shell.host}: {effect.path}: rsync failed: {words or f'status {process.returncode}'}"
        hint = "is there room on the host? `reconcile inspect host` shows its disks"
        return NotDone("E_RSYNC", why, hint, transient=True)

    async def _carry(self, ours: socket.socket, spot: Spot, process: asyncio.subprocess.Process) -> bytes:
        """Carry rsync's bytes to its other end and back until it has ended; give what it said of itself."""
        assert process.stderr is not None  # noqa: S101  # asked for by the caller; narrows the type
        errors = process.stderr
        near, to_near = await asyncio.open_connection(sock=ours, limit=_WORD_LIMIT_BYTES)
        words = []
        while word := (await near.readline()).decode().removesuffix("\n"):
            words.append(word)
        pipe = await self._open("tree_rsync", (*self._args(spot), *words)) if words else None

        async def there() -> None:
            while pipe is not None and (data := await near.read(_WORD_LIMIT_BYTES)):
                if not pipe.ended:
                    await pipe.pour(data)

        async def back() -> None:
            with contextlib.suppress(ConnectionError):
                while pipe is not None and (data := await pipe.read_some()):
                    to_near.write(data)
                    await to_near.drain()
                # Closed whole, what was just written would be lost with what is still on its way here.
                to_near.write_eof()

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(there())
                group.create_task(back())
                said = await errors.read()
                await process.wait()
                if pipe is not None:
                    await pipe.close()
        finally:
            if pipe is not None:
                await pipe.close()
            to_near.close()
        return said

    async def _open(self, script: str, args: tuple[str, ...]) -> Pipe:
        if not self._is_held():
            raise lock_lost(self._shell.host)
        return await self._shell.start(_text(script), args=args, deadline_s=_OPEN_DEADLINE_S)

    async def _run(self, script: str, args: tuple[str, ...], *, what: str, deadline_s: float) -> list[str] | Outcome:
        """Run a script that prepares; give the words after `done`, or why it is not done: nothing rests on it yet."""
        done = await self._ask(script, args, deadline_s=deadline_s)
        if isinstance(done, NotDone | Unknown):
            return undone(done)
        outcome = self._read(done, what=what)
        if not isinstance(outcome, Done):
            return outcome
        return done.stdout.decode("utf-8", "replace").split()[2:-1]

    async def _ask(self, script: str, args: tuple[str, ...], *, deadline_s: float) -> Completed | NotDone | Unknown:
        sending = self._shell.run(_text(script), args=args, deadline_s=deadline_s)
        return await run_held(sending, host=self._shell.host, is_held=self._is_held)

    def _read(self, done: Completed, *, what: str) -> Outcome:
        return read_answer(done, host=self._shell.host, what=what)

    def _tell(self, line: str) -> None:
        if self._progress is not None:
            self._progress(line)


def _text(script: str) -> str:
    return load_script("anchor") + load_script("digest") + load_script(script)


def _hex(content: str) -> str:
    """Give the digest as a host tells it."""
    return content.removeprefix(DIGEST_PREFIX)
