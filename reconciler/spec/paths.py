"""Define the types of paths, each with the places it may not name."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import BeforeValidator, PlainValidator, WithJsonSchema

from reconciler.model.marker import MARKER_NAME
from reconciler.model.text import SECRET_PREFIX, Template
from reconciler.spec.refusal import LATE_OPEN, late_marker, refuse, text_of, with_gaps

_PATH_MAX_BYTES: Final = 4096
_PART_MAX_BYTES: Final = 255
_SOCKET_MAX_BYTES: Final = 107  # sun_path holds 108 with its closing NUL
# Shells and globs would read these; no path of ours needs them.
_SPECIAL: Final = re.compile(r"[\x00-\x1f\x7f*?\[\]$`\\\"'|;&<>~]")
_HOME: Final = late_marker("host.home")

# The system's own folders: neither they nor what is directly in them can be ours to fill and empty.
_SYSTEM: Final = (
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/lost+found", "/proc", "/run", "/sbin", "/snap",
    "/sys", "/usr", "/var/lib/containerd", "/var/lib/containers", "/var/lib/docker", "/var/lib/dpkg",
    "/var/lib/kubelet", "/var/lib/rpm", "/var/lib/systemd", "/var/run", "/var/spool/cron",
)  # fmt: skip
# Anybody may create files in these, so anybody may squat on a name directly below.
_WORLD_WRITABLE: Final = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - named to refuse them
_HOMES: Final = ("/home", "/root")
_USERS_RUN: Final = re.compile(r"/run/user/[0-9]+/.+")
_SYSTEM_SECRETS: Final = ("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-")
_KEYS_FOLDER: Final = ".ssh"  # who writes there logs in
# What the scripts on a host keep: a marker and a host's id are proof, wherever they are found; the lock is directly
# in the folder; what begins so is on its way in or out.
_OURS: Final = (MARKER_NAME, ".host-id")
_OURS_AT_THE_TOP: Final = (".lock",)
_OURS_BEGIN: Final = (".new-", ".trash-", ".reconciler-trash-", ".kept-", ".tree-")
# What a mount may never expose, whatever the policy says: each gives away the host.
_NEVER_MOUNTED: Final = (
    "/", "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys", "/usr", "/var",
    "/var/lib", "/var/lib/containerd", "/var/lib/docker", "/var/run", "/home",
)  # fmt: skip
_NEVER_BELOW: Final = ("/boot", "/proc", "/sys", "/var/lib/containerd", "/var/lib/docker", "/run", "/var/run", "/etc")
_NO_TARGETS: Final = ("/", "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr")
_NO_TARGETS_BELOW: Final = ("/proc", "/sys")
_ETC_TARGETS: Final = ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf")


def lies_below(path: str, folder: str) -> bool:
    """Say whether `path` is `folder` or inside it; both are canonical."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def forbidden_mount(path: str) -> bool:
    """Say whether a host path may never be mounted: the system's folders, and any Docker socket."""
    return path in _NEVER_MOUNTED or path.endswith(".sock") or any(lies_below(path, top) for top in _NEVER_BELOW)


def holds_keys(path: str) -> bool:
    """Say whether a path leads to or through a folder of SSH keys."""
    return _KEYS_FOLDER in path.split("/")


def name_of_ours(path: str) -> str | None:
    """Give the part of a path that is a name of the reconciler's own, or None.

    `path` is relative to a folder that we work in: the sandbox's own, or a storage root.
    """
    parts = path.split("/")
    if parts[0] in _OURS_AT_THE_TOP or parts[0].startswith(_OURS_BEGIN):
        return parts[0]
    return next((part for part in parts if part in _OURS), None)


def _canonical(text: str) -> str | None:
    """Say why an absolute path is not in canonical form, or None."""
    if not text.startswith("/"):
        return "it does not begin with /"
    parts = text[1:].split("/")
    if text != "/" and "" in parts:
        return "it has an empty part (`//`, or `/` at the end)"
    if "." in parts or ".." in parts:
        return "it has a part `.` or `..`"
    return None


