"""Moving or renaming an object between files or groups deletes it.

fluxcd/kustomize-controller#338 #339 #403, hashicorp/terraform#10523.
"""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.model.digest import intent_digest
from reconciler.model.source import SourceRef
from tests import builders as b
from tests.unit.plan.deciding import decide, remembered, second_host, standing, wanted

ONE = b.a_sandbox()


def test_another_file_and_line_is_no_change() -> None:
    origins = {"containers.main.image": SourceRef("teams/blue.yaml", 9, 1)}
    moved = replace(ONE, at=SourceRef("teams/blue.yaml", 1, 1), origins=origins)
    assert intent_digest(moved) == ONE.intent
    assert decide(wanted(moved), standing(ONE), remembered(ONE)).empty


def test_another_order_in_the_fleet_is_no_change() -> None:
    other = b.a_sandbox("other")
    assert decide(wanted(other, ONE), standing(ONE, other), remembered(other, ONE)).empty


def test_another_host_removes_nothing_before_the_new_one_is_made() -> None:
    there = b.a_sandbox(host="h2")
    made = decide(wanted(there), {"h1": b.a_reachable(standing(ONE)), "h2": second_host()}, remembered(ONE))
    assert [action.id for action in made.actions] == ["h2/web-1", "h1/web-1"]
    assert made.actions[1].after == ("h2/web-1",)
