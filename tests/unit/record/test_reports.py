"""Attach to canaries, and to nothing else, what bringing them up told of their hosts."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model.activity import Activity
from reconciler.model.outcome import ActionEnded, PassEnded
from reconciler.model.plan import Action, Verb
from reconciler.model.record import Records
from reconciler.model.stale import Found, SandboxInventory, StaleCandidate
from reconciler.model.status import HostStatus, Statuses
from reconciler.record.fold import fold
from reconciler.record.reports import with_learned_activity, with_reports
from tests import builders as b

CANARIES = frozenset({b.SANDBOX})
INVENTORY = SandboxInventory(
    host=b.HOST, collected_at=b.later(seconds=3), found=(Found(object="sandbox/x", owner="ours"),)
)
STALE = tuple(
    StaleCandidate(
        host=host, found=Found(object="sandbox/x", owner="ours"), kind="idle", suggestion="inspect", reason="r"
    )
    for host in (b.HOST, "h2")
)


def passed(action: Action, **ended: Any) -> PassEnded:
    given = {"id": action.id, "end": "done", "delta": b.a_delta(), **ended}
    return PassEnded(pass_id="p-00000001", started_at=b.T0, finished_at=b.T0, actions=(ActionEnded(**given),))


def folded(action: Action, ended: PassEnded, **reachable: Any) -> Statuses:
    given = {"snapshot": b.a_snapshot(), **reachable}
    seen = b.an_observed({b.HOST: b.a_reachable(b.a_settled_view(b.a_sandbox()), **given)})
    return fold(Statuses(), b.a_plan(action), seen, ended, b.T0)


def reported(action: Action, ended: PassEnded, *, statuses: Statuses | None = None, **over: Any) -> Statuses:
    given = {"inventories": {b.HOST: INVENTORY}, "stale": STALE, "canaries": CANARIES, **over}
    known = folded(action, ended) if statuses is None else statuses
    return with_reports(known, b.a_plan(action), ended, **given)


@pytest.mark.parametrize("verb", [verb for verb in Verb if not verb.ends])
def test_what_brought_a_canary_up_is_reported_with_its_host(verb: Verb) -> None:
    action = b.an_action(verb=verb)
    before = folded(action, passed(action))
    after = reported(action, passed(action))
    report = after.sandboxes[b.SANDBOX].report
    assert report is not None
    assert (report.host, report.collected_at) == (b.HOST, INVENTORY.collected_at)
    assert report.snapshot == before.hosts[b.HOST].snapshot != None  # noqa: E711  # both are said at once
    assert (report.inventory, report.stale) == (INVENTORY, STALE[:1])
    assert (report.provision, report.teardown) == (b.a_delta(), None)
    assert replace(after.sandboxes[b.SANDBOX], report=None) == before.sandboxes[b.SANDBOX]


@pytest.mark.parametrize(
    ("ended", "over"),
    [
        ({}, {"canaries": frozenset()}),
        ({}, {"inventories": {}}),
        ({"end": "failed"}, {}),
        ({"delta": None}, {}),
        ({"id": "h1/other"}, {}),
    ],
)
def test_nothing_is_reported_where_nothing_was_told(ended: dict[str, Any], over: dict[str, Any]) -> None:
    action = b.an_action()
    before = folded(action, passed(action))
    assert reported(action, passed(action, **ended), statuses=before, **over) == before


def test_taking_a_canary_away_is_no_report_of_it() -> None:
    up, down = b.an_action(), b.an_action(verb=Verb.DESTROY)
    before = reported(up, passed(up))
    assert reported(down, passed(down), statuses=before) == before


def test_a_host_that_was_not_measured_is_reported_without_counters() -> None:
    action = b.an_action()
    statuses = replace(folded(action, passed(action)), hosts={})
    report = reported(action, passed(action), statuses=statuses).sandboxes[b.SANDBOX].report
    assert report is not None
    assert report.snapshot is None


def test_what_was_learned_of_activity_is_remembered_and_nothing_else() -> None:
    learned = {b.full_id(1): Activity(cpu_usage_ns=5, network_bytes=None, seen_at=b.T0, busy_at=b.T0)}
    then = b.a_host_record(activity=learned, host_id="of another machine")
    records = Records(hosts={b.HOST: b.a_host_record(), "h2": b.a_host_record("h2")})
    hosts = {b.HOST: HostStatus(fleet=b.FLEET, name=b.HOST, record=then, conditions=())}
    after = with_learned_activity(records, hosts)
    assert after.hosts[b.HOST] == replace(records.hosts[b.HOST], activity=learned)
    assert after.hosts["h2"] == records.hosts["h2"]
