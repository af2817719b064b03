"""Judge what a compose file asks of a host, as `docker compose config` resolved it.

The judge knows every key that it lets through. What it does not know is refused: a later compose may give it a meaning.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any

from reconciler.model.compose import Model, Project
from reconciler.model.labels import PREFIX
from reconciler.model.mounting import exposed_by, exposed_of_docker
from reconciler.model.resource import STAGED

_HARMLESS = frozenset(
    (
        "attach", "command", "container_name", "cpu_count", "cpu_percent", "cpu_period", "cpu_quota",
        "cpu_shares", "cpus", "cpuset", "depends_on", "dns", "dns_opt", "dns_search", "domainname", "entrypoint",
        "environment", "expose", "extra_hosts", "healthcheck", "hostname", "init", "mem_limit", "mem_reservation",
        "memswap_limit", "mem_swappiness", "pids_limit", "platform", "profiles", "pull_policy", "read_only", "restart",
        "shm_size", "stdin_open", "stop_grace_period", "stop_signal", "tmpfs", "tty", "ulimits", "user", "working_dir",
        "cap_drop",
    )
)  # fmt: skip
"""Keys of a service that ask for nothing of the host, or for less than Docker gives anyway."""

_PROJECT_KEYS = frozenset(("name", "networks", "services", "version", "volumes"))
_NETWORK_KEYS = frozenset(("attachable", "enable_ipv6", "internal", "ipam", "labels", "name"))
_VOLUME_KEYS = frozenset(("labels", "name"))
_MOUNT_KEYS = frozenset(("bind", "consistency", "read_only", "source", "target", "tmpfs", "type", "volume"))
_BIND_KEYS = frozenset(("create_host_path", "propagation", "selinux"))
_LOG_DRIVERS = frozenset(("", "json-file", "local", "journald", "none"))
_VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*", re.ASCII)
_LIMITS = frozenset(("cpus", "memory", "pids"))
_ORDER = frozenset(("replicas", "resources", "placement", "restart_policy"))


def in_place(model: Model, project: Project) -> Model:
    """Give a model that was resolved where its tree was staged with the host's paths as they are in its place."""
    above, _, name = project.folder.rpartition("/")
    staged = f"{above}/{STAGED}{name.removeprefix(STAGED)}"

    def moved(mount: Any) -> Any:
        source = mount.get("source") if isinstance(mount, dict) and mount.get("type") == "bind" else None
        if isinstance(source, str) and f"{source}/".startswith(f"{staged}/"):
            return {**mount, "source": project.folder + source.removeprefix(staged)}
        return mount

    services = model.get("services")
    if not isinstance(services, dict):
        return model
    placed = {
        name: {**one, "volumes": [moved(mount) for mount in one["volumes"]]}
        if isinstance(one, dict) and isinstance(one.get("volumes"), list)
        else one
        for name, one in services.items()
    }
    return {**model, "services": placed}


def judge(model: Model, project: Project) -> tuple[str, ...]:
    """Say everything that forbids a resolved compose file; empty when nothing does."""
    try:
        return tuple(_faults(model, project))
    except (AttributeError, TypeError, ValueError) as error:
        # A later compose may write a key in another form; what cannot be read is not allowed.
        return (f"compose resolved it to a form that nothing here judges: {error}",)


def _faults(model: Model, project: Project) -> Iterator[str]:
    services = model.get("services") or {}
    for key in sorted(model.keys() - _PROJECT_KEYS):
        if not key.startswith("x-") and model[key]:
            yield f"{key}: nothing judges this key"
    if model.get("name") != project.name:
        yield f"name: it is {model.get('name')!r}, not {project.name!r}"
    if set(services) != set(project.services):
        told = ", ".join(sorted(services)) or "none"
        yield f"services: compose resolved {told}, and the file names {', '.join(project.services) or 'none'}"
    for name, service in sorted(services.items()):
        for fault in _service_faults(name, service, project):
            yield f"services.{name}.{fault}"
    yield from _nested_faults(services)
    yield from _part_faults("networks", model.get("networks") or {}, project, known=_NETWORK_KEYS)
    yield from _part_faults("volumes", model.get("volumes") or {}, project, known=_VOLUME_KEYS)


def _is_unsaid(value: Any) -> bool:
    """Tell whether a key is as good as not there. Zero is not: `scale: 0` means something."""
    return value is None or value is False or (isinstance(value, dict | list | str) and not value)


def _binds(service: Model) -> Iterator[Model]:
    return (mount for mount in service.get("volumes") or () if mount.get("type") == "bind")


