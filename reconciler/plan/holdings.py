"""Sort what a host holds by whose it is: per sandbox what is provably ours, and what merely stands in the way."""

from __future__ import annotations

from collections import defaultdict

import msgspec

from reconciler.model.labels import from_docker
from reconciler.model.marker import Marker
from reconciler.model.names import DerivedName, parse_derived, sandbox_uid
from reconciler.model.observed import HostView, ImageFact, SeenContainer, SeenMarker, SeenNetwork, SeenVolume
from reconciler.model.ownership import (
    Ours,
    Theirs,
    Unprovable,
    carries_ours,
    doubt_marker,
    owner_of,
    prove_container,
    prove_labels,
    trusted_markers,
)


class OwnedContainer(msgspec.Struct, frozen=True):
    """Hold a container that is proved to be ours."""

    seen: SeenContainer
    proof: Ours


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what one host has of one sandbox.

    Attributes:
        settled: the container under its lasting name, by resource name; a service's by its key, `services/web`.
        arriving: replacements that were begun and not finished.
        tombs: containers on their way out.
        marker: the sandbox's marker; `folder` is how its folder was seen.
        doubts: why something that looks like part of this sandbox cannot be proved to be.
    """

    sandbox: str
    settled: dict[str, OwnedContainer] = {}
    arriving: tuple[OwnedContainer, ...] = ()
    tombs: tuple[OwnedContainer, ...] = ()
    networks: dict[str, SeenNetwork] = {}
    volumes: dict[str, SeenVolume] = {}
    marker: Marker | None = None
    folder: SeenMarker | None = None
    doubts: tuple[str, ...] = ()

    @property
    def containers(self) -> tuple[OwnedContainer, ...]:
        """Give every container, settled first."""
        return (*self.settled.values(), *self.arriving, *self.tombs)

    @property
    def exists(self) -> bool:
        """Tell whether anything of it is on the host that a removal would have to remove."""
        present = self.marker is not None and self.marker.phase == "present"
        return bool(present or self.settled or self.arriving or self.tombs or self.networks)

    @property
    def origin(self) -> str:
        """Tell whether specs or a command made it."""
        if self.marker is not None:
            return self.marker.origin
        return next((item.proof.labels.origin for item in self.containers if item.proof.labels is not None), "spec")

    @property
    def run(self) -> str:
        """Give the current run; without a marker, the latest that its containers tell."""
        if self.marker is not None:
            return self.marker.run
        return max((item.proof.labels.run for item in self.containers if item.proof.labels is not None), default="")

    @property
    def generation(self) -> int:
        """Give the generation; without a marker, the highest that its containers tell, 0 when there is none."""
        if self.marker is not None:
            return self.marker.generation
        told = [item.proof.labels.generation for item in self.containers if item.proof.labels is not None]
        return max(told, default=0)

    @property
    def revisions(self) -> frozenset[str]:
        """Give the commits that it is of: the marker's, which moves with every change, else those of its parts."""
        if self.marker is not None:
            return frozenset({self.marker.revision})
        return frozenset(item.proof.labels.revision for item in self.containers if item.proof.labels is not None)


class Other(msgspec.Struct, frozen=True):
    """Hold who else has a container name: the owner in words, and the container's full id."""

    owner: str
    full_id: str


