"""Describe a Host: one machine with Docker, and the way to it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from reconciler.spec.addresses import HostAddress, HostUser, Port, PublicKey
from reconciler.spec.fields import Document, Fields, Suspension
from reconciler.spec.leaf import Bool, Load, Size, Whole, choice_text
from reconciler.spec.names import Reference, ResourceName
from reconciler.spec.paths import BaseDir, DockerSocket, KeyFile, StorageRoot


class Ssh(Fields):
    """Say how to log in, and which key proves that it is the right machine."""

    user: HostUser
    port: Port = 22
    host_key: PublicKey | None = None
    identity_file: KeyFile | None = None
    agent: Bool = False
    jump: Reference | None = Field(default=None, description="Another Host to go through.")


class Admission(Fields):
    """Hold back what would overload the host; nothing is refused by a bound that is not given."""

    min_disk_free: Size | None = None
    min_memory_available: Size | None = None
    max_load_per_cpu: Load | None = None
    max_sandboxes: Annotated[int, Whole(0, 100_000)] | None = None


class HostSpec(Fields):
    """Hold what is known of the machine beforehand."""

    address: HostAddress
    ssh: Ssh | None = None
    docker_socket: DockerSocket = "/var/run/docker.sock"
    base_dir: BaseDir | None = Field(default=None, description="Default: ${host.home}/.reconciler/<fleet>.")
    storage_roots: dict[ResourceName, StorageRoot] = Field(default_factory=dict)
    admission: Admission = Admission()
    suspend: Suspension | None = None


class Host(Document):
    """Declare a host."""

    kind: Annotated[Literal["Host"], BeforeValidator(choice_text)]
    spec: HostSpec
