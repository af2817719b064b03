"""Describe one container of a sandbox."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from reconciler.spec.addresses import IpAddress, Port
from reconciler.spec.fields import Fields
from reconciler.spec.images import ImageRef
from reconciler.spec.leaf import (
    Argv,
    Bool,
    Cpus,
    Duration,
    LateText,
    Memory,
    Milliseconds,
    Size,
    Text,
    Whole,
    choice_text,
    seconds,
)
from reconciler.spec.names import EnvName, FreeLabelKey, Reference, ResourceName
from reconciler.spec.paths import AbsolutePath, MountTarget
from reconciler.spec.refusal import refuse, text_of

_CAPABILITY = re.compile(r"[A-Z][A-Z_]{1,30}")


def _capability(value: object) -> str:
    text = text_of(value, wanted="a capability")
    if _CAPABILITY.fullmatch(text) is None or text == "ALL" or text.startswith("CAP_"):
        hint = "write it without CAP_, in upper case; ALL is never given"
        raise refuse("E_CAPABILITY", "{got} is no capability such as NET_ADMIN", got=text, hint=hint)
    return text


Capability = Annotated[str, BeforeValidator(_capability)]


class Mount(Fields):
    """Mount one thing of the host: a directory or file of this sandbox, or a host path that policy allows."""

    directory: Reference | None = None
    file: Reference | None = None
    path: AbsolutePath | None = None
    read_only: Bool = False

    @model_validator(mode="after")
    def _one_source(self) -> Mount:
        if sum(source is not None for source in (self.directory, self.file, self.path)) != 1:
            raise refuse("E_ONE_OF", "exactly one of directory, file and path is wanted here")
        return self


class Attachment(Fields):
    """Attach to a network of this sandbox, under further names."""

    aliases: tuple[ResourceName, ...] = ()


class PublishedPort(Fields):
    """Name a port of the container, and publish it on the host."""

    container: Port
    host: Port | None = Field(default=None, description="null: Docker picks a free one.")
    bind: IpAddress = "127.0.0.1"
    protocol: Annotated[Literal["tcp", "udp"], BeforeValidator(choice_text)] = "tcp"


class Resources(Fields):
    """Bound what the container may use."""

    cpus: Cpus | None = None
    memory: Memory | None = None
    pids: Annotated[int, Whole(1, 4_194_304)] = 4096


class Healthcheck(Fields):
    """Let Docker probe the container; what is left out is the image's own."""

    test: Argv = ()
    interval: Milliseconds | None = None
    timeout: Milliseconds | None = None
    retries: Annotated[int, Whole(1, 1000)] | None = None
    start_period: Milliseconds | None = None


class Ulimit(Fields):
    """Bound one kernel resource."""

    soft: Annotated[int, Whole(-1, 2**53)]
    hard: Annotated[int, Whole(-1, 2**53)]


class Gpu(Fields):
    """Ask for graphics processors."""

    policy: Annotated[Literal["auto", "require", "off"], BeforeValidator(choice_text)] = "auto"
    count: Annotated[int, Whole(1, 64)] | None = None
    cuda: Text | None = None


class Container(Fields):
    """Describe one container. Its networks and volumes are private to the sandbox."""

    image: ImageRef
    command: Argv | None = None
    entrypoint: Argv | None = None
    env: dict[EnvName, LateText] = Field(default_factory=dict)
    user: Text | None = None
    working_dir: AbsolutePath | None = None
    mounts: dict[MountTarget, Mount] = Field(default_factory=dict)
    volumes: dict[ResourceName, MountTarget] = Field(default_factory=dict)
    networks: dict[ResourceName, Attachment] = Field(default_factory=dict)
    network_mode: Annotated[Literal["bridge", "host", "none"], BeforeValidator(choice_text)] = "bridge"
    ipc: Annotated[Literal["private", "host", "shareable"], BeforeValidator(choice_text)] = "private"
    cap_add: tuple[Capability, ...] = ()
    devices: tuple[AbsolutePath, ...] = ()
    gpu: Gpu | None = None
    healthcheck: Healthcheck | None = None
    restart: Annotated[Literal["no", "always", "unless-stopped", "on-failure"] | None, BeforeValidator(choice_text)] = (
        Field(default=None, description='Default: unless-stopped, or "no" for run: once.')
    )
    run: Annotated[Literal["always", "once"], BeforeValidator(choice_text)] = "always"
    stop_grace: Duration = seconds("10s")
    optional: Bool = False
    init: Bool = True
    shm_size: Size | None = None
    ulimits: dict[ResourceName, Ulimit] = Field(default_factory=dict)
    extra_hosts: dict[Text, IpAddress] = Field(default_factory=dict)
    labels: dict[FreeLabelKey, Text] = Field(default_factory=dict)
    ports: dict[ResourceName, PublishedPort] = Field(default_factory=dict)
    resources: Resources = Resources()
    depends_on: tuple[Reference, ...] = Field(default=(), description="Other containers of this sandbox.")
