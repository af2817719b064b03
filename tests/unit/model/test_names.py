from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.names import DerivedName, Key, is_full_id, name_fault, parse_derived, sandbox_uid
from tests.strategies import names

hexes = st.text("0123456789abcdef", min_size=6, max_size=6)
epochs = st.integers(0, 10**11)


@pytest.mark.parametrize("text", ["ab", "web-1", "a" * 40, "0a", "3f2a", "abcdef01234"])
def test_good_names_have_no_fault(text: str) -> None:
    assert name_fault(text) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a", "has 1"),
        ("", "has 0"),
        ("a" * 41, "has 41"),
        ("Web", "lower-case"),
        ("web_1", "lower-case"),
        ("web.1", "lower-case"),
        ("-web", "begins and ends"),
        ("web-", "begins and ends"),
        ("web\n", "lower-case"),
        ("wéb", "ASCII"),
        ("\uff57eb", "ASCII"),
        ("web\u0661", "ASCII"),
        ("0123456789ab", "container id"),
        ("sbx-web", "reconciler's own"),
    ],
)
def test_a_bad_name_is_told_why(text: str, said: str) -> None:
    fault = name_fault(text)
    assert fault is not None
    assert said in fault


@given(names, names, names)
def test_a_lasting_name_parses_back(fleet: str, sandbox: str, resource: str) -> None:
    name = DerivedName(fleet, sandbox, resource)
    assert parse_derived(str(name)) == name
    assert name.settled


@given(names, names, names, hexes, epochs)
def test_names_on_their_way_parse_back(fleet: str, sandbox: str, resource: str, next_hex: str, epoch: int) -> None:
    coming = DerivedName(fleet, sandbox, resource, next_hex=next_hex)
    going = DerivedName(fleet, sandbox, resource, tomb_epoch_s=epoch)
    assert parse_derived(str(coming)) == coming
    assert parse_derived(str(going)) == going
    assert not coming.settled
    assert not going.settled


@given(st.tuples(names, names, names), st.tuples(names, names, names))
def test_different_objects_have_different_names(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assert (str(DerivedName(*one)) == str(DerivedName(*other))) is (one == other)


@given(st.text(max_size=60))
def test_whatever_parses_writes_back_the_same(text: str) -> None:
    found = parse_derived(text)
    assert found is None or str(found) == text or found.tomb_epoch_s is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "web",
        "sbx-lab.web-1",
        "sbx-lab.web-1.main.",
        "sbx-lab.web-1.main.next-",
        "sbx-lab.web-1.main.next-0A1B2C",
        "sbx-lab.web-1.main.next-0a1b2c7",
        "sbx-lab.web-1.main.tomb-x",
        "sbx-lab.web-1.main.tomb-1.tomb-2",
        "sbx-lab.web-1.main\n",
        "/sbx-lab.web-1.main",
        "sbx-lab..main",
        "sbx-lab.web-1.main.other",
        "xsbx-lab.web-1.main",
    ],
)
def test_what_we_do_not_derive_does_not_parse(text: str) -> None:
    assert parse_derived(text) is None


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("a" * 64, True),
        ("0123456789abcdef" * 4, True),
        ("a" * 63, False),
        ("a" * 65, False),
        ("A" * 64, False),
        ("a" * 64 + "\n", False),
        ("g" * 64, False),
        ("sha256:" + "a" * 64, False),
    ],
)
def test_only_64_hex_digits_are_a_full_id(text: str, whole: bool) -> None:  # noqa: FBT001 - a test's parameter
    assert is_full_id(text) is whole


def test_a_uid_is_pinned_for_ever() -> None:
    # Names on hosts depend on it: another derivation would orphan every sandbox there is.
    assert sandbox_uid("lab", "web-1") == "63681cdc"


@given(names, names, names, names)
def test_uids_tell_fleets_and_sandboxes_apart(a: str, b: str, c: str, d: str) -> None:
    assert (sandbox_uid(a, b) == sandbox_uid(c, d)) is ((a, b) == (c, d))


def test_a_key_is_written_with_a_slash() -> None:
    assert str(Key("containers", "web")) == "containers/web"
