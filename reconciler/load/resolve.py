"""Resolve one fleet's documents: profiles along `extends`, sandboxes over their profiles, gaps filled, typed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

import msgspec

from reconciler.load.crosscheck import hosts_with, nowhere, on_hosts
from reconciler.load.documents import FleetDocument, HostDocument, ProfileDocument, RawDocument, SandboxDocument
from reconciler.load.inputs import InputSchema
from reconciler.load.interpolate import Scope, interpolate
from reconciler.load.nodes import (
    MapNode,
    Node,
    child,
    faulty_paths,
    find,
    is_null,
    mentions,
    text_under,
    without,
    without_spec,
)
from reconciler.load.overlay import overlay
from reconciler.load.partial import M, Path, follows, partial
from reconciler.load.text import shown
from reconciler.load.typed import typed, unknown_keys
from reconciler.model.nearest import did_you_mean
from reconciler.model.problem import Problem
from reconciler.model.source import SourceRef
from reconciler.model.text import LATE_IN_SPECS, SECRET_PREFIX
from reconciler.spec.fleet import Fleet
from reconciler.spec.host import Host
from reconciler.spec.kinds import KINDS
from reconciler.spec.profile import Profile
from reconciler.spec.sandbox import Placement, Sandbox, SandboxSpec
from reconciler.spec.scalar import Scalar

# What a file is to hold is not ours to read: a null in it is a value, and removes nothing.
_CONTENTS = ("files", "*", "content")
_LACKS = ("E_REQUIRED", "E_ONE_OF")


class _Merged(msgspec.Struct, frozen=True):
    """Hold a profile after `extends`: its spec as one tree, the schema of its inputs, and where there are faults."""

    chain: tuple[str, ...]
    spec: MapNode
    inputs: InputSchema
    holes: frozenset[Path] = frozenset()


class _Sought(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one sandbox while it is resolved: as written, laid over its profile, and whether that profile is known."""

    raw: RawDocument
    spec: MapNode
    laid: MapNode
    merged: _Merged | None
    known: bool

    @property
    def is_part(self) -> bool:
        """Tell whether what it holds is only a part, without its profile."""
        return self.merged is None and self.spec.get("profile") is not None

    def mentions(self, gap: str) -> bool:
        """Tell whether a text anywhere in it, or in its profile, has this in it."""
        return mentions(self.spec, gap) or (self.merged is not None and mentions(self.merged.spec, gap))


