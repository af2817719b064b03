"""Name what nothing proves to be ours, and read from a look what there is of it: compose projects and folders."""

from __future__ import annotations

import hashlib
import re
from typing import Literal

import msgspec

from reconciler.model.names import parse_derived
from reconciler.model.observed import (
    RUNNING_STATES,
    STOPPED_STATES,
    HostView,
    Neighbour,
    SeenContainer,
    SeenEntry,
    SeenRoot,
)
from reconciler.model.ownership import carries_ours, project_of

_ASIDE = re.compile(r"(?P<name>.+)\.tomb-(?P<epoch>[0-9]{1,12})", re.DOTALL)


class LegacyName(msgspec.Struct, frozen=True, order=True):
    """Name one legacy find as `inspect stale` prints it: `compose/<project>` or `folder/<absolute path>` on a host."""

    host: str
    kind: Literal["compose", "folder"]
    name: str

    @property
    def object(self) -> str:
        """Give it as `inspect stale` does."""
        return f"{self.kind}/{self.name}"


def parse_legacy(text: str) -> LegacyName | None:
    """Read `HOST:KIND/NAME`, or None when it is not written so."""
    host, _, rest = text.partition(":")
    kind, _, name = rest.partition("/")
    if not host or not name or (kind == "folder") != name.startswith("/"):
        return None
    if kind == "folder":
        return LegacyName(host, "folder", name)
    return LegacyName(host, "compose", name) if kind == "compose" else None


def legacy_uid(named: LegacyName) -> str:
    """Give 8 hex digits that stand for a legacy find, e.g. in the name of a file."""
    return hashlib.sha256(f"{named.host}\n{named.object}".encode("utf-8", "surrogateescape")).hexdigest()[:8]


def aside(name: str, epoch_s: int) -> str:
    """Give the name under which something is put away for the grace."""
    return f"{name}.tomb-{epoch_s}"


def is_aside(text: str, *, of: str) -> bool:
    """Tell whether this is a name under which `of` is put away."""
    found = _ASIDE.fullmatch(text)
    return found is not None and found["name"] == of and "/" not in text


def aside_since(name: str) -> int | None:
    """Give the host's clock when something of this name was put away, or None where it was not."""
    found = _ASIDE.fullmatch(name)
    return None if found is None else int(found["epoch"])


def parts_of(view: HostView, project: str) -> tuple[Neighbour, ...]:
    """Give the containers of a compose project, as far as none of them claims to be of a fleet."""
    return tuple(
        one for one in view.neighbours if project_of(one.labels) == project and parse_derived(one.name) is None
    )


def claimed_by(view: HostView, project: str) -> tuple[str, ...]:
    """Name the containers of a compose project that carry labels or a name of a fleet's: those have an owner."""
    seen: tuple[Neighbour | SeenContainer, ...] = (*view.neighbours, *view.containers)
    return tuple(
        sorted(
            one.name
            for one in seen
            if project_of(one.labels) == project and (carries_ours(one.labels) or parse_derived(one.name) is not None)
        )
    )


def running(parts: tuple[Neighbour, ...]) -> tuple[str, ...]:
    """Name the containers that run, or are not known not to."""
    return tuple(one.name for one in parts if one.state in RUNNING_STATES or one.state == "removing")


def entry_of(view: HostView, path: str) -> tuple[SeenRoot, SeenEntry] | None:
    """Give the listing of a folder, and the entry of it that is at `path`."""
    for root in view.roots:
        for entry in root.entries:
            if f"{root.path.rstrip('/')}/{entry.name}" == path:
                return root, entry
    return None


def mounted_by(view: HostView, path: str) -> tuple[str, ...]:
    """Name the containers, running or not, that were given a path or something below it."""
    users = [one.name for one in view.neighbours if any(_is_below(at, path) for at in one.mounted)]
    users += [
        one.name
        for one in view.containers
        if any(mount.kind == "bind" and _is_below(str(mount.source), path) for mount in one.spec.mounts.values())
    ]
    return tuple(sorted(users))


def doubt_legacy(seen: SeenContainer, *, project: str) -> str | None:
    """Say why a container is not one that a person meant by naming a compose project at rest, or None."""
    if carries_ours(seen.labels) or parse_derived(seen.name) is not None:
        return "it carries labels or a name of a fleet's, so it is not without an owner"
    if project_of(seen.labels) != project:
        return f"it is not of the compose project {project}"
    if seen.live.state not in STOPPED_STATES:
        return f"it is {seen.live.state}: somebody uses it"
    return None


def _is_below(path: str, folder: str) -> bool:
    return f"{path}/".startswith(f"{folder}/")
