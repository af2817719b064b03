"""Hold a whole spec folder, typed, merged and checked: what is lowered to `Desired`."""

from __future__ import annotations

from functools import cached_property

import msgspec

from reconciler.load.nodes import MapNode, find, walk
from reconciler.model.problem import Problem
from reconciler.model.source import SourceRef
from reconciler.spec.fields import Metadata
from reconciler.spec.fleet import FleetSpec
from reconciler.spec.host import HostSpec
from reconciler.spec.profile import ProfileSpec
from reconciler.spec.sandbox import SandboxSpec


class RawDocument(msgspec.Struct, frozen=True):
    """Hold one document as written: its kind, its name as text (perhaps no valid one), its tree."""

    kind: str
    name: str
    node: MapNode

    @property
    def at(self) -> SourceRef:
        """Give the place of its name, or of its beginning."""
        return find(self.node, ("metadata", "name"))


class FleetDocument(msgspec.Struct, frozen=True):
    """Hold the Fleet."""

    name: str
    at: SourceRef
    spec: FleetSpec


class HostDocument(msgspec.Struct, frozen=True):
    """Hold one Host."""

    name: str
    at: SourceRef
    metadata: Metadata
    spec: HostSpec


class ProfileDocument(msgspec.Struct, frozen=True):
    """Hold one Profile, installed or the fleet's own, after `extends`.

    Attributes:
        chain: its own name, then those it extends.
        entrypoints: as declared, with gaps unfilled.
    """

    name: str
    at: SourceRef
    chain: tuple[str, ...]
    spec: ProfileSpec


class SandboxDocument(msgspec.Struct, frozen=True, dict=True):
    """Hold one Sandbox, merged with its profile, interpolated and typed.

    Attributes:
        spec: every field as it holds; late values are `Template`s.
        tree: the merged and interpolated nodes, in which each value knows its place.
        host: the name of its host, which exists; of one that is placed, the first of those that it may be on.
        candidates: of one that is placed, the same as it is on each host that it may be on, by their names.
    """

    name: str
    at: SourceRef
    metadata: Metadata
    spec: SandboxSpec
    tree: MapNode
    host: str
    candidates: tuple[SandboxDocument, ...] = ()

    @property
    def everywhere(self) -> tuple[SandboxDocument, ...]:
        """Give it as it is on each host that it may be on."""
        return self.candidates or (self,)

    def problem(self, code: str, message: str, *path: str | int, hint: str | None = None) -> Problem:
        """Make a problem of a field of the merged spec, at the place that said it."""
        field = "spec" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
        return Problem(code, find(self.tree, path), message, field=field, hint=hint)

    @cached_property
    def origins(self) -> dict[str, SourceRef]:
        """Map every field that was written, e.g. `containers.main.image`, to where it was said."""
        return dict(walk(self.tree))


class Documents(msgspec.Struct, frozen=True):
    """Hold one fleet. It exists only when a load found no problem at all.

    Attributes:
        digest: sha256 over the bytes of all files, whatever their names, and of the installed profiles.
    """

    fleet: FleetDocument
    hosts: dict[str, HostDocument]
    profiles: dict[str, ProfileDocument]
    sandboxes: dict[str, SandboxDocument]
    digest: str
