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

    path: ManagedPath = Field(description="Relative to the sandbox's own folder, or `${storage.NAME}/…`.")
    mode: Mode = Field(default="0750", description="Permissions, quoted.")


class File(Fields):
    """Write a file, at a moment of the sandbox's life."""

    path: ManagedPath = Field(description="Relative to the sandbox's own folder, or `${storage.NAME}/…`.")
    mode: Mode = Field(default="0640", description="Permissions, quoted.")
    format: Annotated[Literal["text", "json", "env"], BeforeValidator(choice_text)] = Field(
        default="text", description="How `content` is written: as it is, as JSON, or as lines of NAME=value."
    )
    content: Annotated[
        str | Template,
        PlainValidator(rendered),
        WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object"}, {"type": "array"}]}),
    ] = Field(default="", description="Text; or, with format json or env, what to write in that format.")
    make_at: Annotated[Literal["prepare", "launch", "ready"], BeforeValidator(choice_text)] = Field(
        default="prepare", description="When in a run it is written. Not in this version: all but `prepare` is refused."
    )
    drop_at: Annotated[Literal["never", "retire", "stopped"], BeforeValidator(choice_text)] = Field(
        default="never", description="When in a run it goes. Not in this version: all but `never` is refused."
    )


class Tree(Fields):
    """Keep a folder on the host like one of this machine: `source` in the sandbox's own folder.

    `.git` is left out, and what every `.gitignore` says from the top of its checkout down.
    """

    path: Text = Field(description="A folder of this machine, absolute or relative to the spec folder.")
    exclude: tuple[Text, ...] = Field(
        default=(),
        description="Patterns as in a .gitignore, which go before those of every `.gitignore`: `!dist/` takes in.",
    )


class Compose(Fields):
    """Take a compose file instead of containers. The host's own `docker compose` v2 makes its services."""

    file: Text = Field(
        description="A compose file: in the `source` tree; without one, on this machine, relative to the spec folder."
    )


class Placement(Fields):
    """Let planning choose the host; once it stands somewhere, it stays there."""

    selector: dict[Text, Text] = Field(
        default_factory=dict, description="Labels that the host must have, all of them; with none, any host will do."
    )
    strategy: Annotated[Literal["spread", "pack"], BeforeValidator(choice_text)] = Field(
        default="spread", description="`spread` takes the emptiest host, `pack` the fullest that has room."
    )


class SandboxSpec(Fields):
    """Hold what a sandbox is, after profile and sandbox were merged."""

    profile: Reference | None = Field(default=None, description="The Profile that this spec is laid over.")
    inputs: Annotated[dict[str, Any], WithJsonSchema({"type": "object"})] = Field(
        default_factory=dict, description="Values for the profile's inputs."
    )
    host: Reference | None = Field(default=None, description="The Host that it stands on; or write `placement`.")
    placement: Placement | None = Field(default=None, description="Instead of `host`: on a host that fits.")
    directories: dict[ResourceName, Directory] = Field(default_factory=dict, description="Directories on the host.")
    files: dict[ResourceName, File] = Field(default_factory=dict, description="Files on the host.")
    source: Tree | None = Field(default=None, description="A tree to copy to the host.")
    compose: Compose | None = Field(default=None, description="Instead of `containers`.")
    containers: dict[ResourceName, Container] = Field(
        default_factory=dict,
        description="By name; none are needed beside a `source`, and none may stand beside `compose`.",
    )
    gpu: Gpu | None = Field(
        default=None, description="What each of its containers gets that says nothing of GPUs itself."
    )
    readiness: dict[ResourceName, Probe] = Field(
        default_factory=dict, description="What must answer before it is ready; a container without one must run."
    )
    update: Annotated[Literal["stop-first", "start-first"], BeforeValidator(choice_text)] = Field(
        default="stop-first", description="Which goes first when a container is replaced: the old, or the new."
    )
    ttl: Duration | None = Field(
        default=None, description="How long it lives; then it is removed, and stays away until its spec changes."
    )
    observability: Annotated[Literal["off", "deltas", "canary"], BeforeValidator(choice_text)] = Field(
        default="deltas",
        description="Measure the host before and after a change; `canary` also reports on what else it holds.",
    )
    drift: Annotated[Literal["heal", "report"], BeforeValidator(choice_text)] = Field(
        default="heal", description="What becomes of drift: repaired by the next apply, or only shown."
    )
    protect: Bool = Field(default=False, description="Refuse whatever would remove or replace it.")
    deletion_policy: Annotated[Literal["Delete", "Retain"], BeforeValidator(choice_text)] = Field(
        default="Delete", description="What becomes of it when its spec goes; `Retain` leaves it as it is."
    )
    keep_runs: Annotated[int, Whole(0, 1000)] = Field(
        default=5, description="Accepted, and without effect in this version."
    )
    depends_on: tuple[Reference, ...] = Field(default=(), description="Other sandboxes, which are made first.")
    suspend: Suspension | None = None


class Sandbox(Document):
    """Declare a sandbox."""

    kind: Annotated[Literal["Sandbox"], BeforeValidator(choice_text)]
    spec: SandboxSpec
