"""Describe a Host: one machine with Docker, and the way to it."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field

from reconciler.spec.addresses import HostAddress, HostUser, Port, PublicKey
from reconciler.spec.fields import Document, Fields, Suspension
from reconciler.spec.leaf import Bool, Load, Size, Whole, choice_text
from reconciler.spec.names import Reference, ResourceName
from reconciler.spec.paths import BaseDir, DockerSocket, KeyFile, StorageRoot

ALL_FLEETS: Final = ".reconciler"
"""In a home: holds the base folder of each fleet whose Host names none."""


class Ssh(Fields):
    """Say how to log in, and which key proves that it is the right machine."""

    user: HostUser = Field(description="The account to log in as; it needs the Docker socket.")
    port: Port = Field(default=22, description="Where sshd listens.")
    host_key: PublicKey | None = Field(
        default=None, description="The host's own public key. Needed: a host that is not pinned is refused."
    )
    identity_file: KeyFile | None = Field(
        default=None, description="The private key to log in with, without a passphrase."
    )
    agent: Bool = Field(default=False, description="Log in with the keys of the SSH agent.")
    jump: Reference | None = Field(default=None, description="Another Host to go through, itself reached directly.")


class Admission(Fields):
    """Hold back what would overload the host; nothing is refused by a bound that is not given."""

    min_disk_free: Size | None = Field(default=None, description="Free space where Docker keeps its data.")
    min_memory_available: Size | None = Field(default=None, description="Memory that programs could still have.")
    max_load_per_cpu: Load | None = Field(default=None, description="One-minute load over the number of CPUs.")
    max_sandboxes: Annotated[int, Whole(0, 100_000)] | None = Field(
        default=None, description="Sandboxes of this fleet."
    )


class HostSpec(Fields):
    """Hold what is known of the machine beforehand."""

    address: HostAddress = Field(description="An IP address or DNS name; or `local`: this machine's own Docker socket.")
    ssh: Ssh | None = Field(default=None, description="How to log in; required unless the address is `local`.")
    docker_socket: DockerSocket = Field(default="/var/run/docker.sock", description="The engine's socket on the host.")
    base_dir: BaseDir | None = Field(
        default=None, description="The one folder that is ours: `${host.home}/.reconciler/<fleet>` when left out."
    )
    storage_roots: dict[ResourceName, StorageRoot] = Field(
        default_factory=dict,
        description="Folders for data, used as `${storage.NAME}/…`; what is below is never removed.",
    )
    admission: Admission = Admission()
    suspend: Suspension | None = None

    def base_in(self, fleet: str) -> str:
        """Give the base folder of a fleet here, where the home of the SSH user may still be `${host.home}`."""
        return f"${{host.home}}/{ALL_FLEETS}/{fleet}" if self.base_dir is None else str(self.base_dir)


class Host(Document):
    """Declare a host."""

    kind: Annotated[Literal["Host"], BeforeValidator(choice_text)]
    spec: HostSpec
