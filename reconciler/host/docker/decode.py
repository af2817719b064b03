"""Decode the engine's replies into nouns, each container in the one canonical form that wants are brought to as well.

Pure. Docker rewrites what it is sent, and differently from one version to the next; every rule that undoes this is
here or in `model.completion`. Source of the rules: inspect replies of Docker 20.10 and 26.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import cast, get_args

import msgspec

from reconciler.host.docker.replies import (
    BindingReply,
    ConfigReply,
    ContainerList,
    ContainerReply,
    DeviceReply,
    DeviceRequestReply,
    HealthcheckReply,
    HostConfigReply,
    ImageReply,
    ListedReply,
    MountReply,
    NetworkList,
    NetworkSettingsReply,
    RestartReply,
    StateReply,
    VolumesReply,
    read_reply,
    reply_invalid,
)
from reconciler.model.completion import LABEL_DISABLE, SHM_DEFAULT_BYTES, STOP_SIGNAL_DEFAULT
from reconciler.model.labels import from_docker, without_ours
from reconciler.model.observed import (
    ImageFact,
    Live,
    Neighbour,
    SeenContainer,
    SeenNetwork,
    SeenVolume,
    State,
)
from reconciler.model.resource import Container, Gpus, Healthcheck, LogPolicy, Mount, Published, Ulimit

STOP_GRACE_DEFAULT_S = 10
EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - what Docker means by an empty address; nothing binds here
CPU_PERIOD_DEFAULT_US = 100_000

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_STATES: tuple[str, ...] = get_args(State)
_BUILT_IN_NETWORKS = frozenset({"bridge", "host", "none"})
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:(Z)|([+-])(\d\d):(\d\d))", re.ASCII)
_YEAR_MAX = 2199


def decode_container(raw: object, *, host: str) -> SeenContainer:
    """Decode one inspected container.

    Raises:
        ReadFailed: `E_HOST_REPLY`, naming host and field, when it is not as Docker writes it.
    """
    what = "an inspected container"
    reply = read_reply(raw, ContainerReply, host=host, what=what)
    created_at = decode_time(reply.created, host=host, what=f"{what}'s Created")
    if created_at is None:
        raise reply_invalid("Created is the zero time", host=host, what=what)
    labels = dict(reply.config.labels or {})
    name = reply.name.removeprefix("/")
    ours = from_docker(labels)
    return SeenContainer(
        full_id=reply.id,
        name=name,
        labels=labels,
        image_id=reply.image,
        created_at=created_at,
        spec=_canonical(ours.resource if ours is not None else name, reply),
        live=_live(reply.state, restart_count=reply.restart_count, host=host),
        network_ids={
            network: endpoint.network_id
            for network, endpoint in (reply.network_settings.networks or {}).items()
            if endpoint is not None and endpoint.network_id
        },
    )


def decode_image(raw: object, *, host: str) -> ImageFact:
    """Decode one inspected image. Raises `ReadFailed` as `decode_container` does."""
    reply = read_reply(raw, ImageReply, host=host, what="an inspected image")
    config = reply.config or ConfigReply()
    return ImageFact(
        id=reply.id,
        digests=tuple(sorted({name.rpartition("@")[2] for name in reply.repo_digests or ()})),
        env=_env(config.env),
        entrypoint=tuple(config.entrypoint or ()),
        command=tuple(config.cmd or ()),
        labels=dict(config.labels or {}),
        user=config.user,
        working_dir=config.working_dir,
        healthcheck=_healthcheck(config.healthcheck),
        stop_signal=config.stop_signal or None,
    )


def decode_list(raw: object, *, host: str) -> tuple[Neighbour, ...]:
    """Decode the list of all containers, sorted by id.

    Raises:
        ReadFailed: `E_HOST_REPLY` when it is not as Docker writes it, or has one id twice.
    """
    what = "the list of containers"
    replies = read_reply(raw, ContainerList, host=host, what=what)
    by_id = {reply.id: reply for reply in replies}
    if len(by_id) != len(replies):
        raise reply_invalid("one id stands in it twice", host=host, what=what)
    return tuple(_neighbour(by_id[full_id]) for full_id in sorted(by_id))


def decode_networks(raw: object, *, host: str) -> tuple[SeenNetwork, ...]:
    """Decode the list of networks, sorted by name and id: Docker lets two have one name. Raises `ReadFailed`."""
    replies = read_reply(raw, NetworkList, host=host, what="the list of networks")
    found = (
        SeenNetwork(
            id=reply.id,
            name=reply.name,
            labels=dict(reply.labels or {}),
            created_at=decode_time(reply.created, host=host, what=f"network {reply.name}'s Created"),
        )
        for reply in replies
    )
    return tuple(sorted(found, key=lambda network: (network.name, network.id)))


def decode_volumes(raw: object, *, host: str) -> tuple[SeenVolume, ...]:
    """Decode the list of volumes, sorted by name. Raises `ReadFailed`."""
    reply = read_reply(raw, VolumesReply, host=host, what="the list of volumes")
    found = (SeenVolume(name=volume.name, labels=dict(volume.labels or {})) for volume in reply.volumes or ())
    return tuple(sorted(found, key=lambda volume: volume.name))


def decode_time(text: str, *, host: str, what: str) -> datetime | None:
    """Read one of Docker's times, nanoseconds cut to microseconds; an empty one and the year 1 mean "never".

    Raises:
        ReadFailed: `E_HOST_REPLY` when it is no time, or one after the year 2199.
    """
    if not text:
        return None
    found = _TIME.fullmatch(text)
    if found is None:
        raise reply_invalid(f"{text[:40]!r} is no time", host=host, what=what)
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    if year == 1:
        return None
    fraction, _, sign, offset_h, offset_min = found.groups()[6:]
    zone: timezone = UTC
    if sign is not None:
        offset = timedelta(hours=int(offset_h), minutes=int(offset_min))
        zone = timezone(offset if sign == "+" else -offset)
    try:
        micros = int((fraction or "").ljust(6, "0")[:6])
        moment = datetime(year, month, day, hour, minute, second, micros, tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise reply_invalid(f"{text[:40]!r} is no time", host=host, what=what) from error
    if year > _YEAR_MAX:
        raise reply_invalid(f"{text[:40]!r} is too far away", host=host, what=what)
    return moment


def _live(state: StateReply, *, restart_count: int, host: str) -> Live:
    if state.status not in _STATES:
        raise reply_invalid(f"State.Status is {state.status[:40]!r}", host=host, what="an inspected container")
    health = state.health.status if state.health is not None else ""
    return Live(
        state=cast("State", state.status),  # one of them, as was just checked
        exit_code=state.exit_code,
        started_at=decode_time(state.started_at, host=host, what="State.StartedAt"),
        finished_at=decode_time(state.finished_at, host=host, what="State.FinishedAt"),
        health=health if health not in {"", "none"} else None,
        restart_count=restart_count,
        oom_killed=state.oom_killed,
        error=state.error,
    )


def _neighbour(reply: ListedReply) -> Neighbour:
    # A linked container is also listed as `/other/alias`; its own name has one slash; a half removed one has none.
    names = [name.removeprefix("/") for name in reply.names or () if name.count("/") <= 1]
    taken = {
        f"{port.ip or EVERY_ADDRESS}:{port.public_port}/{port.type}" for port in reply.ports or () if port.public_port
    }
    return Neighbour(
        full_id=reply.id,
        name=names[0] if names else "",
        state=reply.state,
        labels=dict(reply.labels or {}),
        ports=tuple(sorted(taken)),
        created_epoch_s=reply.created or None,
        mounted=tuple(sorted(mount.source for mount in reply.mounts or () if mount.type == "bind")),
    )


def _canonical(name: str, reply: ContainerReply) -> Container:
    config, asked = reply.config, reply.host_config
    mode, networks = _networks(asked.network_mode, reply.network_settings, short_id=reply.id[:12])
    ipc = asked.ipc_mode or "private"
    return Container(
        name=name,
        image=config.image,
        entrypoint=tuple(config.entrypoint or ()),
        command=tuple(config.cmd or ()),
        env=dict(_env(config.env)),
        user=config.user,
        working_dir=config.working_dir or "/",
        labels=without_ours(config.labels or {}),
        mounts=_mounts(asked),
        ports=_ports(asked.port_bindings or {}),
        network_mode=mode,
        networks=networks,
        ipc=ipc,
        cap_add=_capabilities(asked.cap_add),
        cap_drop=_capabilities(asked.cap_drop),
        devices=tuple(sorted(_device(device) for device in asked.devices or ())),
        gpu=next((_gpus(one) for one in asked.device_requests or () if _is_plain(one)), msgspec.UNSET),
        security_opt=_security(asked, ipc=ipc),
        read_only=asked.readonly_rootfs,
        init=asked.init or False,
        healthcheck=_healthcheck(config.healthcheck),
        stop_signal=config.stop_signal or STOP_SIGNAL_DEFAULT,
        stop_grace_s=STOP_GRACE_DEFAULT_S if config.stop_timeout is None else config.stop_timeout,
        shm_bytes=asked.shm_size or SHM_DEFAULT_BYTES,
        ulimits={limit.name: Ulimit(soft=limit.soft, hard=limit.hard) for limit in asked.ulimits or ()},
        extra_hosts=dict(entry.split(":", 1) for entry in asked.extra_hosts or () if ":" in entry),
        logs=LogPolicy(driver=asked.log_config.type or LogPolicy().driver, options=dict(asked.log_config.config or {})),
        restart=_restart(asked.restart_policy),
        cpu_nanos=_cpu_nanos(asked),
        memory_bytes=asked.memory if asked.memory > 0 else None,
        pids=asked.pids_limit if asked.pids_limit is not None and asked.pids_limit > 0 else None,
    )


def _security(asked: HostConfigReply, *, ipc: str) -> tuple[str, ...]:
    """Give the security options, and with them what no spec can ask for, in the words of `docker run`.

    So a container that somebody else made, and that is adopted, never passes for one that is as the specs want it.
    """
    modes = {"pid": asked.pid_mode, "uts": asked.uts_mode, "userns": asked.userns_mode}
    found = set(asked.security_opt or ()) - ({LABEL_DISABLE} if ipc == "host" else set())
    found |= {f"{name}={mode}" for name, mode in modes.items() if mode}
    found |= {f"sysctl={name}={value}" for name, value in (asked.sysctls or {}).items()}
    requests = asked.device_requests or []
    ours = next((one for one in requests if _is_plain(one)), None)
    found |= {f"gpus={_request_words(one)}" for one in requests if one is not ours}
    return tuple(sorted(found | ({"privileged"} if asked.privileged else set())))


def _env(entries: Sequence[str] | None) -> dict[str, str]:
    return {key: value for key, _, value in (entry.partition("=") for entry in entries or ())}


def _healthcheck(reply: HealthcheckReply | None) -> Healthcheck | None:
    if reply is None:
        return None
    found = Healthcheck(
        test=tuple(reply.test or ()),
        interval_ms=reply.interval // _NS_PER_MS or None,
        timeout_ms=reply.timeout // _NS_PER_MS or None,
        start_period_ms=reply.start_period // _NS_PER_MS or None,
        retries=reply.retries or None,
    )
    return None if found == Healthcheck() else found


def _mounts(asked: HostConfigReply) -> dict[str, Mount]:
    # Other kinds (tmpfs, npipe) are none that a spec can want; anonymous volumes of the image stand in neither list.
    return {
        **dict(_bind(entry) for entry in asked.binds or ()),
        **{mount.target: _mount(mount) for mount in asked.mounts or () if mount.type in {"bind", "volume"}},
    }


def _mount(reply: MountReply) -> Mount:
    return Mount("bind" if reply.type == "bind" else "volume", reply.source, reply.read_only)


def _bind(entry: str) -> tuple[str, Mount]:
    """Read `source:target[:options]`, as `docker run -v` leaves it."""
    source, _, rest = entry.partition(":")
    target, _, options = rest.partition(":")
    return target, Mount("bind" if source.startswith("/") else "volume", source, "ro" in options.split(","))


def _ports(bindings: Mapping[str, Sequence[BindingReply] | None]) -> dict[str, Published]:
    """Read what was asked for, not what Docker picked. A port published twice shows as `8080/tcp` and `8080/tcp#2`."""
    found: dict[str, Published] = {}
    for port, asked in bindings.items():
        published = (Published(one.host_ip or EVERY_ADDRESS, _asked_port(one.host_port)) for one in asked or ())
        ordered = sorted(published, key=lambda one: (one.bind, one.host_port or 0))
        for index, one in enumerate(ordered, start=1):
            found[port if index == 1 else f"{port}#{index}"] = one
    return found


def _asked_port(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and int(text) else None


def _networks(mode: str, settings: NetworkSettingsReply, *, short_id: str) -> tuple[str, dict[str, tuple[str, ...]]]:
    """Tell the mode from the networks: Docker writes the first network of one's own into the mode."""
    mode = "bridge" if mode in {"", "default"} else mode
    # 20.10 adds the short id to the aliases that were asked for; 26.1 does not.
    connected = {
        network: tuple(sorted({*((endpoint and endpoint.aliases) or ())} - {short_id}))
        for network, endpoint in (settings.networks or {}).items()
        if network != mode or mode not in _BUILT_IN_NETWORKS
    }
    own = mode not in _BUILT_IN_NETWORKS and not mode.startswith("container:")
    return "bridge" if own else mode, connected


