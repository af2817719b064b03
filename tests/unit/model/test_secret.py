"""What holds a secret shows `(secret)` wherever Python shows it, and is sent with the value."""

from __future__ import annotations

import traceback
from typing import Any

import msgspec
import pytest

from reconciler.host.docker.requests import create_body
from reconciler.model.effect import CreateContainer, PutFile
from reconciler.model.redaction import Redactor
from reconciler.model.secret import Secret
from reconciler.model.text import Late, Template, bind, plain
from reconciler.plan import PlanRequest
from tests import builders as b

CANARY = "canary-\"5ecre7'"
SECRETS: dict[str, str] = {"secret:hub": Secret(CANARY)}
ALONE = Template((Late("secret:hub"),))
INSIDE = Template(("user:", Late("secret:hub"), "@", Late("run.id")))


def creation() -> CreateContainer:
    container = b.a_container(env={"TOKEN": ALONE, "URL": INSIDE}, command=("serve", INSIDE), entrypoint=(ALONE,))
    return CreateContainer(name="x", container=container, labels={}, image_id=None)


HOLDERS: dict[str, Any] = {
    "the value": SECRETS["secret:hub"],
    "a mapping": SECRETS,
    "bindings": {"host.home": "/root", **SECRETS},
    "a request": PlanRequest(now=b.T0, pass_id="p-1", tool="t", secrets=SECRETS),
    "a bound container": bind(creation(), {**SECRETS, "run.id": "r-1"}),
    "a half bound container": bind(creation(), SECRETS),
    "a bound file": bind(PutFile(path="/a", mode="0600", content=INSIDE, root="/"), {**SECRETS, "run.id": "r-1"}),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_what_holds_a_secret_does_not_show_it(holder: str) -> None:
    for shown in (repr(HOLDERS[holder]), f"{[HOLDERS[holder]]}", f"{HOLDERS[holder]!r}"):
        assert "5ecre7" not in shown
        assert "(secret)" in shown


def test_a_traceback_with_its_locals_does_not_show_it() -> None:
    def fail(secrets: dict[str, str]) -> None:
        bound = bind(creation(), {**secrets, "run.id": "r-1"})
        raise ValueError(bound.name)

    with pytest.raises(ValueError, match="x") as raised:
        fail(SECRETS)
    told = "".join(traceback.TracebackException.from_exception(raised.value, capture_locals=True).format())
    assert "bound = CreateContainer" in told
    assert "5ecre7" not in told


def test_what_is_sent_holds_the_value() -> None:
    effect = bind(creation(), {**SECRETS, "run.id": "r-1"})
    sent = msgspec.json.decode(msgspec.json.encode(create_body(effect.container, labels={})))
    assert sent["Env"] == [f"TOKEN={CANARY}", f"URL=user:{CANARY}@r-1"]
    assert (sent["Entrypoint"], sent["Cmd"]) == ([CANARY], ["serve", f"user:{CANARY}@r-1"])
    assert type(plain(SECRETS["secret:hub"])) is str


def test_it_is_compared_and_redacted_like_its_value() -> None:
    assert SECRETS == {"secret:hub": CANARY}
    hide = Redactor(SECRETS.values()).text
    assert hide(f"no secret here, but {CANARY!r} and {CANARY}") == "no secret here, but '(secret)' and (secret)"
