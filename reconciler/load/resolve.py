"""Resolve one fleet's documents: profiles along `extends`, sandboxes over their profiles, gaps filled, typed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from reconciler.load.crosscheck import hosts_with, nowhere, on_hosts
from reconciler.load.documents import FleetDocument, HostDocument, ProfileDocument, RawDocument, SandboxDocument
from reconciler.load.inputs import InputSchema
from reconciler.load.interpolate import Scope, interpolate
from reconciler.load.nodes import Entry, ListNode, MapNode, Node, find, is_null
from reconciler.load.overlay import overlay
from reconciler.load.text import shown
from reconciler.load.typed import typed, unknown_keys
from reconciler.model.nearest import did_you_mean
from reconciler.model.problem import Problem
from reconciler.model.text import LATE_IN_SPECS
from reconciler.spec.fleet import Fleet
from reconciler.spec.host import Host
from reconciler.spec.kinds import KINDS
from reconciler.spec.profile import Profile
from reconciler.spec.sandbox import Placement, Sandbox, SandboxSpec
from reconciler.spec.scalar import Scalar

# What a file is to hold is not ours to read: a null in it is a value, and removes nothing.
_CONTENTS = ("files", "*", "content")


class _Merged(msgspec.Struct, frozen=True):
    """Hold a profile after `extends`: its spec as one tree, and the schema of its inputs."""

    chain: tuple[str, ...]
    spec: MapNode
    inputs: InputSchema


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
        waiting: list[Node] = [self.spec] if self.merged is None else [self.spec, self.merged.spec]
        while waiting:
            node = waiting.pop()
            if isinstance(node, Scalar):
                if gap in node.text:
                    return True
            elif isinstance(node, ListNode):
                waiting += node.items
            else:
                waiting += (entry.value for entry in node.entries.values())
        return False


class Resolver:
    """Resolve the documents of one load; problems are collected in `problems`, in no order."""

    def __init__(self, documents: Iterable[RawDocument], installed: Iterable[RawDocument]) -> None:
        self.problems: list[Problem] = []
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
            typed(KINDS[document.kind], _without_spec(document.node), found)
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
        model = typed(Fleet, tree, self.problems)
        if model is not None:
            self.fleet = FleetDocument(raw.name, raw.at, model.spec)

    def _resolve_host(self, raw: RawDocument) -> None:
        scope = Scope(known={"host.name": raw.name}, late=("host.home",))
        model = typed(Host, interpolate(raw.node, scope, self.problems), self.problems)
        if model is not None:
            self.hosts[raw.name] = HostDocument(raw.name, raw.at, model.metadata, model.spec)

    def _resolve_profile(self, raw: RawDocument) -> None:
        model = typed(Profile, raw.node, self.problems)
        sandbox = _child(raw.node, "spec", "sandbox")
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
        if isinstance(extends, Scalar):
            parent = extends.text
            if parent in (*below, name):
                circle = " -> ".join((*below, name, parent)[(*below, name, parent).index(parent) :])
                message = f"profiles extend each other in a circle: {shown(circle, 200)}"
                self.problems.append(Problem("E_REF_CYCLE", extends.at, message, field="spec.extends"))
                return None
            if parent not in self._profiles:
                message = f"there is no profile {shown(parent)}"
                hint = did_you_mean(parent, self._profiles)
                self.problems.append(Problem("E_REF", extends.at, message, field="spec.extends", hint=hint))
                return None
            base = self._merge(parent, (*below, name))
            if base is None:
                return None
            laid = overlay(base.spec, tree)
            tree = laid if isinstance(laid, MapNode) else tree
            chain = (name, *base.chain)
        merged = _Merged(chain, tree, InputSchema(tree.get("inputs"), raw.at))
        self._merged[name] = merged
        return merged

    def _resolve_sandbox(self, raw: RawDocument) -> None:
        spec = raw.node.get("spec")
        header = typed(Sandbox, _without_spec(raw.node), self.problems)
        if not isinstance(spec, MapNode):
            message = "a sandbox needs a spec" if spec is None else "a mapping is wanted here"
            at = find(raw.node, ("spec",))
            self.problems.append(Problem("E_REQUIRED", at, message, field="spec"))
            return
        merged, known = self._profile_of(spec)
        laid = _laid(spec, merged)
        sought = _Sought(raw=raw, spec=spec, laid=laid, merged=merged, known=known)
        hosts = self._candidates(sought)
        if hosts is not None:
            self._place(sought, header, hosts)
            return
        found = self._typed(sought, _text(laid, "host"), self.problems)
        if found is None or header is None:
            return
        model, tree = found
        host = model.host
        if host is None:
            at, way_out = find(raw.node, ("spec",)), "name one, or write placement: {selector: {…}}"
            self.problems.append(Problem("E_REQUIRED", at, "a sandbox needs a host", field="spec.host", hint=way_out))
            return
        if host not in self.of_kind("Host"):
            message = f"there is no host {shown(host)}"
            hint = did_you_mean(host, self.of_kind("Host"))
            self.problems.append(Problem("E_REF", find(tree, ("host",)), message, field="spec.host", hint=hint))
            return
        if sought.is_part:
            return
        self.sandboxes[raw.name] = SandboxDocument(raw.name, raw.at, header.metadata, model, tree, host)

    def _candidates(self, sought: _Sought) -> tuple[str, ...] | None:
        """Give the hosts that a sandbox may be placed on; None where its host is named, or nothing is said."""
        node = sought.laid.get("placement")
        if node is None or is_null(node) or _text(sought.laid, "host"):
            return None
        # Whatever is wrong with it is told when the whole spec is read.
        unheard: list[Problem] = []
        scope = self._scope(sought, "", unheard)
        placement = typed(Placement, interpolate(node, scope, unheard, "spec.placement"), unheard)
        if placement is None or unheard:
            return ()
        hosts = hosts_with(placement.selector, self.hosts)
        # A Host that cannot be read may have the labels.
        if not hosts and len(self.hosts) == len(self.of_kind("Host")):
            at = find(sought.laid, ("placement", "selector"))
            self.problems.append(nowhere(placement.selector, self.hosts, at))
        return hosts

    def _place(self, sought: _Sought, header: Sandbox | None, hosts: tuple[str, ...]) -> None:
        """Resolve a sandbox once for each host on which it may be something else."""
        if not hosts:
            self._typed(sought, "", self.problems)
            return
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
        raw = sought.raw
        if header is None or sought.is_part:
            return
        found = tuple(
            SandboxDocument(raw.name, raw.at, header.metadata, *whole, host)
            for host, key in keys.items()
            if (whole := known[key]) is not None
        )
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
        problems.extend(problem for problem in misfits if problem.at not in told)
        return None if model is None else (model, tree)

    def _profile_of(self, spec: MapNode) -> tuple[_Merged | None, bool]:
        """Give a sandbox's profile, and whether what it should be is known."""
        named = spec.get("profile")
        if not isinstance(named, Scalar):
            return None, named is None
        if named.text not in self._profiles:
            message = f"there is no profile {shown(named.text)}"
            hint = did_you_mean(named.text, self._profiles)
            self.problems.append(Problem("E_REF", named.at, message, field="spec.profile", hint=hint))
            return None, False
        merged = self._merge(named.text, ())
        return merged, merged is not None

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
    return _without(laid, "inputs") if isinstance(laid, MapNode) else spec


def _text(node: MapNode, key: str) -> str:
    """Give a text as written; empty where there is none."""
    value = node.get(key)
    return value.text if isinstance(value, Scalar) and not is_null(value) else ""


def _child(node: Node, *path: str) -> Node | None:
    found: Node | None = node
    for part in path:
        found = found.get(part) if isinstance(found, MapNode) else None
    return found


def _without(node: MapNode, key: str) -> MapNode:
    return MapNode({name: entry for name, entry in node.entries.items() if name != key}, node.at)


def _without_spec(node: MapNode) -> MapNode:
    """Give the document with an empty spec, to check the rest of it."""
    entries = {name: entry for name, entry in node.entries.items() if name != "spec"}
    return MapNode(entries | {"spec": Entry("spec", node.at, MapNode({}, node.at))}, node.at)
