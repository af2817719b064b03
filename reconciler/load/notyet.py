"""List what the language holds and this version cannot do yet. A later version deletes rows here, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.load.documents import FleetDocument, RawDocument, SandboxDocument
from reconciler.load.nodes import find
from reconciler.model.problem import Problem
from reconciler.model.source import SourceRef


def not_yet(
    fleet: FleetDocument | None,
    fleet_raw: RawDocument | None,
    sandboxes: dict[str, SandboxDocument],
    jobs: dict[str, RawDocument],
) -> Iterator[Problem]:
    """Refuse what would mislead if it were silently left undone."""
    for job in jobs.values():
        yield later("a Job", find(job.node, ("kind",)), "kind")
    if fleet is not None and fleet_raw is not None:
        yield from _in_fleet(fleet, fleet_raw)
    for sandbox in sandboxes.values():
        yield from _in_sandbox(sandbox)


def _in_fleet(fleet: FleetDocument, raw: RawDocument) -> Iterator[Problem]:
    spec = fleet.spec
    rows: list[tuple[bool, tuple[str, ...]]] = [
        (spec.policy.require_signed_commits, ("policy", "requireSignedCommits")),
        (bool(spec.alerts), ("alerts",)),
    ]
    for wanted, path in rows:
        if wanted:
            yield later(".".join(path), find(raw.node, ("spec", *path)), ".".join(("spec", *path)))


def _in_sandbox(sandbox: SandboxDocument) -> Iterator[Problem]:
    spec = sandbox.spec
    asks = spec.gpu is not None and spec.gpu.policy != "off"
    rows: list[tuple[bool, str, tuple[str, ...]]] = [
        (asks and spec.compose is not None, "gpu for the services of a compose file", ("gpu",)),
    ]
    for name, file in spec.files.items():
        rows.append((file.make_at != "prepare", f"makeAt: {file.make_at}", ("files", name, "makeAt")))
        rows.append((file.drop_at != "never", f"dropAt: {file.drop_at}", ("files", name, "dropAt")))
    for wanted, what, path in rows:
        if wanted:
            yield later(what, find(sandbox.tree, path), ".".join(("spec", *path)))


def later(what: str, at: SourceRef, field: str) -> Problem:
    """Refuse one thing that this version cannot do."""
    message = f"{what} arrives in a later version"
    return Problem("E_NOT_SUPPORTED", at, message, field=field, hint="take it out for now")
