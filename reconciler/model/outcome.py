"""Hold what became of a plan: facts, in the past tense, as `record` folds them into status files."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from reconciler.model.delta import ProvisionDelta
from reconciler.model.effect import Outcome


class StepEnded(msgspec.Struct, frozen=True, kw_only=True):
    """Report how one step ended, after how many tries. `finished_at` is the controller's clock."""

    step: str
    title: str
    result: Outcome
    tries: int
    started_at: datetime
    finished_at: datetime


class Instance(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Name one container that makes up a sandbox: the resource that it is, and when it started by its host's clock."""

    resource: str
    name: str
    full_id: str
    started_at: datetime | None = None


class ActionEnded(msgspec.Struct, frozen=True, kw_only=True):
    """Report how one action ended.

    Attributes:
        id: the action's.
        end: `done`; `failed`: a step did not hold; `unknown`: it could not be told; `skipped`: something it depends
            on failed; `interrupted`: a person stopped the pass.
        message, hint: for people; empty when done.
        logs: last lines of the container's output, on failure.
        delta: what it did to its host, when measured.
        instances: the containers that now make up the sandbox, as read back at the end; None when they were not read.
        ready_at: when its probes had all passed, or None.
        not_ready: what a probe of the sandbox said after the action was done; empty when all passed or none was asked.
        warnings: what went wrong without failing it, e.g. an optional container that is not ready.
    """

    id: str
    end: Literal["done", "failed", "unknown", "skipped", "interrupted"]
    code: str = ""
    message: str = ""
    hint: str | None = None
    logs: tuple[str, ...] = ()
    steps: tuple[StepEnded, ...] = ()
    delta: ProvisionDelta | None = None
    instances: tuple[Instance, ...] | None = None
    ready_at: datetime | None = None
    not_ready: str = ""
    warnings: tuple[str, ...] = ()


class PassEnded(msgspec.Struct, frozen=True, kw_only=True):
    """Report a whole pass. `by` is who ran it; `locked` names hosts that another pass holds, and by whom."""

    pass_id: str
    by: str = ""
    started_at: datetime
    finished_at: datetime
    actions: tuple[ActionEnded, ...] = ()
    locked: dict[str, str] = {}
    interrupted: bool = False
