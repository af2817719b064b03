"""Name what a host holds that nobody may need any more: what it is, how old, how idle, and what to do about it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

StaleKind = Literal["orphan", "zombie", "expired", "idle", "legacy", "ad_hoc", "retained", "unwanted"]
Suggestion = Literal["reap", "inspect", "ignore"]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one thing that a host holds.

    Attributes:
        object: its kind and name, such as `sandbox/web-1`, `compose/e2e-12` or `folder//tmp/sandboxer/x`.
        owner: `ours`, `fleet <name>`, `compose project <name>`, `uid <n>`, or `unknown`.
        state: what its containers do, or None for what has none.
        age_s: seconds since it was made, by the clock that dated it; None where that cannot be told.
        idle_s: seconds for which it used next to no CPU and was not seen to send anything; None before two looks were
            recorded.
        profile: that it was made from, where its record or its spec tells.
    """

    object: str
    owner: str
    state: str | None = None
    age_s: float | None = None
    idle_s: float | None = None
    profile: str | None = None


class SandboxInventory(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what one host holds of sandboxes, and of what looks like some.

    Attributes:
        host: its name in the specs.
        collected_at: when it was looked at, by the controller's clock.
        found: sandboxes of this fleet, those that are gone too, and what a legacy pattern or root shows.
        unread: folders that were to be listed and could not be: what is in them is not known.
    """

    host: str
    collected_at: datetime
    found: tuple[Found, ...] = ()
    unread: tuple[str, ...] = ()


class StaleCandidate(msgspec.Struct, frozen=True, kw_only=True):
    """Say of one thing that it may be stale, and why.

    Attributes:
        host: where it is, by its name in the specs.
        found: what it is.
        kind: the class of it that speaks for its end.
        suggestion: `reap` for what is provably ours and old enough, `ignore` for what is too young, `inspect` for the
            rest, which a person has to judge.
        reason: a sentence that says why this is suggested.
        evidence: what was seen, by name: ids, times, who owns it. No secrets, no environment, no inspect dumps.
    """

    host: str
    found: Found
    kind: StaleKind
    suggestion: Suggestion
    reason: str
    evidence: dict[str, str] = {}
