"""Derive every name that the reconciler gives, and say which names it accepts.

A container's name is the host-side compare-and-set: Docker lets exactly one of any number of racing creates have it.
So names are derived, never chosen, and what is found under a name that the labels do not derive is not ours.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

import msgspec

NAME_PATTERN = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
SERVICE_PATTERN = r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?"
"""What a service of a compose file may be called: compose gives containers and networks names that hold it."""
NAME_LENGTH_MIN = 2
NAME_LENGTH_MAX = 40
SERVICES = "services"
"""The kind of resource that a service of a compose file is."""
WHAT_RUNS = ("containers/", f"{SERVICES}/")
"""How the key of a resource begins that Docker runs as a container."""
RESERVED_PREFIXES = ("sbx-",)

_NAME = re.compile(NAME_PATTERN)
_SHORT_ID = re.compile(r"[0-9a-f]{12}")
_FULL_ID = re.compile(r"[0-9a-f]{64}")
_DERIVED = re.compile(
    rf"sbx-(?P<fleet>{NAME_PATTERN})\.(?P<sandbox>{NAME_PATTERN})\.(?P<resource>{SERVICE_PATTERN})"
    r"(?:\.next-(?P<next>[0-9a-f]{6})|\.tomb-(?P<tomb>[0-9]{1,12}))?"
)


def name_fault(text: str) -> str | None:
    """Say why `text` is no acceptable name, or None when it is one."""
    if not NAME_LENGTH_MIN <= len(text) <= NAME_LENGTH_MAX:
        return f"a name has {NAME_LENGTH_MIN} to {NAME_LENGTH_MAX} characters, this one has {len(text)}"
    if not text.isascii() or _NAME.fullmatch(text) is None:
        return (
            "a name is made of ASCII lower-case letters, digits and '-', and begins and ends with one of the first two"
        )
    if _SHORT_ID.fullmatch(text):
        return "twelve hex digits would be taken for a container id"
    if text.startswith(RESERVED_PREFIXES):
        return f"names that begin with {RESERVED_PREFIXES[0]!r} are the reconciler's own"
    return None


def is_full_id(text: str) -> bool:
    """Tell whether `text` is a whole container id: 64 hex digits, the only thing that is ever acted on."""
    return _FULL_ID.fullmatch(text) is not None


@lru_cache(maxsize=65536)
def sandbox_uid(fleet: str, sandbox: str) -> str:
    """Derive a sandbox's uid, 8 hex digits, so that it needs no store and survives moves between files and hosts."""
    return hashlib.sha256(f"{fleet}\n{sandbox}".encode()).hexdigest()[:8]


class DerivedName(msgspec.Struct, frozen=True):
    """Name one Docker object of one sandbox: `sbx-<fleet>.<sandbox>.<resource>[.next-<6 hex>|.tomb-<epoch>]`."""

    fleet: str
    sandbox: str
    resource: str
    next_hex: str | None = None
    tomb_epoch_s: int | None = None

    def __str__(self) -> str:
        stem = f"sbx-{self.fleet}.{self.sandbox}.{self.resource}"
        if self.next_hex is not None:
            return f"{stem}.next-{self.next_hex}"
        if self.tomb_epoch_s is not None:
            return f"{stem}.tomb-{self.tomb_epoch_s}"
        return stem

    @property
    def settled(self) -> bool:
        """Tell whether this is an object's lasting name: neither a replacement on its way nor a tomb."""
        return self.next_hex is None and self.tomb_epoch_s is None


def project_name(fleet: str, sandbox: str) -> str:
    """Derive the name of a sandbox's compose project."""
    return f"sbx-{fleet}-{sandbox}-{sandbox_uid(fleet, sandbox)}"


def composed_name(name: DerivedName, kind: str) -> str:
    """Derive the name that compose gives to a service's one container, or to a network or volume of the project."""
    project = project_name(name.fleet, name.sandbox)
    return f"{project}-{name.resource}-1" if kind == SERVICES else f"{project}_{name.resource}"


def name_in_docker(fleet: str, sandbox: str, key: str) -> str | None:
    """Derive the lasting name of the container that runs under a key of a sandbox, or None for what does not run."""
    if not key.startswith(WHAT_RUNS):
        return None
    kind, _, resource = key.partition("/")
    name = DerivedName(fleet, sandbox, resource)
    return composed_name(name, SERVICES) if kind == SERVICES else str(name)


def parse_derived(text: str) -> DerivedName | None:
    """Read a name that this program derived, or None when it is somebody else's."""
    found = _DERIVED.fullmatch(text)
    if found is None:
        return None
    tomb = found["tomb"]
    return DerivedName(
        fleet=found["fleet"],
        sandbox=found["sandbox"],
        resource=found["resource"],
        next_hex=found["next"],
        tomb_epoch_s=int(tomb) if tomb is not None else None,
    )


class Key(msgspec.Struct, frozen=True, order=True):
    """Name one resource inside a sandbox, written `containers/web`."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"
