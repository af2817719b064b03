"""Digest intent so that a difference can be attributed. A digest never causes an action by itself."""

from __future__ import annotations

import hashlib

import msgspec

from reconciler.model.compose import ComposePolicy
from reconciler.model.desired import SandboxDesired
from reconciler.model.resource import Compose, Container, Resource, Tree
from reconciler.model.rule import Remedy, rules

DIGEST_VERSION = "2"
_ENCODER = msgspec.json.Encoder(order="deterministic")


def canonical_json(value: object) -> bytes:
    """Encode any noun so that equal values give equal bytes."""
    return _ENCODER.encode(value)


def fingerprint(value: object) -> str:
    """Give 16 hex digits that change when the value does. Never pass it the value of a secret."""
    return hashlib.sha256(canonical_json(value)).hexdigest()[:16]


def container_digest(container: Container) -> str:
    """Digest the fields of an unbound container that need a restart or a replacement; secrets count by their names."""
    strong = {
        field: value
        for field, rule in rules(Container).items()
        if rule.remedy.strength >= Remedy.RESTART.strength and (value := getattr(container, field)) is not msgspec.UNSET
    }
    return f"{DIGEST_VERSION}:{fingerprint(strong)}"


def intent_digest(sandbox: SandboxDesired) -> str:
    """Digest everything whose change is a new generation: all but where it was written, and on which host it lies."""
    resources = tuple(_meant(resource) for resource in sandbox.resources)
    bare = msgspec.structs.replace(sandbox, resources=resources, origins={}, at=None, intent="", host="", suspend=None)
    return f"{DIGEST_VERSION}:{fingerprint(bare)}"


def _meant(resource: Resource) -> Resource:
    """Leave out where a tree lies on this machine: another checkout means the same. The policy is the Fleet's."""
    if isinstance(resource, Tree):
        return msgspec.structs.replace(resource, folder="", exclude=())
    return msgspec.structs.replace(resource, policy=ComposePolicy()) if isinstance(resource, Compose) else resource


def same_version(one: str, other: str) -> bool:
    """Tell whether two digests were made by the same rules, so that their difference means something."""
    return one.partition(":")[0] == other.partition(":")[0]
