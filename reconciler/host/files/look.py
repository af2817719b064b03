"""Ask one fixed script who we are on a host and what stands there, and decode its answer. The decoding is pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from reconciler.errors import ReadFailed
from reconciler.host.files.change import Runs
from reconciler.host.scripts import load_script
from reconciler.model.marker import MARKER_NAME, read_marker
from reconciler.model.observed import SeenEntry, SeenLock, SeenMarker, SeenPath, SeenRoot
from reconciler.model.text import printable

LOOK_DEADLINE_S = 30.0
MARKER_LIMIT_BYTES = 65_536
PATHS_MAX = 20_000
CLOSED_FOLDER = f"the folder is closed to us, so its {MARKER_NAME} cannot be read"

Kind = Literal["directory", "file", "symlink", "other"]
_UNSEEN: dict[str, Literal["absent", "unreadable"]] = {"absent": "absent", "closed": "unreadable"}
_STATES: dict[str, Literal["listed", "absent", "unreadable"]] = {
    "listed": "listed",
    "absent": "absent",
    "unreadable": "unreadable",
}
_KINDS: dict[int, Kind] = {0o040000: "directory", 0o100000: "file", 0o120000: "symlink"}
_SEEN = re.compile(r"seen ([0-9a-f]+) (\d+) (\d+) (\d+) (-?\d+) (\d+:\d+) (.+)", re.ASCII)
_ENTRY = re.compile(r"entry ([0-9a-f]+) (\d+) (-?\d+) (\d+:\d+) (.+)", re.ASCII)
_USER = re.compile(r"'?/proc/(\d+)/[a-z]+(?:/\d+)?'? -> '?(/.*?)'?", re.ASCII)
_HOST_ID = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class FilesSeen(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one whole answer: who we are there, and what stands where.

    Attributes:
        base_dir: absolute, with `${host.home}` filled in.
        host_id: what `<base_dir>/.host-id` says, or None when it was never written.
        clock_epoch_s: the host's clock during the look.
        cpu_line: how its CPUs have spent their time, as `/proc/stat` says it first.
        paths: by path, each that was asked.
        roots: the folders that were to be listed, in the order of the question.
        lock: what the host keeps of its lock.
    """

    home: str
    uid: int
    gid: int
    base_dir: str
    host_id: str | None
    machine_id: str | None
    boot_id: str | None
    clock_epoch_s: float
    cpu_line: str | None = None
    markers: tuple[SeenMarker, ...] = ()
    paths: dict[str, SeenPath] = {}
    roots: tuple[SeenRoot, ...] = ()
    lock: SeenLock = SeenLock()


async def look_at_files(
    shell: Runs,
    *,
    host: str,
    base_dir: str,
    markers: bool = False,
    paths: Iterable[str] = (),
    hashed: Iterable[str] = (),
    roots: Iterable[str] = (),
) -> FilesSeen:
    """Look once. `base_dir` may begin with `${host.home}`, which only the host can fill in, as `${host.baseDir}`.

    Raises:
        ReadFailed: anything at all could not be read, or the answer was cut short.
        ConnectFailed: there is no session.
    """
    digested = dict.fromkeys(hashed)
    asked = tuple(dict.fromkeys((*paths, *digested)))
    listed = tuple(dict.fromkeys(roots))
    bad = [path for path in (base_dir, *asked, *listed) if printable(path) != path]
    if bad or len(asked) > PATHS_MAX:
        why = f"{printable(bad[0])!r} holds control characters" if bad else f"more than {PATHS_MAX} paths were asked"
        raise ReadFailed(f"host {host}: {why}", code="E_PATH")
    lines = [f"base {base_dir}", *(["markers"] if markers else []), *(f"root {path}" for path in listed)]
    lines += [f"path {path}" for path in asked if path not in digested] + [f"hash {path}" for path in digested]
    script = f"{load_script('users')}{load_script('look')}" if listed else load_script("look")
    done = await shell.run(script, stdin="\n".join([*lines, ""]).encode(), deadline_s=LOOK_DEADLINE_S)
    return decode_look(done.stdout, host=host, asked=asked)


