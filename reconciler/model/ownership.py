"""Prove whose an object is. A label alone never proves it: images hand their labels down, and people copy them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from reconciler.model import labels as label
from reconciler.model.marker import Marker
from reconciler.model.names import SERVICES, DerivedName, Key, composed_name, is_full_id, parse_derived, sandbox_uid
from reconciler.model.observed import HostView, ImageAbsent, ImageFact, SeenContainer, SeenMarker

_OWNER = ("fleet", "sandbox", "uid", "kind", "resource")


class Ours(msgspec.Struct, frozen=True, tag="ours"):
    """Hold the proof that an object is this fleet's.

    `name` is the parsed name, `labels` what we wrote at its creation (None for an adopted object).
    """

    name: DerivedName
    labels: label.Labels | None

    @property
    def key(self) -> Key:
        """Give the key of the resource inside its sandbox."""
        return Key(self.labels.kind if self.labels is not None else "containers", self.name.resource)

    @property
    def place(self) -> str:
        """Say where it stands among the settled containers of its sandbox: by name, a service by its whole key."""
        return str(self.key) if self.key.kind == SERVICES else self.name.resource


class Theirs(msgspec.Struct, frozen=True, tag="theirs"):
    """Say that it is somebody else's, and whose as far as can be told."""

    owner: str


class Unprovable(msgspec.Struct, frozen=True, tag="unprovable"):
    """Say that it looks like ours and cannot be proved: held, never touched."""

    why: str


Proof = Ours | Theirs | Unprovable


def prove_container(
    seen: SeenContainer,
    *,
    fleet: str,
    images: Mapping[str, ImageFact | ImageAbsent],
    markers: Mapping[str, Marker],
) -> Proof:
    """Decide whose a container is.

    Ours means: our labels, set on the container and not inherited from its image, a name that equals the one they
    derive, and this fleet; or a marker of this fleet that adopted exactly this id under this name.

    Args:
        seen: the inspected container.
        fleet: name of this fleet.
        images: image facts by id; the container's own must be among them.
        markers: this host's, as `trusted_markers` gives them.
    """
    name = parse_derived(seen.name)
    if name is not None and name.fleet == fleet and _is_adopted(seen, name=name, markers=markers):
        return Ours(name=name, labels=None)
    if not carries_ours(seen.labels):
        return Theirs(owner=owner_of(seen.labels))
    image = images.get(seen.image_id)
    if not isinstance(image, ImageFact):
        return Unprovable(why=f"its image {seen.image_id} could not be read, so its labels may be the image's")
    if carries_ours(image.labels):
        return Unprovable(why="its image carries labels of the reconciler, so its own prove nothing")
    return prove_labels(seen.name, seen.labels, fleet=fleet)


def doubt_marker(found: SeenMarker, *, fleet: str) -> str | None:
    """Say why what lies in a sandbox's folder is no marker: it cannot be read, or is a copy of another's; or None."""
    marker = found.marker
    if marker is None or marker.fleet != fleet or sandbox_uid(fleet, marker.sandbox) == found.folder:
        return found.fault
    return f"it is the one of sandbox {marker.sandbox}, whose folder is another"


def trusted_markers(view: HostView, *, fleet: str) -> dict[str, Marker]:
    """Give a host's markers, by uid, that are this fleet's, in their own folder, and written by our user."""
    return {
        found.marker.uid: found.marker
        for found in view.markers
        if found.marker is not None
        and found.marker.fleet == fleet
        and found.owner_uid == view.identity.uid
        and doubt_marker(found, fleet=fleet) is None
    }


def prove_labels(docker_name: str, labels: Mapping[str, str], *, fleet: str) -> Proof:
    """Decide whose a network, a volume, or a container whose image is known to be clean, is."""
    ours = label.from_docker(labels)
    if ours is None:
        return Theirs(owner=owner_of(labels))
    if ours.fleet != fleet:
        return Theirs(owner=f"fleet {ours.fleet}")
    name = derived_from(docker_name, labels)
    if name is None or (name.fleet, name.sandbox, name.resource) != (ours.fleet, ours.sandbox, ours.resource):
        return Unprovable(why=f"its name {docker_name!r} is not the one that its labels derive: they may be copied")
    if ours.uid != sandbox_uid(ours.fleet, ours.sandbox):
        return Unprovable(why="its uid label is not the one that fleet and sandbox derive")
    return Ours(name=name, labels=ours)


