"""Move a sandbox to another host: the new one first, and the old one once the new one was seen to be ready."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.plan import Await, Plan, Verb
from reconciler.plan import Selection
from tests import builders as b
from tests.unit.plan.deciding import (
    decide,
    kinds,
    remembered,
    second_host,
    standing,
    the_action,
    the_held,
    wanted,
)

ONE = b.a_sandbox()


def moving(**over: Any) -> Plan:
    there = b.a_sandbox(host="h2")
    hosts = {"h1": b.a_reachable(standing(ONE)), "h2": second_host()}
    return decide(wanted(there), over.pop("hosts", hosts), remembered(ONE), **over)


def test_a_move_makes_the_new_one_first_and_says_that_data_stays() -> None:
    new, old = moving().actions
    assert (new.id, new.verb) == ("h2/web-1", Verb.CREATE)
    assert (old.id, old.verb, old.after, old.removes) == ("h1/web-1", Verb.DESTROY, ("h2/web-1",), False)
    assert "data is not moved" in old.notes[0]
    assert "names host h2 now" in old.cause.text


@pytest.mark.parametrize(
    "over",
    [
        {"selection": Selection(hosts=frozenset({"h1"}))},
        {"selection": Selection(hosts=frozenset({"h1"})), "hosts": {"h1": b.a_reachable(standing(ONE))}},
        {"hosts": {"h1": b.a_reachable(standing(ONE)), "h2": b.an_unreachable()}},
        {
            "hosts": {
                "h1": b.a_reachable(standing(ONE)),
                "h2": second_host(b.a_view(neighbours=(b.a_neighbour(b.docker_name()),))),
            }
        },
    ],
    ids=["not selected", "not selected, not even asked", "unreachable", "its name is taken there"],
)
def test_the_old_one_stays_while_the_new_one_is_not_made(over: dict[str, Any]) -> None:
    made = moving(**over)
    assert made.actions == ()
    assert {(held.host, held.reason) for held in made.held} >= {("h1", "MoveBlocked")}


def test_the_old_one_goes_once_the_new_one_was_seen_to_be_ready() -> None:
    there = b.a_sandbox(host="h2")
    hosts = {"h1": b.a_reachable(standing(ONE)), "h2": second_host(standing(there))}
    both = (b.a_record(ONE), b.a_record(there, host_id="2" * 32))
    only_h1 = Selection(hosts=frozenset({"h1"}))

    ready = b.a_records(*both, ready={there.name: b.RUN})
    action = the_action(decide(wanted(there), hosts, ready, selection=only_h1))
    assert (action.id, action.verb, action.after) == ("h1/web-1", Verb.DESTROY, ())
    assert "stop_container" in kinds(action)

    for another in ({}, {there.name: "run-of-before"}):
        unproven = b.a_records(*both, ready=another)
        proof, removal = decide(wanted(there), hosts, unproven).actions
        assert (proof.id, kinds(proof), removal.after) == ("h2/web-1", [], ("h2/web-1",))
        assert [type(step.do) for step in proof.steps] == [Await]
        assert the_held(decide(wanted(there), hosts, unproven, selection=only_h1)).reason == "MoveBlocked"
