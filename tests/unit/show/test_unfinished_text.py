"""A pass that has not ended is told of in words that fit how it stands."""

from __future__ import annotations

import json

import msgspec
import pytest

from reconciler.model.status import Statuses
from reconciler.model.unfinished import PassState
from reconciler.show.page import plain
from reconciler.show.status_json import status_json
from reconciler.show.status_text import status_page
from reconciler.show.unfinished_text import unfinished_page
from tests import builders as b
from tests.golden.show.pages import NOW, a_cut_pass


def test_the_first_pass_of_all_is_told_of_too() -> None:
    told = plain(status_page(Statuses(), now=NOW, wide=False, unfinished=a_cut_pass()))
    assert told.startswith("A pass was cut short\n")
    assert told.endswith("Nothing is known yet: no pass has ended with this status folder.\n")


@pytest.mark.parametrize(
    ("state", "wanted", "unwanted"),
    [
        ("running", "is running: 7 of 11 actions done so far", "reconcile apply"),
        ("cut", "run `reconcile apply` again: it looks first", "running"),
        ("unknown", "run `reconcile apply` again: it looks first", "cut short"),
    ],
)
def test_what_is_said_fits_its_state(state: PassState, wanted: str, unwanted: str) -> None:
    told = plain(unfinished_page(msgspec.structs.replace(a_cut_pass(), state=state), now=NOW, wide=False))
    assert wanted in told
    assert unwanted not in told


def test_a_wide_page_names_every_action() -> None:
    for wide in (False, True):
        told = plain(unfinished_page(a_cut_pass(), now=NOW, wide=wide))
        assert ("and 2 more" in told, "job-6 on h1" in told) == (not wide, wide)


def test_nothing_in_it_moves_the_cursor() -> None:
    evil = msgspec.structs.replace(a_cut_pass(), by="\x1b[2Jx", unreadable=("\u202eno",))
    told = plain(unfinished_page(evil, now=NOW, wide=True))
    assert "\x1b" not in told
    assert "\u202e" not in told


def test_the_document_has_every_action() -> None:
    document = json.loads(msgspec.json.encode(status_json(Statuses(), fleet=b.FLEET, unfinished=a_cut_pass())))
    told = document["unfinished_pass"]
    assert list(told) == ["id", "state", "began_at", "by", "actions", "unreadable", "hint"]
    assert {action["state"] for action in told["actions"]} == {"done", "not_done", "begun", "unknown"}
    assert [a["changes_unknown"] for a in told["actions"] if a["state"] == "unknown"] == [["create container main"]]
    assert status_json(Statuses(), fleet=b.FLEET)["unfinished_pass"] is None
