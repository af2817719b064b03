"""Check one merged sandbox against itself, its host and the Fleet's policy."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from reconciler.load.crosscheck import circles, on_hosts
from reconciler.load.documents import FleetDocument, HostDocument, SandboxDocument
from reconciler.load.nodes import find
from reconciler.load.path_checks import PathCheck
from reconciler.load.text import shown
from reconciler.model.nearest import did_you_mean
from reconciler.model.problem import Problem
from reconciler.model.source import SourceRef
from reconciler.model.text import Template
from reconciler.spec.container import Container, PublishedPort
from reconciler.spec.fleet import Allowance, FleetSpec
from reconciler.spec.readiness import ExecProbe, HealthProbe, HttpProbe, TcpProbe

ANY_ADDRESS: Final = ("0.0.0.0", "::")  # noqa: S104 - to compare with
# Linux: MAX_ARG_STRLEN, 32 pages, with the closing NUL.
WORD_MAX_BYTES: Final = 131_071
# With the commonest variables this stays within what the kernel has for all of them together, 2 MiB.
ENV_MAX: Final = 4096


class SandboxCheck:
    """Check one sandbox; every method yields problems."""

    def __init__(self, sandbox: SandboxDocument, host: HostDocument | None, fleet: FleetDocument | None) -> None:
        self.sandbox = sandbox
        self.spec = sandbox.spec
        self.host = host
        self.fleet = fleet.spec if fleet is not None else FleetSpec()
        self.fleet_at = fleet.at if fleet is not None else None
        self.fleet_name = fleet.name if fleet is not None else None
        rules = [rule for rule in self.fleet.policy.allow if rule.profile == self.spec.profile]
        self.allowed: tuple[Allowance, ...] = tuple(rules)

    def problems(self) -> Iterator[Problem]:
        """Yield everything that is wrong."""
        if not self.spec.containers and self.spec.compose is None and self.spec.source is None:
            at = find(self.sandbox.tree, ("containers",))
            message = "a sandbox needs at least one container, a source or a compose file"
            yield Problem("E_REQUIRED", at, message, field="spec.containers")
        if self.spec.compose is not None:
            yield from self._composed()
        for name, container in self.spec.containers.items():
            yield from self._references(name, container)
            yield from self._contradictions(name, container)
            yield from self._policy(name, container)
            yield from self._sizes(name, container)
        for circle in circles({name: item.depends_on for name, item in self.spec.containers.items()}):
            message = f"containers depend on each other in a circle: {' -> '.join(circle)}"
            yield self._problem("E_REF_CYCLE", message, "containers", circle[0], "dependsOn")
        if self.spec.host is not None and self.spec.placement is not None:
            message = f"host: {self.spec.host} says where it is, so there is nothing to place"
            hint = "keep one of the two; what a profile says is taken away by placement: null, or host: null"
            yield self._problem("E_CONFLICT", message, "placement", hint=hint)
        yield from self._paths()
        yield from self._readiness()
        if self.spec.update == "start-first":
            yield from self._start_first()

    def _composed(self) -> Iterator[Problem]:
        """Refuse what a compose file takes the place of, and what compose cannot do."""
        if self.spec.containers:
            message = "containers and compose: a sandbox has one of the two"
            yield self._problem("E_CONFLICT", message, "compose", hint="keep one of them")
        if self.spec.update == "start-first":
            message = "compose stops a service before it starts the new one"
            yield self._problem("E_CONFLICT", message, "update", hint="leave update out")

    def _problem(self, code: str, message: str, *path: str | int, hint: str | None = None) -> Problem:
        return self.sandbox.problem(code, message, *path, hint=hint)

    def _references(self, name: str, container: Container) -> Iterator[Problem]:
        for index, other in enumerate(container.depends_on):
            if other not in self.spec.containers:
                hint = did_you_mean(other, self.spec.containers)
                message = f"there is no container {shown(other)} here"
                yield self._problem("E_REF", message, "containers", name, "dependsOn", index, hint=hint)
        for target, mount in container.mounts.items():
            path = ("containers", name, "mounts", target)
            if mount.directory is not None and mount.directory not in self.spec.directories:
                message = f"there is no directory {shown(mount.directory)} here"
                hint = did_you_mean(mount.directory, self.spec.directories)
                yield self._problem("E_REF", message, *path, "directory", hint=hint)
            if mount.file is not None and mount.file not in self.spec.files:
                message = f"there is no file {shown(mount.file)} here"
                yield self._problem("E_REF", message, *path, "file", hint=did_you_mean(mount.file, self.spec.files))
            if mount.source and self.spec.source is None:
                message, hint = "there is no source here", "declare one: source: {path: FOLDER}"
                yield self._problem("E_REF", message, *path, "source", hint=hint)

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
                message = f"soft ({_limit(bound.soft)}) is above hard ({_limit(bound.hard)})"
                yield self._problem("E_RANGE", message, *here, "ulimits", limit, hint="raise hard, or lower soft")
            if limit == "nofile" and -1 in (bound.soft, bound.hard):
                message = "no kernel lets the number of open files go without a limit"
                yield self._problem("E_RANGE", message, *here, "ulimits", limit, hint="write a number, such as 1048576")
        taken: dict[tuple[int, str], str] = {}
        for port, published in container.ports.items():
            first = taken.setdefault((published.container, published.protocol), port)
            if first != port:
                message = f"the port {first} is {published.container}/{published.protocol} already"
                yield self._problem("E_PORT_DUP", message, *here, "ports", port, "container")
            if self._is_sshd(published):
                message = f"port {published.host} of host {self.sandbox.host} is where its own sshd listens"
                hint = "choose another, or null to let Docker pick a free one"
                yield self._problem("E_PORT_DUP", message, *here, "ports", port, "host", hint=hint)

    def _is_sshd(self, published: PublishedPort) -> bool:
        """Say whether a published port would take the place of the one that we reach the host by."""
        if self.host is None or self.host.spec.ssh is None or published.protocol != "tcp":
            return False
        same_address = published.bind in (*ANY_ADDRESS, self.host.spec.address)
        return same_address and published.host == self.host.spec.ssh.port

    def _sizes(self, name: str, container: Container) -> Iterator[Problem]:
        """Refuse what no kernel passes to a program."""
        here = ("containers", name)
        if len(container.env) > ENV_MAX:
            message = f"{len(container.env)} variables are here; at most {ENV_MAX} are given to a container"
            yield self._problem("E_ENV", message, *here, "env", hint="write them into a file, and mount that")
        for key, value in container.env.items():
            size = len(f"{key}={value}".encode("utf-8", "replace"))
            if size > WORD_MAX_BYTES:
                message = f"with its name this has {size} bytes; a kernel passes at most {WORD_MAX_BYTES}"
                yield self._problem("E_ENV", message, *here, "env", key, hint="write it into a file, and mount that")
        for field, argv in (("entrypoint", container.entrypoint), ("command", container.command)):
            for index, word in enumerate(argv or ()):
                size = len(str(word).encode("utf-8", "replace"))
                if size > WORD_MAX_BYTES:
                    message = f"this word has {size} bytes; a kernel passes at most {WORD_MAX_BYTES}"
                    hint = "write it into a file, and mount that"
                    yield self._problem("E_COMMAND", message, *here, field, index, hint=hint)

    def _policy(self, name: str, container: Container) -> Iterator[Problem]:
        if self.fleet_at is None:
            return  # the Fleet itself is wrong, so what it allows is not known
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

    def _paths(self) -> Iterator[Problem]:
        # A host that is not known may have what is mounted as a storage root.
        mounts = self.fleet.policy.mounts if self.fleet_at is not None and self.host is not None else None
        place = self._fleet_place()
        return PathCheck(self.sandbox, self.host, fleet=self.fleet_name, mounts=mounts, fleet_place=place).problems()

    def _readiness(self) -> Iterator[Problem]:
        for name, probe in self.spec.readiness.items():
            kind = next(k for k in ("http", "tcp", "exec", "log", "health") if getattr(probe, k) is not None)
            container = self.spec.containers.get(probe.way.container)
            if self.spec.compose is not None:
                if isinstance(probe.way, (HttpProbe, TcpProbe)):
                    message = f"a service of a compose file has no ports by name, so {kind} cannot ask one"
                    way_out = "ask with exec, log or health"
                    yield self._problem("E_CONFLICT", message, "readiness", name, kind, hint=way_out)
            elif container is None:
                message = f"there is no container {shown(probe.way.container)} here"
                hint = did_you_mean(probe.way.container, self.spec.containers)
                yield self._problem("E_REF", message, "readiness", name, kind, "container", hint=hint)
            elif isinstance(probe.way, (HttpProbe, TcpProbe)) and probe.way.port not in container.ports:
                message = f"container {probe.way.container} has no port named {shown(probe.way.port)}"
                hint = did_you_mean(probe.way.port, container.ports)
                yield self._problem("E_REF", message, "readiness", name, kind, "port", hint=hint)
            elif isinstance(probe.way, HealthProbe) and _is_unchecked(container):
                message = f"container {probe.way.container} has its health check taken away ([NONE]), so none can pass"
                hint = "give it a healthcheck, or probe it in another way"
                yield self._problem("E_CONFLICT", message, "readiness", name, kind, hint=hint)
            elif isinstance(probe.way, ExecProbe):
                yield from self._exec(probe.way, "readiness", name, kind, "command")
            if probe.interval > probe.timeout:
                message = "interval is longer than timeout, so it would never be asked twice"
                yield self._problem("E_RANGE", message, "readiness", name, "interval")

    def _exec(self, probe: ExecProbe, *path: str) -> Iterator[Problem]:
        if not probe.command or probe.command[0] == "":
            message = "the first word of a command is the program, and there is none"
            yield self._problem("E_COMMAND", message, *path, hint="write [program, words…]")
        for index, word in enumerate(probe.command):
            if isinstance(word, Template):
                message = f"{word} is not known to a probe"
                hint = "give it to the container in env, and read it there: [sh, -c, …]"
                yield self._problem("E_INTERPOLATION", message, *path, index, hint=hint)

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


def _is_unchecked(container: Container) -> bool:
    return container.healthcheck is not None and container.healthcheck.test == ("NONE",)


def _limit(bound: int) -> str:
    return "no limit" if bound == -1 else str(bound)


def sandbox_problems(
    sandbox: SandboxDocument, hosts: Mapping[str, HostDocument], fleet: FleetDocument | None
) -> Iterator[Problem]:
    """Check one sandbox on every host that it may be on."""
    on_host = {one.host: SandboxCheck(one, hosts.get(one.host), fleet) for one in sandbox.everywhere}
    return on_hosts({host: list(check.problems()) for host, check in on_host.items()})


def port_problems(sandboxes: Iterable[SandboxDocument]) -> Iterator[Problem]:
    """Refuse two fixed ports of one host that cannot both be had, whoever wants them, or may be placed there."""
    taken: dict[tuple[str, str, int], list[tuple[str, str, SourceRef]]] = {}
    for sandbox in (one for placed in sandboxes for one in placed.everywhere):
        for name, container in sandbox.spec.containers.items():
            for port, published in container.ports.items():
                if published.host is None:
                    continue
                path = ("containers", name, "ports", port, "host")
                at = find(sandbox.tree, path)
                others = taken.setdefault((sandbox.host, published.protocol, published.host), [])
                for bind, owner, first in others:
                    if bind == published.bind or not {bind, published.bind}.isdisjoint(ANY_ADDRESS):
                        number = f"{published.host}/{published.protocol}"
                        message = f"port {number} of host {sandbox.host} is taken by {owner} ({first})"
                        hint = "choose another, or null to let Docker pick a free one"
                        field = ".".join(("spec", *path))
                        yield Problem("E_PORT_DUP", at, message, field=field, hint=hint)
                        break
                others.append((published.bind, f"{sandbox.name}/{name}", at))
