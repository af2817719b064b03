"""Read the values of declared secrets, outside of the specs and as late as possible."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from reconciler.errors import ReconcilerError
from reconciler.model.desired import Desired
from reconciler.model.text import SECRET_PREFIX, late_names

_SIZE_MAX_BYTES = 64 * 1024


def read_secrets(desired: Desired) -> dict[str, str]:
    """Read every secret that a sandbox or a registry refers to, as `secret:NAME` to its value.

    A final line break is not part of the value: editors and `echo` add one.

    Raises:
        ReconcilerError: naming the reference and the file, never the value.
    """
    wanted = {name.removeprefix(SECRET_PREFIX) for name in _referred(desired)}
    return {f"{SECRET_PREFIX}{name}": _read(name, desired.secrets) for name in sorted(wanted)}


def _referred(desired: Desired) -> set[str]:
    found: frozenset[str] = late_names(desired.registries)
    for sandbox in desired.sandboxes.values():
        found |= late_names(sandbox.resources)
    return {name for name in found if name.startswith(SECRET_PREFIX)}


def _read(name: str, files: Mapping[str, str]) -> str:
    path = files[name]
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _missing(name, path, "is not a regular file")
            data = file.read(_SIZE_MAX_BYTES + 1)
    except OSError as error:
        raise _missing(name, path, f"cannot be read: {error.strerror}") from None
    if len(data) > _SIZE_MAX_BYTES:
        raise _missing(name, path, f"is larger than {_SIZE_MAX_BYTES // 1024} KiB")
    try:
        text = data.decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise _missing(name, path, "is not UTF-8 text") from None
    if not text:
        raise _missing(name, path, "is empty")
    return text


def _missing(name: str, path: str, why: str) -> ReconcilerError:
    return ReconcilerError(
        f"secret {name}: its file {path} {why}",
        code="E_SECRET_MISSING",
        hint="the Fleet's spec.secrets says where each secret is kept on this machine",
    )
