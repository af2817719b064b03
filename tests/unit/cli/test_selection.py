"""Names and selectors of the command line: what matches nothing is wrong usage, with the nearest name as a hint."""

import pytest

from reconciler.cli.selection import check_names, hosts_on, select
from reconciler.errors import UsageError
from tests import builders as b

PLACES = {"web-1": {"h1"}, "web-2": {"h2"}, "moving": {"h1", "h2"}}


@pytest.mark.parametrize(
    ("names", "exclude", "hosts"),
    [
        (None, None, None),
        (["web-1"], ["web-2"], None),
        (["web-1", "web-2"], ["web-2"], None),
        (["moving"], None, {"h2"}),
        (["web-1", "web-2"], None, {"h2"}),
        (None, ["web-1"], {"h1"}),
    ],
)
def test_what_leaves_something_is_taken(
    names: list[str] | None, exclude: list[str] | None, hosts: set[str] | None
) -> None:
    check_names(PLACES, names=names, exclude=exclude, hosts=None if hosts is None else frozenset(hosts))


@pytest.mark.parametrize(
    ("names", "exclude", "hosts", "hint"),
    [
        (["web-3"], None, None, "did you mean web-2?"),
        (None, ["mving"], None, "did you mean moving?"),
        (["nobody"], None, None, "there are: moving, web-1, web-2"),
        (["web-1"], ["web-1"], None, "name a sandbox that stays"),
        (None, ["web-1", "web-2", "moving"], None, "name a sandbox that stays"),
        (["web-1"], None, {"h2"}, "leave out --on"),
        (["web-1", "web-2"], ["web-2"], {"h2"}, "leave out --on"),
    ],
)
def test_what_leaves_nothing_is_wrong_usage(
    names: list[str] | None, exclude: list[str] | None, hosts: set[str] | None, hint: str
) -> None:
    with pytest.raises(UsageError) as refused:
        check_names(PLACES, names=names, exclude=exclude, hosts=None if hosts is None else frozenset(hosts))
    assert refused.value.code == "E_NO_MATCH"
    assert hint in (refused.value.hint or "")


def test_a_fleet_without_sandboxes_has_nothing_to_leave_out() -> None:
    check_names({}, names=None, exclude=None, hosts=frozenset({"h1"}))


def test_what_only_the_records_know_can_be_named() -> None:
    desired = b.a_desired()
    gone = b.a_records(b.a_record(sandbox="gone"))
    selection = select(desired, gone, names=["gone"], on=None, exclude=None)
    assert selection.names == frozenset({"gone"})


def test_a_selector_that_no_host_has_names_the_nearest() -> None:
    with pytest.raises(UsageError) as refused:
        hosts_on(b.a_desired(), ["h11"])
    assert refused.value.hint == "did you mean h1?"
