"""A record of a legacy find's removal proves by itself that it was right, or says what does not hold."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model.effect import Done
from reconciler.model.observed import HostView
from reconciler.model.outcome import ActionEnded, PassEnded, StepEnded
from reconciler.model.record import Records
from reconciler.model.removal import RemovalRecord
from reconciler.model.status import Statuses
from reconciler.record.fold import fold
from reconciler.record.removals import faults_of, removals_in, sealed
from tests import builders as b
from tests.unit.plan.test_legacy import E2E, ME, X, a_look, a_part, an_entry, reaping, wanted

FOLDER = a_look(an_entry())
PROJECT = a_look(parts=(a_part(), a_part("e2e-12-db-1", number=2)))


def the_record(view: HostView, named: Any, *, grace_s: int = 0) -> RemovalRecord:
    desired = wanted(grace_s=grace_s)
    made = reaping(view, named, desired=desired)
    (action,) = made.actions
    at = b.later(seconds=9 * 24 * 3600)
    steps = tuple(
        StepEnded(step=step.id, title=step.title, result=Done(), tries=1, started_at=at, finished_at=at)
        for step in action.steps
    )
    done = ActionEnded(id=action.id, end="done", steps=steps)
    ended = PassEnded(pass_id="p-1", by="ann@desk pid 7", started_at=at, finished_at=at, actions=(done,))
    look = b.an_observed({"h1": b.a_reachable(replace(view, observed_at=at))})
    assert fold(Statuses(), made, look, ended, at, desired=desired).sandboxes == {}, "no status is kept of it"
    (record,) = removals_in(made, ended, (look, look), desired=desired, records=Records())
    return record


@pytest.mark.parametrize(("view", "named"), [(FOLDER, X), (PROJECT, E2E)])
@pytest.mark.parametrize("grace_s", [0, 3600])
def test_what_was_named_and_met_every_condition_is_proved_by_its_record(
    view: HostView, named: Any, grace_s: int
) -> None:
    record = the_record(view, named, grace_s=grace_s)
    assert faults_of(record) == ()
    assert (record.legacy, record.sandbox) == (named.object, f"legacy-{record.uid}")
    assert len(record.touched) == len(view.neighbours) or len(record.touched) == 1


@pytest.mark.parametrize(
    ("over", "says"),
    [
        ({"uid": ME.uid + 1}, "it belonged to uid"),
        ({"users": ("web",)}, "it was in use by web"),
        ({"modified_epoch_s": None}, "of no known age"),
        ({"modified_epoch_s": 9e9}, "s were wanted"),
        ({"path": "/tmp/old/y"}, "is not what was named"),
    ],
)
def test_a_folder_that_did_not_meet_a_condition_is_a_fault(over: dict[str, Any], says: str) -> None:
    assert any(says in fault for fault in faults_of(altered(the_record(FOLDER, X), over)))


def test_a_folder_that_was_not_there_or_is_another_is_a_fault() -> None:
    record = the_record(FOLDER, X)
    looks = (replace(record.looks[0], find=None), record.looks[1])
    assert any("was not there" in fault for fault in faults_of(sealed(replace(record, looks=looks))))
    other = sealed(replace(record, legacy="folder//tmp/old/z"))
    assert any("uid" in fault for fault in faults_of(other))
    assert any("no legacy find" in fault for fault in faults_of(sealed(replace(record, legacy="sandbox/x"))))


@pytest.mark.parametrize(
    ("over", "says"),
    [
        ({"state": "running"}, "was running"),
        ({"project": "shop"}, "was not of this project"),
        ({"labels": {"dev.reconciler.fleet": "other"}}, "had an owner"),
        ({"full_id": "f" * 64}, "was in no look"),
    ],
)
def test_a_project_that_did_not_meet_a_condition_is_a_fault(over: dict[str, Any], says: str) -> None:
    record = the_record(PROJECT, E2E)
    find = record.looks[-1].find
    assert find is not None
    parts = (replace(find.parts[0], **over), *find.parts[1:])
    assert any(says in fault for fault in faults_of(altered(record, {"parts": parts})))


def altered(record: RemovalRecord, over: dict[str, Any]) -> RemovalRecord:
    """Change what was seen, and seal it as if it had been so."""
    looks = tuple(replace(one, find=replace(one.find, **over)) for one in record.looks if one.find is not None)
    return sealed(replace(record, looks=looks))
