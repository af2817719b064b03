"""Do a whole load, in order: files, trees, kinds, resolution, cross-checks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import msgspec

from reconciler.load.cache import FORMAT, Cache, cache_path
from reconciler.load.folder import SpecFile, SpecFolder, read_folder
from reconciler.load.installed import installed_profiles
from reconciler.load.text import shown
from reconciler.model.problem import SpecInvalid
from reconciler.model.uncollected import uncollected

if TYPE_CHECKING:
    from reconciler.load.documents import Documents, RawDocument
    from reconciler.load.nodes import MapNode
    from reconciler.load.resolve import Resolver
    from reconciler.model.problem import Problem
    from reconciler.model.source import SourceRef

T = TypeVar("T")
Tell: TypeAlias = Callable[[str, int, int], None]
"""Hears what a load is at (`reading`, `resolving`, `checking`), how many of these it has done, and of how many."""


def _nobody(what: str, done: int, total: int) -> None:
    """Hear how far a load is, and do nothing."""


def load(specs_dir: str | Path, *, cache: bool = True) -> Documents:
    """Load a spec folder; `specs_dir` is also how its files are named in what people read.

    Raises:
        SpecInvalid: with every problem found, sorted by file and line.
    """
    folder = Path(specs_dir)
    with uncollected():
        memory = Cache(cache_path(folder) if cache else None)
        found = _documents(folder, read_folder(folder), installed_profiles(), memory)
        memory.close()
    return found


def load_as(
    kind: type[T],
    lower: Callable[[Documents], object],
    specs_dir: str | Path,
    *,
    cache: bool = True,
    tell: Tell = _nobody,
    more: tuple[SpecFile, ...] = (),
) -> T:
    """Load a spec folder and lower it, or remember what the same files came to the last time.

    `kind` is the struct that `lower` makes, or one with some of its fields, of which `msgspec.Raw` ones are not even
    decoded. Unchanged specs cost reading and hashing them and decoding that struct: neither YAML nor pydantic is
    imported. Only a load without any problem is remembered. `tell` hears how far a load is that takes its time;
    `more` is read as if it were files of the folder.

    Raises:
        SpecInvalid: as `load`.
    """
    with uncollected():
        return _load_as(kind, lower, Path(specs_dir), cache=cache, tell=tell, more=more)


def _load_as(
    kind: type[T],
    lower: Callable[[Documents], object],
    folder: Path,
    *,
    cache: bool,
    tell: Tell,
    more: tuple[SpecFile, ...],
) -> T:
    memory = Cache(cache_path(folder) if cache else None)
    files, profiles = read_folder(folder), installed_profiles()
    files = msgspec.structs.replace(files, files=(*files.files, *more))
    key = _fingerprint((*files.files, *profiles))
    known = memory.outcome(key) if not files.problems else None
    if known is not None:
        try:
            return msgspec.msgpack.decode(known, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass  # kept by another build of this version: load anew
    lowered = lower(_documents(folder, files, profiles, memory, tell))
    outcome = msgspec.msgpack.encode(lowered)
    memory.keep_outcome(key, outcome)
    memory.close()
    return lowered if isinstance(lowered, kind) else msgspec.msgpack.decode(outcome, type=kind)


def _fingerprint(files: tuple[SpecFile, ...]) -> str:
    """Digest names and contents: places are part of what is remembered."""
    listing = "".join(f"{file.digest} {file.name}\n" for file in files)
    return hashlib.sha256(f"{FORMAT}\n{listing}".encode()).hexdigest()


def _documents(
    folder: Path, files: SpecFolder, profiles: tuple[SpecFile, ...], memory: Cache, tell: Tell = _nobody
) -> Documents:
    # The models take 0.2 s to import; a remembered outcome needs none of them.
    from reconciler.load.documents import Documents  # noqa: PLC0415
    from reconciler.load.resolve import Resolver  # noqa: PLC0415

    found = _Found()
    found.add(files.files, memory, tell)
    own = len(found.documents)
    found.add(profiles, memory)
    resolver = Resolver(
        found.documents[:own],
        found.documents[own:],
        faults=found.faults,
        unread=None if files.problems else found.unread,
        is_whole=found.is_whole and not files.problems,
    )
    # What could not be read, or has no name, may be the Fleet.
    unread = bool(files.problems or found.problems) or resolver.nameless
    resolver.resolve(tell)
    more = [*resolver.problems, *_crosschecked(resolver, str(folder), unread=unread, tell=tell)]
    # What follows from how something is written is no second problem.
    more = [problem for problem in more if problem.at not in found.faults]
    problems = [*files.problems, *found.problems, *more]
    if not problems:
        problems = list(_lost(resolver))
    if problems or resolver.fleet is None:
        raise SpecInvalid(_sorted(problems))
    digests = sorted(file.digest for file in (*files.files, *profiles))
    return Documents(
        fleet=resolver.fleet,
        hosts=resolver.hosts,
        profiles=resolver.profiles,
        sandboxes=resolver.sandboxes,
        digest=hashlib.sha256("\n".join(digests).encode()).hexdigest(),
    )


class _Found:
    """Hold what was read of all files: every document that can be checked, and what is wrong with any."""

    def __init__(self) -> None:
        self.documents: list[RawDocument] = []
        self.problems: list[Problem] = []
        self.faults: set[SourceRef] = set()
        self.unread: set[str] = set()
        self.is_whole = True

    def add(self, files: tuple[SpecFile, ...], memory: Cache, tell: Tell = _nobody) -> None:
        """Read files, by their contents if these are known."""
        from reconciler.load.headers import classified, names_in  # noqa: PLC0415 - imports the models

        for number, file in enumerate(files):
            tell("reading", number, len(files))
            before = len(self.problems)
            faults: frozenset[SourceRef] = frozenset()
            trees: tuple[MapNode, ...] | None = memory.trees(file.digest, file.name)
            if trees is None:
                from reconciler.load.read import read  # noqa: PLC0415 - a cache hit reads no YAML

                result = read(file.data, file.name)
                trees, faults = result.trees, result.faults
                self.is_whole = self.is_whole and result.is_whole
                self.problems.extend(result.problems)
                self.faults.update(faults)
                if not result.problems:
                    memory.keep_trees(file.digest, trees)
            unclassified: list[Problem] = []
            self.documents.extend(classified(trees, unclassified, faults))
            self.problems.extend(problem for problem in unclassified if problem.at not in faults)
            self.is_whole = self.is_whole and not unclassified
            if len(self.problems) > before:
                self.unread.update(names_in(file.data))


def _crosschecked(resolver: Resolver, folder: str, *, unread: bool, tell: Tell) -> list[Problem]:
    from reconciler.load.crosscheck import (  # noqa: PLC0415 - imports the models
        dependency_problems,
        fleet_problems,
        host_problems,
        uid_problems,
    )
    from reconciler.load.literals import literal_problems  # noqa: PLC0415 - same
    from reconciler.load.notyet import not_yet  # noqa: PLC0415 - same
    from reconciler.load.partial import follows  # noqa: PLC0415 - same
    from reconciler.load.path_checks import shared_path_problems  # noqa: PLC0415 - same
    from reconciler.load.sandbox_checks import port_problems, sandbox_problems  # noqa: PLC0415 - same

    fleets = list(resolver.of_kind("Fleet").values())
    problems: list[Problem] = []
    if fleets or not unread:
        problems.extend(fleet_problems(len(fleets), fleets[-1] if fleets else None, folder))
    fleet = fleets[0].name if fleets else ""
    raw_hosts, holes = resolver.of_kind("Host"), resolver.holes
    known = {**resolver.hosts, **resolver.faulty_hosts}
    hosts = {name: known[name] for name in raw_hosts if name in known}
    problems.extend(host_problems(hosts, raw_hosts, resolver.missing, fleet=fleet, holes=holes))
    problems.extend(uid_problems(fleet, resolver.of_kind("Sandbox")))
    for number, sandbox in enumerate(resolver.sandboxes.values()):
        tell("checking", number, len(resolver.sandboxes))
        faulty = holes.get(("Sandbox", sandbox.name), ())
        # Without its profile, or in a spec of which a part is not known at all, a sandbox is something else.
        if not {(), ("profile",)}.intersection(faulty):
            own = sandbox_problems(sandbox, resolver.hosts, resolver.fleet)
            problems.extend(problem for problem in own if not follows(problem, faulty))
        problems.extend(literal_problems(sandbox))
    placed = [sandbox for sandbox in resolver.sandboxes.values() if sandbox.host in raw_hosts]
    problems.extend(port_problems(placed))
    problems.extend(shared_path_problems(placed))
    problems.extend(dependency_problems(resolver.sandboxes, resolver.of_kind("Sandbox"), resolver.missing))
    fleet_raw = fleets[0] if fleets else None
    problems.extend(not_yet(resolver.fleet, fleet_raw, resolver.sandboxes, resolver.of_kind("Job")))
    if holes:
        # What was put in the place of a refused value is not complained of.
        told = {problem.at for problem in resolver.problems}
        problems = [problem for problem in problems if problem.at not in told]
    return problems


def _lost(resolver: Resolver) -> Iterator[Problem]:
    """Refuse a load that lost an object or a part of one without a word: what is not desired any more is destroyed."""
    from reconciler.model.problem import Problem  # noqa: PLC0415 - only its type is needed elsewhere

    for kind, kept in (("Sandbox", resolver.sandboxes), ("Host", resolver.hosts)):
        for name, raw in resolver.of_kind(kind).items():
            if name not in kept or (kind, name) in resolver.holes:
                message = f"{kind} {shown(name)} was lost while the specs were read, which is a bug"
                yield Problem("E_INTERNAL", raw.at, message, field="metadata.name", hint="report it with this document")


def _printable(problem: Problem) -> Problem:
    """Escape what a spec smuggled into a message through a name: one place, so that none is forgotten."""
    if f"{problem.message}{problem.field}{problem.hint}".isprintable():
        return problem
    hint = shown(problem.hint, 1000) if problem.hint else None
    message, field = shown(problem.message, 1000), shown(problem.field, 1000)
    return msgspec.structs.replace(problem, message=message, field=field, hint=hint)


def _sorted(problems: list[Problem]) -> tuple[Problem, ...]:
    """Sort by place, and say each thing once: a profile's mistake shows in every sandbox that uses it."""
    # What stands for a gap that could not be filled is no value to complain of.
    unfilled = {problem.at for problem in problems if problem.code == "E_INTERPOLATION"}
    problems = [problem for problem in problems if problem.code == "E_INTERPOLATION" or problem.at not in unfilled]
    distinct = {(problem.code, problem.at, problem.message): _printable(problem) for problem in reversed(problems)}
    return tuple(sorted(distinct.values(), key=lambda problem: (problem.at, problem.code, problem.field)))
