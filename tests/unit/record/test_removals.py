"""A record of a removal proves by itself that it was right, or says what does not hold."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model.desired import Reap
from reconciler.model.effect import Done, DropPath, NotDone
from reconciler.model.observed import HostView
from reconciler.model.outcome import ActionEnded, PassEnded, StepEnded
from reconciler.model.plan import Action, Plan
from reconciler.model.record import Records
from reconciler.model.removal import LookEvidence, RemovalRecord
from reconciler.plan.reaping import plan_reaping
from reconciler.record.removals import faults_of, removals_in, sealed
from tests import builders as b
from tests.unit.plan.deciding import request

OLD_S = 48 * 3600
ONE = b.a_sandbox()
DESIRED = b.a_desired(reap=Reap(mode="apply", older_than_s=24 * 3600, grace_s=3600))


def seen() -> HostView:
    at = b.later(seconds=OLD_S)
    return replace(b.a_settled_view(ONE), observed_at=at, host_clock_epoch_s=at.timestamp())


def planned(view: HostView) -> Plan:
    asked = request(now=b.later(seconds=OLD_S), pass_id="p-1", removals_allowed=1)
    return plan_reaping(DESIRED, b.an_observed({"h1": b.a_reachable(view)}), Records(), asked)


def walked(action: Action, **over: Any) -> PassEnded:
    at = b.later(seconds=OLD_S)
    steps = tuple(
        StepEnded(step=step.id, title=step.title, result=Done(), tries=1, started_at=at, finished_at=at)
        for step in action.steps
    )
    done = ActionEnded(**{"id": action.id, "end": "done", "steps": steps, **over})
    return PassEnded(pass_id="p-1", by="ann@desk pid 7", started_at=at, finished_at=at, actions=(done,))


def the_record(**over: Any) -> RemovalRecord:
    view = seen()
    made = planned(view)
    (action,) = made.actions
    look = b.an_observed({"h1": b.a_reachable(view)})
    (record,) = removals_in(made, walked(action, **over), (look, look), desired=DESIRED, records=Records())
    return record


def test_what_was_reaped_rightly_is_proved_by_its_record_alone() -> None:
    record = the_record()
    assert faults_of(record) == ()
    assert (record.by, len(record.looks), record.end) == ("ann@desk pid 7", 2, "done")
    assert {one.outcome for one in record.touched} == {"done"}


def test_what_was_not_begun_leaves_no_record() -> None:
    made = planned(seen())
    ended = walked(made.actions[0], end="skipped", steps=())
    assert removals_in(made, ended, (), desired=DESIRED, records=Records()) == ()


def test_what_failed_is_told_as_it_was() -> None:
    at = b.T0
    (action,) = planned(seen()).actions
    failed = StepEnded(
        step=action.steps[0].id,
        title=action.steps[0].title,
        result=NotDone("E_NO", "no"),
        tries=1,
        started_at=at,
        finished_at=at,
    )
    record = the_record(end="failed", steps=(failed,))
    assert [one.outcome for one in record.touched] == ["not done"]
    assert faults_of(record) == ()


def test_a_record_that_was_changed_says_so() -> None:
    assert "changed" in faults_of(replace(the_record(), by="bob"))[0]


def looks_with(record: RemovalRecord, **over: Any) -> tuple[LookEvidence, ...]:
    return tuple(
        replace(look, containers=tuple(replace(one, **over) for one in look.containers)) for look in record.looks
    )


@pytest.mark.parametrize(
    ("over", "says"),
    [
        ({"labels": {}}, "not provably ours"),
        ({"labels": b.labels_for(fleet="other")}, "not provably ours"),
        ({"name": "somebody-elses"}, "not provably ours"),
        ({"image_is_clean": False}, "not provably ours"),
        ({"image_is_clean": None}, "not provably ours"),
        ({"created_at": b.later(seconds=OLD_S - 60)}, "60 s old"),
        ({"full_id": b.full_id("another")}, "was in no look"),
    ],
    ids=["no labels", "another fleet", "another name", "labels of the image", "image unread", "young", "another one"],
)
def test_what_was_taken_without_proof_is_found_though_the_digest_fits(over: dict[str, Any], says: str) -> None:
    record = the_record()
    wrong = sealed(replace(record, looks=looks_with(record, **over)))
    assert any(says in fault for fault in faults_of(wrong))


def test_nothing_outside_the_sandboxes_own_folder_passes() -> None:
    record = the_record()
    strange = replace(record.touched[0], effect=str(DropPath.__struct_config__.tag), target="/home/ops/.ssh")
    assert any("/home/ops/.ssh" in fault for fault in faults_of(sealed(replace(record, touched=(strange,)))))


def test_what_a_record_knew_was_no_orphan() -> None:
    assert "no orphan" in faults_of(sealed(replace(the_record(), recorded=True)))[0]


def test_what_was_done_without_a_look_is_found() -> None:
    assert any("no look" in fault for fault in faults_of(sealed(replace(the_record(), looks=()))))
