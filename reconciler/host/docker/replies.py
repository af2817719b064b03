"""Describe the parts of the engine's replies that we read, as strict types. Whatever else it says is ignored.

Source: the engine's API 1.41, as Docker 20.10 and 26.1 answer it. A host is foreign: every type is checked and every
size is bounded here, once, before anything else looks at the reply.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from reconciler.errors import ReadFailed
from reconciler.model.text import head_of

FullId = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
ImageId = Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}\Z")]
Line = Annotated[str, Meta(max_length=8192)]
Words = Annotated[str, Meta(max_length=1_048_576)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Port = Annotated[int, Meta(ge=0, le=65535)]
Lines = Annotated[list[Line], Meta(max_length=20_000)]
LabelMap = Annotated[dict[Line, Words], Meta(max_length=20_000)]
OptionMap = Annotated[dict[Line, Line], Meta(max_length=1000)]

CONTAINERS_MAX = 100_000

T = TypeVar("T")


class _Reply(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Read fields by the engine's own capitalised names."""


class HealthcheckReply(_Reply, frozen=True, kw_only=True):
    """Describe a health check; times in nanoseconds, 0 or absent means inherited."""

    test: Lines | None = None
    interval: Count = 0
    timeout: Count = 0
    start_period: Count = 0
    retries: Count = 0


class ConfigReply(_Reply, frozen=True, kw_only=True):
    """Describe what both a container and an image configure."""

    image: Line = ""
    entrypoint: Annotated[list[Words], Meta(max_length=20_000)] | None = None
    cmd: Annotated[list[Words], Meta(max_length=20_000)] | None = None
    env: Annotated[list[Words], Meta(max_length=20_000)] | None = None
    user: Line = ""
    working_dir: Line = ""
    labels: LabelMap | None = None
    healthcheck: HealthcheckReply | None = None
    stop_signal: Line = ""
    stop_timeout: int | None = None
    tty: bool = False


class MountReply(_Reply, frozen=True, kw_only=True):
    """Describe one of `HostConfig.Mounts`."""

    type: Line
    source: Line = ""
    target: Line
    read_only: bool = False


class BindingReply(_Reply, frozen=True, kw_only=True):
    """Describe where a port was asked to be published."""

    host_ip: Line = ""
    host_port: Line = ""


class DeviceReply(_Reply, frozen=True, kw_only=True):
    """Describe one device that a container may use."""

    path_on_host: Line
    path_in_container: Line = ""
    cgroup_permissions: Line = ""


class DeviceRequestReply(_Reply, frozen=True, kw_only=True):
    """Describe what a driver of the engine is asked for, such as GPUs."""

    driver: Line = ""
    count: int = 0
    device_ids: Lines | None = msgspec.field(name="DeviceIDs", default=None)
    capabilities: Annotated[list[Lines], Meta(max_length=1000)] | None = None
    options: OptionMap | None = None


class UlimitReply(_Reply, frozen=True, kw_only=True):
    """Describe one resource limit; -1 is unlimited."""

    name: Line
    soft: int
    hard: int


class LogReply(_Reply, frozen=True, kw_only=True):
    """Describe where output goes."""

    type: Line = ""
    config: OptionMap | None = None


class RestartReply(_Reply, frozen=True, kw_only=True):
    """Describe the restart policy; 20.10 leaves the name of `no` empty."""

    name: Line = ""
    maximum_retry_count: int = 0


class HostConfigReply(_Reply, frozen=True, kw_only=True):
    """Describe what a container asked of its host."""

    network_mode: Line = ""
    ipc_mode: Line = ""
    mounts: Annotated[list[MountReply], Meta(max_length=10_000)] | None = None
    binds: Lines | None = None
    port_bindings: (
        Annotated[dict[Line, Annotated[list[BindingReply], Meta(max_length=1000)] | None], Meta(max_length=70_000)]
        | None
    ) = None
    cap_add: Lines | None = None
    cap_drop: Lines | None = None
    devices: Annotated[list[DeviceReply], Meta(max_length=10_000)] | None = None
    device_requests: Annotated[list[DeviceRequestReply], Meta(max_length=1000)] | None = None
    security_opt: Lines | None = None
    readonly_rootfs: bool = False
    privileged: bool = False
    pid_mode: Line = ""
    uts_mode: Line = msgspec.field(name="UTSMode", default="")
    userns_mode: Line = ""
    sysctls: OptionMap | None = None
    init: bool | None = None
    shm_size: Count = 0
    ulimits: Annotated[list[UlimitReply], Meta(max_length=1000)] | None = None
    extra_hosts: Lines | None = None
    log_config: LogReply = LogReply()
    restart_policy: RestartReply = RestartReply()
    nano_cpus: int = 0
    cpu_quota: int = 0
    cpu_period: int = 0
    memory: int = 0
    pids_limit: int | None = None


