"""Hold what one change did to its host, with what is needed to believe it."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """Hold several samples of a host around one moment: per dimension, median and spread (max minus min).

    A dimension that could not be read is absent here and named in the delta's `missing`.

    Attributes:
        at: when the last sample came, by the controller's clock.
        boot_id: of the boot that all of them are from.
        samples: how many there are.
        median: by dimension.
        spread: the largest sample minus the smallest, by dimension.
    """

    at: datetime
    boot_id: str
    samples: int
    median: dict[str, float]
    spread: dict[str, float]


class ProvisionDelta(msgspec.Struct, frozen=True, kw_only=True):
    """Hold before, after and difference of one create, update or destroy.

    Dimensions: `memory_available_bytes`, `disk_used_bytes`, `load_1`, `cpu_percent`, `pressure_cpu`, `pressure_memory`,
    `pressure_io` (PSI some avg10), `containers_running`.

    Attributes:
        verb: what was done, such as `create`.
        before, after: the host just before it, and once it was done; None with a reason in `missing`.
        change: after minus before; None with a reason in `missing` when it would mean nothing (a reboot).
        missing: `before`, `after`, `change` or a dimension -> why it is not there.
        also: what else ran on the host in the interval: addresses of other actions.
    """

    verb: str
    before: Reading | None
    after: Reading | None
    change: dict[str, float] | None
    missing: dict[str, str] = {}
    also: tuple[str, ...] = ()
