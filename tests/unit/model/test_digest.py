from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from msgspec.structs import replace

from reconciler.model.desired import SandboxDesired, Suspend
from reconciler.model.digest import canonical_json, container_digest, fingerprint, intent_digest, same_version
from reconciler.model.resource import Container, Gpus, Healthcheck, LogPolicy, Mount, Published, Ulimit
from reconciler.model.rule import Remedy, rules
from reconciler.model.text import Late, Template, bind
from tests.builders import a_container, a_directory, a_ref, a_running_probe, a_sandbox
from tests.strategies import containers, sandboxes

OTHER: dict[str, object] = {
    "image": "registry.example/web:2",
    "entrypoint": ("/x",),
    "command": ("x",),
    "env": {"A": "b"},
    "user": "1",
    "working_dir": "/x",
    "labels": {"a": "b"},
    "mounts": {"/x": Mount("bind", "/x")},
    "ports": {"1/tcp": Published("127.0.0.1", 1)},
    "network_mode": "host",
    "networks": {"x": ()},
    "ipc": "host",
    "cap_add": ("NET_ADMIN",),
    "cap_drop": ("ALL",),
    "devices": ("/dev/fuse",),
    "gpu": Gpus(count=1),
    "security_opt": ("no-new-privileges",),
    "read_only": True,
    "init": False,
    "healthcheck": Healthcheck(("NONE",)),
    "stop_signal": "SIGINT",
    "stop_grace_s": 11,
    "shm_bytes": 1,
    "ulimits": {"nofile": Ulimit(1, 2)},
    "extra_hosts": {"x": "10.0.0.1"},
    "logs": LogPolicy("local", {}),
    "restart": "no",
    "cpu_nanos": 1,
    "memory_bytes": 1,
    "pids": 1,
}


def test_every_rule_has_another_value_here() -> None:
    assert set(OTHER) == set(rules(Container))


@pytest.mark.parametrize("field", OTHER)
def test_exactly_what_needs_a_new_container_changes_its_digest(field: str) -> None:
    changed = replace(a_container(), **{field: OTHER[field]})
    strong = rules(Container)[field].remedy.strength >= Remedy.RESTART.strength
    assert (container_digest(changed) != container_digest(a_container())) is strong


@pytest.mark.parametrize("field", [*OTHER, "run", "optional", "after"])
def test_every_change_of_a_container_is_a_new_intent(field: str) -> None:
    other = {**OTHER, "run": "once", "optional": True, "after": ("db",)}[field]
    changed = a_sandbox(resources=(replace(a_container(), **{field: other}),))
    assert changed.intent != a_sandbox().intent


@pytest.mark.parametrize(
    "over",
    [
        {"probes": (a_running_probe(),)},
        {"update": "start-first"},
        {"deletion": "Retain"},
        {"drift": "report"},
        {"protected": True},
        {"ttl_s": 60},
        {"labels": {"a": "b"}},
        {"depends_on": ("db",)},
        {"resources": (a_container(), a_directory())},
        {"observability": "off"},
    ],
    ids=lambda over: next(iter(over)),
)
def test_what_a_sandbox_means_is_in_its_intent(over: dict[str, Any]) -> None:
    assert a_sandbox(**over).intent != a_sandbox().intent


@pytest.mark.parametrize(
    "over",
    [
        {"host": "h2"},
        {"at": a_ref(line=99)},
        {"origins": {"containers.main.image": a_ref()}},
        {"suspend": Suspend("moving house")},
        {"intent": "1:0000000000000000"},
    ],
    ids=lambda over: next(iter(over)),
)
def test_where_it_was_said_and_where_it_lies_is_not(over: dict[str, Any]) -> None:
    assert intent_digest(a_sandbox(**over)) == intent_digest(a_sandbox())


@given(sandboxes())
def test_a_digest_does_not_depend_on_the_order_in_which_maps_were_filled(sandbox: SandboxDesired) -> None:
    turned = tuple(
        replace(item, env=dict(reversed(item.env.items()))) if isinstance(item, Container) else item
        for item in sandbox.resources
    )
    assert intent_digest(replace(sandbox, resources=turned)) == intent_digest(sandbox)


@given(containers())
def test_late_values_count_by_their_names(want: Container) -> None:
    named = replace(want, env={**want.env, "LATE": Template((Late("secret:one"),))})
    other = replace(want, env={**want.env, "LATE": Template((Late("secret:two"),))})
    assert container_digest(named) != container_digest(other)
    assert b"secret:one" in canonical_json(named)


def test_a_secrets_value_would_change_the_digest_so_it_is_digested_unbound() -> None:
    want = a_container(env={"A": Template((Late("secret:one"),))})
    assert container_digest(bind(want, {"secret:one": "x"})) != container_digest(want)


def test_fingerprints_are_short_and_equal_for_equal_values() -> None:
    assert fingerprint({"a": 1, "b": (2,)}) == fingerprint({"b": (2,), "a": 1})
    assert len(fingerprint(None)) == 16
    assert fingerprint("1") != fingerprint(1)


def test_digests_of_another_version_say_nothing_about_each_other() -> None:
    assert same_version("1:aaaa", "1:bbbb")
    assert not same_version("1:aaaa", "2:aaaa")


def test_a_digest_is_pinned_as_long_as_its_version_is() -> None:
    # Changing these without changing DIGEST_VERSION would make every sandbox of every fleet look changed.
    assert container_digest(a_container()) == PINNED_CONTAINER
    assert a_sandbox().intent == PINNED_INTENT


PINNED_CONTAINER = "2:ec583973dbcdb91f"
PINNED_INTENT = "2:456ec70627334612"
