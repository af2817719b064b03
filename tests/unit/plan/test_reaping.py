"""Reaping ends what is stale and provably ours, and holds what a person has to decide."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.model.desired import Reap
from reconciler.model.effect import RemoveContainer, RenameContainer, StopContainer, UpdateContainer
from reconciler.model.plan import Apply, Plan, Verb
from reconciler.model.record import Records
from reconciler.plan.reaping import plan_reaping
from tests import builders as b
from tests.unit.plan.deciding import request

OLD_S = 9 * 24 * 3600
REAP = Reap(mode="apply")
ONE = b.a_sandbox()
THERE = b.an_observed({"h1": b.a_reachable(b.a_settled_view(ONE, host_clock_epoch_s=b.T0.timestamp() + OLD_S))})
GONE = b.an_observed({"h1": b.a_reachable(b.a_view())})


def reaping(desired: object, observed: object, records: Records | None = None) -> Plan:
    asked = request(now=b.later(seconds=OLD_S), removals_allowed=1)
    return plan_reaping(desired, observed, records or Records(), asked)  # type: ignore[arg-type]  # what builders give


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


def buried(**live: object) -> tuple[object, object]:
    """Show an orphan that was stopped and marked a day ago."""
    view = b.a_settled_view(ONE, host_clock_epoch_s=b.T0.timestamp() + OLD_S)
    (seen,) = view.containers
    tomb = replace(
        seen,
        name=f"{seen.name}.tomb-{int(b.T0.timestamp() + OLD_S - 86_400)}",
        live=replace(seen.live, **{"state": "exited", **live}),
    )
    return b.a_desired(reap=REAP), b.an_observed({"h1": b.a_reachable(replace(view, containers=(tomb,)))})


def test_what_was_marked_goes_once_its_grace_is_over() -> None:
    (action,) = reaping(*buried()).actions
    assert any(isinstance(step.do, Apply) and isinstance(step.do.effect, RemoveContainer) for step in action.steps)


def test_what_was_marked_and_started_again_is_in_use() -> None:
    made = reaping(*buried(state="running"))
    assert made.actions == ()
    assert [held.reason for held in made.held] == ["StartedAgain"]


def test_what_restarts_by_itself_is_kept_from_that_when_it_is_marked() -> None:
    lively = b.a_sandbox(resources=(b.a_container(restart="always"),))
    view = b.a_settled_view(lively, host_clock_epoch_s=b.T0.timestamp() + OLD_S)
    (action,) = reaping(b.a_desired(reap=REAP), b.an_observed({"h1": b.a_reachable(view)})).actions
    effects = [step.do.effect for step in action.steps if isinstance(step.do, Apply)]
    assert [type(effect) for effect in effects] == [UpdateContainer, StopContainer, RenameContainer]
    assert isinstance(effects[0], UpdateContainer)
    assert effects[0].restart == "no"


def test_a_clock_that_is_ahead_ends_nothing_before_its_time() -> None:
    """The controller's clock says that the ttl is over; the host's, by which it was just made, does not."""
    short = b.a_sandbox(ttl_s=24 * 3600)
    seen = b.an_observed({"h1": b.a_reachable(b.a_settled_view(short))})
    assert reaping(b.a_desired(short, reap=REAP), seen, b.a_records(b.a_record(short))).actions == ()


def test_a_host_whose_clock_is_a_day_ahead_makes_no_orphan_old() -> None:
    view = b.a_settled_view(ONE, host_clock_epoch_s=b.T0.timestamp() + 24 * 3600 + 60)
    bare = replace(view, markers=())
    made = plan_reaping(
        b.a_desired(reap=REAP), b.an_observed({"h1": b.a_reachable(bare)}), Records(), request(now=b.later(seconds=60))
    )
    assert (made.actions, [one.reason for one in made.held]) == ((), ["TooYoung"])


def test_what_may_be_stale_and_is_doubted_is_said_and_is_not_nothing_to_do() -> None:
    view = b.a_settled_view(ONE)
    seen = replace(view.containers[0], name="renamed-by-hand")
    odd = replace(view, containers=(seen,), host_clock_epoch_s=b.T0.timestamp() + OLD_S)
    made = reaping(b.a_desired(reap=REAP), b.an_observed({"h1": b.a_reachable(odd)}))
    assert (made.actions, [one.reason for one in made.held]) == ((), ["Unprovable"])