def _plain_path(text: str, *, wanted: str) -> None:
    if len(text.encode("utf-8", "replace")) > _PATH_MAX_BYTES:
        raise refuse("E_PATH", f"{wanted} has at most {_PATH_MAX_BYTES} bytes")
    if any(len(part.encode("utf-8", "replace")) > _PART_MAX_BYTES for part in text.split("/")):
        raise refuse("E_PATH", f"each part of {wanted} has at most {_PART_MAX_BYTES} bytes")
    if _SPECIAL.search(text) or not text.isprintable():
        message = f"{wanted} may not hold controls, quotes or any of * ? [ ] $ ` \\ | ; & < > ~; got {{got}}"
        raise refuse("E_PATH", message, got=text)


def _absolute(value: object) -> str:
    text = text_of(value, wanted="a path")
    _plain_path(text, wanted="a path")
    fault = _canonical(text)
    if fault is not None:
        raise refuse("E_PATH", f"{{got}} is no absolute path in canonical form: {fault}", got=text)
    return text


def _secret_file(value: object) -> str:
    path = _absolute(value)
    if path in _SYSTEM_SECRETS or holds_keys(path) or any(lies_below(path, top) for top in ("/dev", "/proc", "/sys")):
        hint = "keep the value in a file of its own, such as /etc/reconciler/hub-token"
        raise refuse("E_SECRET_FILE", "{got} belongs to this machine, and would be sent to others", got=path, hint=hint)
    return path


def _key_file(value: object) -> str:
    text = text_of(value, wanted="a path")
    rest = text[1:] if text.startswith("~/") else text
    _plain_path(rest, wanted="a path")
    fault = _canonical(rest)
    if fault is not None:
        hint = "write an absolute path, or one that begins with ~/"
        raise refuse("E_KEY_PATH", f"{{got}} is no path of a key file: {fault}", got=text, hint=hint)
    if text.endswith(".pub"):
        raise refuse("E_KEY_PUBLIC", "this names the public half of a key", hint="name the private key, without .pub")
    return text


def _base_dir(value: object) -> str | Template:
    if isinstance(value, Template):
        return value
    text = text_of(value, wanted="a path", late=True)
    if text == _HOME:
        hint = 'write "${host.home}/…"'
        raise refuse("E_BASE_DIR", "the whole home cannot be the base folder", hint=hint)
    below_home = text.startswith(_HOME + "/")
    rest = text[len(_HOME) :] if below_home else text
    if LATE_OPEN in rest:
        hint = 'write "${host.home}/…" or an absolute path'
        raise refuse("E_BASE_DIR", "only ${host.home} may stand in a base folder, at its beginning", hint=hint)
    fault = "it is empty" if not rest else "it begins with ~" if rest.startswith("~") else _canonical(rest)
    if fault is None:
        _plain_path(rest, wanted="a base folder")
        fault = None if below_home else _base_fault(rest)
        if holds_keys(rest):
            fault = f"{_KEYS_FOLDER} is where keys to log in with are kept"
    elif rest.startswith("/") or not rest or rest[0] in "~.":
        pass
    else:
        _plain_path(rest, wanted="a base folder")
    if fault is not None:
        hint = 'write an absolute path of our own, such as "${host.home}/.reconciler/lab"'
        raise refuse("E_BASE_DIR", f"{{got}} cannot be a base folder: {fault}", got=text, hint=hint)
    return with_gaps(text)


def _base_fault(path: str) -> str | None:
    if path.count("/") < 2 or path == "/":  # noqa: PLR2004 - two parts
        return "it is not at least two folders deep"
    for top in _SYSTEM:
        if (lies_below(path, top) and _USERS_RUN.fullmatch(path) is None) or lies_below(top, path):
            return f"{top} belongs to the system"
    if path.startswith("/home/") and path.count("/") == 2:  # noqa: PLR2004 - /home/somebody
        return "it is somebody's home"
    for top in _WORLD_WRITABLE:
        if lies_below(path, top) and path.count("/") == top.count("/") + 1:
            return f"anybody may write in {top}, so anybody may take that name"
    return None


def _storage_root(value: object) -> str:
    path = _absolute(value)
    fault = _storage_fault(path)
    if fault is not None:
        hint = "name a folder that holds data and nothing else, such as /srv/data"
        raise refuse("E_STORAGE_ROOT", f"{{got}} cannot be a storage root: {fault}", got=path, hint=hint)
    return path


