"""Describe a Sandbox: containers and what belongs to them, on one host, made and removed as one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from reconciler.model.text import Template
from reconciler.spec.container import Container, Gpu
from reconciler.spec.content import rendered
from reconciler.spec.fields import Document, Fields, Suspension
from reconciler.spec.leaf import Bool, Duration, Mode, Text, Whole, choice_text
from reconciler.spec.names import Reference, ResourceName
from reconciler.spec.paths import ManagedPath
from reconciler.spec.readiness import Probe


class Directory(Fields):
    """Make a directory: relative to the sandbox's own folder, or below a storage root (then it is data)."""

    path: ManagedPath
    mode: Mode = "0750"


class File(Fields):
    """Write a file, at a moment of the sandbox's life."""

    path: ManagedPath
    mode: Mode = "0640"
    format: Annotated[Literal["text", "json", "env"], BeforeValidator(choice_text)] = "text"
    content: Annotated[
        str | Template,
        PlainValidator(rendered),
        WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object"}, {"type": "array"}]}),
    ] = Field(default="", description="Text; or, with format json or env, what to write in that format.")
    make_at: Annotated[Literal["prepare", "launch", "ready"], BeforeValidator(choice_text)] = "prepare"
    drop_at: Annotated[Literal["never", "retire", "stopped"], BeforeValidator(choice_text)] = "never"


class Tree(Fields):
    """Keep a folder on the host like one beside the specs."""

    path: Text
    exclude: tuple[Text, ...] = ()


class Compose(Fields):
    """Take a compose file instead of containers."""

    file: Text


class Placement(Fields):
    """Let the fleet choose a host."""

    selector: dict[Text, Text] = Field(default_factory=dict)
    strategy: Annotated[Literal["spread", "pack"], BeforeValidator(choice_text)] = "spread"


class SandboxSpec(Fields):
    """Hold what a sandbox is, after profile and sandbox were merged."""

    profile: Reference | None = None
    inputs: Annotated[dict[str, Any], WithJsonSchema({"type": "object"})] = Field(default_factory=dict)
    host: Reference | None = None
    placement: Placement | None = None
    directories: dict[ResourceName, Directory] = Field(default_factory=dict)
    files: dict[ResourceName, File] = Field(default_factory=dict)
    source: Tree | None = None
    compose: Compose | None = None
    containers: dict[ResourceName, Container] = Field(default_factory=dict)
    gpu: Gpu | None = None
    readiness: dict[ResourceName, Probe] = Field(default_factory=dict)
    update: Annotated[Literal["stop-first", "start-first"], BeforeValidator(choice_text)] = "stop-first"
    ttl: Duration | None = None
    observability: Annotated[Literal["off", "deltas", "canary"], BeforeValidator(choice_text)] = "deltas"
    drift: Annotated[Literal["heal", "report"], BeforeValidator(choice_text)] = "heal"
    protect: Bool = False
    deletion_policy: Annotated[Literal["Delete", "Retain"], BeforeValidator(choice_text)] = "Delete"
    keep_runs: Annotated[int, Whole(0, 1000)] = 5
    depends_on: tuple[Reference, ...] = Field(default=(), description="Other sandboxes.")
    suspend: Suspension | None = None


class Sandbox(Document):
    """Declare a sandbox."""

    kind: Annotated[Literal["Sandbox"], BeforeValidator(choice_text)]
    spec: SandboxSpec