def decode_look(output: bytes, *, host: str, asked: tuple[str, ...] = ()) -> FilesSeen:
    """Decode what the script printed.

    Raises:
        ReadFailed: `E_HOST_REPLY` when the closing line is absent or counts other lines than arrived, or when nothing
            is said of a path that was asked (one that is closed to us is told as `unreadable`); `E_BASE_DIR`
            when base_dir is not ours alone.
    """
    lines = output.decode("utf-8", "surrogateescape").split("\n")
    if lines[-2:] != [f"END {len(lines) - 2}", ""]:
        raise ReadFailed(
            f"host {host}: the look at its files was cut short ({len(output)} bytes, no closing line)",
            code="E_HOST_REPLY",
            hint="look again",
            transient=True,
        )
    facts: dict[str, str] = {}
    seen: dict[str, SeenPath] = {}
    contents: dict[str, str] = {}
    sums: dict[str, str] = {}
    roots: list[tuple[SeenRoot, list[SeenEntry]]] = []
    users: list[tuple[str, str]] = []
    for line in lines[:-2]:
        word, _, rest = line.partition(" ")
        if word == "seen":
            path = _seen(line, host=host)
            seen[path.path] = path
        elif word in _UNSEEN:
            seen[rest] = SeenPath(path=rest, kind=_UNSEEN[word])
        elif word == "marker":
            folder, middle, content = rest.partition(f"/{MARKER_NAME} ")
            contents[(folder + middle).rstrip(" ")] = content
        elif _SHA256.fullmatch(word):
            sums[rest.removeprefix(" ")] = word
        elif word == "root":
            roots.append((_root(rest, host=host), []))
        elif word == "entry" and roots:
            root, entries = roots[-1]
            entries.append(_entry(root, line, host=host))
        elif word == "used" and roots and (user := _USER.fullmatch(rest)) is not None:
            users.append((user[1], user[2].removesuffix(" (deleted)")))
        elif word == "fault":
            raise ReadFailed(
                f"host {host}: {printable(rest)}",
                code="E_BASE_DIR",
                hint="baseDir must be a folder of the SSH user alone, reached through no symbolic link",
            )
        else:
            facts[word] = rest
    listed = tuple(msgspec.structs.replace(root, entries=_with_users(root, entries, users)) for root, entries in roots)
    return _gather(facts, seen, contents, sums, asked=asked, roots=listed, host=host)


def _gather(
    facts: dict[str, str],
    seen: dict[str, SeenPath],
    contents: dict[str, str],
    sums: dict[str, str],
    *,
    asked: tuple[str, ...],
    roots: tuple[SeenRoot, ...],
    host: str,
) -> FilesSeen:
    try:
        uid, gid = (int(text) for text in facts["user"].split())
        base_dir, home = facts["base"], facts["home"]
        clock = float(facts["clock"])
    except (KeyError, ValueError) as error:
        raise ReadFailed(
            f"host {host}: the look at its files lacks what every host has ({printable(str(error))})",
            code="E_HOST_REPLY",
        ) from error
    host_id = facts.get("host-id")
    if host_id is not None and not _HOST_ID.fullmatch(host_id):
        raise ReadFailed(
            f"host {host}: {base_dir}/.host-id does not hold 32 hex digits",
            code="E_HOST_IDENTITY",
            hint="if this is the right machine, restore the file from a backup, or remove it and run "
            "`reconcile host accept`",
        )
    silent = next((path for path in asked if path not in seen), None)
    if silent is not None:
        raise ReadFailed(
            f"host {host}: the look at its files says nothing of {silent}",
            code="E_HOST_REPLY",
            hint="look again",
            transient=True,
        )
    return FilesSeen(
        home=home,
        uid=uid,
        gid=gid,
        base_dir=base_dir,
        host_id=host_id,
        machine_id=facts.get("machine"),
        boot_id=facts.get("boot"),
        clock_epoch_s=clock,
        cpu_line=f"cpu {facts['cpu']}" if "cpu" in facts else None,
        markers=_markers(base_dir, seen, contents),
        paths={path: msgspec.structs.replace(seen[path], sha256=sums.get(path)) for path in asked},
        roots=roots,
        lock=_lock(facts.get("lock", "")),
    )


