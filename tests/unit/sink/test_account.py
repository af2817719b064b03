from __future__ import annotations

from typing import Any

import pytest

from reconciler.sink.account import Account, sentences
from reconciler.sink.spool import Kept
from tests import builders as b


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"kept": Kept(envelopes=0)}, ()),
        (
            {"kept": Kept(envelopes=3, since=b.T0), "why": "https://hub.example/: it refuses connections"},
            ("3 envelopes are kept since 2025-06-01 12:00:00 UTC: https://hub.example/: it refuses connections",),
        ),
        ({"kept": Kept(envelopes=1), "why": "no"}, ("1 envelope is kept: no",)),
        ({"kept": None, "why": "its spool cannot be used"}, ("its spool cannot be used",)),
        (
            {"dropped": 2, "kept": Kept(envelopes=0)},
            ("2 envelopes are dropped, the oldest: no more than 10000 or 64 MiB are kept",),
        ),
        (
            {"lost": 2, "unkept_why": "the disk is full", "why": "it refuses connections"},
            ("2 envelopes are lost: no file can keep them (the disk is full), and the sink: it refuses connections",),
        ),
        (
            {"refused": 1, "refusal": "answered 400", "forgotten": 1},
            (
                "1 envelope is refused for good and kept in status/spool/hub/refused; the first: answered 400",
                "1 envelope is removed from status/spool/hub/refused: the newest 1000 stay",
            ),
        ),
        ({"too_large": 1}, ("1 envelope is not sent: larger than 4 MiB",)),
        (
            {"damaged": 4},
            ("4 envelopes are left out: the file that kept them is damaged, and is now in status/spool/hub/refused",),
        ),
    ],
)
def test_what_was_not_delivered_is_said(over: dict[str, Any], said: tuple[str, ...]) -> None:
    account = Account(sink="hub", spool="status/spool/hub", **over)
    assert sentences(account) == tuple(f"sink hub: {text}" for text in said)
