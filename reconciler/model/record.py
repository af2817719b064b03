"""Hold what we remember having made. It is a cache: with it gone, the next plan adopts everything."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from reconciler.model.activity import Activity


class Record(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Remember one sandbox on one host.

    Attributes:
        host_id: identity of the host when it was made.
        keys: the resources we made, as `containers/main`.
        complete: an action of it was once carried through; before that, what is not there has not vanished.
        profile: that it was made from, or None.
        phase: `expired` remembers that its ttl ran out, for the `intent` named here.
    """

    sandbox: str
    uid: str
    host: str
    host_id: str | None
    generation: int
    intent: str
    revision: str
    run: str
    keys: tuple[str, ...]
    applied_at: datetime
    profile: str | None = None
    complete: bool = True
    phase: Literal["present", "expired"] = "present"


class Removal(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Remember that a sandbox was removed, for the day's budget."""

    sandbox: str
    host: str
    at: datetime


class HostRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Remember a host: which machine it was, and since when it has not answered.

    `engine` is the engine that answered last (`HostIdentity.engine`): a host that is not asked is still told from it.
    `activity` is what its containers of ours were seen to do, by full id.
    """

    name: str
    host_id: str | None
    docker_root: str | None = None
    engine: str | None = None
    unreachable_since: datetime | None = None
    activity: dict[str, Activity] = {}


class Records(msgspec.Struct, frozen=True, kw_only=True):
    """Hold everything that the status folder remembers and a plan needs.

    `ready` names, by sandbox, the run whose probes passed and that was ready when it was last seen.
    """

    sandboxes: tuple[Record, ...] = ()
    ready: dict[str, str] = {}
    hosts: dict[str, HostRecord] = {}
    removals: tuple[Removal, ...] = ()
