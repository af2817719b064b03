"""Reaping ends what is stale and provably ours, and holds what a person has to decide."""

from __future__ import annotations

from reconciler.model.desired import Reap
from reconciler.model.plan import Plan, Verb
from reconciler.model.record import Records
from reconciler.plan import PlanRequest
from reconciler.plan.reaping import plan_reaping
from tests import builders as b

OLD_S = 9 * 24 * 3600
REAP = Reap(mode="apply")
ONE = b.a_sandbox()
THERE = b.an_observed({"h1": b.a_reachable(b.a_settled_view(ONE, host_clock_epoch_s=b.T0.timestamp() + OLD_S))})
GONE = b.an_observed({"h1": b.a_reachable(b.a_view())})


def reaping(desired: object, observed: object, records: Records | None = None) -> Plan:
    request = PlanRequest(
        now=b.later(seconds=OLD_S),
        pass_id="p-1",
        tool="0",
        revision=b.REVISION,
        ancestors=frozenset({b.REVISION}),
        removals_allowed=1,
    )
    return plan_reaping(desired, observed, records or Records(), request)  # type: ignore[arg-type]  # what builders give


def test_an_old_orphan_is_stopped_and_marked() -> None:
    (action,) = reaping(b.a_desired(reap=REAP), THERE).actions
    assert (action.verb, action.sandbox) == (Verb.REAP, ONE.name)


def test_a_second_copy_of_what_is_wanted_elsewhere_is_held_with_the_way_out() -> None:
    made = reaping(b.a_desired(b.a_sandbox(host="h2"), reap=REAP), THERE)
    (held,) = (one for one in made.held if one.host == "h1")
    assert (made.actions, held.reason) == ((), "SecondCopy")
    assert "destroy web-1 --on h1" in (held.hint or "")


def test_a_zombie_is_forgotten_also_where_the_specs_want_it_on_another_host() -> None:
    made = reaping(b.a_desired(b.a_sandbox(host="h2"), reap=REAP), GONE, b.a_records(b.a_record(ONE)))
    assert [(action.verb, action.host) for action in made.actions] == [(Verb.FORGET, "h1")]


def test_what_is_recorded_and_dropped_from_the_specs_is_left_to_apply() -> None:
    assert reaping(b.a_desired(reap=REAP), THERE, b.a_records(b.a_record(ONE))).actions == ()