class Resolver:
    """Resolve the documents of one load; problems are collected in `problems`, in no order.

    `faults` are the places where something is wrong with how the documents are written; `unread` the names that others
    may have that could not be read, None for any name. With `is_whole`, every document could be read.
    `holes` holds, by kind and name, the documents that have faults, and the paths of these in their specs.
    """

    def __init__(
        self,
        documents: Iterable[RawDocument],
        installed: Iterable[RawDocument],
        *,
        faults: Collection[SourceRef] = (),
        unread: Collection[str] | None = (),
        is_whole: bool = True,
    ) -> None:
        self.problems: list[Problem] = []
        self.holes: dict[tuple[str, str], set[Path]] = {}
        self.faulty_hosts: dict[str, HostDocument] = {}
        self._faults = faults
        self._unread = unread
        self._is_whole = is_whole
        self.nameless = False
        self.raw: dict[str, dict[str, RawDocument]] = {}
        for document in documents:
            self._add(document)
        self._profiles = {d.name: d for d in installed} | self.raw.get("Profile", {})
        self._merged: dict[str, _Merged | None] = {}
        self.fleet: FleetDocument | None = None
        self.hosts: dict[str, HostDocument] = {}
        self.profiles: dict[str, ProfileDocument] = {}
        self.sandboxes: dict[str, SandboxDocument] = {}
        self._secrets: set[str] = set()
        self._secrets_known = True

    def missing(self, kind: str, name: str) -> bool:
        """Say whether there is surely no document of this kind and name."""
        known = self._profiles if kind == "Profile" else self.of_kind(kind)
        return name not in known and self._unread is not None and name not in self._unread

    def of_kind(self, kind: str) -> dict[str, RawDocument]:
        """Give the documents of one kind by name, each as written."""
        return self.raw.get(kind, {})

    def resolve(self, tell: Callable[[str, int, int], None] | None = None) -> None:
        """Resolve everything, and tell who wants to hear how far that is, as `reconciler.load.front.Tell` says."""
        for raw in self.of_kind("Fleet").values():
            self._resolve_fleet(raw)
        for raw in self.of_kind("Host").values():
            self._resolve_host(raw)
        for raw in self._profiles.values():
            self._resolve_profile(raw)
        sandboxes = self.of_kind("Sandbox")
        for number, raw in enumerate(sandboxes.values()):
            if tell is not None:
                tell("resolving", number, len(sandboxes))
            self._resolve_sandbox(raw)

    def _add(self, document: RawDocument) -> None:
        if not document.name:
            self.nameless = True
            found: list[Problem] = []
            typed(KINDS[document.kind], without_spec(document.node), found)
            self.problems.extend(problem for problem in found if problem.field.startswith("metadata"))
            return
        known = self.raw.setdefault(document.kind, {})
        first = known.setdefault(document.name, document)
        if first is document:
            return
        message = f"{document.kind} {shown(document.name)} is declared twice; first at {first.at}"
        hint = "rename or remove one of them"
        self.problems.append(Problem("E_DUPLICATE", document.at, message, field="metadata.name", hint=hint))

    def _resolve_fleet(self, raw: RawDocument) -> None:
        spec = raw.node.get("spec")
        secrets = spec.get("secrets") if isinstance(spec, MapNode) else None
        self._secrets = set(secrets.entries) if isinstance(secrets, MapNode) else set()
        tree = interpolate(raw.node, Scope(secrets=self._secrets), self.problems)
        model = self._checked(Fleet, raw, tree)
        holes = self.holes.get((raw.kind, raw.name), set())
        self._secrets_known = not holes & {(), ("*",), ("secrets",)}
        # Where its policy is not known, nothing is measured by it.
        if model is not None and not any(hole[:1] in ((), ("*",), ("policy",)) for hole in holes):
            self.fleet = FleetDocument(raw.name, raw.at, model.spec)

    def _resolve_host(self, raw: RawDocument) -> None:
        scope = Scope(known={"host.name": raw.name}, late=("host.home",))
        model = self._checked(Host, raw, interpolate(raw.node, scope, self.problems))
        if model is not None:
            hosts = self.faulty_hosts if (raw.kind, raw.name) in self.holes else self.hosts
            hosts[raw.name] = HostDocument(raw.name, raw.at, model.metadata, model.spec)

    def _checked(self, model: type[M], raw: RawDocument, tree: Node) -> M | None:
        """Type a document; where it has faults, note them, and give what is left of it."""
        found = typed(model, tree, self.problems)
        holes = self._faulty(tree)
        if found is not None and holes is None:
            return found
        left, cut = partial(model, tree, ("spec",))
        self._hole(raw, *cut, *(holes or ()))
        return left

    def _faulty(self, node: Node) -> set[Path] | None:
        """Give where a document's spec has faults in how it is written; None where nothing in the document has any."""
        paths = set(faulty_paths(node, self._faults)) if self._faults else None
        return {path[1:] for path in paths if path[:1] == ("spec",)} if paths else None

    def _resolve_profile(self, raw: RawDocument) -> None:
        model = typed(Profile, raw.node, self.problems)
        sandbox = child(raw.node, "spec", "sandbox")
        if sandbox is not None:
            self.problems.extend(unknown_keys(SandboxSpec, sandbox, ("spec", "sandbox")))
            self.problems.extend(_misplaced(sandbox))
        merged = self._merge(raw.name, ())
        if merged is not None:
            self.problems.extend(merged.inputs.problems)
        if model is not None and merged is not None:
            self.profiles[raw.name] = ProfileDocument(raw.name, raw.at, merged.chain, model.spec)

    def _merge(self, name: str, below: tuple[str, ...]) -> _Merged | None:
        """Lay a profile over what it extends; None when its chain is broken, which is a problem already."""
        if name in self._merged:
            return self._merged[name]
        raw = self._profiles[name]
        spec = raw.node.get("spec")
        tree = spec if isinstance(spec, MapNode) else MapNode({}, raw.at)
        extends = tree.get("extends")
        chain: tuple[str, ...] = (name,)
        holes = self._faulty(raw.node) or set()
        if isinstance(extends, Scalar):
            parent = extends.text
            if parent in (*below, name):
                circle = " -> ".join((*below, name, parent)[(*below, name, parent).index(parent) :])
                message = f"profiles extend each other in a circle: {shown(circle, 200)}"
                self.problems.append(Problem("E_REF_CYCLE", extends.at, message, field="spec.extends"))
                return None
            if parent not in self._profiles:
                self._no_profile(extends, "spec.extends")
                return None
            base = self._merge(parent, (*below, name))
            if base is None:
                return None
            laid = overlay(base.spec, tree)
            tree = laid if isinstance(laid, MapNode) else tree
            chain = (name, *base.chain)
            holes |= base.holes
        merged = _Merged(chain, tree, InputSchema(tree.get("inputs"), raw.at), frozenset(holes))
        self._merged[name] = merged
        return merged

    def _resolve_sandbox(self, raw: RawDocument) -> None:
        spec = raw.node.get("spec")
        header = self._checked(Sandbox, raw, without_spec(raw.node))
        if not isinstance(spec, MapNode):
            message = "a sandbox needs a spec" if spec is None else "a mapping is wanted here"
            at = find(raw.node, ("spec",))
            self.problems.append(Problem("E_REQUIRED", at, message, field="spec"))
            return
        merged, known = self._profile_of(spec)
        laid = _laid(spec, merged)
        sought = _Sought(raw=raw, spec=spec, laid=laid, merged=merged, known=known)
        self._note_faults(sought)
        hosts = self._candidates(sought)
        if hosts:
            self._place(sought, header, hosts)
            return
        named = text_under(laid, "host") if hosts is None else ""
        found = self._typed(sought, named, self.problems)
        if found is None or header is None:
            return
        model, tree = found
        if hosts is None:
            self._find_host(sought, model, tree)
        if (model.host or "") not in self.of_kind("Host"):
            self._hole(raw, ("host",))
        self.sandboxes[raw.name] = SandboxDocument(raw.name, raw.at, header.metadata, model, tree, model.host or "")

    def _find_host(self, sought: _Sought, model: SandboxSpec, tree: MapNode) -> None:
        """Refuse a sandbox whose host is not named, or not declared."""
        raw, host = sought.raw, model.host
        if host is None:
            at, way_out = find(raw.node, ("spec",)), "name one, or write placement: {selector: {…}}"
            problem = Problem("E_REQUIRED", at, "a sandbox needs a host", field="spec.host", hint=way_out)
            if not sought.is_part and not follows(problem, self.holes.get((raw.kind, raw.name), ())):
                self.problems.append(problem)
        elif self.missing("Host", host):
            message, hint = f"there is no host {shown(host)}", did_you_mean(host, self.of_kind("Host"))
            self.problems.append(Problem("E_REF", find(tree, ("host",)), message, field="spec.host", hint=hint))

    def _hole(self, raw: RawDocument, *paths: Path) -> None:
        self.holes.setdefault((raw.kind, raw.name), set()).update(paths)

    def _note_faults(self, sought: _Sought) -> None:
        """Note where a sandbox cannot be told, for faults in how it is written or its profile is."""
        if sought.is_part:
            self._hole(sought.raw, ())
        holes = self._faulty(sought.raw.node)
        if holes is not None:
            self._hole(sought.raw, *holes)
        for path in sought.merged.holes if sought.merged is not None else ():
            if path[:1] in ((), ("sandbox",)):
                self._hole(sought.raw, path[1:])

    def _candidates(self, sought: _Sought) -> tuple[str, ...] | None:
        """Give the hosts that a sandbox may be placed on; None where its host is named, or nothing is said."""
        node = sought.laid.get("placement")
        if node is None or is_null(node) or text_under(sought.laid, "host"):
            return None
        # Whatever is wrong with it is told when the whole spec is read.
        unheard: list[Problem] = []
        scope = self._scope(sought, "", unheard)
        placement = typed(Placement, interpolate(node, scope, unheard, "spec.placement"), unheard)
        if placement is None or unheard:
            return ()
        hosts = hosts_with(placement.selector, self.hosts)
        # A Host that cannot be read may have the labels.
        if not hosts and self._is_whole and len(self.hosts) == len(self.of_kind("Host")):
            at = find(sought.laid, ("placement", "selector"))
            self.problems.append(nowhere(placement.selector, self.hosts, at))
        return hosts

    def _place(self, sought: _Sought, header: Sandbox | None, hosts: tuple[str, ...]) -> None:
        """Resolve a sandbox once for each host on which it may be something else."""
        by_name, by_storage = sought.mentions("${host.name}"), sought.mentions("${storage.")
        known: dict[tuple[object, ...], tuple[SandboxSpec, MapNode] | None] = {}
        problems: dict[tuple[object, ...], list[Problem]] = {}
        keys: dict[str, tuple[object, ...]] = {}
        for host in hosts:
            storage = self.hosts[host].spec.storage_roots
            key = keys[host] = (host if by_name else "", *(storage.items() if by_storage else ()))
            if key not in known:
                known[key] = self._typed(sought, host, problems.setdefault(key, []))
        self.problems.extend(on_hosts({host: problems[key] for host, key in keys.items()}))
        if header is None:
            return
        raw, meta = sought.raw, header.metadata
        every = ((host, known[key]) for host, key in keys.items())
        found = tuple(SandboxDocument(raw.name, raw.at, meta, *one, host) for host, one in every if one is not None)
        if len(found) == len(hosts):
            self.sandboxes[raw.name] = msgspec.structs.replace(found[0], candidates=found)

    def _typed(self, sought: _Sought, host: str, problems: list[Problem]) -> tuple[SandboxSpec, MapNode] | None:
        """Fill in and type one sandbox as it is on a host; None after adding every problem to `problems`."""
        before = len(problems)
        tree = self._filled(sought, host, problems)
        told = {problem.at for problem in problems[before:]}
        misfits: list[Problem] = []
        model = typed(SandboxSpec, tree, misfits, ("spec",), whole=_CONTENTS)
        # An input that its schema refuses is told once, not again wherever it was filled in.
        misfits = [problem for problem in misfits if problem.at not in told]
        is_part = sought.is_part
        if model is None:
            model, cut = partial(SandboxSpec, tree, whole=_CONTENTS)
            self._hole(sought.raw, *cut)
            is_part = is_part or ("profile",) in cut
        elif told:
            self._hole(sought.raw)
        # What it lacks may be in a profile that is not known.
        problems.extend(problem for problem in misfits if not (is_part and problem.code in _LACKS))
        return None if model is None else (model, tree)

    def _profile_of(self, spec: MapNode) -> tuple[_Merged | None, bool]:
        """Give a sandbox's profile, and whether what it should be is known."""
        named = spec.get("profile")
        if not isinstance(named, Scalar):
            return None, named is None
        if named.text not in self._profiles:
            self._no_profile(named, "spec.profile")
            return None, False
        merged = self._merge(named.text, ())
        return merged, merged is not None

    def _no_profile(self, named: Scalar, field: str) -> None:
        if self.missing("Profile", named.text):
            message = f"there is no profile {shown(named.text)}"
            hint = did_you_mean(named.text, self._profiles)
            self.problems.append(Problem("E_REF", named.at, message, field=field, hint=hint))

    def _filled(self, sought: _Sought, host: str, problems: list[Problem]) -> MapNode:
        """Interpolate one sandbox's merged spec as it is on a host; `inputs` are used up by it."""
        filled = interpolate(sought.laid, self._scope(sought, host, problems), problems, "spec")
        return filled if isinstance(filled, MapNode) else sought.laid

    def _scope(self, sought: _Sought, host: str, problems: list[Problem]) -> Scope:
        """Say what names mean in a sandbox on a host, after adding what is wrong with its inputs to `problems`."""
        raw, spec, merged, known = sought.raw, sought.spec, sought.merged, sought.known
        names: dict[str, str | Node] = {"sandbox.name": raw.name, "host.name": host}
        document = self.hosts.get(host)
        if document is not None:
            names |= {f"storage.{root}": path for root, path in document.spec.storage_roots.items()}
        prefixes = () if document is not None else ("storage.",)
        if not self._secrets_known or (self.fleet is None and not self._is_whole and not self.of_kind("Fleet")):
            prefixes = (*prefixes, SECRET_PREFIX)
        scope = Scope(known=names, late=LATE_IN_SPECS, secrets=self._secrets, open_prefixes=prefixes)
        given = spec.get("inputs")
        if given is not None:
            given = interpolate(given, scope, problems, "spec.inputs")
        if merged is not None:
            at = find(raw.node, ("spec", "inputs"))
            values = merged.inputs.values(given, at, problems)
            names = names | {f"inputs.{name}": value for name, value in values.items()}
            missing = {f"inputs.{name}" for name in merged.inputs.properties} - names.keys()
            required = {f"inputs.{name}" for name in merged.inputs.required}
            scope = msgspec.structs.replace(scope, unset=missing - required, told=missing & required)
            known = known and not merged.inputs.problems
            known = known and not any(path[:1] in ((), ("inputs",)) for path in merged.holes)
        elif given is not None and known:
            message = "inputs are for a profile, and this sandbox names none"
            problems.append(Problem("E_INPUT", given.at, message, field="spec.inputs"))
        prefixes = prefixes if known else (*prefixes, "inputs.")
        return msgspec.structs.replace(scope, known=names, open_prefixes=prefixes)


def _misplaced(sandbox: Node) -> Iterator[Problem]:
    """Refuse what a profile cannot say about the sandboxes that use it; it would be ignored."""
    entries = sandbox.entries if isinstance(sandbox, MapNode) else {}
    for key, hint in (("profile", "write spec.extends"), ("inputs", "write defaults under spec.inputs")):
        if key in entries:
            message = f"a profile's sandbox has no {key} of its own"
            yield Problem("E_CONFLICT", entries[key].at, message, field=f"spec.sandbox.{key}", hint=hint)


def _laid(spec: MapNode, merged: _Merged | None) -> MapNode:
    """Lay a sandbox's spec over its profile's, but for `inputs`."""
    base = merged.spec.get("sandbox") if merged is not None else None
    laid = overlay(base, spec) if base is not None else spec
    return without(laid, "inputs") if isinstance(laid, MapNode) else spec
