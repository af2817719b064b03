"""Bound what one plan, one host and one day may remove, whatever else there is."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.desired import SandboxDesired
from reconciler.model.observed import Reachable, Unreachable
from reconciler.model.plan import Plan
from reconciler.model.record import Records, Removal
from reconciler.plan import Selection
from tests import builders as b
from tests.unit.plan.deciding import decide, remembered, second_host, standing, wanted


def boxes(count: int, *, host: str = b.HOST, name: str = "box") -> list[SandboxDesired]:
    return [b.a_sandbox(f"{name}-{n:02}", host=host) for n in range(count)]


def dropping(count: int, *, owned: int, records: Records | None = None, view: Any = None, **over: Any) -> Plan:
    """Plan for a host that owns `owned` sandboxes and specs that lack the first `count` of them."""
    every = boxes(owned)
    known = remembered(*every, **(over.pop("known", {}))) if records is None else records
    return decide(wanted(*every[count:]), standing(*every, **(view or {})), known, **over)


@pytest.mark.parametrize(("count", "owned", "refused"), [(2, 3, False), (3, 9, True), (3, 10, False), (4, 10, True)])
def test_per_plan(count: int, owned: int, refused: bool) -> None:  # noqa: FBT001 - a test's case
    made = dropping(count, owned=owned)
    assert len(made.actions) == count
    assert bool(made.refused) == refused
    if refused:
        words = " ".join(cause.text for cause in made.refused)
        assert f"--allow-destroy {count}" in words
        assert "box-00 on h1" in words


def test_per_host_although_the_fleet_is_large() -> None:
    here, there = boxes(3), boxes(20, host="h2", name="far")
    hosts = {"h1": b.a_reachable(standing(*here)), "h2": second_host(standing(*there))}
    made = decide(wanted(*there), hosts, remembered(*here, *there))
    assert [cause.text for cause in made.refused if "h1; the budget is 2" in cause.text]


def test_per_day() -> None:
    def removed(hours: float) -> Records:
        done = tuple(Removal(sandbox=f"old-{n}", host="h1", at=b.later(hours=hours)) for n in range(9))
        return remembered(*boxes(20), removals=done)

    assert [cause for cause in dropping(2, owned=20, records=removed(0)).refused if "24 h" in cause.text]
    assert dropping(2, owned=20, records=removed(-24)).refused == ()


def test_an_empty_folder_destroys_nothing() -> None:
    made = dropping(1, owned=1)
    assert [cause for cause in made.refused if "right spec folder" in cause.text]


def test_the_override_is_exact() -> None:
    assert dropping(5, owned=5, removals_allowed=5).refused == ()
    for allowed in (4, 6, 0):
        assert dropping(5, owned=5, removals_allowed=allowed).refused


def test_strangers_do_not_dilute_it() -> None:
    crowd = {"neighbours": tuple(b.a_neighbour(f"stranger-{n}") for n in range(100))}
    assert dropping(3, owned=5, view=crowd).refused


def test_a_selection_does_not_narrow_what_is_counted_upon() -> None:
    made = dropping(3, owned=10, selection=Selection(names=frozenset({"box-00", "box-01", "box-02"})))
    assert (len(made.actions), made.owned, made.refused) == (3, 10, ())
    assert dropping(9, owned=10, selection=Selection(names=frozenset({"box-00"}))).refused == ()


def test_what_is_asked_for_by_name_needs_no_override() -> None:
    every = boxes(6)
    made = decide(
        wanted(*every), standing(*every), remembered(*every), destroying=frozenset(item.name for item in every)
    )
    assert len(made.actions) == 6
    assert made.refused == ()


def test_a_silent_host_still_counts_with_what_is_remembered_of_it() -> None:
    here, there = boxes(3), boxes(20, host="h2", name="far")
    hosts: dict[str, Reachable | Unreachable] = {"h1": b.a_reachable(standing(*here)), "h2": b.an_unreachable()}
    made = decide(wanted(*here[1:], *there), hosts, remembered(*here, *there))
    assert made.owned == 23


def test_an_edit_that_lets_many_expire_at_once_is_refused() -> None:
    """`ttl: 60s` for `ttl: 60d` in a profile must not end a fleet."""
    before = boxes(5)
    after = [b.a_sandbox(item.name, ttl_s=60) for item in before]
    made = decide(wanted(*after), standing(*before), remembered(*before))
    assert len(made.actions) == 5
    assert made.refused
