"""Define the types of paths, each with the places it may not name."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import BeforeValidator, PlainValidator, WithJsonSchema

from reconciler.model.text import Template
from reconciler.spec.refusal import LATE_OPEN, late_marker, refuse, text_of, with_gaps

_PATH_MAX_BYTES: Final = 4096
_SOCKET_MAX_BYTES: Final = 107  # sun_path holds 108 with its closing NUL
# Shells and globs would read these; no path of ours needs them.
_SPECIAL: Final = re.compile(r"[\x00-\x1f\x7f*?\[\]$`\\\"'|;&<>~]")
_HOME: Final = late_marker("host.home")

# The system's own folders: neither they nor what is directly in them can be ours to fill and empty.
_SYSTEM: Final = (
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/lost+found", "/proc", "/run", "/sbin", "/snap",
    "/sys", "/usr", "/var/lib/docker", "/var/lib/containerd", "/var/run",
)  # fmt: skip
# Anybody may create files in these, so anybody may squat on a name directly below.
_WORLD_WRITABLE: Final = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - named to refuse them
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
    below_home = text.startswith(_HOME + "/")
    rest = text[len(_HOME) :] if below_home else text
    if LATE_OPEN in rest:
        hint = 'write "${host.home}/…" or an absolute path'
        raise refuse("E_BASE_DIR", "only ${host.home} may stand in a base folder, at its beginning", hint=hint)
    fault = "it is empty" if not rest else "it begins with ~" if rest.startswith("~") else _canonical(rest)
    if fault is None:
        _plain_path(rest, wanted="a base folder")
        fault = None if below_home else _base_fault(rest)
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
        if lies_below(path, top) and not (top == "/run" and path.count("/") > 2):  # noqa: PLR2004 - below /run/x
            return f"{top} belongs to the system"
    for top in _WORLD_WRITABLE:
        if lies_below(path, top) and path.count("/") == top.count("/") + 1:
            return f"anybody may write in {top}, so anybody may take that name"
    return None


def _storage_root(value: object) -> str:
    path = _absolute(value)
    fault = "it is the whole machine" if path == "/" else _base_fault(f"{path}/below")
    if fault is not None or path in _WORLD_WRITABLE:
        raise refuse(
            "E_STORAGE_ROOT", f"{{got}} cannot be a storage root: {fault or 'anybody may write in it'}", got=path
        )
    return path


def _managed(value: object) -> str | Template:
    """Read a path of something we make: relative to the sandbox's own folder, or absolute."""
    if isinstance(value, Template):
        return value
    text = text_of(value, wanted="a path", late=True)
    bare = re.sub("\ufdd0[^\ufdd1]*\ufdd1", "x", text)
    _plain_path(bare, wanted="a path")
    absolute = bare.startswith("/")
    if text.startswith(_HOME):
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