def _lock(told: str) -> SeenLock:
    state, _, line = told.partition(" ")
    return SeenLock(line=line, is_held=state == "held", is_left=state == "left")


def _root(told: str, *, host: str) -> SeenRoot:
    word, _, path = told.partition(" ")
    state = _STATES.get(word)
    if state is None:
        raise ReadFailed(f"host {host}: {printable(told)[:200]!r} is no listing of a folder", code="E_HOST_REPLY")
    return SeenRoot(path=path, state=state)


def _entry(root: SeenRoot, line: str, *, host: str) -> SeenEntry:
    found = _ENTRY.fullmatch(line)
    if found is None or not found[5].startswith(f"{root.path.rstrip('/')}/"):
        raise ReadFailed(f"host {host}: {printable(line)[:200]!r} is no entry of a folder", code="E_HOST_REPLY")
    return SeenEntry(
        name=found[5].rpartition("/")[2],
        kind=_KINDS.get(int(found[1], 16) & 0o170000, "other"),
        uid=int(found[2]),
        modified_epoch_s=float(found[3]),
        inode=found[4],
    )


def _with_users(root: SeenRoot, entries: list[SeenEntry], users: list[tuple[str, str]]) -> tuple[SeenEntry, ...]:
    """Add to each entry which processes use it, or something in it."""
    begin = f"{root.path.rstrip('/')}/"
    using: dict[str, set[str]] = {}
    for pid, path in users:
        if path.startswith(begin):
            using.setdefault(path.removeprefix(begin).partition("/")[0], set()).add(f"process {pid}")
    return tuple(
        msgspec.structs.replace(one, used_by=tuple(sorted(using[one.name]))) if one.name in using else one
        for one in entries
    )


def _seen(line: str, *, host: str) -> SeenPath:
    found = _SEEN.fullmatch(line)
    if found is None:
        raise ReadFailed(f"host {host}: {printable(line)[:200]!r} is no line of a look", code="E_HOST_REPLY")
    mode, uid, gid, size, modified, inode, path = found.groups()
    bits = int(mode, 16)
    return SeenPath(
        path=path,
        kind=_KINDS.get(bits & 0o170000, "other"),
        mode=format(bits & 0o7777, "04o"),
        uid=int(uid),
        gid=int(gid),
        size_bytes=int(size),
        modified_epoch_s=float(modified),
        inode=inode,
    )


def _markers(base_dir: str, seen: dict[str, SeenPath], contents: dict[str, str]) -> tuple[SeenMarker, ...]:
    folder = re.compile(re.escape(base_dir) + r"/([0-9a-f]{8})")
    there = (path for path, one in seen.items() if one.kind != "absent")
    found = ((match[1], path) for path in there if (match := folder.fullmatch(path)))
    return tuple(_marker(name, path, seen, contents) for name, path in sorted(found))


def _marker(folder: str, path: str, seen: dict[str, SeenPath], contents: dict[str, str]) -> SeenMarker:
    at = seen[path]
    shown = SeenMarker(folder=folder, marker=None, owner_uid=at.uid, inode=at.inode)
    file = seen.get(f"{path}/{MARKER_NAME}")
    if at.kind not in ("directory", "unreadable"):
        return msgspec.structs.replace(shown, fault=f"it is a {at.kind}, not a directory")
    if file is None or "unreadable" in (at.kind, file.kind):
        return msgspec.structs.replace(shown, fault=CLOSED_FOLDER)
    if file.kind == "absent":
        return shown
    if file.kind != "file" or file.size_bytes > MARKER_LIMIT_BYTES:
        why = f"is a {file.kind}, not a file" if file.kind != "file" else f"has {file.size_bytes} bytes"
        return msgspec.structs.replace(shown, fault=f"its {MARKER_NAME} {why}")
    content = contents.get(file.path)
    if content is None:
        return msgspec.structs.replace(shown, fault=f"its {MARKER_NAME} cannot be read by us")
    marker = read_marker(content)
    if isinstance(marker, str):
        return msgspec.structs.replace(shown, fault=marker)
    if marker.uid != folder:
        return msgspec.structs.replace(shown, fault=f"its marker says that it belongs to {printable(marker.uid)}")
    return msgspec.structs.replace(shown, marker=marker)
