from __future__ import annotations

import pytest
from hypothesis import given
from msgspec.structs import replace

from reconciler.model.labels import PREFIX
from reconciler.model.marker import Marker
from reconciler.model.names import sandbox_uid
from reconciler.model.observed import ImageAbsent, ImageFact, SeenContainer
from reconciler.model.ownership import (
    Ours,
    Proof,
    Theirs,
    Unprovable,
    prove_container,
    prove_labels,
    trusted_markers,
)
from tests.builders import (
    FLEET,
    a_foreign,
    a_marker,
    a_sandbox,
    a_seen,
    a_seen_marker,
    a_view,
    an_image,
    docker_name,
    full_id,
    labels_for,
)
from tests.strategies import names


def prove(seen: SeenContainer, *, image: ImageFact | ImageAbsent | None = None, marker: Marker | None = None) -> Proof:
    facts = {seen.image_id: an_image() if image is None else image}
    return prove_container(seen, fleet=FLEET, images=facts, markers={} if marker is None else {marker.uid: marker})


@given(names, names)
def test_what_we_made_is_ours(sandbox: str, resource: str) -> None:
    owner = a_sandbox(sandbox)
    name = docker_name(sandbox, resource)
    proof = prove(a_seen(name=name, labels=labels_for(owner, resource)))
    assert isinstance(proof, Ours)
    assert proof.labels is not None
    assert (proof.labels.sandbox, str(proof.key), str(proof.name)) == (sandbox, f"containers/{resource}", name)


@pytest.mark.parametrize("suffix", [".next-0a1b2c", ".tomb-1750000000"])
def test_ours_on_its_way_in_or_out_is_ours(suffix: str) -> None:
    assert isinstance(prove(a_seen(name=docker_name() + suffix)), Ours)


def test_what_has_no_label_of_ours_is_theirs() -> None:
    assert prove(a_foreign()) == Theirs("somebody else")
    assert prove(a_foreign(labels={"com.docker.compose.project": "shop"})) == Theirs("compose project shop")


def test_a_derived_name_alone_proves_nothing() -> None:
    assert isinstance(prove(a_foreign(docker_name())), Theirs)


def test_labels_inherited_from_the_image_prove_nothing() -> None:
    assert isinstance(prove(a_seen(), image=an_image(labels=labels_for())), Unprovable)


def test_one_label_of_ours_on_the_image_is_enough_to_prove_nothing() -> None:
    assert isinstance(prove(a_seen(), image=an_image(labels={PREFIX + "fleet": FLEET})), Unprovable)


def test_an_image_that_cannot_be_read_proves_nothing() -> None:
    assert isinstance(prove(a_seen(), image=ImageAbsent()), Unprovable)
    assert isinstance(prove_container(a_seen(), fleet=FLEET, images={}, markers={}), Unprovable)


def test_another_fleets_container_is_theirs() -> None:
    assert prove(a_seen(labels=labels_for(fleet="other"))) == Theirs("fleet other")


@pytest.mark.parametrize("name", ["postgres", docker_name("web-2"), docker_name(resource="side"), docker_name() + "x"])
def test_labels_under_a_name_that_they_do_not_derive_prove_nothing(name: str) -> None:
    assert isinstance(prove(a_seen(name=name)), Unprovable)


def test_a_uid_that_is_not_the_derived_one_proves_nothing() -> None:
    assert isinstance(prove(a_seen(labels=labels_for(uid="00000000"))), Unprovable)


@pytest.mark.parametrize("missing", ["uid", "attempt", "fleet"])
def test_labels_that_are_not_whole_never_prove_it_ours(missing: str) -> None:
    labels = labels_for()
    del labels[PREFIX + missing]
    assert not isinstance(prove(a_seen(labels=labels)), Ours)


def test_a_marker_proves_exactly_what_it_adopted() -> None:
    taken = a_foreign(docker_name())
    marker = a_marker(adopted={"containers/main": taken.full_id})
    proof = prove(taken, marker=marker)
    assert isinstance(proof, Ours)
    assert proof.labels is None
    assert str(proof.key) == "containers/main"
    assert isinstance(prove(replace(taken, full_id=full_id("another")), marker=marker), Theirs)
    assert isinstance(prove(replace(taken, name="postgres"), marker=marker), Theirs)
    assert isinstance(prove(replace(taken, name=docker_name(resource="side")), marker=marker), Theirs)


@pytest.mark.parametrize("lie", [{"fleet": "other"}, {"sandbox": "web-2"}])
def test_a_marker_of_another_owner_proves_nothing(lie: dict[str, str]) -> None:
    taken = a_foreign(docker_name())
    marker = a_marker(adopted={"containers/main": taken.full_id}, **lie)
    markers = {sandbox_uid(FLEET, "web-1"): marker}
    proof = prove_container(taken, fleet=FLEET, images={taken.image_id: an_image()}, markers=markers)
    assert isinstance(proof, Theirs)


def test_networks_and_volumes_are_proved_by_labels_and_name() -> None:
    labels = labels_for(resource="net", kind="networks")
    proof = prove_labels(docker_name(resource="net"), labels, fleet=FLEET)
    assert isinstance(proof, Ours)
    assert str(proof.key) == "networks/net"
    assert isinstance(prove_labels("bridge", {}, fleet=FLEET), Theirs)
    assert isinstance(prove_labels("my-net", labels, fleet=FLEET), Unprovable)


@pytest.mark.parametrize(
    ("told", "folder", "owner_uid", "trusted"),
    [
        (a_marker(), None, None, True),
        (replace(a_marker(), fleet="other"), None, None, False),
        (a_marker(), sandbox_uid(FLEET, "other"), None, False),
        (a_marker(), None, 4711, False),
    ],
)
def test_only_our_own_marker_in_its_own_folder_is_trusted(
    told: Marker, folder: str | None, owner_uid: int | None, *, trusted: bool
) -> None:
    who = a_view().identity.uid if owner_uid is None else owner_uid
    found = a_seen_marker(told, folder=folder or told.uid, owner_uid=who)
    assert bool(trusted_markers(replace(a_view(), markers=(found,)), fleet=FLEET)) is trusted
