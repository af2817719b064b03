"""Look at and change files on a host: fixed scripts, every path and content on standard input, anchored below a root.

Nothing goes through a symbolic link, and nothing outside the root that the caller names is written or removed: the
scripts walk down from it, compare where they stand with where they should, and act on a name in that folder only.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from reconciler.errors import ConnectFailed, HostError
from reconciler.host.files.sources import doubt_sources
from reconciler.host.scripts import load_script
from reconciler.host.shell import lock_lost
from reconciler.model.effect import (
    CreateContainer,
    Done,
    DropPath,
    Legacy,
    MakeDirectory,
    NotDone,
    Outcome,
    PutFile,
    PutMarker,
    Unknown,
)
from reconciler.model.legacy import is_aside
from reconciler.model.marker import MARKER_NAME
from reconciler.model.text import plain, printable, tail_of

if TYPE_CHECKING:
    from reconciler.host.shell import Completed, Shell
    from reconciler.host.shell.held import Hand

FILES_DEADLINE_S = 30.0
DROP_DEADLINE_S = 300.0
"""A tree of a million files takes minutes to remove."""

CONTENT_LIMIT_BYTES = 16 * 1024 * 1024
MARKER_MODE = "0600"
OWN_FOLDER_MODE = "0700"

_MODE = re.compile(r"[0-7]{3,4}", re.ASCII)
_INODE = re.compile(r"\d{1,20}:\d{1,20}", re.ASCII)
_UID = re.compile(r"[0-9a-f]{8}")
_PATH_MAX = 4096
HINTS = {
    "E_BASE_DIR": "baseDir must be a folder of the SSH user alone, reached through no symbolic link",
    "E_PATH_LINK": "a symbolic link is never followed; remove it, or name the real path in the spec",
    "E_PATH_OWNER": "only its owner or root can change it; let the SSH user own it, or remove it there by hand",
    "E_PATH_CHANGED": "plan again",
    "E_PATH_KIND": "look at it on the host; what is not the reconciler's, only a person may move away",
    "E_PATH_MISSING": "declare it under `directories`, or make it on the host",
    "E_PATH_MOUNT": "unmount it there first",
    "E_PATH_YOUNG": "wait, or look who works in it; --older-than sets for how long nothing in it may have changed",
    "E_IN_USE": "end what uses it, then name it again",
    "E_TREE_CHANGED": "apply again; somebody may have changed it meanwhile",
    "E_TREE_MISSING": "apply again: it is brought anew",
    "E_HOST_CUT": "apply again",
    "E_HOST_FILES": "look at it on the host; then apply again",
    "E_HOST_DISK": "free space on the host; `reconcile inspect host` shows its disks",
    "E_HOST_PERMISSION": "the SSH user must be allowed to write there",
}
_TRANSIENT = frozenset({"E_HOST_DISK", "E_HOST_CUT"})


class Runs(Protocol):
    """Run a script with data on its standard input; a shell of one host does."""

    async def run(self, script: str, *, args: tuple[str, ...] = (), stdin: bytes = b"", deadline_s: float) -> Completed:
        """Run a script to its end."""


class Spot(msgspec.Struct, frozen=True, kw_only=True):
    """Name one entry below a root: the folders on the way, and the last name (both empty for the root itself)."""

    root: str
    folders: str
    name: str

    @property
    def whole(self) -> str:
        """Give folders and name in one, relative to the root."""
        return f"{self.folders}/{self.name}".strip("/")


class HostFiles:
    """Change files on one host.

    Args:
        shell: the connection's own, since its lock must fence the change.
        hand: a kept shell of that connection, for what takes milliseconds; without one, `shell` does that too.
        base_dir: absolute and canonical; the only root that is made where it is missing.
        is_held: tells whether that lock is still ours; without it nothing is sent.
    """

    def __init__(self, shell: Shell, *, base_dir: str, is_held: Callable[[], bool], hand: Hand | None = None) -> None:
        self._shell = shell
        self._hand = hand
        self._base_dir = base_dir
        self._is_held = is_held

    async def make_directory(self, effect: MakeDirectory) -> Outcome:
        """Make a directory and what is missing above it below its root, or set its mode."""
        spot = find_spot(plain(effect.path), root=effect.root)
        mode = read_mode(effect.mode)
        if isinstance(spot, NotDone) or isinstance(mode, NotDone):
            return spot if isinstance(spot, NotDone) else _first_refusal(mode)
        args = (spot.root, spot.whole, mode, self._kind(spot.root))
        return await self._run("mkdir", args, what=effect.path, hand=self._hand)

    async def put_file(self, effect: PutFile) -> Outcome:
        """Write a file atomically into a folder that is there."""
        content = plain(effect.content).encode()
        if len(content) > CONTENT_LIMIT_BYTES:
            return NotDone(
                "E_FILE_SIZE", f"{effect.path}: {len(content)} bytes; at most {CONTENT_LIMIT_BYTES} are written"
            )
        spot, mode = find_spot(effect.path, root=effect.root), read_mode(effect.mode)
        if isinstance(spot, NotDone) or isinstance(mode, NotDone):
            return spot if isinstance(spot, NotDone) else _first_refusal(mode)
        if not spot.name:
            return NotDone("E_PATH_KIND", f"{effect.path} is the root itself, not a file in it")
        args = (spot.root, spot.folders, spot.name, mode, str(len(content)), self._kind(spot.root), "need")
        return await self._run("put", args, what=effect.path, stdin=content)

    async def put_marker(self, effect: PutMarker) -> Outcome:
        """Write a sandbox's marker, making its folder, base_dir and the host's id where they are missing."""
        if not _UID.fullmatch(effect.marker.uid):
            return NotDone("E_PATH_OUTSIDE", f"{effect.marker.uid!r} is no uid, so it names no folder of ours")
        path = f"{effect.base_dir}/{effect.marker.uid}/{MARKER_NAME}"
        spot = find_spot(path, root=effect.base_dir)
        if isinstance(spot, NotDone):
            return spot
        # One line, so that it can be an argument: a kept shell has no end of its input to tell it that all is there.
        line = msgspec.json.encode(effect.marker)
        kind = self._kind(spot.root)
        mode, size = MARKER_MODE.lstrip("0"), str(len(line) + 1)
        args = (spot.root, spot.folders, spot.name, mode, size, kind, "make", line.decode())
        return await self._run("put", args, what=path, hand=self._hand)

    async def doubt_sources(self, effect: CreateContainer) -> NotDone | None:
        """Say why a path that a container is to be given may not be mounted, or None. Raises as reads do."""
        return await doubt_sources(self._shell, effect, base_dir=self._base_dir)

    async def drop_path(self, effect: DropPath) -> Outcome:
        """Remove one path, by way of a trash folder that only we can enter."""
        spot = find_spot(plain(effect.path), root=effect.root)
        if isinstance(spot, NotDone):
            return spot
        if not spot.name:
            return NotDone("E_PATH_OUTSIDE", f"{effect.path} is the root itself")
        if effect.inode is not None and not _INODE.fullmatch(effect.inode):
            return NotDone("E_PATH_CHANGED", f"{effect.inode!r} is no device and inode", HINTS["E_PATH_CHANGED"])
        kind, legacy = self._kind(spot.root), effect.legacy
        if legacy is not None:
            kind = "legacy"
            if spot.folders or (legacy.aside and not is_aside(legacy.aside, of=spot.name)):
                return NotDone("E_PATH_OUTSIDE", f"{effect.path} is not put aside as {printable(legacy.aside)!r}")
        minutes = 0 if legacy is None else -(-legacy.older_than_s // 60)
        aside = legacy.aside if legacy is not None else ""
        where = (spot.root, spot.folders, spot.name, effect.inode or "-", self._whole(spot, legacy=legacy))
        bounds = (kind, effect.marker_uid or "-", str(minutes), aside or "-")
        return await self._run("drop", (*where, *bounds), what=effect.path, deadline_s=DROP_DEADLINE_S)

    def _kind(self, root: str) -> str:
        return "own" if root == self._base_dir else "given"

    def _whole(self, spot: Spot, *, legacy: Legacy | None) -> str:
        """Say whether all of it must go, or as much as may: a container that is root leaves what only root removes."""
        return "part" if is_own(spot, base_dir=self._base_dir) and legacy is None else "whole"

    async def _run(
        self,
        script: str,
        args: tuple[str, ...],
        *,
        what: str,
        stdin: bytes = b"",
        deadline_s: float = FILES_DEADLINE_S,
        hand: Hand | None = None,
    ) -> Outcome:
        text = load_script("anchor") + (load_script("users") if script == "drop" else "") + load_script(script)
        if hand is not None:
            sending = hand.run(text, args=args, deadline_s=deadline_s, is_held=self._is_held)
        else:
            sending = self._shell.run(text, args=args, stdin=stdin, deadline_s=deadline_s)
        done = await run_held(sending, host=self._shell.host, is_held=self._is_held)
        return done if isinstance(done, NotDone | Unknown) else read_answer(done, host=self._shell.host, what=what)


async def run_held(
    sending: Coroutine[Any, Any, Completed], *, host: str, is_held: Callable[[], bool]
) -> Completed | NotDone | Unknown:
    """Send a script that changes something while the host's lock is ours, and tell how certain it is that it ran."""
    if not is_held():
        sending.close()
        lost = lock_lost(host)
        return NotDone(lost.code, lost.message)
    try:
        return await sending
    except ConnectFailed as error:
        return NotDone(error.code, error.message, error.hint, transient=error.transient)
    except HostError as error:
        return Unknown(error.message)


