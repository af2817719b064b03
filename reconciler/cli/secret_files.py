"""Read the values of declared secrets, outside of the specs and as late as possible."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from reconciler.errors import ReconcilerError
from reconciler.model.desired import Desired
from reconciler.model.secret import Secret
from reconciler.model.text import SECRET_PREFIX, Late, Template, late_names

_SIZE_MAX_BYTES = 64 * 1024
_BINARY = "a secret is text; keep binary data as base64"


def read_secrets(desired: Desired) -> dict[str, str]:
    """Read every secret that a sandbox or a registry refers to, as `secret:NAME` to its value, a `Secret`.

    A final line break is not part of the value: editors and `echo` add one.

    Raises:
        ReconcilerError: naming the reference and the file, never the value.
    """
    resources = tuple(sandbox.resources for sandbox in desired.sandboxes.values())
    found = read_secrets_in((desired.registries, resources), desired.secrets)
    for name, place in _in_one_line(desired).items():
        if any(end in found[f"{SECRET_PREFIX}{name}"] for end in "\n\r"):
            why = f"holds more than one line, and {place} writes it as one variable: the rest would be read as others"
            hint = "keep it in one line, or write it with a file of format text"
            raise _unfit(name, desired.secrets[name], why, hint)
    return found


def read_secrets_in(value: object, files: Mapping[str, str]) -> dict[str, str]:
    """Read every secret that a struct, tuple or mapping refers to; `files` says where each is kept.

    Raises:
        ReconcilerError: as `read_secrets`.
    """
    wanted = sorted(name for name in late_names(value) if name.startswith(SECRET_PREFIX))
    return {name: _read(name.removeprefix(SECRET_PREFIX), files) for name in wanted}


def _in_one_line(desired: Desired) -> dict[str, str]:
    """Map each secret that must be one line to the file of a sandbox that needs it so, and where that was said."""
    found: dict[str, str] = {}
    for sandbox in desired.sandboxes.values():
        for file in sandbox.files:
            parts = file.content.parts if isinstance(file.content, Template) else ()
            at = sandbox.origins.get(f"files.{file.name}.content")
            place = f"sandbox {sandbox.name}: files.{file.name}" + (f" ({at})" if at is not None else "")
            marked = (part.name for part in parts if isinstance(part, Late) and part.is_secret and part.one_line)
            for name in marked:
                found.setdefault(name.removeprefix(SECRET_PREFIX), place)
    return found


def _read(name: str, files: Mapping[str, str]) -> Secret:
    path = files[name]
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _missing(name, path, "is not a regular file")
            data = os.read(descriptor, _SIZE_MAX_BYTES + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _missing(name, path, f"cannot be read: {error.strerror}") from None
    if len(data) > _SIZE_MAX_BYTES:
        raise _missing(name, path, f"is larger than {_SIZE_MAX_BYTES // 1024} KiB")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise _unfit(name, path, "is not UTF-8 text", _BINARY) from None
    if "\0" in text:
        raise _unfit(name, path, "holds a NUL character, which neither a variable nor a command can hold", _BINARY)
    if text.startswith("\ufeff"):
        why = "begins with a byte order mark, which nobody sees and which would be part of the secret"
        raise _unfit(name, path, why, "save it as UTF-8 without a byte order mark")
    text = text.removesuffix("\r\n") if text.endswith("\r\n") else text.removesuffix("\n")
    if not text:
        raise _missing(name, path, "is empty")
    return Secret(text)


def _missing(name: str, path: str, why: str) -> ReconcilerError:
    return ReconcilerError(
        f"secret {name}: its file {path} {why}",
        code="E_SECRET_MISSING",
        hint="the Fleet's spec.secrets says where each secret is kept on this machine",
    )


def _unfit(name: str, path: str, why: str, hint: str) -> ReconcilerError:
    return ReconcilerError(f"secret {name}: its file {path} {why}", code="E_SECRET_TEXT", hint=hint)