def _storage_fault(path: str) -> str | None:
    if path == "/":
        return "it is the whole machine"
    if path in _HOMES:
        return "homes hold the keys that people log in with"
    if holds_keys(path):
        return f"{_KEYS_FOLDER} is where keys to log in with are kept"
    for top in _SYSTEM:
        if lies_below(path, top) or lies_below(top, path):
            return f"{top} belongs to the system"
    for top in _WORLD_WRITABLE:
        if path in (top, f"{top}/{path.rpartition('/')[2]}"):
            return f"anybody may write in {top}, so anybody may take that name"
    return None


def _managed(value: object) -> str | Template:
    """Read a path of something we make: relative to the sandbox's own folder, or absolute."""
    if isinstance(value, Template):
        return value
    text = text_of(value, wanted="a path", late=True)
    if f"{LATE_OPEN}{SECRET_PREFIX}" in text:
        raise refuse("E_INTERPOLATION", "a secret cannot stand in a path, which everybody may read")
    bare = re.sub("\ufdd0[^\ufdd1]*\ufdd1", "x", text)
    _plain_path(bare, wanted="a path")
    absolute = bare.startswith("/")
    if _HOME in text:
        hint = "relative paths are below the sandbox's own folder in baseDir; others begin with ${storage.NAME}"
        raise refuse("E_PATH", "paths below ${host.home} are not ours to write", hint=hint)
    fault = _canonical(bare if absolute else f"/{bare}")
    if fault is not None or bare in ("", "/"):
        raise refuse("E_PATH", f"{{got}} is no path in canonical form: {fault or 'it is empty'}", got=text)
    return with_gaps(text)


def _mount_target(value: object) -> str:
    text = text_of(value, wanted="a path inside the container")
    fault = _canonical(text)
    if fault is None and (_SPECIAL.search(text) or not text.isprintable() or len(text) > _PATH_MAX_BYTES):
        fault = "it holds characters that paths may not hold here"
    if fault is None and (
        text in _NO_TARGETS or text in _ETC_TARGETS or any(lies_below(text, top) for top in _NO_TARGETS_BELOW)
    ):
        fault = "the container needs its own"
    if fault is not None:
        raise refuse("E_MOUNT_TARGET", f"{{got}} cannot be mounted over: {fault}", got=text)
    return text


def _docker_socket(value: object) -> str:
    text = text_of(value, wanted="a path of a socket")
    fault = _canonical(text)
    if "://" in text:
        fault = "only a Unix socket is used, never TCP"
    elif fault is None and _SPECIAL.search(text):
        fault = "it holds characters that paths may not hold here"
    elif fault is None and len(text.encode()) > _SOCKET_MAX_BYTES:
        fault = f"a socket's path has at most {_SOCKET_MAX_BYTES} bytes"
    elif fault is None and not text.endswith(".sock"):
        fault = "it does not end in .sock"
    if fault is not None:
        hint = "write the absolute path of the engine's socket, usually /var/run/docker.sock"
        raise refuse("E_DOCKER_SOCKET", f"{{got}} is no Docker socket: {fault}", got=text, hint=hint)
    return text


_ABSOLUTE_SCHEMA = {"type": "string", "pattern": "^/"}

AbsolutePath = Annotated[str, BeforeValidator(_absolute), WithJsonSchema(_ABSOLUTE_SCHEMA)]
SecretFile = Annotated[str, BeforeValidator(_secret_file), WithJsonSchema(_ABSOLUTE_SCHEMA)]
KeyFile = Annotated[str, BeforeValidator(_key_file), WithJsonSchema({"type": "string", "pattern": "^(~/|/)"})]
BaseDir = Annotated[
    str | Template,
    PlainValidator(_base_dir),
    WithJsonSchema({"type": "string", "pattern": "^(/|\\$\\{host\\.home\\}/)"}),
]
"""The folder of a host that is ours: `str`, or `Template` where it begins with `${host.home}`."""
ManagedPath = Annotated[str | Template, PlainValidator(_managed), WithJsonSchema({"type": "string"})]
"""A path of ours, relative or absolute: `str`, or `Template` where it holds late values."""
StorageRoot = Annotated[str, BeforeValidator(_storage_root), WithJsonSchema(_ABSOLUTE_SCHEMA)]
MountTarget = Annotated[str, BeforeValidator(_mount_target), WithJsonSchema(_ABSOLUTE_SCHEMA)]
DockerSocket = Annotated[
    str, BeforeValidator(_docker_socket), WithJsonSchema({"type": "string", "pattern": "^/.*\\.sock$"})
]
