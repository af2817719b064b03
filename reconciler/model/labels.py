"""Write and read the labels that prove where an object comes from.

Labels hold the values of the moment of creation: Docker cannot change them. What changes later stands in the marker.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

PREFIX = "dev.reconciler."


def _docker_name(field: str) -> str:
    """Name the label that holds a field."""
    return PREFIX + field.replace("_", "-")


class Labels(msgspec.Struct, frozen=True, kw_only=True, rename=_docker_name):
    """Hold what we write on every object we make.

    Attributes:
        fleet: name of the fleet.
        sandbox: name of the sandbox.
        uid: 8 hex digits derived from the two above.
        kind: `containers`, `services` (of a compose file), `networks` or `volumes`.
        resource: the resource's name in the spec.
        digest: versioned digest of the intent, without secrets' values.
        generation: the sandbox's generation when the object was made.
        revision: the commit of the specs, `+dirty` when the work tree differed, or `none`.
        run: id of the run that the object belongs to.
        attempt: id of the step that made it, so that a lost reply is recognised as our own doing.
        origin: `spec`, or `adhoc` for what a command made.
        ttl_s: seconds to live, or None.
        secrets: dotted fields whose values must not be shown, comma-separated.
    """

    fleet: str
    sandbox: str
    uid: str
    kind: str
    resource: str
    digest: str
    generation: int
    revision: str
    run: str
    attempt: str
    origin: str = "spec"
    ttl_s: int | None = None
    secrets: str = ""


def to_docker(labels: Labels) -> dict[str, str]:
    """Write labels as Docker's map of strings; a missing ttl and an empty list of secrets are left out."""
    values = msgspec.to_builtins(labels)
    return {name: str(value) for name, value in values.items() if value is not None and value != ""}


def from_docker(labels: Mapping[str, str]) -> Labels | None:
    """Read our labels out of Docker's map, or None when they are not whole and well-formed."""
    try:
        return msgspec.convert(labels, Labels, strict=False)
    except msgspec.ValidationError:
        return None


def without_ours(labels: Mapping[str, str]) -> dict[str, str]:
    """Drop our own labels from a map, leaving the user's and the image's."""
    return {name: value for name, value in labels.items() if not name.startswith(PREFIX)}