class HealthReply(_Reply, frozen=True, kw_only=True):
    """Describe what the container's health check came to."""

    status: Line = ""


class StateReply(_Reply, frozen=True, kw_only=True):
    """Describe the moving part of a container. A paused one also says that it is running, so read `status`."""

    status: Line
    exit_code: int = 0
    oom_killed: bool = msgspec.field(name="OOMKilled", default=False)
    error: Words = ""
    started_at: Line = ""
    finished_at: Line = ""
    health: HealthReply | None = None


class EndpointReply(_Reply, frozen=True, kw_only=True):
    """Describe a container's place in one network."""

    aliases: Lines | None = None
    network_id: Line = msgspec.field(name="NetworkID", default="")
    ip_address: Line = msgspec.field(name="IPAddress", default="")


class PublishedReply(_Reply, frozen=True, kw_only=True):
    """Describe where a running container's port really is."""

    host_ip: Line = ""
    host_port: Line = ""


class NetworkSettingsReply(_Reply, frozen=True, kw_only=True):
    """Describe the networks that a container is connected to, by name, and its ports as published now."""

    networks: Annotated[dict[Line, EndpointReply | None], Meta(max_length=10_000)] | None = None
    ports: Annotated[dict[Line, list[PublishedReply] | None], Meta(max_length=70_000)] | None = None


class ContainerReply(_Reply, frozen=True, kw_only=True):
    """Describe one inspected container."""

    id: FullId
    name: Line
    image: Line
    created: Line
    restart_count: Count = 0
    state: StateReply
    config: ConfigReply
    host_config: HostConfigReply
    network_settings: NetworkSettingsReply = NetworkSettingsReply()


class ImageReply(_Reply, frozen=True, kw_only=True):
    """Describe one inspected image."""

    id: ImageId
    repo_digests: Lines | None = None
    config: ConfigReply | None = None


class ListedPort(_Reply, frozen=True, kw_only=True):
    """Describe one port in the list; `public_port` is 0 where it is not published."""

    ip: Line = msgspec.field(name="IP", default="")
    public_port: Port = 0
    type: Line = ""


class ListedMount(_Reply, frozen=True, kw_only=True):
    """Describe one mount in the list; a volume's source is the engine's own folder."""

    type: Line = ""
    source: Line = ""


class ListedReply(_Reply, frozen=True, kw_only=True):
    """Describe one container as the list has it; `created` is in seconds since 1970."""

    id: FullId
    names: Lines | None = None
    image_id: Line = msgspec.field(name="ImageID", default="")
    state: Line = ""
    created: float = 0
    labels: LabelMap | None = None
    ports: Annotated[list[ListedPort], Meta(max_length=70_000)] | None = None
    mounts: Annotated[list[ListedMount], Meta(max_length=10_000)] | None = None


class NetworkReply(_Reply, frozen=True, kw_only=True):
    """Describe one network."""

    id: FullId
    name: Line
    created: Line = ""
    labels: LabelMap | None = None


class VolumeReply(_Reply, frozen=True, kw_only=True):
    """Describe one volume."""

    name: Line
    labels: LabelMap | None = None


class VolumesReply(_Reply, frozen=True, kw_only=True):
    """Describe the list of volumes."""

    volumes: Annotated[list[VolumeReply], Meta(max_length=CONTAINERS_MAX)] | None = None


class InfoReply(_Reply, frozen=True, kw_only=True):
    """Describe the engine."""

    docker_root_dir: Line
    id: Line = msgspec.field(name="ID", default="")
    server_version: Line = ""


ContainerList = Annotated[list[ListedReply], Meta(max_length=CONTAINERS_MAX)]
NetworkList = Annotated[list[NetworkReply], Meta(max_length=CONTAINERS_MAX)]


def read_reply(raw: object, form: type[T], *, host: str, what: str) -> T:
    """Check one reply against its form.

    Args:
        raw: parsed JSON, as the host sent it.
        form: one of the types above.
        host: the host's name, for the message.
        what: what was asked, for the message, e.g. `the list of containers`.

    Raises:
        ReadFailed: `E_HOST_REPLY`, naming host and field, when the reply has another form.
    """
    try:
        return msgspec.convert(raw, form)
    except msgspec.ValidationError as error:
        raise reply_invalid(str(error), host=host, what=what) from error


def reply_invalid(why: str, *, host: str, what: str) -> ReadFailed:
    """Say that a reply is none that an engine gives; nothing of what it said is repeated but the field's name."""
    return ReadFailed(
        f"host {host}: {what} is not as Docker writes it: {head_of(ascii(why)[1:-1], 300)}",
        code="E_HOST_REPLY",
        hint="is dockerSocket a Docker engine of version 20.10 or later, and nothing in between?",
    )
