"""Describe the Fleet: what bounds, allows and watches everything else. Exactly one in a spec folder."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from reconciler.spec.addresses import Url
from reconciler.spec.fields import Document, Fields
from reconciler.spec.leaf import Bool, Duration, Percent, SecretText, Text, Whole, choice_text, seconds
from reconciler.spec.names import Reference, SecretName
from reconciler.spec.paths import AbsolutePath


class Limits(Fields):
    """Bound what one pass, and one day, may do."""

    removals_per_plan: Percent = Field(default=30, json_schema_extra={"default": "30%"})
    removals_per_day: Percent = Field(default=30, json_schema_extra={"default": "30%"})
    concurrent_hosts: Annotated[int, Whole(1, 1024)] = 64
    creates_per_host: Annotated[int, Whole(1, 64)] = 4


class Reap(Fields):
    """Say what becomes of what nobody wants any more."""

    mode: Annotated[Literal["report", "apply"], BeforeValidator(choice_text)] = "report"
    older_than: Duration = seconds("24h")
    grace: Duration = seconds("1h")
    idle_after: Duration | None = None
    legacy_patterns: tuple[Text, ...] = ()
    legacy_roots: tuple[AbsolutePath, ...] = ()


class Allowance(Fields):
    """Lift named denials for the sandboxes of one profile."""

    profile: Reference
    host_network: Bool = False
    host_ipc: Bool = False
    cap_add: tuple[Text, ...] = ()
    devices: tuple[Text, ...] = ()


class Policy(Fields):
    """Say what sandboxes may ask of a host."""

    mounts: tuple[AbsolutePath, ...] = Field(default=(), description="Host paths that sandboxes may mount.")
    images: tuple[Text, ...] = Field(default=("*",), description="Allowed image references; `*` matches any text.")
    hardened: Bool = False
    allow: tuple[Allowance, ...] = ()
    require_signed_commits: Bool = False


class SecretSource(Fields):
    """Say where a secret is kept on the controller: outside the specs."""

    file: AbsolutePath


class Registry(Fields):
    """Log in to one registry for pulls; nothing of it is stored on a host."""

    host: Text
    username: Text
    password: SecretText = Field(description='A reference: "${secret:NAME}".')


class Sink(Fields):
    """Send telemetry to one place."""

    type: Annotated[Literal["file", "stateHub"], BeforeValidator(choice_text)]
    url: Url | None = None
    token: SecretText | None = None


class Telemetry(Fields):
    """Say where telemetry goes."""

    sinks: tuple[Sink, ...] = ()


class Alert(Fields):
    """Call a webhook when something needs a person."""

    url: Url
    token: SecretText | None = None


class FleetSpec(Fields):
    """Hold what is the same for the whole fleet."""

    limits: Limits = Limits()
    reap: Reap = Reap()
    policy: Policy = Policy()
    secrets: dict[SecretName, SecretSource] = Field(default_factory=dict)
    registries: tuple[Registry, ...] = ()
    telemetry: Telemetry = Telemetry()
    alerts: tuple[Alert, ...] = ()


class Fleet(Document):
    """Declare the fleet."""

    kind: Annotated[Literal["Fleet"], BeforeValidator(choice_text)]
    spec: FleetSpec = FleetSpec()