def _nested_faults(services: Model) -> Iterator[str]:
    """Refuse a host path below one that a service may write to: it could be exchanged for a link before it is mounted.

    Services start one after the other, so no look at the host beforehand tells what a later one would get.
    """
    written = {str(one["source"]): name for name, said in services.items() for one in _binds(said) if not _is_read(one)}
    for name, said in sorted(services.items()):
        for source in (str(mount["source"]) for mount in _binds(said)):
            outer = sorted(path for path in written if path != source and source.startswith(f"{path.rstrip('/')}/"))
            above = next(iter(outer), None)
            if above is not None:
                yield (
                    f"services.{name}.volumes: {source} lies below {above}, which {written[above]} may write to: "
                    "mount that one read-only, or a folder beside it"
                )


def _is_read(mount: Model) -> bool:
    return mount.get("read_only") is True


def _part_faults(kind: str, parts: Model, project: Project, *, known: frozenset[str]) -> Iterator[str]:
    for name, part in sorted(parts.items()):
        said = {key for key, value in (part or {}).items() if not _is_unsaid(value)}
        if (part or {}).get("external"):
            yield f"{kind}.{name}.external: what is outside of the project is not ours to use"
            continue
        for key in sorted(said - known - {"driver"}):
            yield f"{kind}.{name}.{key}: nothing judges this key"
        if kind == "networks" and set((part or {}).get("ipam") or {}) - {"driver"}:
            # Such a route could take an address away from the host that it needs itself, or its operator.
            yield f"{kind}.{name}.ipam: addresses are chosen by the engine"
        elif kind == "networks" and ((part or {}).get("ipam") or {}).get("driver", "default") != "default":
            yield f"{kind}.{name}.ipam.driver: only default is let through"
        usual = {"networks": "bridge", "volumes": "local"}[kind]
        if (part or {}).get("driver", usual) not in ("", usual):
            yield f"{kind}.{name}.driver: only {usual} is let through"
        if (part or {}).get("name") != f"{project.name}_{name}":
            yield f"{kind}.{name}.name: a name of its own would be no proof of whose it is"
        if any(label.startswith(PREFIX) for label in (part or {}).get("labels") or {}):
            yield f"{kind}.{name}.labels: {PREFIX}… is the reconciler's own"


def _service_faults(name: str, service: Model, project: Project) -> Iterator[str]:
    for key, value in sorted(service.items()):
        if _is_unsaid(value) or key.startswith("x-"):
            continue
        check = _CHECKS.get(key)
        if check is not None:
            yield from (f"{key}: {fault}" for fault in check(value, project))
        elif key not in _HARMLESS:
            yield f"{key}: nothing judges this key"
    if service.get("container_name"):
        yield "container_name: a name of its own would be no proof of whose it is"
    if not service.get("image"):
        yield "image: it names none; build it first, and name what was built"
    if "/" in name or name != name.lower():
        yield "its name: lower-case letters, digits, - and _ are let through"


def _check_image(value: Any, project: Project) -> Iterator[str]:
    if not any(fnmatchcase(str(value), pattern) for pattern in project.policy.images):
        yield f"the Fleet's policy does not allow {value}"


def _check_labels(value: Any, project: Project) -> Iterator[str]:  # noqa: ARG001  # one signature for all
    if any(str(label).startswith(PREFIX) for label in value):
        yield f"{PREFIX}… is the reconciler's own"


def _check_volumes(value: Any, project: Project) -> Iterator[str]:
    for mount in value:
        kind, source = mount.get("type"), str(mount.get("source") or "")
        for key in sorted(mount.keys() - _MOUNT_KEYS):
            yield f"{key}: nothing judges this key"
        if kind == "bind":
            yield from _bind_faults(source, mount.get("bind") or {}, project)
        elif kind == "volume" and source and _VOLUME_NAME.fullmatch(source) is None:
            yield f"{source} is no name of a volume"
        elif kind not in ("tmpfs", "volume"):
            yield f"a mount of type {kind} is not let through"


def _bind_faults(source: str, bind: Model, project: Project) -> Iterator[str]:
    why = _why_not_mounted(source, project)
    if why is not None:
        yield f"{source} of the host is not mounted: {why}"
    for key in sorted(bind.keys() - _BIND_KEYS):
        yield f"bind.{key}: nothing judges this key"
    if bind.get("propagation") not in (None, "", "private", "rprivate"):
        yield f"{source}: only private propagation is let through"
    if bind.get("selinux") and not source.startswith(f"{project.base_dir}/{project.uid}/"):
        yield f"{source}: labels of a folder that is not the sandbox's own are not changed"


