"""Hold what the specs say should be. It exists only when a whole load had no problem at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from reconciler.model.access import HostAccess
from reconciler.model.names import SERVICES, DerivedName, Key, composed_name
from reconciler.model.probe import FinishedProbe, Probe, RunningProbe
from reconciler.model.resource import Compose, Container, Directory, File, Network, Resource, Tree, Volume
from reconciler.model.source import SourceRef
from reconciler.model.text import Text


class Suspend(msgspec.Struct, frozen=True):
    """Leave an object alone: why, by whom, and until when (RFC 3339 text, or None)."""

    reason: str
    by: str | None = None
    until: str | None = None


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """Bound what a host may be loaded with before more is created there; None is no bound."""

    disk_free_min_bytes: int | None = None
    memory_available_min_bytes: int | None = None
    load_per_cpu_max: float | None = None
    sandboxes_max: int | None = None


class HostDesired(msgspec.Struct, frozen=True, kw_only=True):
    """Describe one host. `storage` maps a storage root's name to its path."""

    name: str
    access: HostAccess
    labels: dict[str, str] = {}
    storage: dict[str, str] = {}
    admission: Admission = Admission()
    suspend: Suspend | None = None
    at: SourceRef | None = None


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Name one thing of a sandbox that runs: a container, or a service of its compose file.

    Attributes:
        docker_name: the lasting name of its container.
        probes: what it must answer, one at least; of an optional one nobody needs the answer.
    """

    key: Key
    docker_name: str
    probes: tuple[Probe, ...]
    optional: bool = False


class SandboxDesired(msgspec.Struct, frozen=True, kw_only=True):
    """Describe one sandbox on one host.

    Attributes:
        uid: derived from fleet and name.
        origin: `spec`, or `adhoc` for what a command wants for a while.
        resources: in the order in which they are to be made.
        probes: what must answer before it is ready.
        intent: versioned digest of all that changes its generation.
        origins: where each field was said, by `<kind>.<name>.<dotted field as operators write it>`.
        at: where the sandbox itself was said.
    """

    name: str
    uid: str
    host: str
    profile: str | None = None
    resources: tuple[Resource, ...] = ()
    probes: tuple[Probe, ...] = ()
    update: Literal["stop-first", "start-first"] = "stop-first"
    deletion: Literal["Delete", "Retain"] = "Delete"
    drift: Literal["heal", "report"] = "heal"
    observability: Literal["off", "deltas", "canary"] = "deltas"
    protected: bool = False
    ttl_s: int | None = None
    keep_runs: int = 5
    depends_on: tuple[str, ...] = ()
    suspend: Suspend | None = None
    labels: dict[str, str] = {}
    origin: Literal["spec", "adhoc"] = "spec"
    intent: str = ""
    origins: dict[str, SourceRef] = {}
    at: SourceRef | None = None

    @property
    def containers(self) -> tuple[Container, ...]:
        """Give its containers in order."""
        return tuple([item for item in self.resources if isinstance(item, Container)])

    @property
    def directories(self) -> tuple[Directory, ...]:
        """Give its directories in order."""
        return tuple([item for item in self.resources if isinstance(item, Directory)])

    @property
    def files(self) -> tuple[File, ...]:
        """Give its files in order."""
        return tuple([item for item in self.resources if isinstance(item, File)])

    @property
    def tree(self) -> Tree | None:
        """Give its tree, where it has one."""
        return next((item for item in self.resources if isinstance(item, Tree)), None)

    @property
    def compose(self) -> Compose | None:
        """Give its compose file, where it has one."""
        return next((item for item in self.resources if isinstance(item, Compose)), None)

    @property
    def networks(self) -> tuple[Network, ...]:
        """Give its networks in order."""
        return tuple([item for item in self.resources if isinstance(item, Network)])

    @property
    def volumes(self) -> tuple[Volume, ...]:
        """Give its volumes in order."""
        return tuple([item for item in self.resources if isinstance(item, Volume)])

    @property
    def keys(self) -> tuple[str, ...]:
        """Give the keys of all that makes it up: its resources in order, and the services of its compose file."""
        services = self.compose.services if self.compose is not None else ()
        return (*(str(item.key) for item in self.resources), *(f"{SERVICES}/{name}" for name in services))

    def parts(self, fleet: str) -> tuple[Part, ...]:
        """Give all of it that runs, in order."""
        compose = self.compose
        services = compose.services if compose is not None else ()
        return (
            *(self.part(container, fleet) for container in self.containers),
            *(self._service(name, fleet, once=name in compose.once) for name in services if compose is not None),
        )

    def part(self, container: Container, fleet: str) -> Part:
        """Give one of its containers as what runs."""
        return Part(
            key=container.key,
            docker_name=str(DerivedName(fleet, self.name, container.name)),
            probes=self._probes_of(container.name, once=container.run == "once"),
            optional=container.optional,
        )

    def _service(self, name: str, fleet: str, *, once: bool) -> Part:
        return Part(
            key=Key(SERVICES, name),
            docker_name=composed_name(DerivedName(fleet, self.name, name), SERVICES),
            probes=self._probes_of(name, once=once),
        )

    def _probes_of(self, name: str, *, once: bool) -> tuple[Probe, ...]:
        """Give what one of its parts must answer; without a probe in the spec, that it runs, or has finished."""
        own = tuple(probe for probe in self.probes if probe.container == name)
        return own or ((FinishedProbe if once else RunningProbe)(name="started", container=name),)

    def find(self, key: Key) -> Resource | None:
        """Look one resource up by its key."""
        return next((item for item in self.resources if item.key == key), None)


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Leave the host of one sandbox to planning.

    Attributes:
        strategy: `spread` takes the emptiest host, `pack` the fullest that has room.
        selector: labels that a host must have; none means any host.
        forms: what the sandbox is, once for all hosts on which it is the same.
        hosts: every host that has the labels, to the number of its form.
    """

    strategy: Literal["spread", "pack"] = "spread"
    selector: dict[str, str] = {}
    forms: tuple[SandboxDesired, ...]
    hosts: dict[str, int]

    def on(self, host: str) -> SandboxDesired:
        """Give the sandbox as it is on one of these hosts."""
        return msgspec.structs.replace(self.forms[self.hosts[host]], host=host)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bound what one pass, and one day, may do."""

    removals_per_plan_percent: int = 30
    removals_per_day_percent: int = 30
    concurrent_hosts: int = 64
    creates_per_host: int = 4


class Reap(msgspec.Struct, frozen=True, kw_only=True):
    """Say what becomes of orphans."""

    mode: Literal["report", "apply"] = "report"
    older_than_s: int = 24 * 3600
    grace_s: int = 3600
    idle_after_s: int | None = None
    legacy_patterns: tuple[str, ...] = ()
    legacy_roots: tuple[str, ...] = ()


class Registry(msgspec.Struct, frozen=True, kw_only=True):
    """Log in to a registry for pulls; the password stays symbolic until one is made."""

    host: str
    username: str
    password: Text


class SinkDesired(msgspec.Struct, frozen=True, kw_only=True):
    """Send telemetry to one place; what is secret stays symbolic until it is sent.

    Attributes:
        type: `file`, `stateHub`, `prometheus`, or the name of an entry point of another package.
        url, workstream, path, token, fields: of a stateHub.
        folder: of prometheus.
        options: of what another package brings.
    """

    type: str
    name: str
    url: str = ""
    workstream: str = ""
    path: str = ""
    token: Text | None = None
    fields: dict[str, str] = {}
    folder: str = ""
    options: dict[str, Text] = {}


class Desired(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one fleet as the specs say it should be.

    Attributes:
        fleet: its name.
        digest: of every byte that was read, so that a saved plan knows its specs.
        sandboxes: every one, by name. One whose host is not named stands here on the first host that it may be on,
            until planning has placed it.
        choices: of the sandboxes whose host is not named.
        secrets: name of each secret to the file that holds it; the values are nowhere in here.
        telemetry: where it is sent after each pass.
        sourced: sandboxes that have a tree, which is read each time that the specs are.
    """

    fleet: str
    digest: str
    hosts: dict[str, HostDesired]
    sandboxes: dict[str, SandboxDesired]
    limits: Limits = Limits()
    reap: Reap = Reap()
    registries: tuple[Registry, ...] = ()
    secrets: dict[str, str] = {}
    telemetry: tuple[SinkDesired, ...] = ()
    sourced: tuple[str, ...] = ()
    choices: dict[str, Choice] = {}

    def everywhere(self) -> Iterator[SandboxDesired]:
        """Give every sandbox on every host that it may be on."""
        for name, sandbox in self.sandboxes.items():
            choice = self.choices.get(name)
            yield from (sandbox,) if choice is None else (choice.on(host) for host in choice.hosts)
