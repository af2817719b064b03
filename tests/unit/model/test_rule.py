from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.resource import Container, Directory, File, Network, Volume
from reconciler.model.rule import IN_PLACE, LIMIT, REPLACE, Remedy, rules, strongest

# What says how we treat an object, or where and when it is, and not what it is. A field that is new must be put
# either here or under a rule: no difference may go unseen by accident.
WITHOUT_A_RULE: dict[type[msgspec.Struct], set[str]] = {
    Directory: {"name", "path", "data"},
    File: {"name", "path", "make_at", "drop_at"},
    Volume: {"name"},
    Network: {"name"},
    Container: {"name", "run", "optional", "after"},
}


@pytest.mark.parametrize("noun", WITHOUT_A_RULE, ids=lambda noun: noun.__name__)
def test_every_field_that_can_differ_has_a_rule(noun: type[msgspec.Struct]) -> None:
    assert set(rules(noun)) == set(noun.__struct_fields__) - WITHOUT_A_RULE[noun]


def test_rules_come_in_the_order_of_the_fields() -> None:
    order = [field for field in Container.__struct_fields__ if field in rules(Container)]
    assert list(rules(Container)) == order


def test_remedies_are_ranked_from_nothing_to_a_new_object() -> None:
    ranked = [Remedy.NOTHING, Remedy.IN_PLACE, Remedy.START, Remedy.RESTART, Remedy.REPLACE]
    assert sorted(Remedy, key=lambda remedy: remedy.strength) == ranked
    assert all(one.strength < other.strength for one, other in itertools.pairwise(ranked))


@given(st.lists(st.sampled_from(Remedy)))
def test_the_strongest_covers_all_and_is_one_of_them(remedies: list[Remedy]) -> None:
    chosen = strongest(remedies)
    assert all(remedy.strength <= chosen.strength for remedy in remedies)
    assert chosen in remedies or (not remedies and chosen is Remedy.NOTHING)


def test_removing_a_limit_takes_another_container_and_setting_one_does_not() -> None:
    for field in ("cpu_nanos", "memory_bytes"):
        rule = rules(Container)[field]
        assert rule.remedy_for(1) is Remedy.IN_PLACE
        assert rule.remedy_for(None) is Remedy.REPLACE
    assert rules(Container)["pids"].remedy_for(None) is Remedy.IN_PLACE


def test_a_path_changes_where_it_is_written_and_nothing_else() -> None:
    moved = LIMIT.at("resources.memory")
    assert (moved.remedy, moved.clearing, moved.path) == (LIMIT.remedy, LIMIT.clearing, "resources.memory")
    assert LIMIT.path is None


def test_clearing_matters_only_where_it_is_said() -> None:
    assert REPLACE.remedy_for(None) is Remedy.REPLACE
    assert IN_PLACE.remedy_for(None) is Remedy.IN_PLACE
