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
        yield _later("a Job", find(job.node, ("kind",)), "kind")
    if fleet is not None and fleet_raw is not None and fleet.spec.policy.require_signed_commits:
        path = ("spec", "policy", "requireSignedCommits")
        yield _later("policy.requireSignedCommits", find(fleet_raw.node, path), ".".join(path))
    for sandbox in sandboxes.values():
        yield from _in_sandbox(sandbox)


def _in_sandbox(sandbox: SandboxDocument) -> Iterator[Problem]:
    spec = sandbox.spec
    rows: list[tuple[bool, str, tuple[str, ...]]] = [
        (spec.source is not None, "source", ("source",)),
        (spec.compose is not None, "compose", ("compose",)),
        (spec.placement is not None, "placement", ("placement",)),
        (spec.gpu is not None and spec.gpu.policy == "require", "gpu.policy: require", ("gpu", "policy")),
    ]
    for name, container in spec.containers.items():
        required = container.gpu is not None and container.gpu.policy == "require"
        rows.append((required, "gpu.policy: require", ("containers", name, "gpu", "policy")))
    for wanted, what, path in rows:
        if wanted:
            yield _later(what, find(sandbox.tree, path), ".".join(("spec", *path)))


def _later(what: str, at: SourceRef, field: str) -> Problem:
    message = f"{what} arrives in a later version"
    return Problem("E_NOT_SUPPORTED", at, message, field=field, hint="take it out for now")
