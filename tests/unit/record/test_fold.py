from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model.effect import Done, NotDone, Outcome, RemoveContainer, StartContainer, Unknown
from reconciler.model.observed import Observed
from reconciler.model.outcome import ActionEnded, Instance, PassEnded, StepEnded
from reconciler.model.plan import Action, Await, Bucket, Cause, Held, HeldReason, Matched, Plan, Step, Verb
from reconciler.model.status import Condition, SandboxStatus, Statuses
from reconciler.record.fold import fold, records_of
from tests import builders as b

P1 = "p-00000001"
READY_STEP = Step(id="h1/web-1/2", do=Await(b.a_running_probe(), b.docker_name()), title="wait until main is ready")


def creates(**over: Any) -> Action:
    return b.an_action(b.a_step(StartContainer(b.made())), READY_STEP, **over)


def destroys(**over: Any) -> Action:
    effect = RemoveContainer(b.existing())
    given = {"verb": Verb.DESTROY, "bucket": Bucket.REMOVED, "cause": Cause("no spec wants it"), "removes": True}
    return b.an_action(b.a_step(effect), **{**given, **over})


def step_ended(result: Outcome, step: str = "h1/web-1/1") -> StepEnded:
    return StepEnded(step=step, title="do it", result=result, tries=1, started_at=b.T0, finished_at=b.T0)


def ended(end: str = "done", *steps: StepEnded, pass_at_s: float = 0, **over: Any) -> PassEnded:
    action = ActionEnded(**{"id": "h1/web-1", "end": end, "steps": steps, **over})
    start, finish = b.later(seconds=pass_at_s), b.later(seconds=pass_at_s + 10)
    return PassEnded(pass_id=P1, started_at=start, finished_at=finish, actions=(action,))


def matches(run: str = b.RUN, **over: Any) -> Plan:
    given = {"sandbox": "web-1", "host": "h1", "bucket": Bucket.MATCHING, "generation": 1, "run": run, **over}
    return b.a_plan(matched=(Matched(**given),))


def seen(**over: Any) -> Observed:
    return b.an_observed({"h1": b.a_reachable(b.a_settled_view(b.a_sandbox(), **over))})


def silent() -> Observed:
    return b.an_observed({"h1": b.an_unreachable()})


def unknown() -> Plan:
    held = Held(sandbox="web-1", host="h1", bucket=Bucket.UNKNOWN, reason="HostUnreachable", message="h1 is silent")
    return b.a_plan(held=(held,), unknown_hosts={"h1": "h1 is silent"})


def made(statuses: Statuses = Statuses(), *, ready: bool = True, pass_at_s: float = 0) -> Statuses:  # noqa: B008 - frozen
    ready_at = b.later(seconds=pass_at_s + 5) if ready else None
    read_back = Instance(
        resource="containers/main",
        name=b.docker_name(),
        full_id=b.a_seen().full_id,
        started_at=b.a_seen().live.started_at,
    )
    over = ended(pass_at_s=pass_at_s, ready_at=ready_at, instances=(read_back,))
    return fold(statuses, b.a_plan(creates()), b.an_observed(), over, b.later(seconds=pass_at_s + 10))


def status(statuses: Statuses) -> SandboxStatus:
    return statuses.sandboxes["web-1"]


def condition(statuses: Statuses, kind: str = "Ready") -> Condition | None:
    return next((one for one in status(statuses).conditions if one.type == kind), None)


def said(statuses: Statuses, kind: str = "Ready") -> tuple[str, str]:
    found = condition(statuses, kind)
    return ("absent", "") if found is None else (found.status, found.reason)


def test_a_sandbox_has_ready_from_birth_even_when_it_is_only_planned() -> None:
    after = fold(Statuses(), b.a_plan(creates()), b.an_observed(), None, b.T0)
    assert said(after) == ("False", "Missing")
    assert (status(after).sync, status(after).health) == ("OutOfSync", "Missing")
    assert status(after).records == ()


def test_ready_is_true_once_a_probe_passed_in_the_run() -> None:
    after = made()
    assert said(after) == ("True", "ProbesPassed")
    assert (status(after).sync, status(after).health) == ("Synced", "Healthy")
    assert status(after).last_applied_revision == b.REVISION
    assert status(after).generation == status(after).observed_generation == 1