def _why_not_mounted(source: str, project: Project) -> str | None:
    if not source.startswith("/") or posixpath.normpath(source) != source:
        return "it is no absolute path in its shortest form"
    if "$" in source:
        # Compose writes it doubled, so this is not the path that would be mounted, and none that can be looked at.
        return "a dollar sign in a path is not let through"
    own = f"{project.base_dir}/{project.uid}/"
    if f"{source}/".startswith(f"{project.folder}/"):
        return None
    if source.startswith(own):
        hidden = source.removeprefix(own).startswith(".")
        return "what is ours is not for containers" if hidden else None
    exposed = exposed_by(source, base_dir=project.base_dir, uid=project.uid) or exposed_of_docker(
        source, docker_root=project.docker_root
    )
    if exposed is not None:
        return exposed
    if source.endswith(".sock"):
        return "it looks like a socket"
    allowed = any(source == root or source.startswith(f"{root.rstrip('/')}/") for root in project.policy.mounts)
    return None if allowed else "the Fleet's policy.mounts does not name it"


def _check_logging(value: Any, project: Project) -> Iterator[str]:  # noqa: ARG001  # one signature for all
    """Let through what stays on the host: the engine would send the rest anywhere, as root and from the host itself."""
    driver = value.get("driver") or ""
    if driver not in _LOG_DRIVERS:
        yield f"the driver {driver} is not let through: the engine itself would send the logs on"
    for key in sorted(value.keys() - {"driver", "options"}):
        yield f"{key}: nothing judges this key"


def _check_oom_score_adj(value: Any, project: Project) -> Iterator[str]:  # noqa: ARG001  # one signature for all
    if int(value) < 0:
        yield "below 0 the host would end other things in its place"


def _check_network_mode(value: Any, project: Project) -> Iterator[str]:
    mode = str(value)
    if mode == "host" and not project.policy.host_network:
        yield "the Fleet's policy denies the host's network"
    elif mode not in ("host", "bridge", "none") and not mode.startswith("service:"):
        yield f"{mode} is not let through"


def _check_ipc(value: Any, project: Project) -> Iterator[str]:
    if value == "host" and not project.policy.host_ipc:
        yield "the Fleet's policy denies the host's ipc"
    elif value not in ("host", "private", "none", "shareable") and not str(value).startswith("service:"):
        yield f"{value} is not let through"


def _check_cap_add(value: Any, project: Project) -> Iterator[str]:
    for capability in value:
        if str(capability).upper().removeprefix("CAP_") not in project.policy.cap_add:
            yield f"the Fleet's policy denies {capability}"


def _check_devices(value: Any, project: Project) -> Iterator[str]:
    for device in value:
        said = device if isinstance(device, str) else str(device.get("source", device))
        if said not in project.policy.devices and said.partition(":")[0] not in project.policy.devices:
            yield f"the Fleet's policy denies {said}"


def _check_networks(value: Any, project: Project) -> Iterator[str]:  # noqa: ARG001  # one signature for all
    for name, said in value.items():
        for key in sorted((said or {}).keys() - {"aliases", "priority"}):
            yield f"{name}.{key}: nothing judges this key"


def _check_ports(value: Any, project: Project) -> Iterator[str]:  # noqa: ARG001  # one signature for all
    for port in value:
        for key in sorted(port.keys() - {"mode", "host_ip", "target", "published", "protocol", "name", "app_protocol"}):
            yield f"{key}: nothing judges this key"


def _check_deploy(value: Any, project: Project) -> Iterator[str]:  # noqa: ARG001  # one signature for all
    for key in sorted(key for key, said in value.items() if said and key not in _ORDER):
        yield f"{key}: nothing judges this key"
    if value.get("replicas") not in (None, 1):
        yield "replicas: each service has one container here"
    for kind, said in (value.get("resources") or {}).items():
        for key in sorted((said or {}).keys() - _LIMITS):
            yield f"resources.{kind}.{key}: nothing judges this key"


def _check_scale(value: Any, project: Project) -> Iterator[str]:  # noqa: ARG001  # one signature for all
    if value != 1:
        yield "each service has one container here"


_CHECKS: dict[str, Callable[[Any, Project], Iterator[str]]] = {
    "cap_add": _check_cap_add,
    "deploy": _check_deploy,
    "devices": _check_devices,
    "image": _check_image,
    "ipc": _check_ipc,
    "labels": _check_labels,
    "logging": _check_logging,
    "network_mode": _check_network_mode,
    "networks": _check_networks,
    "oom_score_adj": _check_oom_score_adj,
    "ports": _check_ports,
    "scale": _check_scale,
    "volumes": _check_volumes,
}
