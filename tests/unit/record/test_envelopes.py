"""What a pass came to, as envelopes: one for each measured action and each host that answered."""

from __future__ import annotations

from typing import Any

from reconciler.model.effect import RenameContainer
from reconciler.model.outcome import ActionEnded, PassEnded
from reconciler.model.plan import Verb
from reconciler.model.stale import Found, SandboxInventory
from reconciler.model.telemetry import Envelope, IntrospectionReport
from reconciler.record.envelopes import envelopes_of
from tests import builders as b
from tests.unit.sink.envelopes import a_candidate, an_inventory


def ended(*actions: ActionEnded) -> PassEnded:
    return PassEnded(pass_id="p-00000001", started_at=b.T0, finished_at=b.later(seconds=60), actions=actions)


def an_end(**over: Any) -> ActionEnded:
    return ActionEnded(**{"id": "h1/web-1", "end": "done", "delta": b.a_delta(), **over})


def told(*actions: Any, result: PassEnded | None, **over: Any) -> tuple[Envelope, ...]:
    given: dict[str, Any] = {"inventories": {}, "stale": (), "snapshots": {}, **over}
    return envelopes_of(b.a_plan(*actions), result, **given)


def test_a_measured_action_is_a_provision_or_a_teardown_with_its_delta() -> None:
    made = told(b.an_action(profile="service"), result=ended(an_end()))
    assert made == (
        Envelope(
            id="p-00000001/h1/web-1",
            event="provision",
            host="h1",
            sandbox_id="lab/web-1",
            profile_id="service",
            collected_at=b.later(seconds=10),
            delta=b.a_delta(),
        ),
    )
    for verb in Verb:
        (one,) = told(b.an_action(verb=verb), result=ended(an_end()))
        assert one.event == ("teardown" if verb in (Verb.DESTROY, Verb.REAP, Verb.FORGET) else "provision")


def test_what_was_not_measured_and_what_only_probes_said_is_no_change() -> None:
    assert told(b.an_action(), result=ended(an_end(delta=None), an_end(id="h1/other"))) == ()
    assert told(b.an_action(), result=None) == ()


def test_a_delta_without_readings_is_told_at_the_end_of_the_pass() -> None:
    delta = b.a_delta(before=None, after=None, change=None, missing={"before": "no"})
    (one,) = told(b.an_action(), result=ended(an_end(end="failed", delta=delta)))
    assert one.collected_at == b.later(seconds=60)


def test_a_host_that_answered_is_one_introspection_and_comes_in_the_order_of_time() -> None:
    early, late = an_inventory("web-1"), an_inventory(host="h2", at=b.later(seconds=20))
    stale = (a_candidate(), a_candidate(host="h2"))
    made = told(
        b.an_action(),
        result=ended(an_end()),
        inventories={"h2": late, "h1": early},
        stale=stale,
        snapshots={"h2": b.a_snapshot(host="h2")},
    )
    assert [one.id for one in made] == ["p-00000001/h1", "p-00000001/h1/web-1", "p-00000001/h2"]
    first, second = made[0].report, made[2].report
    assert first is not None
    assert second is not None
    assert (first.inventory, first.stale, first.snapshot) == (early, stale[:1], None)
    assert (second.inventory, second.stale) == (late, stale[1:])
    assert second.snapshot == b.a_snapshot(host="h2")
    assert (made[2].sandbox_id, made[2].profile_id, second.collected_at) == (None, None, b.later(seconds=20))


def test_what_the_pass_took_away_is_stale_no_more_but_what_it_only_buried_is() -> None:
    stale = (a_candidate(found=Found(object="sandbox/web-1", owner="ours")),)
    seen = {"h1": an_inventory("web-1", "web-2")}

    def left(action: Any, end: ActionEnded) -> tuple[int, int]:
        report = told(action, result=ended(end), inventories=seen, stale=stale)[0].report
        assert report is not None
        return len(report.inventory.found), len(report.stale)

    bury = b.a_step(RenameContainer(b.existing(), "sbx-lab.web-1.main.tomb-1"))
    assert left(b.an_action(verb=Verb.REAP), an_end(delta=None)) == (1, 0)
    assert left(b.an_action(bury, verb=Verb.REAP), an_end(delta=None)) == (2, 1)
    assert left(b.an_action(verb=Verb.DESTROY), an_end(delta=None, end="failed")) == (2, 1)
    assert left(b.an_action(verb=Verb.REPLACE), an_end(delta=None)) == (2, 1)


def test_a_teardown_names_the_profile_that_the_look_told() -> None:
    found = (Found(object="sandbox/web-1", owner="ours", profile="service"),)
    seen = {"h1": SandboxInventory(host="h1", collected_at=b.T0, found=found)}
    _, made = told(b.an_action(verb=Verb.DESTROY), result=ended(an_end()), inventories=seen)
    assert (made.event, made.profile_id) == ("teardown", "service")


def test_the_event_of_a_canary_carries_its_report_once_it_is_up() -> None:
    report = IntrospectionReport(
        host="h1", collected_at=b.T0, snapshot=None, inventory=an_inventory("web-1"), provision=b.a_delta()
    )
    (up,) = told(b.an_action(), result=ended(an_end()), reports={"web-1": report})
    assert (up.event, up.report) == ("provision", report)
    (other,) = told(b.an_action(), result=ended(an_end()), reports={"web-2": report})
    assert other.report is None
    (failed,) = told(b.an_action(), result=ended(an_end(end="failed")), reports={"web-1": report})
    assert failed.report is None
    (down,) = told(b.an_action(verb=Verb.DESTROY), result=ended(an_end()), reports={"web-1": report})
    assert (down.event, down.report) == ("teardown", None)
