"""Check one merged sandbox against itself, its host and the Fleet's policy."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator

from reconciler.load.crosscheck import circles
from reconciler.load.documents import FleetDocument, HostDocument, SandboxDocument
from reconciler.load.nodes import find
from reconciler.load.resolve import closest
from reconciler.load.text import shown
from reconciler.model.problem import Problem
from reconciler.model.source import SourceRef
from reconciler.model.text import Template
from reconciler.spec.container import Container
from reconciler.spec.fleet import Allowance, FleetSpec
from reconciler.spec.paths import forbidden_mount, lies_below
from reconciler.spec.readiness import HttpProbe, TcpProbe


class SandboxCheck:
    """Check one sandbox; every method yields problems."""

    def __init__(self, sandbox: SandboxDocument, host: HostDocument | None, fleet: FleetDocument | None) -> None:
        self.sandbox = sandbox
        self.spec = sandbox.spec
        self.host = host
        self.fleet = fleet.spec if fleet is not None else FleetSpec()
        self.fleet_at = fleet.at if fleet is not None else None
        rules = [rule for rule in self.fleet.policy.allow if rule.profile == self.spec.profile]
        self.allowed: tuple[Allowance, ...] = tuple(rules)

    def problems(self) -> Iterator[Problem]:
        """Yield everything that is wrong."""
        if not self.spec.containers and self.spec.compose is None:
            at = find(self.sandbox.tree, ("containers",))
            yield Problem("E_REQUIRED", at, "a sandbox needs at least one container", field="spec.containers")
        for name, container in self.spec.containers.items():
            yield from self._references(name, container)
            yield from self._contradictions(name, container)
            yield from self._policy(name, container)
            yield from self._mounts(name, container)
        for circle in circles({name: item.depends_on for name, item in self.spec.containers.items()}):
            message = f"containers depend on each other in a circle: {' -> '.join(circle)}"
            yield self._problem("E_REF_CYCLE", message, "containers", circle[0], "dependsOn")
        yield from self._paths()
        yield from self._readiness()
        if self.spec.update == "start-first":
            yield from self._start_first()

    def _problem(self, code: str, message: str, *path: str | int, hint: str | None = None) -> Problem:
        field = "spec" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
        return Problem(code, self.at(*path), message, field=field, hint=hint)

    def at(self, *path: str | int) -> SourceRef:
        """Give the place of a field of the merged spec."""
        return find(self.sandbox.tree, path)

    def _references(self, name: str, container: Container) -> Iterator[Problem]:
        for index, other in enumerate(container.depends_on):
            if other not in self.spec.containers:
                hint = closest(other, self.spec.containers)
                message = f"there is no container {shown(other)} here"
                yield self._problem("E_REF", message, "containers", name, "dependsOn", index, hint=hint)
        for target, mount in container.mounts.items():
            path = ("containers", name, "mounts", target)
            if mount.directory is not None and mount.directory not in self.spec.directories:
                message = f"there is no directory {shown(mount.directory)} here"
                hint = closest(mount.directory, self.spec.directories)
                yield self._problem("E_REF", message, *path, "directory", hint=hint)
            if mount.file is not None and mount.file not in self.spec.files:
                message = f"there is no file {shown(mount.file)} here"
                yield self._problem("E_REF", message, *path, "file", hint=closest(mount.file, self.spec.files))

    def _contradictions(self, name: str, container: Container) -> Iterator[Problem]:
        here = ("containers", name)
        if container.network_mode != "bridge" and (container.ports or container.networks):
            what = "ports" if container.ports else "networks"
            message = f"{what} have no effect with networkMode: {container.network_mode}"
            yield self._problem("E_CONFLICT", message, *here, what, hint="remove one of the two")
        if container.run == "once" and container.restart not in (None, "no", "on-failure"):
            message = f"a container that runs once cannot restart {container.restart}"
            yield self._problem("E_CONFLICT", message, *here, "restart", hint='write restart: "no", or on-failure')
        for limit, bound in container.ulimits.items():
            if bound.hard != -1 and (bound.soft > bound.hard or bound.soft == -1):
                message = "soft is above hard"
                yield self._problem("E_RANGE", message, *here, "ulimits", limit)
        taken: dict[tuple[int, str], str] = {}
        for port, published in container.ports.items():
            first = taken.setdefault((published.container, published.protocol), port)
            if first != port:
                message = f"the port {first} is {published.container}/{published.protocol} already"
                yield self._problem("E_PORT_DUP", message, *here, "ports", port, "container")

    def _policy(self, name: str, container: Container) -> Iterator[Problem]:
        here = ("containers", name)
        if container.network_mode == "host" and not any(rule.host_network for rule in self.allowed):
            yield self._denied("networkMode: host", "hostNetwork: true", *here, "networkMode")
        if container.ipc == "host" and not any(rule.host_ipc for rule in self.allowed):
            yield self._denied("ipc: host", "hostIpc: true", *here, "ipc")
        for index, capability in enumerate(container.cap_add):
            if not any(capability in rule.cap_add for rule in self.allowed):
                yield self._denied(f"capAdd: {capability}", f"capAdd: [{capability}]", *here, "capAdd", index)
        for index, device in enumerate(container.devices):
            if not any(device in rule.devices for rule in self.allowed):
                yield self._denied(f"the device {device}", f"devices: [{device}]", *here, "devices", index)
        patterns = self.fleet.policy.images
        if not any(fnmatch.fnmatchcase(container.image, pattern) for pattern in patterns):
            message = f"the Fleet's policy does not allow the image {shown(container.image)}"
            hint = f"allowed: {', '.join(patterns) or 'nothing'} by policy.images of the Fleet{self._fleet_place()}"
            yield self._problem("E_POLICY_IMAGE", message, *here, "image", hint=hint)

    def _denied(self, what: str, allowance: str, *path: str | int) -> Problem:
        profile = self.spec.profile
        if profile is None:
            hint = "use a profile for which the Fleet's policy.allow lifts this"
        else:
            rule = f"[{{profile: {profile}, {allowance}}}]"
            hint = f"if it must be, the Fleet{self._fleet_place()} can allow it: policy.allow: {rule}"
        return self._problem("E_POLICY", f"the Fleet's policy denies {what}", *path, hint=hint)

    def _fleet_place(self) -> str:
        return f" ({self.fleet_at.file}:{self.fleet_at.line})" if self.fleet_at is not None else ""

    def _mounts(self, name: str, container: Container) -> Iterator[Problem]:
        targets: set[str] = set()
        for target, mount in container.mounts.items():
            targets.add(target)
            if mount.path is None:
                continue
            path = ("containers", name, "mounts", target, "path")
            if forbidden_mount(mount.path):
                message = f"{shown(mount.path)} of the host is never mounted: it would give the host away"
                yield self._problem("E_POLICY_MOUNT", message, *path)
            elif not any(lies_below(mount.path, root) for root in (*self.fleet.policy.mounts, *self._roots())):
                message = f"the Fleet's policy does not allow to mount {shown(mount.path)}"
                hint = f"add it to policy.mounts of the Fleet{self._fleet_place()}, or use directories"
                yield self._problem("E_POLICY_MOUNT", message, *path, hint=hint)
        for volume, target in container.volumes.items():
            if target in targets:
                message = f"{shown(target)} is mounted twice"
                yield self._problem("E_MOUNT_TARGET", message, "containers", name, "volumes", volume)
            targets.add(target)

    def _roots(self) -> tuple[str, ...]:
        """Give the folders of the host in which we may write, as far as they are known before it was asked."""
        if self.host is None:
            return ()
        base = self.host.spec.base_dir
        own = (base,) if isinstance(base, str) else ()
        return (*own, *self.host.spec.storage_roots.values())

    def _paths(self) -> Iterator[Problem]:
        taken: dict[str, str] = {}
        for kind, things in (("directories", self.spec.directories), ("files", self.spec.files)):
            for name, thing in things.items():
                text = thing.path if isinstance(thing.path, str) else _head(thing.path)
                outside = text.startswith("/") and not any(lies_below(text.rstrip("/"), root) for root in self._roots())
                if outside and self.host is not None:
                    message = f"{shown(str(thing.path))} is outside of what is ours on host {self.host.name}"
                    hint = "write a relative path (below the sandbox's own folder), or begin with ${storage.NAME}"
                    yield self._problem("E_PATH_OUTSIDE", message, kind, name, "path", hint=hint)
                if str(thing.path) in [root.rstrip("/") for root in self._roots()]:
                    message = "this is the root itself, which is shared; name a folder in it"
                    yield self._problem("E_PATH", message, kind, name, "path")
                first = taken.setdefault(str(thing.path), f"{kind}.{name}")
                if first != f"{kind}.{name}":
                    yield self._problem("E_DUPLICATE", f"{first} has the same path", kind, name, "path")

    def _readiness(self) -> Iterator[Problem]:
        for name, probe in self.spec.readiness.items():
            kind = next(k for k in ("http", "tcp", "exec", "log", "health") if getattr(probe, k) is not None)
            container = self.spec.containers.get(probe.way.container)
            if container is None:
                message = f"there is no container {shown(probe.way.container)} here"
                hint = closest(probe.way.container, self.spec.containers)
                yield self._problem("E_REF", message, "readiness", name, kind, "container", hint=hint)
            elif isinstance(probe.way, (HttpProbe, TcpProbe)) and probe.way.port not in container.ports:
                message = f"container {probe.way.container} has no port named {shown(probe.way.port)}"
                hint = closest(probe.way.port, container.ports)
                yield self._problem("E_REF", message, "readiness", name, kind, "port", hint=hint)
            if probe.interval > probe.timeout:
                message = "interval is longer than timeout, so it would never be asked twice"
                yield self._problem("E_RANGE", message, "readiness", name, "interval")

    def _start_first(self) -> Iterator[Problem]:
        reason = None
        for name, container in self.spec.containers.items():
            if container.network_mode == "host":
                reason = f"container {name} uses the host's network"
            fixed = [port for port, published in container.ports.items() if published.host is not None]
            if fixed:
                reason = f"port {fixed[0]} of container {name} has a fixed port on the host"
            for target, mount in container.mounts.items():
                directory = self.spec.directories.get(mount.directory or "")
                text = directory.path if directory is not None else None
                if text is not None and not mount.read_only and str(text).startswith("/"):
                    reason = f"container {name} writes to the storage directory {mount.directory} at {target}"
        if reason is not None:
            message = f"the new one cannot start while the old one runs: {reason}"
            hint = "write update: stop-first, or take the reason away"
            yield self._problem("E_UPDATE", message, "update", hint=hint)


def _head(template: Template) -> str:
    first = template.parts[0]
    return first if isinstance(first, str) else ""


def port_problems(sandboxes: list[SandboxDocument]) -> Iterator[Problem]:
    """Refuse two fixed ports of one host that cannot both be had, whoever wants them."""
    taken: dict[tuple[str, str, int], list[tuple[str, str, SourceRef]]] = {}
    for sandbox in sandboxes:
        for name, container in sandbox.spec.containers.items():
            for port, published in container.ports.items():
                if published.host is None:
                    continue
                path = ("containers", name, "ports", port, "host")
                at = find(sandbox.tree, path)
                others = taken.setdefault((sandbox.host, published.protocol, published.host), [])
                for bind, owner, first in others:
                    if bind == published.bind or {bind, published.bind} & {"0.0.0.0", "::"}:  # noqa: S104 - a comparison
                        number = f"{published.host}/{published.protocol}"
                        message = f"port {number} of host {sandbox.host} is taken by {owner} ({first})"
                        hint = "choose another, or null to let Docker pick a free one"
                        field = ".".join(("spec", *path))
                        yield Problem("E_PORT_DUP", at, message, field=field, hint=hint)
                        break
                others.append((published.bind, f"{sandbox.name}/{name}", at))
