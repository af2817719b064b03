"""Check what no document can say about itself alone: references between hosts, jumps, secrets, and the fleet as one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final, TypeAlias

import msgspec

from reconciler.load.documents import HostDocument, RawDocument, SandboxDocument
from reconciler.load.nodes import find
from reconciler.load.partial import Path, follows, makes_vague
from reconciler.load.text import shown
from reconciler.model.names import sandbox_uid
from reconciler.model.nearest import did_you_mean
from reconciler.model.problem import Problem
from reconciler.model.source import SourceRef
from reconciler.spec.addresses import LOCAL
from reconciler.spec.paths import lies_below

# A connection through two others is the most that sshd's own limits and people's patience bear.
MAX_JUMPS: Final = 1
_HOSTS_SHOWN: Final = 5

_Known: TypeAlias = tuple[dict[str, str], dict[tuple[object, ...], str], dict[tuple[object, ...], str]]
"""Names of hosts by what no two of them share: their keys, their engines, their base folders."""


def fleet_problems(fleets: int, first: RawDocument | None, folder: str) -> Iterator[Problem]:
    """Want exactly one Fleet (two of one name are a duplicate already)."""
    if fleets == 0:
        at = SourceRef(folder, 0, 0)
        yield Problem("E_FLEET", at, "no document of kind Fleet is here", hint="write one; it names the fleet")
    elif fleets > 1 and first is not None:
        message = f"{fleets} Fleets are declared; one spec folder is one fleet"
        yield Problem("E_FLEET", first.at, message, field="metadata.name", hint="keep one of them")


def uid_problems(fleet: str, sandboxes: Mapping[str, RawDocument]) -> Iterator[Problem]:
    """Refuse two names whose uids are the same 8 hex digits: on one host they would share folder and marker."""
    taken: dict[str, RawDocument] = {}
    for name, sandbox in sorted(sandboxes.items()):
        uid = sandbox_uid(fleet, name)
        first = taken.setdefault(uid, sandbox)
        if first is not sandbox:
            message = (
                f"sandboxes {shown(first.name)} ({first.at}) and {shown(name)} both get the uid {uid} by their names"
            )
            yield Problem("E_DUPLICATE", sandbox.at, message, field="metadata.name", hint="rename the newer one")


def host_problems(
    hosts: Mapping[str, HostDocument],
    raw: Mapping[str, RawDocument],
    missing: Callable[[str, str], bool],
    *,
    fleet: str,
    holes: Mapping[tuple[str, str], Collection[Path]],
) -> Iterator[Problem]:
    """Check each host's way in and its folders, and that no two are the same.

    `missing` says of a kind and a name whether there is surely no such document; `holes` are those of the resolver.
    """
    known: _Known = ({}, {}, {})
    for name, host in hosts.items():
        node = raw[name].node
        faulty = holes.get(("Host", name), ())

        def at(*path: str, node: object = node) -> SourceRef:
            return find(node, ("spec", *path))  # type: ignore[arg-type]  # bound above

        own = (
            *_way_in(host, at),
            *_jumps(name, hosts, raw, missing, at),
            *_storage(host, at, fleet=fleet),
            *_alike(name, host, raw, known, at, fleet=fleet, vague=makes_vague(faulty)),
        )
        yield from (problem for problem in own if not follows(problem, faulty))


def _alike(
    name: str,
    host: HostDocument,
    raw: Mapping[str, RawDocument],
    known: _Known,
    at: Callable[..., SourceRef],
    *,
    fleet: str,
    vague: bool,
) -> Iterator[Problem]:
    """Refuse a host that is the same machine as one of those that are known already, and make it known.

    Of a `vague` one it is not known which machine and engine it is.
    """
    keys, engines, folders = known
    ssh = host.spec.ssh
    if ssh is not None and ssh.host_key is not None:
        first = keys.setdefault(ssh.host_key, name)
        if first != name:
            message = f"host {first} pins the same key; two machines never have one key"
            hint = "if this is one machine, keep one Host; if it was cloned, give it keys of its own"
            place = at("ssh", "hostKey")
            yield Problem("E_SSH_HOSTKEY_SHARED", place, message, field="spec.ssh.hostKey", hint=hint)
    if vague:
        return
    first = engines.setdefault(_engine(host), name)
    if first != name:
        message = f"host {first} ({raw[first].at}) is the same Docker engine: one address, one port, one socket"
        yield Problem("E_DUPLICATE", at("address"), message, field="spec.address", hint="keep one Host for it")
        return
    first = folders.setdefault(_folder(host, fleet=fleet), name)
    if first != name:
        message = f"host {first} ({raw[first].at}) has another Docker socket and the same baseDir on one machine"
        hint = "give the second engine a baseDir of its own"
        yield Problem("E_DUPLICATE", at("baseDir"), message, field="spec.baseDir", hint=hint)


def _engine(host: HostDocument) -> tuple[object, ...]:
    """Say which engine a Host means, as far as its document tells; neither account nor baseDir makes it another."""
    ssh = host.spec.ssh
    socket = host.spec.docker_socket
    # One is a link to the other wherever there is systemd.
    socket = socket.removeprefix("/var") if socket.startswith("/var/run/") else socket
    return host.spec.address, socket, ssh and ssh.port, ssh and ssh.jump


def _folder(host: HostDocument, *, fleet: str) -> tuple[object, ...]:
    """Say which folder of which machine is the base folder, as far as the document tells."""
    ssh = host.spec.ssh
    way = (ssh.port, ssh.jump, ssh.user) if ssh is not None else ()
    return host.spec.address, way, host.spec.base_in(fleet)


def _storage(host: HostDocument, at: Callable[..., SourceRef], *, fleet: str) -> Iterator[Problem]:
    """Keep storage roots apart from what is ours; a base folder below a home is told apart when the host answers."""
    base = host.spec.base_in(fleet)
    for name, root in host.spec.storage_roots.items():
        why = None
        if lies_below(root, base):
            why = f"it is baseDir ({base}), or in it, which is ours alone"
        elif lies_below(base, root):
            why = f"baseDir ({base}) is in it, with the markers of every sandbox"
        elif lies_below(host.spec.docker_socket, root):
            why = f"the Docker socket ({host.spec.docker_socket}) is in it"
        if why is not None:
            message = f"{shown(root)} cannot be a storage root: {why}"
            hint = "name a folder that holds data and nothing else, such as /srv/data"
            field = f"spec.storageRoots.{name}"
            yield Problem("E_STORAGE_ROOT", at("storageRoots", name), message, field=field, hint=hint)


def _way_in(host: HostDocument, at: Callable[..., SourceRef]) -> Iterator[Problem]:
    ssh = host.spec.ssh
    if host.spec.address == LOCAL:
        if ssh is not None:
            message = "`local` is this machine's own socket; there is no SSH to it"
            yield Problem("E_CONFLICT", at("ssh"), message, field="spec.ssh", hint="remove ssh, or give an address")
        return
    if ssh is None:
        message = "a host that is not `local` needs ssh: user and hostKey"
        yield Problem("E_REQUIRED", at("address"), message, field="spec.ssh")
        return
    if ssh.host_key is None:
        message = "the host's key is not pinned, so anybody could answer in its place"
        hint = f"read it on the host, or with: ssh-keyscan -t ed25519 -p {ssh.port} {host.spec.address}"
        yield Problem("E_SSH_HOSTKEY_UNPINNED", at("ssh"), message, field="spec.ssh.hostKey", hint=hint)
    if ssh.identity_file is None and not ssh.agent:
        message = "there is no key to log in with"
        hint = "give identityFile, or agent: true"
        yield Problem("E_KEY_MISSING", at("ssh"), message, field="spec.ssh", hint=hint)


def _jumps(
    name: str,
    hosts: Mapping[str, HostDocument],
    raw: Mapping[str, RawDocument],
    missing: Callable[[str, str], bool],
    at: Callable[..., SourceRef],
) -> Iterator[Problem]:
    way = [name]
    while True:
        host = hosts.get(way[-1])
        jump = host.spec.ssh.jump if host is not None and host.spec.ssh is not None else None
        if jump is None:
            return
        place = at("ssh", "jump")
        if jump in way:
            if jump == name:  # those who only lead into the circle are not told of it again
                circle = " -> ".join([*way, jump])
                yield Problem("E_JUMP_CYCLE", place, f"jumps go in a circle: {circle}", field="spec.ssh.jump")
            return
        if jump not in raw:
            if len(way) == 1 and missing("Host", jump):
                message = f"there is no host {shown(jump)} to jump through"
                yield Problem("E_REF", place, message, field="spec.ssh.jump", hint=did_you_mean(jump, raw))
            return
        target = hosts.get(jump)
        if target is not None and target.spec.address == LOCAL and len(way) == 1:
            message = f"host {jump} is `local`; there is nothing to jump through"
            yield Problem("E_REF", place, message, field="spec.ssh.jump")
        way.append(jump)
        if len(way) > MAX_JUMPS + 1:
            message = f"at most one jump host is allowed: {' -> '.join(way)}"
            yield Problem("E_JUMP_DEPTH", place, message, field="spec.ssh.jump")
            return


def dependency_problems(
    sandboxes: Mapping[str, SandboxDocument], known: Mapping[str, RawDocument], missing: Callable[[str, str], bool]
) -> Iterator[Problem]:
    """Check that every sandbox that another depends on exists, and that no circle closes."""
    for sandbox in sandboxes.values():
        for index, other in enumerate(sandbox.spec.depends_on):
            if missing("Sandbox", other):
                place = find(sandbox.tree, ("dependsOn", index))
                message = f"there is no sandbox {shown(other)}"
                yield Problem("E_REF", place, message, field="spec.dependsOn", hint=did_you_mean(other, known))
    edges = {name: sandbox.spec.depends_on for name, sandbox in sandboxes.items()}
    for circle in circles(edges):
        place = find(sandboxes[circle[0]].tree, ("dependsOn",))
        message = f"sandboxes depend on each other in a circle: {' -> '.join(circle)}"
        yield Problem("E_REF_CYCLE", place, message, field="spec.dependsOn")


def hosts_with(selector: Mapping[str, str], hosts: Mapping[str, HostDocument]) -> tuple[str, ...]:
    """Give the hosts that have all of these labels, by name."""
    wanted = selector.items()
    return tuple(sorted(name for name, host in hosts.items() if wanted <= host.metadata.labels.items()))


def nowhere(selector: Mapping[str, str], hosts: Mapping[str, HostDocument], at: SourceRef) -> Problem:
    """Say that no host has the labels that a sandbox is to be placed by."""
    written = {name: _labels(host.metadata.labels) for name, host in hosts.items()}
    known = {label for labels in written.values() for label in labels}
    missing = next((label for label in _labels(selector) if label not in known), None)
    if missing is None:
        message = f"no host has all of {shown(', '.join(_labels(selector)))}" if hosts else "there is no host"
        near = (f"{name} has {', '.join(labels)}" for name, labels in sorted(written.items()) if labels)
        hint = "; ".join(list(near)[:_HOSTS_SHOWN]) or None
    else:
        message = f"no host has the label {shown(missing)}"
        hint = did_you_mean(missing, known, otherwise="hosts have") or "write it into a Host: metadata: {labels: …}"
    return Problem("E_REF", at, message, field="spec.placement.selector", hint=hint)


def on_hosts(found: Mapping[str, list[Problem]]) -> Iterator[Problem]:
    """Give what is wrong with one sandbox on each of its hosts, and name the hosts where it is not so on all."""
    alike: dict[tuple[str, SourceRef, str], list[tuple[str, Problem]]] = {}
    for host, problems in found.items():
        for problem in problems:
            alike.setdefault((problem.code, problem.at, problem.message), []).append((host, problem))
    for told in alike.values():
        problem = told[0][1]
        hosts = sorted({host for host, _ in told})
        if len(hosts) == len(found) or any(f"host {host}" in problem.message for host in hosts):
            yield problem
            continue
        more = f" and {len(hosts) - _HOSTS_SHOWN} more" if len(hosts) > _HOSTS_SHOWN else ""
        where = f"{'host' if len(hosts) == 1 else 'hosts'} {', '.join(hosts[:_HOSTS_SHOWN])}{more}"
        yield msgspec.structs.replace(problem, message=f"{problem.message} (on {where}, where it may be placed)")


def _labels(labels: Mapping[str, str]) -> list[str]:
    return [f"{key}={value}" for key, value in sorted(labels.items())]


def circles(edges: Mapping[str, tuple[str, ...]]) -> Iterator[list[str]]:
    """Yield each circle once, closed, from where it is first met. Walks with its own stack: chains may be long."""
    done: set[str] = set()
    for start in edges:
        path: list[str] = []
        on_path: set[str] = set()
        stack: list[tuple[str, bool]] = [(start, False)]
        while stack:
            name, leaving = stack.pop()
            if leaving:
                path.pop()
                on_path.discard(name)
                done.add(name)
            elif name in on_path:
                yield [*path[path.index(name) :], name]
            elif name not in done and name in edges:
                path.append(name)
                on_path.add(name)
                stack.append((name, True))
                stack.extend((other, False) for other in reversed(edges[name]))