def derived_from(docker_name: str, labels: Mapping[str, str]) -> DerivedName | None:
    """Read a name that this program derives, or by its labels what compose named; proves nothing by itself."""
    ours = label.from_docker(labels)
    if ours is None:
        return parse_derived(docker_name)
    name = DerivedName(ours.fleet, ours.sandbox, ours.resource)
    return name if docker_name == composed_name(name, ours.kind) else parse_derived(docker_name)


def _is_adopted(seen: SeenContainer, *, name: DerivedName, markers: Mapping[str, Marker]) -> bool:
    marker = markers.get(sandbox_uid(name.fleet, name.sandbox))
    if marker is None or marker.fleet != name.fleet or marker.sandbox != name.sandbox:
        return False
    adopted = marker.adopted.get(str(Key("containers", name.resource)))
    return adopted == seen.full_id and is_full_id(seen.full_id)


def owner_of(labels: Mapping[str, str]) -> str:
    """Say in words whose an object is that is not ours, as far as its labels tell."""
    fleet = labels.get(label.PREFIX + "fleet")
    if fleet is not None:
        return f"fleet {fleet}"
    project = project_of(labels)
    return f"compose project {project}" if project is not None else "somebody else"


def project_of(labels: Mapping[str, str]) -> str | None:
    """Name the compose project that an object belongs to, or None."""
    return labels.get("com.docker.compose.project")


def carries_ours(labels: Mapping[str, str]) -> bool:
    """Tell whether any label begins with our prefix."""
    return any(name.startswith(label.PREFIX) for name in labels)


def doubt_container(seen: SeenContainer, image: ImageFact | None, *, uid: str) -> str | None:
    """Say why a container is not proved to belong to the sandbox with this uid, or None.

    This is the last look before a container is changed, where no marker is at hand: one that was adopted carries no
    labels of ours, and is taken by its full id, which a marker named, and by its derived name.

    Args:
        seen: as just inspected.
        image: what its image brings along, or None when that cannot be read.
        uid: of the sandbox that it should belong to.
    """
    if not carries_ours(seen.labels):
        name = parse_derived(seen.name)
        derived = None if name is None else sandbox_uid(name.fleet, name.sandbox)
        return None if derived == uid else f"neither its labels nor its name say that it is {uid}'s"
    if image is None:
        return f"its image {seen.image_id} cannot be read, so its labels may be the image's"
    if carries_ours(image.labels):
        return "its image carries labels of the reconciler, so its own prove nothing"
    return doubt_labels(seen.name, seen.labels, uid=uid)


def doubt_labels(name: str, labels: Mapping[str, str], *, uid: str) -> str | None:
    """Say why labels do not prove that an object of this name belongs to the sandbox with this uid, or None."""
    proof = prove_labels(name, labels, fleet=labels.get(label.PREFIX + "fleet", ""))
    if not isinstance(proof, Ours) or proof.labels is None:
        return f"its labels and its name {name!r} do not prove that it belongs to {uid}"
    return None if proof.labels.uid == uid else f"its labels say that it belongs to {proof.labels.uid}, not to {uid}"


def same_owner(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Tell whether two sets of labels name the same resource of the same sandbox of the same fleet."""
    return all(one.get(label.PREFIX + name) == other.get(label.PREFIX + name) for name in _OWNER)


def same_attempt(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Tell whether both were written by the same step of the same pass."""
    attempt = one.get(label.PREFIX + "attempt")
    return attempt is not None and attempt == other.get(label.PREFIX + "attempt") and same_owner(one, other)


def is_of_fleet(name: str, labels: Mapping[str, str], *, fleet: str) -> bool:
    """Tell whether an object claims to be a fleet's, by its label or by its name; that alone proves nothing."""
    derived = parse_derived(name)
    return labels.get(label.PREFIX + "fleet") == fleet or (derived is not None and derived.fleet == fleet)