def test_done_without_a_passed_probe_is_not_ready() -> None:
    assert said(made(ready=False)) == ("Unknown", "NotProbed")


def test_a_probe_older_than_the_pass_does_not_count() -> None:
    after = fold(Statuses(), b.a_plan(creates()), b.an_observed(), ended(ready_at=b.later(seconds=-1)), b.T0)
    assert said(after) == ("Unknown", "NotProbed")


def test_matching_keeps_ready_for_the_same_run_and_loses_it_for_another() -> None:
    assert said(fold(made(), matches(), seen(), None, b.later(hours=1))) == ("True", "ProbesPassed")
    assert said(fold(made(), matches(run="r-other"), seen(), None, b.later(hours=1))) == ("Unknown", "NotProbed")


def test_a_probe_of_a_matching_sandbox_makes_it_ready() -> None:
    before = made(ready=False)
    after = fold(before, matches(), seen(), ended(ready_at=b.later(seconds=5)), b.later(seconds=10))
    assert said(after) == ("True", "ProbesPassed")


@pytest.mark.parametrize("bucket", [Bucket.LOST_TO_OTHERS, Bucket.RETAINED])
def test_what_is_not_there_and_left_alone_is_not_ready(bucket: Bucket) -> None:
    after = fold(made(), matches(bucket=bucket, generation=0, run=""), seen(containers=()), None, b.T0)
    assert said(after) == ("False", "Missing")
    assert (status(after).sync, status(after).health) == ("OutOfSync", "Missing")


def test_an_unhealthy_container_is_not_ready() -> None:
    sick = b.a_seen(live=b.a_live(health="unhealthy"))
    assert said(fold(made(), matches(), seen(containers=(sick,)), None, b.T0)) == ("False", "ProbeFailed")


def test_a_generation_never_goes_back() -> None:
    before = fold(made(), matches(generation=6), seen(), None, b.T0)
    assert status(fold(before, matches(generation=2), seen(), None, b.later(hours=1))).generation == 6


def test_ready_does_not_outlive_a_start_that_no_probe_has_seen() -> None:
    restarted = b.a_seen(live=b.a_live(started_at=b.later(hours=1)))
    after = fold(made(), matches(), seen(containers=(restarted,)), None, b.later(hours=2))
    assert said(after) == ("Unknown", "NotProbed")
    asked = fold(
        after,
        matches(),
        seen(containers=(restarted,)),
        ended(ready_at=b.later(hours=3, seconds=5), pass_at_s=3 * 3600),
        b.later(hours=3),
    )
    assert said(asked) == ("True", "ProbesPassed")
    assert said(fold(asked, matches(), seen(containers=(restarted,)), None, b.later(hours=4)))[0] == "True"


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        ({"state": "restarting", "restart_count": 3}, ("False", "CrashLoop")),
        ({"restart_count": 3, "started_at": b.later(seconds=-5)}, ("False", "CrashLoop")),
        ({"restart_count": 3, "started_at": b.later(seconds=-500)}, ("True", "ProbesPassed")),
        ({"restart_count": 2, "started_at": b.later(seconds=-5)}, ("True", "ProbesPassed")),
    ],
    ids=["waits to be restarted", "runs for the moment", "recovered", "not a loop yet"],
)
def test_a_crash_loop_is_told_from_a_container_that_recovered(live: dict[str, Any], expected: tuple[str, str]) -> None:
    looping = b.a_seen(live=b.a_live(**live))
    look = seen(containers=(looping,), host_clock_epoch_s=b.T0.timestamp())
    asked = ended(ready_at=b.later(seconds=5))
    assert said(fold(made(), matches(), look, asked, b.later(seconds=10))) == expected


def test_times_move_only_when_the_status_does() -> None:
    first = made()
    again = fold(first, matches(), seen(), None, b.later(hours=1))
    lost = fold(again, unknown(), silent(), None, b.later(hours=2))
    back = fold(lost, matches(), seen(), None, b.later(hours=3))
    moments = [found.last_transition_time for step in (first, again, lost, back) if (found := condition(step))]
    assert moments == [b.later(seconds=10), b.later(seconds=10), b.later(hours=2), b.later(hours=3)]


