"""Lower one sandbox: names become the ones Docker will see, paths become absolute, defaults are filled in."""

from __future__ import annotations

import posixpath
from typing import assert_never

import msgspec

from reconciler.load.documents import SandboxDocument
from reconciler.model.compose import ComposePolicy
from reconciler.model.desired import SandboxDesired, Suspend
from reconciler.model.digest import intent_digest
from reconciler.model.names import DerivedName, sandbox_uid
from reconciler.model.probe import ExecProbe, HealthProbe, HttpProbe, LogProbe, Probe, TcpProbe
from reconciler.model.resource import (
    TREE_NAME,
    Compose,
    Container,
    Directory,
    File,
    Gpus,
    Healthcheck,
    Mount,
    Network,
    Published,
    Resource,
    Tree,
    Ulimit,
    Volume,
)
from reconciler.model.source import SourceRef
from reconciler.model.text import BASE_DIR, Late, Template, Text
from reconciler.spec import container as spec_container
from reconciler.spec import readiness
from reconciler.spec.sandbox import SandboxSpec

_BASE = Late(BASE_DIR)
_NANOS = 1_000_000_000


class _Lowering(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what every part of one sandbox's lowering needs."""

    fleet: str
    name: str
    spec: SandboxSpec
    storage_roots: tuple[str, ...]
    policy: ComposePolicy

    def docker_name(self, resource: str) -> str:
        return str(DerivedName(self.fleet, self.name, resource))

    def path(self, written: Text) -> Text:
        """Make a path absolute: what does not begin with / lies in the sandbox's own folder."""
        parts = written.parts if isinstance(written, Template) else (written,)
        if isinstance(parts[0], str) and parts[0].startswith("/"):
            return written
        folder = f"/{sandbox_uid(self.fleet, self.name)}/"
        if isinstance(parts[0], str):
            return Template((_BASE, folder + parts[0], *parts[1:]))
        return Template((_BASE, folder, *parts))

    def is_data(self, written: Text) -> bool:
        """Tell whether a path lies under a storage root of the host."""
        first = written.parts[0] if isinstance(written, Template) else written
        return isinstance(first, str) and any(first.startswith(root + "/") for root in self.storage_roots)


def lower_sandbox(
    document: SandboxDocument,
    *,
    fleet: str,
    storage_roots: tuple[str, ...],
    policy: ComposePolicy,
) -> SandboxDesired:
    """Lower one sandbox of `fleet`, whose host has these storage roots, under what the Fleet allows its profile."""
    spec = document.spec
    lowering = _Lowering(
        fleet=fleet,
        name=document.name,
        spec=spec,
        storage_roots=storage_roots,
        policy=policy,
    )
    suspension = spec.suspend
    sandbox = SandboxDesired(
        name=document.name,
        uid=sandbox_uid(fleet, document.name),
        host=document.host,
        profile=spec.profile,
        resources=(*_support(lowering), *_containers(lowering), *_compose(lowering)),
        probes=tuple(_probe(name, probe, spec) for name, probe in sorted(spec.readiness.items())),
        update=spec.update,
        deletion=spec.deletion_policy,
        drift=spec.drift,
        observability=spec.observability,
        protected=spec.protect,
        ttl_s=spec.ttl,
        keep_runs=spec.keep_runs,
        depends_on=spec.depends_on,
        suspend=None
        if suspension is None
        else Suspend(reason=suspension.reason, by=suspension.by, until=suspension.until),
        labels=dict(document.metadata.labels),
        origins=_origins(document),
        at=document.at,
    )
    return msgspec.structs.replace(sandbox, intent=intent_digest(sandbox))


def _origins(document: SandboxDocument) -> dict[str, SourceRef]:
    """Add where a container's GPUs were said that says nothing of them itself."""
    said = document.origins.get("gpu")
    if said is None:
        return document.origins
    silent = [name for name, item in document.spec.containers.items() if item.gpu is None]
    return {**document.origins, **{f"containers.{name}.gpu": said for name in silent}}


def _support(lowering: _Lowering) -> list[Resource]:
    """Lower what containers stand on; networks and volumes are the ones that containers name."""
    spec = lowering.spec
    networks = sorted({name for container in spec.containers.values() for name in container.networks})
    volumes = sorted({name for container in spec.containers.values() for name in container.volumes})
    directories = [
        Directory(name=name, path=lowering.path(item.path), mode=item.mode, data=lowering.is_data(item.path))
        for name, item in sorted(spec.directories.items())
    ]
    files = [
        File(
            name=name,
            path=lowering.path(item.path),
            content=item.content,
            mode=item.mode,
            make_at=item.make_at,
            drop_at=None if item.drop_at == "never" else item.drop_at,
        )
        for name, item in sorted(spec.files.items())
    ]
    return [
        *directories,
        *files,
        *_trees(lowering),
        *(Volume(name=name) for name in volumes),
        *(Network(name=name) for name in networks),
    ]


def _trees(lowering: _Lowering) -> list[Tree]:
    """Lower a tree; what is in it is read each time that the specs are, since no spec tells.

    A compose file without a source is a tree of its own, with nothing else in it.
    """
    source, compose = lowering.spec.source, lowering.spec.compose
    if source is not None:
        return [Tree(path=lowering.path(TREE_NAME), folder=source.path, exclude=source.exclude)]
    if compose is None:
        return []
    folder, name = posixpath.split(compose.file)
    return [Tree(path=lowering.path(TREE_NAME), folder=folder or ".", exclude=("*", f"!/{name}"))]


def _compose(lowering: _Lowering) -> list[Compose]:
    """Lower a compose file, whose services are read with its tree."""
    compose = lowering.spec.compose
    if compose is None:
        return []
    file = compose.file if lowering.spec.source is not None else posixpath.basename(compose.file)
    return [Compose(folder=lowering.path(TREE_NAME), file=file, policy=lowering.policy)]


def _containers(lowering: _Lowering) -> list[Container]:
    return [_container(lowering, name, item) for name, item in sorted(lowering.spec.containers.items())]


def _container(lowering: _Lowering, name: str, item: spec_container.Container) -> Container:
    check = item.healthcheck
    networks = {lowering.docker_name(net): tuple(sorted({name, *at.aliases})) for net, at in item.networks.items()}
    default_restart = "no" if item.run == "once" else "unless-stopped"
    return Container(
        name=name,
        image=item.image,
        entrypoint=item.entrypoint,
        command=item.command,
        env=dict(sorted(item.env.items())),
        user=item.user,
        working_dir=item.working_dir,
        labels=dict(sorted(item.labels.items())),
        mounts=_mounts(lowering, item),
        ports={f"{port.container}/{port.protocol}": Published(port.bind, port.host) for port in item.ports.values()},
        network_mode=item.network_mode,
        networks=networks,
        ipc=item.ipc,
        cap_add=tuple(sorted(set(item.cap_add))),
        cap_drop=("ALL",) if lowering.policy.hardened else (),
        devices=tuple(sorted(set(item.devices))),
        gpu=_gpus(item.gpu or lowering.spec.gpu),
        security_opt=("no-new-privileges",) if lowering.policy.hardened else (),
        read_only=lowering.policy.hardened and not lowering.policy.writable_root,
        init=item.init,
        healthcheck=None
        if check is None
        else Healthcheck(
            test=_literal(check.test),
            interval_ms=check.interval,
            timeout_ms=check.timeout,
            start_period_ms=check.start_period,
            retries=check.retries,
        ),
        stop_grace_s=item.stop_grace,
        shm_bytes=item.shm_size,
        ulimits={key: Ulimit(limit.soft, limit.hard) for key, limit in sorted(item.ulimits.items())},
        extra_hosts=dict(sorted(item.extra_hosts.items())),
        restart=item.restart or default_restart,
        cpu_nanos=None if item.resources.cpus is None else round(item.resources.cpus * _NANOS),
        memory_bytes=item.resources.memory,
        pids=item.resources.pids,
        run=item.run,
        optional=item.optional,
        after=tuple(sorted(set(item.depends_on))),
    )


def _gpus(gpu: spec_container.Gpu | None) -> Gpus | msgspec.UnsetType:
    if gpu is None or gpu.policy == "off":
        return msgspec.UNSET
    return Gpus(count=gpu.count, policy=gpu.policy, cuda=gpu.cuda)


def _literal(argv: tuple[Text, ...]) -> tuple[str, ...]:
    return tuple(str(word) for word in argv)


def _mounts(lowering: _Lowering, item: spec_container.Container) -> dict[str, Mount]:
    """Lower mounts and volumes to one map of paths inside the container."""
    found: dict[str, Mount] = {}
    for target, mount in item.mounts.items():
        if mount.directory is not None:
            source = lowering.path(lowering.spec.directories[mount.directory].path)
        elif mount.file is not None:
            source = lowering.path(lowering.spec.files[mount.file].path)
        elif mount.source:
            source = lowering.path(TREE_NAME)
        else:
            source = mount.path or ""
        found[target] = Mount("bind", source, mount.read_only)
    for volume, target in item.volumes.items():
        found[target] = Mount("volume", lowering.docker_name(volume))
    return dict(sorted(found.items()))


def _probe(name: str, probe: readiness.Probe, spec: SandboxSpec) -> Probe:
    """Lower one probe; ports are looked up by the name that the container gives them."""
    way = probe.way
    timeout_s, interval_s = float(probe.timeout), float(probe.interval)
    asked = way.container
    match way:
        case readiness.HttpProbe():
            low, high = way.status
            port = spec.containers[asked].ports[way.port].container
            return HttpProbe(
                name=name,
                container=asked,
                timeout_s=timeout_s,
                interval_s=interval_s,
                port=port,
                path=way.path,
                status_min=low,
                status_max=high,
            )
        case readiness.TcpProbe():
            port = spec.containers[asked].ports[way.port].container
            return TcpProbe(name=name, container=asked, timeout_s=timeout_s, interval_s=interval_s, port=port)
        case readiness.ExecProbe():
            command = _literal(way.command)
            return ExecProbe(name=name, container=asked, timeout_s=timeout_s, interval_s=interval_s, command=command)
        case readiness.LogProbe():
            pattern = way.pattern
            return LogProbe(name=name, container=asked, timeout_s=timeout_s, interval_s=interval_s, pattern=pattern)
        case readiness.HealthProbe():
            return HealthProbe(name=name, container=asked, timeout_s=timeout_s, interval_s=interval_s)
        case _ as never:
            assert_never(never)
