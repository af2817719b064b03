"""Write what the engine is sent: the bodies of create and update.

Pure. Everything that a container's canonical form names is said in full, so that no default of an engine decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from reconciler.model.completion import SHM_DEFAULT_BYTES
from reconciler.model.resource import Container, Gpus, Healthcheck, Mount
from reconciler.model.text import plain

_NS_PER_MS = 1_000_000
_DEVICE_PARTS_MAX = 3

EVERY_GPU = -1
"""What Docker writes for all devices of a request."""


def create_body(container: Container, *, labels: Mapping[str, str]) -> dict[str, Any]:
    """Write the body of a create, in the first of the container's networks; the others are connected before its start.

    Args:
        container: bound: no late value may be left in it.
        labels: ours; they win over the container's own.

    Raises:
        Unbound: a late value is left.
    """
    body: dict[str, Any] = {
        "Image": container.image,
        "Env": [f"{name}={plain(value)}" for name, value in sorted(container.env.items())],
        "Labels": {**container.labels, **labels},
        "ExposedPorts": {port: {} for port in container.ports},
        "StopTimeout": container.stop_grace_s,
        "HostConfig": _host_config(container),
    }
    optional = {
        "Entrypoint": None if container.entrypoint is None else [plain(word) for word in container.entrypoint],
        "Cmd": None if container.command is None else [plain(word) for word in container.command],
        "User": container.user,
        "WorkingDir": container.working_dir,
        "StopSignal": container.stop_signal,
        "Healthcheck": None if container.healthcheck is None else _healthcheck(container.healthcheck),
    }
    body.update({name: value for name, value in optional.items() if value is not None})
    first = container.first_network
    if first is not None:
        body["NetworkingConfig"] = {"EndpointsConfig": {first: {"Aliases": list(container.networks[first])}}}
    return body


def update_body(*, restart: str, cpu_nanos: int | None, memory_bytes: int | None, pids: int | None) -> dict[str, Any]:
    """Write the body of an update.

    A limit of CPU or memory that is None is left out, since the engine ignores an update to 0: lifting one takes
    another container. Memory goes with its swap limit, twice as large, or the engine refuses to raise it.
    """
    body: dict[str, Any] = {"RestartPolicy": _restart(restart), "PidsLimit": pids or 0}
    if cpu_nanos is not None:
        body["NanoCpus"] = cpu_nanos
    if memory_bytes is not None:
        body |= {"Memory": memory_bytes, "MemorySwap": 2 * memory_bytes}
    return body


def _host_config(container: Container) -> dict[str, Any]:
    memory = container.memory_bytes or 0
    return _device_requests(container.gpu) | {
        "NetworkMode": container.first_network or container.network_mode,
        "IpcMode": container.ipc,
        # Mounts and never Binds: with a missing source, Binds would make the directory as root.
        "Mounts": [_mount(target, mount) for target, mount in sorted(container.mounts.items())],
        "PortBindings": {
            port: [{"HostIp": place.bind, "HostPort": "" if place.host_port is None else str(place.host_port)}]
            for port, place in sorted(container.ports.items())
        },
        "CapAdd": list(container.cap_add),
        "CapDrop": list(container.cap_drop),
        "Devices": [_device(device) for device in container.devices],
        "SecurityOpt": list(container.security_opt),
        "ReadonlyRootfs": container.read_only,
        "Init": container.init,
        "ShmSize": container.shm_bytes or SHM_DEFAULT_BYTES,
        "Ulimits": [
            {"Name": name, "Soft": limit.soft, "Hard": limit.hard} for name, limit in sorted(container.ulimits.items())
        ],
        "ExtraHosts": [f"{name}:{address}" for name, address in sorted(container.extra_hosts.items())],
        "LogConfig": {"Type": container.logs.driver, "Config": dict(container.logs.options)},
        "RestartPolicy": _restart(container.restart),
        "NanoCpus": container.cpu_nanos or 0,
        "Memory": memory,
        "MemorySwap": 2 * memory,
        "PidsLimit": container.pids or 0,
    }


def _mount(target: str, mount: Mount) -> dict[str, Any]:
    return {"Type": mount.kind, "Source": plain(mount.source), "Target": target, "ReadOnly": mount.read_only}


def _device(text: str) -> dict[str, str]:
    """Read `host[:container[:permissions]]`."""
    host, *rest = text.split(":", _DEVICE_PARTS_MAX - 1)
    inside = rest[0] if rest else host
    permissions = rest[1] if len(rest) > 1 else "rwm"
    return {"PathOnHost": host, "PathInContainer": inside, "CgroupPermissions": permissions}


def _device_requests(gpu: Gpus | msgspec.UnsetType) -> dict[str, Any]:
    """Ask as `docker run --gpus` does: no driver is named, so that whichever has the capability takes it."""
    if gpu is msgspec.UNSET:
        return {}
    count = EVERY_GPU if gpu.count is None else gpu.count
    return {"DeviceRequests": [{"Driver": "", "Count": count, "Capabilities": [["gpu"]]}]}


def _restart(policy: str) -> dict[str, Any]:
    name, _, tries = policy.partition(":")
    return {"Name": name, "MaximumRetryCount": int(tries) if tries else 0}


def _healthcheck(check: Healthcheck) -> dict[str, Any]:
    times = {
        "Interval": check.interval_ms,
        "Timeout": check.timeout_ms,
        "StartPeriod": check.start_period_ms,
    }
    return {
        "Test": list(check.test),
        "Retries": check.retries or 0,
        **{name: (value or 0) * _NS_PER_MS for name, value in times.items()},
    }
