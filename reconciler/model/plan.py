"""Hold the difference between what should be and what is, as plain data that survives a JSON round trip."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Literal

import msgspec

from reconciler.model.effect import DropPath, Effect, RenameContainer
from reconciler.model.probe import Probe
from reconciler.model.rule import Remedy
from reconciler.model.source import SourceRef

PLAN_FORMAT = "reconciler-plan/1"


def address_of(sandbox: str) -> str:
    """Write a sandbox as people and programs address it; a legacy find has its kind in its name already."""
    return sandbox if "/" in sandbox else f"sandbox/{sandbox}"


class Bucket(enum.StrEnum):
    """Name the one class that every sandbox of one host falls into."""

    MISSING = "missing"
    MATCHING = "matching"
    DRIFTED = "drifted"
    UNRECORDED = "unrecorded"
    ZOMBIE_WANTED = "zombie_wanted"
    ZOMBIE = "zombie"
    REMOVED = "removed"
    ORPHAN = "orphan"
    AD_HOC = "ad_hoc"
    RETAINED = "retained"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    HELD = "held"
    CLASH = "clash"
    LOST_TO_OTHERS = "lost_to_others"
    LEGACY = "legacy"


class Verb(enum.StrEnum):
    """Name what an action does to its sandbox, as an order."""

    CREATE = "create"
    START = "start"
    RESTART = "restart"
    UPDATE = "update"
    REPLACE = "replace"
    ADOPT = "adopt"
    FORGET = "forget"
    DESTROY = "destroy"
    REAP = "reap"

    @property
    def ends(self) -> bool:
        """Tell whether nothing of the sandbox, or of what is remembered of it, is meant to be left."""
        return self in (Verb.DESTROY, Verb.FORGET, Verb.REAP)


class FieldChange(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one differing field, ready to be shown: secrets are `(secret)`, None is "not set".

    Attributes:
        path: as operators write it, e.g. `containers.main.resources.memory`.
        old, new: what was seen and what is wanted, as text.
        origin: `intent` when the specs changed since we made it, `drift` when the host did.
        at: where the wanted value was said.
    """

    path: str
    old: str | None
    new: str | None
    remedy: Remedy
    origin: Literal["intent", "drift"]
    at: SourceRef | None = None


class ResourceChange(msgspec.Struct, frozen=True, kw_only=True):
    """Say what happens to one resource of a sandbox, and why."""

    key: str
    verb: Verb
    note: str = ""
    changes: tuple[FieldChange, ...] = ()
    unchanged: int = 0
    irreversible: bool = False


class Cause(msgspec.Struct, frozen=True):
    """Give the reason of an action: a field and where it was said, or evidence from the host."""

    text: str
    at: SourceRef | None = None


class Apply(msgspec.Struct, frozen=True, tag="apply"):
    """Do one effect."""

    effect: Effect


class Await(msgspec.Struct, frozen=True, tag="await"):
    """Ask a probe until it passes, fails for good, or its time is up. `name` is the container's Docker name."""

    probe: Probe
    name: str
    gating: bool = True


class Measure(msgspec.Struct, frozen=True, tag="measure"):
    """Take a snapshot of the host for the delta."""

    when: Literal["before", "after"]


class Note(msgspec.Struct, frozen=True, tag="note"):
    """Change our records only: `adopted` begins one, `forgotten` ends one."""

    what: Literal["adopted", "forgotten"]


Do = Apply | Await | Measure | Note


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one step. `id` is unique in the plan and names the crash point too; `title` is for people."""

    id: str
    do: Do
    title: str


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what happens to one sandbox on one host.

    Attributes:
        id: unique in the plan, `<host>/<sandbox>`.
        bucket: the class it fell into.
        resources: per resource, what happens and why.
        steps: in order; each waits for the one before.
        after: ids of actions that must have ended well first.
        removes: it ends the sandbox on this host, so it counts against the budget.
        generation, run, intent, revision: what the sandbox has once this is done.
        profile: the profile it is made from, so that a failed replacement stops others of its kind.
        notes: what a reader must know besides: a move, data left behind, a zombie that vanished.
        marker: what changes about the sandbox as a whole: protection, ttl, generation.
    """

    id: str
    sandbox: str
    uid: str
    host: str
    verb: Verb
    bucket: Bucket
    cause: Cause
    resources: tuple[ResourceChange, ...] = ()
    steps: tuple[Step, ...] = ()
    after: tuple[str, ...] = ()
    removes: bool = False
    generation: int = 0
    run: str = ""
    intent: str = ""
    revision: str = ""
    keys: tuple[str, ...] = ()
    profile: str | None = None
    strategy: Literal["stop-first", "start-first"] | None = None
    notes: tuple[str, ...] = ()
    marker: tuple[FieldChange, ...] = ()

    @property
    def address(self) -> str:
        """Give the sandbox's address."""
        return address_of(self.sandbox)

    @property
    def changes(self) -> tuple[FieldChange, ...]:
        """Give every field that differs, in order."""
        return (*(change for resource in self.resources for change in resource.changes), *self.marker)

    @property
    def buries(self) -> bool:
        """Tell whether it ends its sandbox for now: stopped and renamed, so that it can still be had back."""
        effects = (step.do.effect for step in self.steps if isinstance(step.do, Apply))
        return self.verb.ends and any(isinstance(effect, RenameContainer) or _puts_aside(effect) for effect in effects)

    @property
    def is_drift(self) -> bool:
        """Tell whether it only repairs what a host changed behind our back."""
        if self.bucket is Bucket.ZOMBIE_WANTED:
            return True
        return self.bucket is Bucket.DRIFTED and all(change.origin == "drift" for change in self.changes)


