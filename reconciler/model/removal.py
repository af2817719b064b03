"""Hold the record of one removal: what was seen, why it could go, what was done; it can be checked again offline."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from reconciler.model.marker import Marker
from reconciler.model.plan import Bucket, Verb

REMOVAL_FORMAT = "reconciler-removal/1"


class ContainerEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what proves whose a container is.

    Attributes:
        full_id: 64 hex digits.
        name: Docker's name.
        image_id: `sha256:…` of the image that it ran.
        created_at: by the host's clock.
        state: what it did, such as `running` or `exited`.
        labels: ours alone; no others, and no environment.
        image_is_clean: its image hands no label of ours down; None where the image could not be read.
    """

    full_id: str
    name: str
    image_id: str
    created_at: datetime
    state: str
    labels: dict[str, str]
    image_is_clean: bool | None


class NetworkEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what proves whose a network is.

    Attributes:
        id: 64 hex digits.
        name: Docker's name.
        labels: ours alone.
        created_at: by its host's clock.
    """

    id: str
    name: str
    labels: dict[str, str]
    created_at: datetime | None = None


class FindPart(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one container of a compose project that a person named; `created_epoch_s` by the host's clock."""

    full_id: str
    name: str
    state: str
    project: str
    created_epoch_s: float | None
    labels: dict[str, str]


class FindEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what a look showed of a legacy find.

    Attributes:
        parts: the containers of a compose project; `labels` are ours alone, and there must be none.
        path: of a folder, as it stood there; inode (`device:inode`), uid and modified_epoch_s are its own.
        ssh_uid: who we are on the host.
        users: containers that mount it or something below it, and processes that have it open.
    """

    parts: tuple[FindPart, ...] = ()
    path: str = ""
    inode: str = ""
    uid: int = -1
    modified_epoch_s: float | None = None
    ssh_uid: int = -1
    users: tuple[str, ...] = ()


class LookEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what one look at the host showed of the sandbox.

    Attributes:
        observed_at: by the controller's clock; host_clock_epoch_s: by the host's.
        host_id: of the machine that answered.
        folder: the sandbox's own folder on the host.
        containers: those under names of the sandbox.
        networks: those under names of the sandbox.
        marker: the sandbox's, as it lay in that folder; None where there was none that can be trusted.
        find: what there was of a legacy find, or None for a sandbox and for a find that was not there.
    """

    observed_at: datetime
    host_clock_epoch_s: float
    host_id: str | None
    folder: str
    containers: tuple[ContainerEvidence, ...] = ()
    networks: tuple[NetworkEvidence, ...] = ()
    marker: Marker | None = None
    find: FindEvidence | None = None


class Touched(msgspec.Struct, frozen=True, kw_only=True):
    """Say what became of one step.

    Attributes:
        title: what it was to do, in words.
        effect: its kind, such as `remove_container`.
        target: the full id of the container or network, or the path, that it was about.
        outcome: what is known of it.
        at: when it ended, by the controller's clock.
    """

    title: str
    effect: str
    target: str
    outcome: Literal["done", "not done", "unknown"]
    at: datetime


class RemovalRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Describe `status/removals/<pass>.<host>.<sandbox>.json`.

    Attributes:
        fleet: whose it was.
        sandbox: its name; for a legacy find `legacy-<uid>`.
        legacy: the legacy find that a person named, such as `compose/e2e-12`; empty for a sandbox.
        uid: 8 hex digits that fleet and sandbox derive; for a legacy find, that its host and name do.
        host: by its name in the specs.
        pass_id: of the pass that did it.
        by: who ran the pass.
        at: when the pass ended, by the controller's clock.
        verb: what was done.
        bucket: the class that it fell into.
        cause: why it could go, in words.
        recorded: our records knew it; wanted: a spec named it, and its ttl was over, a person named
            it too, or the spec wants it on another host.
        older_than_s: what `reap.olderThan` was; it bounds the age of orphans and of legacy finds.
        looks: what was seen before anything was done, the last right before.
        touched: the steps that were tried, in order.
        end: what it came to.
        digest: `sha256:…` of everything else here, in canonical JSON.
    """

    format: str = REMOVAL_FORMAT
    fleet: str
    sandbox: str
    legacy: str = ""
    uid: str
    host: str
    pass_id: str
    by: str
    at: datetime
    verb: Verb
    bucket: Bucket
    cause: str
    recorded: bool
    wanted: bool
    older_than_s: int
    looks: tuple[LookEvidence, ...]
    touched: tuple[Touched, ...]
    end: Literal["done", "failed", "unknown", "skipped", "interrupted"]
    digest: str = ""