def _capabilities(names: Iterable[str] | None) -> tuple[str, ...]:
    return tuple(sorted({name.upper().removeprefix("CAP_") for name in names or ()}))


def _device(reply: DeviceReply) -> str:
    """Write a device as `host[:container[:permissions]]`, as short as it can be said."""
    inside = reply.path_in_container or reply.path_on_host
    permissions = reply.cgroup_permissions or "rwm"
    if permissions != "rwm":
        return f"{reply.path_on_host}:{inside}:{permissions}"
    return reply.path_on_host if inside == reply.path_on_host else f"{reply.path_on_host}:{inside}"


def _is_plain(request: DeviceRequestReply) -> bool:
    """Tell whether GPUs are asked for by number and by nothing else, as a spec asks."""
    is_gpu = request.capabilities == [["gpu"]] and request.driver in {"", "nvidia"}
    return is_gpu and request.count != 0 and not request.device_ids and not request.options


def _gpus(request: DeviceRequestReply) -> Gpus:
    return Gpus(count=None if request.count < 0 else request.count)


def _request_words(request: DeviceRequestReply) -> str:
    """Say what else a driver is asked for, in one line that is the same whenever that is."""
    asked = msgspec.json.encode(
        [request.driver, request.count, request.device_ids or [], request.capabilities or [], request.options or {}],
        order="deterministic",
    )
    return asked.decode()


def _restart(policy: RestartReply) -> str:
    name = policy.name or "no"
    return f"{name}:{policy.maximum_retry_count}" if name == "on-failure" and policy.maximum_retry_count else name


def _cpu_nanos(asked: HostConfigReply) -> int | None:
    if asked.nano_cpus > 0:
        return asked.nano_cpus
    if asked.cpu_quota > 0:
        return asked.cpu_quota * _NS_PER_S // (asked.cpu_period or CPU_PERIOD_DEFAULT_US)
    return None