def undone(outcome: NotDone | Unknown) -> NotDone:
    """Say why a script that only prepares did not: nothing rests on it yet, so whether it ran does not matter."""
    return NotDone("E_EXEC_LOST", outcome.why, transient=True) if isinstance(outcome, Unknown) else outcome


def read_answer(done: Completed, *, host: str, what: str) -> Outcome:
    """Read what a changing script answers: one line, or why not; anything else leaves its outcome unknown."""
    *answer, end = done.lines or [""]
    word, _, rest = " ".join(answer).partition(" ")
    if done.exit_status != 0 or end != "END" or not (word == "no" or (word == "done" and len(answer) == 1)):
        said = printable(tail_of(done.stderr.decode("utf-8", "replace").strip(), 200))
        return Unknown(f"host {host}: {what}: the script ended with status {done.exit_status} and no answer {said}")
    if word == "done":
        kept = rest.removeprefix("kept ")
        warning = f"host {host}: {what} is gone, but for {tell_kept(kept)}" if kept != rest else ""
        return Done(changed=rest not in {"same", "gone"}, warning=warning)
    code, _, why = rest.partition(" ")
    message = f"host {host}: {what}: {printable(why)}"
    return NotDone(code, message, HINTS.get(code), transient=code in _TRANSIENT)


