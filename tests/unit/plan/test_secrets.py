"""Replace where a secret changed, and show neither its old value nor its new one."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model.desired import SandboxDesired
from reconciler.model.effect import CreateContainer
from reconciler.model.labels import from_docker
from reconciler.model.observed import SeenContainer
from reconciler.model.plan import Verb
from reconciler.model.text import Late, Template
from tests import builders as b
from tests.unit.plan.deciding import altered, decide, effects, remembered, standing, the_action, wanted

ONE = b.a_sandbox()
SECRET = Template((Late("secret:hub"),))
SECRETS = {"secret:hub": "hunter2"}


def secretive(**over: Any) -> tuple[SandboxDesired, SeenContainer]:
    one = b.a_sandbox(resources=(b.a_container(**over),))
    seen = b.a_seen(one)
    values = {"TOKEN": "old-s3cret"} if "env" in over else None
    spec: dict[str, Any] = {"env": {**seen.spec.env, **values}} if values else {"command": ("serve", "old-s3cret")}
    secrets = "env.TOKEN" if values else "command"
    return one, altered(replace(seen, labels={**b.labels_for(one, secrets=secrets)}), **spec)


@pytest.mark.parametrize("over", [{"env": {"TOKEN": SECRET}}, {"command": ("serve", SECRET)}], ids=["env", "command"])
def test_a_changed_secret_replaces_and_shows_neither_value(over: dict[str, Any]) -> None:
    one, seen = secretive(**over)
    made = decide(wanted(one), standing(one, containers=(seen,)), remembered(one), secrets=SECRETS)
    (change,) = the_action(made).changes
    assert (change.old, change.new) == ("(secret)", "(secret)")
    assert "s3cret" not in repr(made)
    assert "hunter2" not in repr(made)


@pytest.mark.parametrize("over", [{"env": {"TOKEN": SECRET}}, {"command": ("serve", SECRET)}], ids=["env", "command"])
def test_a_secret_that_is_wanted_no_more_is_not_shown_either(over: dict[str, Any]) -> None:
    _, seen = secretive(**over)
    made = decide(wanted(ONE), standing(ONE, containers=(seen,)), remembered(ONE))
    assert the_action(made).verb is Verb.REPLACE
    assert "s3cret" not in repr(made)


def test_a_rotated_secret_is_meant_also_in_a_file_whose_drift_is_only_reported() -> None:
    file = b.a_file(content=Template((Late("secret:hub"),)))
    one = b.a_sandbox(resources=(file,), drift="report")
    seen = b.a_seen_path(str(file.path), kind="file", mode=file.mode, sha256="0" * 64)
    action = the_action(decide(wanted(one), standing(one, paths={seen.path: seen}), remembered(one), secrets=SECRETS))
    assert (action.verb, action.is_drift) == (Verb.UPDATE, False)


def test_every_secret_field_is_named_in_the_labels() -> None:
    one = b.a_sandbox(resources=(b.a_container(env={"TOKEN": SECRET, "MODE": "x"}, command=("serve", SECRET)),))
    action = the_action(decide(wanted(one), secrets=SECRETS))
    (made,) = (effect for effect in effects(action) if isinstance(effect, CreateContainer))
    labels = from_docker(made.labels)
    assert labels is not None
    assert labels.secrets == "command,env.TOKEN"
