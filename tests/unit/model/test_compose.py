"""Make what compose brings up ours: labels that prove it, the same each time, and hardened where the policy says so."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.compose import ComposePolicy, Project, images_of, ours
from reconciler.model.names import SERVICE_PATTERN, DerivedName, composed_name
from reconciler.model.ownership import Ours, Theirs, Unprovable, prove_labels
from tests import builders as b

names = st.from_regex(SERVICE_PATTERN, fullmatch=True)
FILE: dict[str, Any] = {
    "name": "x",
    "services": {"web": {"image": "web:1", "labels": {"a": "1"}}, "db": {"image": "db:1", "read_only": False}},
    "networks": {"default": {"name": "x_default", "ipam": {}}},
    "volumes": {"rows": None},
}


def project(**over: Any) -> Project:
    given = {
        "fleet": b.FLEET, "sandbox": b.SANDBOX, "origin": "spec", "folder": "/f", "services": ("db", "web"),
        "policy": ComposePolicy(), "base_dir": b.BASE_DIR, "docker_root": b.DOCKER_ROOT,
    }  # fmt: skip
    return Project(**{**given, **over})


def test_everything_gets_our_labels_beside_its_own() -> None:
    made = ours(FILE, project())
    web = made["services"]["web"]["labels"]
    assert web["a"] == "1"
    assert (web["dev.reconciler.kind"], web["dev.reconciler.resource"]) == ("services", "web")
    assert made["networks"]["default"]["labels"]["dev.reconciler.kind"] == "networks"
    assert made["volumes"]["rows"]["labels"]["dev.reconciler.kind"] == "volumes"
    assert made["networks"]["default"]["name"] == "x_default"


def test_what_a_file_does_not_have_is_not_added() -> None:
    made = ours({"name": "x", "services": {"web": {"image": "x"}}, "volumes": None}, project())
    assert sorted(made) == ["name", "services", "volumes"]
    assert made["volumes"] is None


def test_the_model_that_was_judged_stays_as_it_was() -> None:
    before = repr(FILE)
    ours(FILE, project(policy=ComposePolicy(hardened=True)))
    assert repr(FILE) == before


@given(st.dictionaries(names, st.just({"image": "x"}), min_size=1, max_size=3))
def test_labels_are_the_same_each_time(services: dict[str, Any]) -> None:
    model = {**FILE, "services": services}
    assert ours(model, project()) == ours(model, project(folder="/elsewhere", policy=ComposePolicy(images=("x",))))


@given(names, st.sampled_from(["services", "networks", "volumes"]), names)
def test_labels_prove_what_compose_names_and_nothing_else(name: str, kind: str, other: str) -> None:
    model = {"name": "x", "services": {}, kind: {name: {}}}
    labels = ours(model, project())[kind][name]["labels"]
    docker_name = composed_name(DerivedName(b.FLEET, b.SANDBOX, name), kind)
    proof = prove_labels(docker_name, labels, fleet=b.FLEET)
    assert isinstance(proof, Ours)
    assert (str(proof.key), proof.name.sandbox) == (f"{kind}/{name}", b.SANDBOX)
    assert isinstance(prove_labels(docker_name, labels, fleet="other"), Theirs)
    if other != name:
        elsewhere = composed_name(DerivedName(b.FLEET, b.SANDBOX, other), kind)
        assert isinstance(prove_labels(elsewhere, labels, fleet=b.FLEET), Unprovable)


@pytest.mark.parametrize("writable_root", [False, True])
def test_a_hardened_service_has_no_capabilities_of_its_own(*, writable_root: bool) -> None:
    policy = ComposePolicy(hardened=True, writable_root=writable_root)
    model = {**FILE, "services": {"web": {"image": "x", "cap_drop": ["CHOWN"], "security_opt": [], "read_only": False}}}
    web = ours(model, project(policy=policy))["services"]["web"]
    assert web["cap_drop"] == ["ALL"]
    assert web["security_opt"] == ["no-new-privileges:true"]
    assert web["read_only"] is not writable_root


def test_images_are_named_once() -> None:
    assert images_of({"services": {"a": {"image": "x"}, "b": {"image": "x"}, "c": {"image": "a"}}}) == ("a", "x")