def is_own(spot: Spot, *, base_dir: str) -> bool:
    """Tell whether a spot is a sandbox's own folder below our root, or lies in one."""
    return spot.root == base_dir and _UID.fullmatch(spot.whole.partition("/")[0]) is not None


def tell_kept(path: str) -> str:
    """Say where what only its owner or root can remove was put, and what a person may do about it."""
    quoted = path.replace("'", "'\\''")
    return printable(f"what the SSH user may not remove, kept as {path}; to remove it: sudo rm -rf -- '{quoted}'")


def find_spot(path: str, *, root: str) -> Spot | NotDone:
    """Split a path at its root, or say why it does not lie below it."""
    for text in (root, path):
        if not text.startswith("/") or posixpath.normpath(text) != text or len(text) > _PATH_MAX:
            return NotDone("E_PATH_OUTSIDE", f"{printable(text)!r} is not an absolute path in its shortest form")
        if printable(text) != text:
            return NotDone("E_PATH_OUTSIDE", f"{printable(text)!r} holds control characters")
    if root.count("/") < 1 or root in {"/", "//"} or not (path == root or path.startswith(f"{root}/")):
        return NotDone("E_PATH_OUTSIDE", f"{path} does not lie below {root}")
    folders, _, name = path[len(root) + 1 :].rpartition("/")
    return Spot(root=root, folders=folders, name=name)


def read_mode(text: str) -> str | NotDone:
    """Write a mode such as `0750` as `stat` does, `750`."""
    if not _MODE.fullmatch(text):
        return NotDone("E_MODE", f"{text!r} is no mode such as 0750")
    return format(int(text, 8), "o")


def _first_refusal(*found: Spot | str | NotDone) -> NotDone:
    return next(one for one in found if isinstance(one, NotDone))