def _puts_aside(effect: Effect) -> bool:
    return isinstance(effect, DropPath) and effect.legacy is not None and bool(effect.legacy.aside)


HeldReason = Literal[
    "AdmissionRefused",
    "AnotherRevision",
    "BeingRemoved",
    "DependencyHeld",
    "DriftReported",
    "HostIdentity",
    "HostNotInSpecs",
    "HostUnreachable",
    "InGrace",
    "InUse",
    "MarkerDamaged",
    "MarkerMissing",
    "MoveBlocked",
    "NameTaken",
    "NoHostFits",
    "NotListed",
    "NotOldEnough",
    "NotOurs",
    "Orphan",
    "PathOwner",
    "PathTaken",
    "PathUnreadable",
    "PolicyMount",
    "PortTaken",
    "Protected",
    "Retained",
    "SecondCopy",
    "StartedAgain",
    "StorageOverlap",
    "Suspended",
    "TagUnknown",
    "TooYoung",
    "Unprovable",
]
AS_ASKED: frozenset[HeldReason] = frozenset({"Suspended", "Orphan", "TooYoung", "InGrace"})
"""Reasons for holding back that somebody asked for; with any other, a host is not as the specs say."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what is not done and why: `message` is a sentence, `hint` the way out."""

    sandbox: str
    host: str
    bucket: Bucket
    reason: HeldReason
    message: str
    hint: str | None = None

    @property
    def address(self) -> str:
        """Give the sandbox's address."""
        return address_of(self.sandbox)


class Matched(msgspec.Struct, frozen=True, kw_only=True):
    """Name a sandbox that is as it should be, or that is left as it is for a stated reason (`listed`)."""

    sandbox: str
    host: str
    bucket: Bucket
    generation: int
    run: str
    listed: str = ""


class Basis(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what a plan read of one host: whose machine it was, and a fingerprint of each thing acted upon."""

    host_id: str | None
    docker_root: str
    reads: dict[str, str] = {}


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Count the plan, zeros included."""

    create: int = 0
    update: int = 0
    replace: int = 0
    destroy: int = 0
    adopt: int = 0
    forget: int = 0
    reap: int = 0
    unknown: int = 0
    held_back: int = 0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one plan.

    Attributes:
        pass_id: names the pass, its runs and attempts.
        made_at: the `now` it was planned with.
        specs: digest of what was loaded. revision: its commit.
        basis: per host, what was read.
        refused: guards that forbid applying it as it is, as sentences; empty when none does.
        updates_images: it was made to take what tags name in their registries now.
        removals_allowed: how many removals a person allowed when it was made, or None for what the budget allows.
        owned: sandboxes that are provably ours, in all.
        foreign: containers that are not ours, counted and never listed.
    """

    format: str = PLAN_FORMAT
    tool: str
    fleet: str
    revision: str
    specs: str
    pass_id: str
    made_at: datetime
    basis: dict[str, Basis] = {}
    actions: tuple[Action, ...] = ()
    held: tuple[Held, ...] = ()
    matched: tuple[Matched, ...] = ()
    refused: tuple[Cause, ...] = ()
    updates_images: bool = False
    removals_allowed: int | None = None
    unknown_hosts: dict[str, str] = {}
    summary: Summary = Summary()
    owned: int = 0
    foreign: int = 0

    @property
    def empty(self) -> bool:
        """Tell whether there is nothing to do."""
        return not self.actions