class HostHoldings(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what one host has.

    Attributes:
        sandboxes: ours, by sandbox name.
        others: who holds each container name that is not ours.
        strangers: keys with Docker names (`networks/sbx-…`) of networks and volumes that look like ours and are not.
        damaged: uid folders whose marker cannot be read as one, and why.
        renamed: by sandbox, containers that carry its labels under another name while its own are not there.
    """

    sandboxes: dict[str, Holding]
    others: dict[str, Other]
    strangers: frozenset[str] = frozenset()
    damaged: dict[str, str] = {}
    renamed: dict[str, tuple[str, ...]] = {}


class _Gathering:
    """Collect the parts of one sandbox while a view is sorted."""

    def __init__(self) -> None:
        self.settled: dict[str, OwnedContainer] = {}
        self.arriving: list[OwnedContainer] = []
        self.tombs: list[OwnedContainer] = []
        self.networks: dict[str, SeenNetwork] = {}
        self.volumes: dict[str, SeenVolume] = {}
        self.marker: Marker | None = None
        self.folder: SeenMarker | None = None
        self.doubts: list[str] = []

    def take(self, owned: OwnedContainer) -> None:
        """Put a container where its name says that it belongs."""
        if owned.proof.name.settled:
            self.settled[owned.proof.place] = owned
        elif owned.proof.name.tomb_epoch_s is not None:
            self.tombs.append(owned)
        else:
            self.arriving.append(owned)

    def finish(self, sandbox: str) -> Holding:
        """Freeze what was collected."""
        return Holding(
            sandbox=sandbox,
            settled=dict(sorted(self.settled.items())),
            arriving=tuple(self.arriving),
            tombs=tuple(self.tombs),
            networks=dict(sorted(self.networks.items())),
            volumes=dict(sorted(self.volumes.items())),
            marker=self.marker,
            folder=self.folder,
            doubts=tuple(sorted(self.doubts)),
        )


def sort_view(view: HostView, *, fleet: str) -> HostHoldings:
    """Sort one host's view by ownership. Pure, and independent of the order of the host's answers."""
    gathered: defaultdict[str, _Gathering] = defaultdict(_Gathering)
    others = {item.name: Other(owner=owner_of(item.labels), full_id=item.full_id) for item in view.neighbours}
    markers = _take_markers(view, fleet=fleet, gathered=gathered)
    unproved: list[SeenContainer] = []
    for seen in sorted(view.containers, key=lambda item: item.name):
        proof = prove_container(seen, fleet=fleet, images=view.images, markers=markers)
        match proof:
            case Ours():
                gathered[proof.name.sandbox].take(OwnedContainer(seen, proof))
            case Theirs(owner=owner):
                others[seen.name] = Other(owner=owner, full_id=seen.full_id)
            case Unprovable(why=why):
                others[seen.name] = Other(owner="an owner that cannot be proved", full_id=seen.full_id)
                unproved.append(seen)
                name = parse_derived(seen.name)
                if name is not None and name.fleet == fleet:
                    gathered[name.sandbox].doubts.append(f"container {seen.name} ({seen.full_id}): {why}")
    renamed: defaultdict[str, list[str]] = defaultdict(list)
    for seen in unproved:
        lasting = _renamed(seen, view, fleet=fleet)
        if lasting is not None and (
            lasting.sandbox not in gathered or lasting.resource not in gathered[lasting.sandbox].settled
        ):
            renamed[lasting.sandbox].append(
                f"container {seen.name} ({seen.full_id}) carries the labels of {lasting}, which is not there"
            )
    strangers: set[str] = set()
    # Docker lets two networks have one name: the order of their ids decides, not that of the answer.
    for network in sorted(view.networks, key=lambda item: item.id):
        proof = prove_labels(network.name, network.labels, fleet=fleet)
        if isinstance(proof, Ours):
            gathered[proof.name.sandbox].networks[proof.name.resource] = network
        else:
            strangers.add(f"networks/{network.name}")
    for volume in view.volumes:
        proof = prove_labels(volume.name, volume.labels, fleet=fleet)
        if isinstance(proof, Ours):
            gathered[proof.name.sandbox].volumes[proof.name.resource] = volume
        else:
            strangers.add(f"volumes/{volume.name}")
    return HostHoldings(
        sandboxes={name: gathered[name].finish(name) for name in sorted(gathered)},
        others=others,
        strangers=frozenset(strangers),
        damaged={item.folder: fault for item in view.markers if (fault := doubt_marker(item, fleet=fleet)) is not None},
        renamed={name: tuple(found) for name, found in renamed.items()},
    )


def _renamed(seen: SeenContainer, view: HostView, *, fleet: str) -> DerivedName | None:
    """Give the lasting name that a container's labels derive, where nothing but its own name speaks against it.

    One whose image hands our labels down is a mere look-alike.
    """
    told, image = from_docker(seen.labels), view.images.get(seen.image_id)
    if told is None or told.fleet != fleet or told.uid != sandbox_uid(fleet, told.sandbox):
        return None
    if told.kind != "containers" or (isinstance(image, ImageFact) and carries_ours(image.labels)):
        return None
    lasting = DerivedName(fleet, told.sandbox, told.resource)
    return lasting if str(lasting) != seen.name else None


def _take_markers(view: HostView, *, fleet: str, gathered: defaultdict[str, _Gathering]) -> dict[str, Marker]:
    """Take the markers that can be trusted, and doubt a sandbox whose folder is another user's."""
    trusted = trusted_markers(view, fleet=fleet)
    for found in view.markers:
        marker = found.marker
        if marker is None or marker.fleet != fleet or doubt_marker(found, fleet=fleet) is not None:
            continue
        mine = gathered[marker.sandbox]
        if marker.uid in trusted:
            mine.marker, mine.folder = marker, found
        else:
            mine.doubts.append(
                f"its folder {found.folder} belongs to uid {found.owner_uid}, we are {view.identity.uid}"
            )
    return trusted
