"""A host may hold a secret anywhere, since it is compared with what is wanted; nothing that we write or show does."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from reconciler.model.desired import SandboxDesired
from reconciler.model.digest import canonical_json
from reconciler.model.observed import HostView, SeenContainer, SeenNetwork
from reconciler.model.resource import Container, Healthcheck, LogPolicy, Mount
from reconciler.model.status import Statuses
from reconciler.model.text import Late, Template
from reconciler.record.fold import fold
from reconciler.show.host_text import host_json, host_page
from reconciler.show.page import plain
from reconciler.show.plan_json import plan_json
from reconciler.show.plan_text import plan_page
from reconciler.show.status_json import status_json
from reconciler.show.status_text import status_page
from tests import builders as b
from tests.unit.plan.deciding import decide

CANARY = "canary-5ecre7"
SECRETS = {"secret:hub": CANARY}
ONE = b.a_sandbox(resources=(b.a_container(env={"TOKEN": Template((Late("secret:hub"),))}),))

EVERYWHERE: dict[str, Any] = {
    "entrypoint": ("/bin/run", f"--token={CANARY}"),
    "command": ("serve", CANARY, f"--auth=user:{CANARY}@hub"),
    "env": {"TOKEN": CANARY, "URL": f"https://u:{CANARY}@hub/"},
    "user": CANARY,
    "working_dir": f"/work/{CANARY}",
    "labels": {"note": f"it is {CANARY}"},
    "mounts": {"/data": Mount("bind", f"/srv/{CANARY}")},
    "healthcheck": Healthcheck(("CMD", "curl", f"http://hub/{CANARY}")),
    "extra_hosts": {"hub": CANARY},
    "security_opt": (f"label={CANARY}",),
    "stop_signal": CANARY,
    "logs": LogPolicy(driver="syslog", options={"address": f"tcp://{CANARY}"}),
}


def test_every_field_that_holds_text_of_anybodys_choice_is_tried() -> None:
    fixed = {
        "name",
        "image",
        "network_mode",
        "networks",
        "ipc",
        "cap_add",
        "cap_drop",
        "devices",
        "ports",
        "gpu",
        "ulimits",
    }
    moves = {"restart", "run", "after"}
    numbers = {"read_only", "init", "stop_grace_s", "shm_bytes", "cpu_nanos", "memory_bytes", "pids", "optional"}
    assert set(Container.__struct_fields__) == EVERYWHERE.keys() | fixed | moves | numbers


def holding(seen: SeenContainer, **fields: Any) -> SeenContainer:
    """Let a container hold the secret in these fields, and its engine say it."""
    live = replace(seen.live, error=f"cannot use {CANARY}")
    return replace(seen, spec=replace(seen.spec, **fields), live=live, labels={**seen.labels, "note": CANARY})


def standing(seen: SeenContainer, sandbox: SandboxDesired, **over: Any) -> HostView:
    return replace(b.a_settled_view(sandbox), containers=(seen,), **over)


OURS = b.a_seen(ONE)
ADOPTED = replace(OURS, labels={})
TAKEN = b.a_foreign(OURS.name)
NETWORK = SeenNetwork(id=b.full_id("n"), name="sbx-lab.web-1.net", labels={"note": CANARY})
VIEWS = {
    **{f"ours, {field}": standing(holding(OURS, **{field: value}), ONE) for field, value in EVERYWHERE.items()},
    **{
        f"adopted, {field}": standing(
            holding(ADOPTED, **{field: value}),
            ONE,
            markers=(b.a_seen_marker(b.a_marker(ONE, adopted={"containers/main": ADOPTED.full_id})),),
        )
        for field, value in EVERYWHERE.items()
    },
    "its name is taken": standing(holding(TAKEN, **EVERYWHERE), ONE, markers=()),
    "nobody can tell whose it is": standing(holding(replace(OURS, image_id="sha256:x"), **EVERYWHERE), ONE),
    "a stranger": b.a_view(holding(b.a_foreign(), **EVERYWHERE), networks=(NETWORK,)),
    "an image": b.a_settled_view(ONE, images={b.IMAGE: b.an_image(env={"X": CANARY}, command=(CANARY,))}),
}


@pytest.mark.parametrize("case", VIEWS)
def test_nothing_of_a_look_that_holds_a_secret_is_shown_or_kept(case: str) -> None:
    view = VIEWS[case]
    assert CANARY in repr(view)
    desired = b.a_desired(ONE)
    made = decide(desired, view, b.a_records(b.a_record(ONE)), secrets=SECRETS)
    statuses = fold(Statuses(), made, b.an_observed({b.HOST: b.a_reachable(view)}), None, b.T0, desired=desired)
    written = [
        canonical_json(made).decode(),
        json.dumps(plan_json(made)),
        plain(plan_page(made, width=200, age_s=1.0, wide=True)),
        msgspec.json.encode(statuses).decode(),
        json.dumps(status_json(statuses, fleet=b.FLEET), default=str),
        plain(status_page(statuses, now=b.T0, wide=True)),
        plain(host_page(b.HOST, snapshot=None, view=view, fleet=b.FLEET, now=b.T0)),
        json.dumps(host_json(b.HOST, snapshot=None, view=view, fleet=b.FLEET), default=str),
    ]
    assert [text for text in written if CANARY in text] == []


def test_what_differs_is_still_named() -> None:
    made = decide(b.a_desired(ONE), VIEWS["adopted, command"], b.a_records(b.a_record(ONE)), secrets=SECRETS)
    (action,) = made.actions
    shown = {change.path: change.old for resource in action.resources for change in resource.changes}
    assert shown["containers.main.command"] == '["serve","(secret)","--auth=user:(secret)@hub"]'
