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


class OwnUse(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what a sandbox itself takes, summed over its containers: what its neighbours do has no part in it.

    What could not be told is None, and the delta's `missing` says why under `own.` and the field.

    Attributes:
        at: when it was read, by the controller's clock.
        containers: how many it had.
        memory_working_set_bytes: memory charged to it, without the file cache that the kernel drops first; a
            container that does not run takes none.
        memory_current_bytes: all memory charged to it, file cache included.
        cpu_usage_ns: CPU time used since its containers started.
        network_bytes: received and sent on its own interfaces since then.
        layer_bytes: what its containers wrote into their own layers; volumes are not in it.
        image_bytes: the layers of its images that no other image on the host has.
    """

    at: datetime
    containers: int
    memory_working_set_bytes: int | None = None
    memory_current_bytes: int | None = None
    cpu_usage_ns: int | None = None
    network_bytes: int | None = None
    layer_bytes: int | None = None
    image_bytes: int | None = None


class ProvisionDelta(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what a host was before and after one action that changed it, and the difference.

    Dimensions: `memory_available_bytes`, `disk_used_bytes`, `load_1`, `cpu_percent`, `pressure_cpu`, `pressure_memory`,
    `pressure_io` (PSI some avg10), `containers_running`.

    Attributes:
        verb: what was done, such as `create`.
        before, after: the host just before it, and once it was done; None with a reason in `missing`.
        change: after minus before; None with a reason in `missing` when it would mean nothing (a reboot).
        own: what the sandbox itself took once it was done, or until it went; None with a reason in `missing`.
        missing: `before`, `after`, `change`, `own`, a dimension or `own.` and a field -> why it is not there.
        also: what else ran on the host in the interval: addresses of other actions.
    """

    verb: str
    before: Reading | None
    after: Reading | None
    change: dict[str, float] | None
    own: OwnUse | None = None
    missing: dict[str, str] = {}
    also: tuple[str, ...] = ()