def test_a_silent_host_leaves_what_was_known_and_marks_it_stale() -> None:
    before = fold(made(), matches(), seen(), None, b.later(minutes=1))
    after = fold(before, unknown(), silent(), None, b.later(hours=2))
    kept = ("sync", "health", "generation", "instances", "records", "history", "observed_at", "last_applied_revision")
    assert [getattr(status(after), name) for name in kept] == [getattr(status(before), name) for name in kept]
    assert status(after).stale
    assert status(after).observed_at == b.T0
    assert said(after) == ("Unknown", "HostUnreachable")
    assert said(after, "Reachable") == ("False", "HostUnreachable")
    assert after.fleet is not None
    assert after.fleet.hosts_unreachable == ("h1",)
    assert after.hosts["h1"].record.unreachable_since == b.T0
    back = fold(after, matches(), seen(), None, b.later(hours=3))
    assert said(back) == ("True", "ProbesPassed")
    assert not status(back).stale
    assert back.hosts["h1"].record.unreachable_since is None


def test_a_failed_step_is_told_from_a_failed_probe() -> None:
    lasting = step_ended(NotDone("E_IMAGE", "no such image"))
    after = fold(Statuses(), b.a_plan(creates()), b.an_observed(), ended("failed", lasting, message="no"), b.T0)
    assert said(after) == ("False", "StepFailed")
    assert said(after, "Stalled") == ("True", "StepFailed")
    assert status(after).records == ()
    probe = step_ended(NotDone("E_NOT_READY", "502", transient=True), READY_STEP.id)
    after = fold(Statuses(), b.a_plan(creates()), b.an_observed(), ended("failed", step_ended(Done()), probe), b.T0)
    assert said(after) == ("False", "ProbeFailed")
    assert (said(after, "Stalled")[0], said(after, "Reconciling")[0]) == ("absent", "True")
    assert status(after).health == "Degraded"


@pytest.mark.parametrize("result", [Done(), Done(changed=False), Unknown("the reply never came")])
def test_a_record_begins_when_an_effect_may_have_happened(result: Outcome) -> None:
    after = fold(Statuses(), b.a_plan(creates()), b.an_observed(), ended("unknown", step_ended(result)), b.T0)
    assert [(record.sandbox, record.complete) for record in records_of(after).sandboxes] == [("web-1", False)]
    assert status(after).last_applied_revision == ""
    assert status(after).last_attempted_revision == b.REVISION


def test_an_update_that_failed_half_way_keeps_the_intent_of_what_was_whole() -> None:
    before = made()
    update = creates(verb=Verb.UPDATE, bucket=Bucket.DRIFTED, intent="1:new", generation=2, keys=("containers/side",))
    bad = ended("failed", step_ended(Done()), step_ended(NotDone("E", "no"), "h1/web-1/2"))
    record = records_of(fold(before, b.a_plan(update), seen(), bad, b.T0)).sandboxes[0]
    assert record.intent == b.a_sandbox().intent
    assert record.keys == ("containers/main", "containers/side")


@pytest.mark.parametrize("end", ["failed", "unknown", "skipped", "interrupted"])
def test_a_record_outlives_a_removal_that_is_not_confirmed(end: str) -> None:
    after = fold(made(), b.a_plan(destroys()), seen(), ended(end, step_ended(Unknown("?"))), b.T0)
    assert len(records_of(after).sandboxes) == 1
    assert "web-1" in after.sandboxes


@pytest.mark.parametrize("result", [Done(), Unknown("?")])
def test_what_an_interrupted_action_may_have_stopped_is_not_called_ready(result: Outcome) -> None:
    after = fold(made(), b.a_plan(destroys()), seen(), ended("interrupted", step_ended(result)), b.T0)
    assert said(after) == ("Unknown", "Interrupted")
    assert status(after).health == "Unknown"
    assert status(after).ready_run == ""


def test_what_an_interrupted_action_did_not_touch_stays_ready() -> None:
    after = fold(made(), b.a_plan(destroys()), seen(), ended("interrupted", step_ended(NotDone("E", "no"))), b.T0)
    assert said(after) == ("True", "ProbesPassed")


def test_a_confirmed_removal_ends_record_and_status_and_counts_once() -> None:
    unsure = fold(made(), b.a_plan(destroys()), seen(), ended("unknown", step_ended(Unknown("?"))), b.later(minutes=1))
    done = ended("done", step_ended(Done()), pass_at_s=100)
    after = fold(unsure, b.a_plan(destroys()), seen(), done, b.later(minutes=2), desired=b.a_desired())
    assert after.sandboxes == {}
    assert [(one.sandbox, one.host) for one in records_of(after).removals] == [("web-1", "h1")]


