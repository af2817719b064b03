"""Describe the Fleet: what bounds, allows and watches everything else. Exactly one in a spec folder."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from reconciler.spec.addresses import RegistryHost, Url
from reconciler.spec.container import Capability, Device
from reconciler.spec.fields import Document, Fields
from reconciler.spec.leaf import Bool, Duration, DurationOrZero, Percent, SecretText, Text, Whole, choice_text, seconds
from reconciler.spec.names import Reference, SecretName
from reconciler.spec.paths import AbsolutePath, SecretFile
from reconciler.spec.refusal import refuse
from reconciler.spec.sink import SinkOption, UrlPath, in_private, of_types, sink_name, sink_type, without_literals


class Limits(Fields):
    """Bound what one pass, and one day, may do."""

    removals_per_plan: Percent = Field(
        default=30,
        json_schema_extra={"default": "30%"},
        description="Share of the fleet, and of each host, that one plan may remove; 2 sandboxes are always allowed.",
    )
    removals_per_day: Percent = Field(
        default=30,
        json_schema_extra={"default": "30%"},
        description="Share of the fleet that may go within 24 hours; 10 are always allowed.",
    )
    concurrent_hosts: Annotated[int, Whole(1, 1024)] = Field(
        default=64, description="Hosts that are worked on at once."
    )
    creates_per_host: Annotated[int, Whole(1, 64)] = Field(
        default=4, description="Actions that run on one host at once."
    )


_LEGACY_ROOT = "/tmp/sandboxer"  # noqa: S108 - listed, never written to
"""Where sand-boxer keeps its folders."""


class Reap(Fields):
    """Say what becomes of what nobody wants any more."""

    mode: Annotated[Literal["report", "apply"], BeforeValidator(choice_text)] = Field(
        default="report", description="What becomes of an orphan: shown, or stopped and removed after the grace."
    )
    older_than: Annotated[DurationOrZero, Field(description="Younger orphans are left alone.")] = seconds("24h")
    grace: Annotated[
        DurationOrZero,
        Field(description="From stopping an orphan to removing it; with `0s` the next apply removes it."),
    ] = seconds("1h")
    idle_after: Duration | None = Field(
        default=None, description="`inspect stale` names a sandbox idle that has done nothing for so long."
    )
    legacy_patterns: tuple[Text, ...] = Field(
        default=("sbx-*",), description="Names of compose projects, such as `e2e-*`, that `inspect stale` shows."
    )
    legacy_roots: tuple[AbsolutePath, ...] = Field(
        default=(_LEGACY_ROOT,), description="Folders whose folders `inspect stale` shows."
    )


class Allowance(Fields):
    """Lift named denials for the sandboxes of one profile."""

    profile: Reference = Field(description="Only sandboxes of this profile are meant.")
    host_network: Bool = Field(default=False, description="Allow `networkMode: host`.")
    host_ipc: Bool = Field(default=False, description="Allow `ipc: host`.")
    cap_add: tuple[Capability, ...] = Field(default=(), description="Capabilities that may be added.")
    devices: tuple[Device, ...] = Field(default=(), description="Devices of the host that may be given.")
    writable_root: Bool = Field(
        default=False, description="With `hardened`: let containers write to their root filesystem all the same."
    )


class Policy(Fields):
    """Say what sandboxes may ask of a host."""

    mounts: tuple[AbsolutePath, ...] = Field(
        default=(), description="Host paths that sandboxes may mount, with what is below."
    )
    images: tuple[Text, ...] = Field(default=("*",), description="Allowed image references; `*` matches any text.")
    hardened: Bool = Field(
        default=False,
        description="Every container drops all capabilities, may gain no new privileges, and writes to nothing but its "
        "mounts and volumes.",
    )
    allow: tuple[Allowance, ...] = Field(default=(), description="Denials that are lifted for one profile each.")
    require_signed_commits: Bool = Field(default=False, description="`true` is not in this version: refused.")


class SecretSource(Fields):
    """Say where a secret is kept on the controller: outside the specs."""

    file: SecretFile = Field(
        description="A file on the machine that runs `reconcile`; one line break at its end is not part of the secret."
    )


class Registry(Fields):
    """Log in to one registry for pulls; nothing of it is stored on a host."""

    host: RegistryHost = Field(description="The registry, as image references begin, such as `registry.example`.")
    username: Text = Field(description="The account to log in with.")
    password: SecretText = Field(description='A reference: "${secret:NAME}".')


class Sink(Fields):
    """Send telemetry to one place. Fields that another type has are refused."""

    type: Annotated[str, BeforeValidator(sink_type)] = Field(
        description="`file`, `stateHub`, `prometheus`, or the name of an entry point of another package."
    )
    name: Annotated[str, BeforeValidator(sink_name)] | None = Field(
        default=None, description="What messages and its spool call it; its type where it is left out."
    )
    url: Annotated[Url | None, of_types("stateHub", required=True)] = Field(
        default=None, validate_default=True, description="Where a stateHub is; required there."
    )
    workstream: Annotated[Text | None, of_types("stateHub")] = Field(
        default=None, description="What a stateHub files reports under; the fleet's name where it is left out."
    )
    token: Annotated[SecretText | None, of_types("stateHub"), AfterValidator(in_private)] = Field(
        default=None, description="What a stateHub wants to see."
    )
    path: Annotated[UrlPath | None, of_types("stateHub")] = Field(
        default=None, description="Where a stateHub takes reports, below `url`; `progress/` where it is left out."
    )
    fields: Annotated[dict[Text, Text], of_types("stateHub")] = Field(
        default_factory=dict, description="More keys of what a stateHub is sent."
    )
    folder: Annotated[AbsolutePath | None, of_types("prometheus", required=True)] = Field(
        default=None,
        validate_default=True,
        description="Where a node exporter of this machine reads textfiles; required for prometheus.",
    )
    options: Annotated[dict[Text, SinkOption], of_types(None), AfterValidator(without_literals)] = Field(
        default_factory=dict, description="What a sink of another package is told: text, or references to secrets."
    )

    @property
    def called(self) -> str:
        """Give its name."""
        return self.name or self.type


def _one_name_each(sinks: tuple[Sink, ...]) -> tuple[Sink, ...]:
    names = [sink.called for sink in sinks]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise refuse(
            "E_DUPLICATE", "two sinks are called {got}", got=twice, hint="give each a name of its own: name: …"
        )
    return sinks


class Telemetry(Fields):
    """Say where telemetry goes."""

    sinks: Annotated[tuple[Sink, ...], AfterValidator(_one_name_each)] = Field(
        default=(), description="Each is sent what every apply, destroy, adopt, canary and reap measured."
    )


class Alert(Fields):
    """Call a webhook when something needs a person."""

    url: Url = Field(description="The address to call.")
    token: SecretText | None = Field(default=None, description="What it wants to see.")


def _one_login_each(registries: tuple[Registry, ...]) -> tuple[Registry, ...]:
    hosts = [registry.host for registry in registries]
    twice = next((host for host in hosts if hosts.count(host) > 1), None)
    if twice is not None:
        raise refuse("E_DUPLICATE", "the registry {got} is here twice", got=twice, hint="keep one login for each")
    return registries


class FleetSpec(Fields):
    """Hold what is the same for the whole fleet."""

    limits: Limits = Limits()
    reap: Reap = Reap()
    policy: Policy = Policy()
    secrets: dict[SecretName, SecretSource] = Field(
        default_factory=dict, description="The only way in for secrets: used as `${secret:NAME}`."
    )
    registries: Annotated[tuple[Registry, ...], AfterValidator(_one_login_each)] = Field(
        default=(), description="Registries that pulls log in to."
    )
    telemetry: Telemetry = Field(default=Telemetry(), description="Where telemetry is sent after each pass.")
    alerts: tuple[Alert, ...] = Field(default=(), description="Webhooks to call. Not in this version: refused.")


class Fleet(Document):
    """Declare the fleet."""

    kind: Annotated[Literal["Fleet"], BeforeValidator(choice_text)]
    spec: FleetSpec = FleetSpec()
