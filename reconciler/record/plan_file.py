"""Save a plan to a file of the operator's, and read it back whole or not at all."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from reconciler.disk.whole import write_whole
from reconciler.errors import PlanDamaged, ReconcilerError
from reconciler.model.digest import canonical_json
from reconciler.model.plan import PLAN_FORMAT, Plan

_SIZE_MAX_BYTES = 256 * 1024 * 1024
_HINT = "make a new one: reconcile plan --out FILE"


class _Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold a plan beside the digest of its bytes: an edited plan is refused, not obeyed."""

    digest: str
    plan: Plan


class _Claim(msgspec.Struct, frozen=True):
    """Read no more than a plan file's claim of what it is."""

    class Inner(msgspec.Struct, frozen=True):
        """Hold the claimed format."""

        format: str = ""

    plan: Inner


def save_plan(path: Path, plan: Plan) -> None:
    """Write a plan file (0600), replacing an older one in one step."""
    data = canonical_json(_Sealed(_digest(plan), plan))
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            write_whole(path.name, data + b"\n", folder=folder)
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise ReconcilerError(f"cannot write {path}: {error.strerror}", code="E_PLAN_WRITE") from None


def load_plan(path: Path) -> Plan:
    """Read a plan file.

    Raises:
        PlanDamaged: it is no plan, was edited, or was written by another version.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_SIZE_MAX_BYTES + 1)
    except OSError as error:
        raise PlanDamaged(f"cannot read {path}: {error.strerror}", code="E_PLAN_READ", hint=_HINT) from None
    if len(data) > _SIZE_MAX_BYTES:
        raise PlanDamaged(f"{path} is too large for a plan", code="E_PLAN_FORMAT", hint=_HINT)
    try:
        claimed = msgspec.json.decode(data, type=_Claim).plan.format
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise PlanDamaged(f"{path} is no plan file", code="E_PLAN_FORMAT", hint=_HINT) from None
    if claimed != PLAN_FORMAT:
        message = f"{path} was written by another version: its format is {claimed!r}, this one reads {PLAN_FORMAT!r}"
        raise PlanDamaged(message, code="E_PLAN_FORMAT", hint=_HINT)
    try:
        sealed = msgspec.json.decode(data, type=_Sealed)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise PlanDamaged(f"{path} is damaged or was edited", code="E_PLAN_DAMAGED", hint=_HINT) from None
    if _digest(sealed.plan) != sealed.digest:
        raise PlanDamaged(f"{path} is damaged or was edited", code="E_PLAN_DAMAGED", hint=_HINT)
    return sealed.plan


def _digest(plan: Plan) -> str:
    return hashlib.sha256(canonical_json(plan)).hexdigest()