def test_removals_are_remembered_for_a_day() -> None:
    gone = fold(made(), b.a_plan(destroys()), seen(), ended("done", step_ended(Done())), b.T0)
    at = b.later(hours=24)
    late = fold(gone, b.a_plan(), b.an_observed(), replace(ended(), actions=(), finished_at=at), at)
    assert len(records_of(late).removals) == 1
    at = b.later(hours=24, seconds=11)
    later = fold(late, b.a_plan(), b.an_observed(), replace(ended(), actions=(), finished_at=at), at)
    assert records_of(later).removals == ()


def test_forgetting_ends_the_record_and_is_no_removal() -> None:
    forget = b.an_action(verb=Verb.FORGET, bucket=Bucket.ZOMBIE, cause=Cause("gone"))
    after = fold(made(), b.a_plan(forget), b.an_observed(), ended("done"), b.T0)
    assert records_of(after) == replace(records_of(after), sandboxes=(), removals=())


def test_a_destroyed_sandbox_that_is_still_wanted_keeps_its_status() -> None:
    gone = ended("done", step_ended(Done()))
    after = fold(made(), b.a_plan(destroys()), seen(), gone, b.T0, desired=b.a_desired(b.a_sandbox()))
    assert said(after) == ("False", "Destroyed")
    assert status(after).instances == ()


def test_an_expired_sandbox_is_remembered_as_expired() -> None:
    expire = destroys(bucket=Bucket.EXPIRED, removes=False, cause=Cause("its ttl of 60 s ran out"))
    after = fold(made(), b.a_plan(expire), seen(), ended("done", step_ended(Done())), b.T0)
    assert said(after, "Expired") == ("True", "TtlElapsed")
    assert [record.phase for record in records_of(after).sandboxes] == ["expired"]


def test_the_same_action_three_times_in_a_row_is_a_loop() -> None:
    now = Statuses()
    for at in range(3):
        assert now == Statuses() or said(now, "Stalled")[0] == "absent"
        now = made(now, pass_at_s=at * 60.0)
    stalled = condition(now, "Stalled")
    assert stalled is not None
    assert (stalled.reason, "new in the specs" in stalled.message) == ("Repeating", True)


def test_a_look_that_matches_ends_the_row() -> None:
    twice = made(made(), pass_at_s=60)
    calm = fold(twice, matches(), seen(), None, b.later(minutes=5))
    assert said(made(calm, pass_at_s=600), "Stalled")[0] == "absent"


def test_suspension_and_lack_of_room_are_conditions() -> None:
    cases: tuple[tuple[HeldReason, str, str], ...] = (
        ("Suspended", "Suspended", "True"),
        ("AdmissionRefused", "CapacityOK", "False"),
    )
    for reason, kind, value in cases:
        held = Held(sandbox="web-1", host="h1", bucket=Bucket.HELD, reason=reason, message="because")
        after = fold(made(), b.a_plan(held=(held,)), seen(), None, b.T0)
        assert said(after, kind)[0] == value
        assert said(after) == ("True", "ProbesPassed")


def test_one_that_is_suspended_on_its_way_to_another_host_is_not_synced_there() -> None:
    held = Held(sandbox="web-1", host="h2", bucket=Bucket.HELD, reason="Suspended", message="because")
    after = fold(made(), b.a_plan(held=(held,)), seen(), None, b.T0)
    status = after.sandboxes["web-1"]
    assert (status.host, status.sync) == ("h2", "Unknown")


def test_a_move_keeps_two_records_until_the_old_one_is_gone() -> None:
    old = made()
    create = creates(id="h2/web-1", host="h2")
    plan = b.a_plan(create, destroys())
    look = b.an_observed({"h1": b.a_reachable(), "h2": b.a_reachable()})
    new = ActionEnded(id="h2/web-1", end="done", ready_at=b.later(seconds=5))
    half = replace(ended("skipped"), actions=(new, ActionEnded(id="h1/web-1", end="skipped")))
    moving = fold(old, plan, look, half, b.T0)
    assert [record.host for record in status(moving).records] == ["h1", "h2"]
    assert status(moving).host == "h2"
    whole = replace(half, actions=(new, ActionEnded(id="h1/web-1", end="done")))
    assert [record.host for record in status(fold(moving, plan, look, whole, b.T0)).records] == ["h2"]


