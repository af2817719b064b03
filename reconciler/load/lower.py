"""Lower a checked spec folder to `Desired`: the form in which planning compares it with what hosts hold."""

from __future__ import annotations

from reconciler.load.documents import Documents, FleetDocument, HostDocument, SandboxDocument
from reconciler.load.lower_sandbox import lower_sandbox
from reconciler.model.access import LOCAL, HostAccess
from reconciler.model.compose import ComposePolicy
from reconciler.model.desired import (
    Admission,
    Choice,
    Desired,
    HostDesired,
    Limits,
    Reap,
    Registry,
    SandboxDesired,
    SinkDesired,
    Suspend,
)
from reconciler.spec.fields import Suspension
from reconciler.spec.fleet import FleetSpec, Policy, Sink
from reconciler.spec.sandbox import Placement

_HUB_PATH = "progress/"


def lower(documents: Documents) -> Desired:
    """Lower one fleet. Every reference holds already, so nothing can fail here."""
    fleet = documents.fleet
    spec = fleet.spec
    hosts = {name: _host(document, documents) for name, document in sorted(documents.hosts.items())}
    return Desired(
        fleet=fleet.name,
        digest=documents.digest,
        hosts=hosts,
        sandboxes={name: _sandbox(document, fleet, hosts) for name, document in sorted(documents.sandboxes.items())},
        limits=_limits(spec),
        reap=_reap(spec),
        registries=tuple(
            Registry(host=item.host, username=item.username, password=item.password) for item in spec.registries
        ),
        secrets={name: source.file for name, source in sorted(spec.secrets.items())},
        telemetry=tuple(_sink(sink, fleet=fleet.name) for sink in spec.telemetry.sinks),
        sourced=tuple(name for name, one in sorted(documents.sandboxes.items()) if one.spec.source or one.spec.compose),
        choices={
            name: _choice(document, document.spec.placement, fleet, hosts)
            for name, document in sorted(documents.sandboxes.items())
            if document.candidates and document.spec.placement is not None
        },
    )


def _sandbox(document: SandboxDocument, fleet: FleetDocument, hosts: dict[str, HostDesired]) -> SandboxDesired:
    host = hosts[document.host]
    return lower_sandbox(
        document,
        fleet=fleet.name,
        storage_roots=tuple(host.storage.values()),
        policy=_policy(fleet.spec.policy, document.spec.profile, host),
    )


def _choice(
    document: SandboxDocument, placement: Placement, fleet: FleetDocument, hosts: dict[str, HostDesired]
) -> Choice:
    """Lower what is left to planning; hosts on which the sandbox was read as one and the same share a form."""
    forms: list[SandboxDesired] = []
    numbers: dict[tuple[object, ...], int] = {}
    of_hosts: dict[str, int] = {}
    for one in document.candidates:
        key = (id(one.spec), *hosts[one.host].storage.values())
        if key not in numbers:
            numbers[key] = len(forms)
            forms.append(_sandbox(one, fleet, hosts))
        of_hosts[one.host] = numbers[key]
    return Choice(strategy=placement.strategy, selector=dict(placement.selector), forms=tuple(forms), hosts=of_hosts)


def suspend(suspension: Suspension | None) -> Suspend | None:
    """Lower a suspension."""
    if suspension is None:
        return None
    return Suspend(reason=suspension.reason, by=suspension.by, until=suspension.until)


def _policy(policy: Policy, profile: str | None, host: HostDesired) -> ComposePolicy:
    """Say what a sandbox of this profile may ask of this host."""
    lifted = [rule for rule in policy.allow if rule.profile == profile]
    return ComposePolicy(
        images=policy.images,
        mounts=tuple(sorted({*policy.mounts, *host.storage.values()})),
        host_network=any(rule.host_network for rule in lifted),
        host_ipc=any(rule.host_ipc for rule in lifted),
        cap_add=tuple(sorted({name for rule in lifted for name in rule.cap_add})),
        devices=tuple(sorted({name for rule in lifted for name in rule.devices})),
        hardened=policy.hardened,
        writable_root=any(rule.writable_root for rule in lifted),
    )


def _limits(spec: FleetSpec) -> Limits:
    return Limits(
        removals_per_plan_percent=spec.limits.removals_per_plan,
        removals_per_day_percent=spec.limits.removals_per_day,
        concurrent_hosts=spec.limits.concurrent_hosts,
        creates_per_host=spec.limits.creates_per_host,
    )


def _reap(spec: FleetSpec) -> Reap:
    return Reap(
        mode=spec.reap.mode,
        older_than_s=spec.reap.older_than,
        grace_s=spec.reap.grace,
        idle_after_s=spec.reap.idle_after,
        legacy_patterns=spec.reap.legacy_patterns,
        legacy_roots=spec.reap.legacy_roots,
    )


def _sink(sink: Sink, *, fleet: str) -> SinkDesired:
    return SinkDesired(
        type=sink.type,
        name=sink.called,
        url=sink.url or "",
        workstream=sink.workstream or fleet,
        path=_HUB_PATH if sink.path is None else sink.path,
        token=sink.token,
        fields=sink.fields,
        folder=sink.folder or "",
        options=sink.options,
    )


def _host(document: HostDocument, documents: Documents) -> HostDesired:
    spec = document.spec
    return HostDesired(
        name=document.name,
        access=_access(document, documents),
        labels=dict(document.metadata.labels),
        storage=dict(spec.storage_roots),
        admission=Admission(
            disk_free_min_bytes=spec.admission.min_disk_free,
            memory_available_min_bytes=spec.admission.min_memory_available,
            load_per_cpu_max=spec.admission.max_load_per_cpu,
            sandboxes_max=spec.admission.max_sandboxes,
        ),
        suspend=suspend(spec.suspend),
        at=document.at,
    )


def _access(document: HostDocument, documents: Documents) -> HostAccess:
    """Say how to reach a host; a `jump` is another Host with its own pinned key, and crosschecks bounded the chain."""
    spec = document.spec
    ssh = spec.ssh
    base_dir = spec.base_in(documents.fleet.name)
    if spec.address == LOCAL or ssh is None:
        return HostAccess(name=document.name, address=spec.address, docker_socket=spec.docker_socket, base_dir=base_dir)
    return HostAccess(
        name=document.name,
        address=spec.address,
        docker_socket=spec.docker_socket,
        base_dir=base_dir,
        user=ssh.user,
        port=ssh.port,
        host_key=ssh.host_key,
        identity_file=ssh.identity_file,
        agent=ssh.agent,
        jump=_access(documents.hosts[ssh.jump], documents) if ssh.jump is not None else None,
    )
