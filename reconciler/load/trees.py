"""Read the trees that sandboxes have as their source: no spec tells what is in them, so each load reads them anew."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from reconciler.disk.tree import TreeRead, read_tree
from reconciler.disk.unreadable import TreeUnreadable
from reconciler.load.composed import with_services
from reconciler.model.desired import Desired, SandboxDesired
from reconciler.model.digest import intent_digest
from reconciler.model.nearest import did_you_mean
from reconciler.model.problem import Problem, SpecInvalid
from reconciler.model.resource import Compose, Tree
from reconciler.model.source import SourceRef


def with_trees(desired: Desired, specs: Path) -> Desired:
    """Give what is desired with what is in every tree.

    `specs` is the folder that relative paths begin at. The digest of the whole covers the trees, so that a saved plan
    knows them.

    Raises:
        SpecInvalid: with every tree that cannot be read, or be sent as it is.
    """
    reader = _Reader(specs)
    sandboxes = {name: reader.fill(sandbox) for name, sandbox in desired.sandboxes.items()}
    choices = {
        name: replace(choice, forms=tuple(reader.fill(form) for form in choice.forms))
        for name, choice in desired.choices.items()
    }
    if reader.problems:
        raise SpecInvalid(tuple(sorted(reader.problems, key=lambda problem: (problem.at, problem.code))))
    contents = [sandboxes[name].intent for name in desired.sourced]
    digest = hashlib.sha256("\n".join((desired.digest, *contents)).encode()).hexdigest()
    return replace(desired, sandboxes=sandboxes, choices=choices, digest=digest)


class _Reader:
    """Read each folder once, however many sandboxes have it."""

    def __init__(self, specs: Path) -> None:
        self.problems: list[Problem] = []
        self._specs = specs
        self._known: dict[tuple[Path, tuple[str, ...]], TreeRead] = {}

    def fill(self, sandbox: SandboxDesired) -> SandboxDesired:
        """Give a sandbox with what is in its tree and its compose file; one without a tree as it is."""
        if sandbox.tree is None:
            return sandbox
        try:
            tree = self._read(sandbox.tree)
            compose = None if sandbox.compose is None else with_services(sandbox.compose, tree, self._read_of(tree))
        except TreeUnreadable as error:
            self.problems.append(_problem(sandbox, error))
            return sandbox
        self.problems.extend(_unknown_services(sandbox, compose))
        read = {sandbox.tree.key: tree, **({compose.key: compose} if compose is not None else {})}
        resources = tuple(read.get(item.key, item) for item in sandbox.resources)
        filled = replace(sandbox, resources=resources)
        return replace(filled, intent=intent_digest(filled))

    def _read_of(self, tree: Tree) -> TreeRead:
        """Give what was read of a tree that was filled."""
        return self._known[(Path(tree.folder), tree.exclude)]

    def _read(self, tree: Tree) -> Tree:
        try:
            folder = (self._specs / Path(tree.folder).expanduser()).resolve()
        except (RuntimeError, OSError) as error:
            raise TreeUnreadable(f"{tree.folder} leads nowhere: {error}", "name a folder of this machine") from error
        key = (folder, tree.exclude)
        if key not in self._known:
            self._known[key] = read_tree(folder, tree.exclude)
        read = self._known[key]
        return replace(
            tree, folder=str(folder), content=read.content, entries=len(read.entries), size_bytes=read.size_bytes
        )


def _problem(sandbox: SandboxDesired, error: TreeUnreadable) -> Problem:
    field = next((field for field in ("source.path", "compose.file") if field in sandbox.origins), "source")
    at = sandbox.origins.get(field) or sandbox.at or SourceRef("", 0, 0)
    return Problem("E_SOURCE", at, error.message, field=f"spec.{field}", hint=error.hint)


def _unknown_services(sandbox: SandboxDesired, compose: Compose | None) -> Iterator[Problem]:
    """Refuse probes of services that the file does not name."""
    for probe in sandbox.probes if compose is not None else ():
        if compose is not None and probe.container not in compose.services:
            at = sandbox.origins.get(f"readiness.{probe.name}") or sandbox.at or SourceRef("", 0, 0)
            message = f"{compose.file} names no service {probe.container!r}"
            hint = did_you_mean(probe.container, compose.services, otherwise="there are")
            yield Problem("E_REF", at, message, field=f"spec.readiness.{probe.name}", hint=hint)