def test_history_keeps_the_last_five() -> None:
    now = Statuses()
    for at in range(7):
        now = made(now, pass_at_s=at * 60.0)
    assert [entry.at for entry in status(now).history] == [b.later(seconds=at * 60 + 10) for at in range(2, 7)]


def test_what_is_not_mentioned_is_left_as_it_was() -> None:
    before = made()
    after = fold(before, b.a_plan(), b.an_observed(), None, b.later(hours=1), desired=b.a_desired(b.a_sandbox()))
    assert after.sandboxes == before.sandboxes


def test_a_host_keeps_the_identity_it_was_first_known_by() -> None:
    before = fold(made(), matches(), seen(), None, b.T0)
    other = b.a_view(identity=b.an_identity(host_id="f" * 32))
    after = fold(before, b.a_plan(), b.an_observed({"h1": b.a_reachable(other)}), None, b.T0)
    assert after.hosts["h1"].record.host_id == b.HOST_ID


def test_a_host_that_turns_out_to_be_another_is_not_remembered_as_that_machine() -> None:
    alone = fold(Statuses(), matches(), seen(), None, b.T0)
    twins = b.an_observed({name: b.a_reachable(b.a_settled_view(b.a_sandbox())) for name in ("h1", "h2")})
    after = fold(alone, matches(), twins, None, b.T0)
    assert {name: host.record.host_id for name, host in after.hosts.items()} == {"h1": b.HOST_ID, "h2": None}
    apart = b.an_observed({"h2": b.a_reachable(b.a_view(identity=b.an_identity(host_id="f" * 32)))})
    assert fold(after, matches(), apart, None, b.T0).hosts["h2"].record.host_id == "f" * 32


def test_a_host_that_may_be_another_machine_is_not_remembered_as_that_one() -> None:
    before = fold(Statuses(), b.a_plan(creates()), b.an_observed({}), ended(), b.T0)
    held = Held(sandbox="web-1", host="h1", bucket=Bucket.HELD, reason="HostIdentity", message="it may be another")
    other = b.a_view(identity=b.an_identity(host_id="f" * 32, docker_root="/mnt/docker"))
    after = fold(before, b.a_plan(held=(held,)), b.an_observed({"h1": b.a_reachable(other)}), None, b.T0)
    assert (after.hosts["h1"].record.host_id, after.hosts["h1"].record.docker_root) == (None, None)


def test_a_record_learns_the_identity_that_its_first_effect_wrote() -> None:
    fresh = b.an_observed({"h1": b.a_reachable(b.a_view(identity=b.an_identity(host_id=None)))})
    first = fold(Statuses(), b.a_plan(creates()), fresh, ended(), b.T0)
    assert records_of(first).sandboxes[0].host_id is None
    assert records_of(fold(first, matches(), seen(), None, b.T0)).sandboxes[0].host_id == b.HOST_ID


def test_what_is_made_again_after_its_removal_counts_its_generations_anew() -> None:
    gone = fold(made(), b.a_plan(destroys()), seen(), ended(), b.later(hours=1), desired=b.a_desired(b.a_sandbox()))
    old = replace(gone.sandboxes["web-1"], generation=7, observed_generation=7)
    again = fold(
        replace(gone, sandboxes={"web-1": old}), b.a_plan(creates()), seen(), ended(pass_at_s=7200), b.later(hours=2)
    )
    status = again.sandboxes["web-1"]
    assert (status.generation, status.observed_generation) == (1, 1)


def test_an_orphan_gets_no_status() -> None:
    held = Held(sandbox="ghost", host="h1", bucket=Bucket.ORPHAN, reason="Orphan", message="an orphan")
    assert fold(Statuses(), b.a_plan(held=(held,)), b.an_observed(), None, b.T0).sandboxes == {}


def test_folding_twice_without_news_changes_nothing_but_the_clock() -> None:
    once = fold(made(), matches(), seen(), None, b.later(hours=1))
    twice = fold(once, matches(), seen(), None, b.later(hours=2))
    assert twice.sandboxes == once.sandboxes
    assert twice.hosts == once.hosts
