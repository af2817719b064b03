"""Secrets in state and plans: hashicorp/terraform#516 #27256 #4436."""

from __future__ import annotations

import pytest

from reconciler.model.digest import canonical_json
from reconciler.model.text import Late, Template
from tests import builders as b
from tests.laws.machines import CANARY, Machines
from tests.laws.scenes import fleet

SECRET = Template((Late("secret:hub"),))
HOLDING = {
    "env": b.a_container(env={"TOKEN": SECRET}),
    "command": b.a_container(command=("serve", Template(("--token=", Late("secret:hub"))))),
}


@pytest.mark.parametrize("case", HOLDING)
def test_no_value_is_in_any_plan_from_birth_to_end(case: str) -> None:
    file = b.a_file(content=SECRET)
    one = b.a_sandbox(resources=(file, HOLDING[case]))
    edited = b.a_sandbox(resources=(b.a_file(content="none"), b.a_container(user="app")))
    machines = Machines("h1", "h2")
    found = False
    for desired in (fleet(one), fleet(one), fleet(edited), fleet()):
        made = machines.plan(desired)
        assert CANARY.encode() not in canonical_json(made)
        assert CANARY not in repr(made)
        machines.carry_out(desired, made)
        found |= CANARY in repr(machines.worlds["h1"].containers)
    assert found, "the value did reach its container"


def test_a_digest_does_not_depend_on_a_secrets_value() -> None:
    one = b.a_sandbox(resources=(HOLDING["env"],))
    assert "secret:hub" in repr(one)
    assert b.a_sandbox(resources=(HOLDING["env"],)).intent == one.intent
