"""Describe one container of a sandbox."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from reconciler.model.nearest import did_you_mean, nearest
from reconciler.model.text import Template
from reconciler.spec.addresses import IpAddress, NameForHosts, Port
from reconciler.spec.fields import Fields
from reconciler.spec.images import ImageRef
from reconciler.spec.leaf import (
    Argv,
    Bool,
    Cpus,
    DurationOrZero,
    LateText,
    Memory,
    Milliseconds,
    PlainArgv,
    Size,
    Text,
    Whole,
    choice_text,
    seconds,
)
from reconciler.spec.names import EnvName, FreeLabelKey, Reference, ResourceName
from reconciler.spec.paths import AbsolutePath, MountTarget
from reconciler.spec.refusal import refuse, text_of

# Linux 6.9: include/uapi/linux/capability.h.
_CAPABILITIES = (
    "AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "CHOWN",
    "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE", "LINUX_IMMUTABLE",
    "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_RAW", "PERFMON",
    "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_NICE",
    "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "WAKE_ALARM",
)  # fmt: skip
_DEVICE = re.compile(r"(/[^:]+)(?::(/[^:]+)(?::[rwm]{1,3})?)?")
_NAME_OR_ID = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}"
_USER = re.compile(rf"({_NAME_OR_ID})(?::({_NAME_OR_ID}))?")
_CUDA = re.compile(r"([0-9]{1,3})[.]([0-9]{1,3})")
_ID_MAX = 2**31 - 1  # what Docker takes
# What Docker knows; it checks a name only when the container starts.
_ULIMITS = (
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
    "rttime", "sigpending", "stack",
)  # fmt: skip


def _capability(value: object) -> str:
    text = text_of(value, wanted="a capability")
    if text not in _CAPABILITIES:
        bare = text.upper().removeprefix("CAP_")
        near = bare if bare in _CAPABILITIES else nearest(bare, _CAPABILITIES)
        rule = "write it without CAP_, in upper case; ALL is never given"
        hint = f"write {near}" if near is not None and bare != "ALL" else rule
        raise refuse("E_CAPABILITY", "{got} is no capability such as NET_ADMIN", got=text, hint=hint)
    return text


def _device(text: str) -> str:
    if _DEVICE.fullmatch(text) is None:
        hint = "write /dev/fuse, or /dev/fuse:/dev/inside, or /dev/fuse:/dev/inside:rwm"
        raise refuse("E_PATH", "{got} is no device", got=text, hint=hint)
    return text


def _user(value: object) -> str:
    text = text_of(value, wanted="a user as text")
    match = _USER.fullmatch(text)
    hint = 'write "name", "uid", "uid:gid" or "name:group"; leave it out for the image\'s own'
    if match is None:
        raise refuse("E_USER", "{got} is no user of a container", got=text, hint=hint)
    if any(part is not None and part.isdigit() and int(part) > _ID_MAX for part in match.groups()):
        raise refuse("E_USER", f"{{got}} is out of range: an id is at most {_ID_MAX}", got=text, hint=hint)
    return text


def _cuda(value: object) -> str:
    text = text_of(value, wanted="a CUDA version")
    if _CUDA.fullmatch(text) is None:
        raise refuse("E_VALUE", "{got} is no version of CUDA", got=text, hint='write major and minor, such as "12.9"')
    return text


def _ulimit_name(value: object) -> str:
    text = text_of(value, wanted="a kernel resource")
    if text not in _ULIMITS:
        hint = did_you_mean(text, _ULIMITS, otherwise="one of")
        raise refuse("E_VALUE", "{got} is no kernel resource that can be bounded", got=text, hint=hint)
    return text


def _entrypoint(argv: tuple[str | Template, ...]) -> tuple[str | Template, ...]:
    if argv and argv[0] == "":
        hint = "name the program; write [] to take the image's entrypoint away, or leave the field out to keep it"
        raise refuse("E_COMMAND", "the first word of an entrypoint is the program, and this one is empty", hint=hint)
    return argv


def _health_test(argv: tuple[str, ...]) -> tuple[str, ...]:
    match argv:
        case () | ("NONE",):
            return argv
        case ("CMD", program, *_) if program:
            return argv
        case ("CMD-SHELL", line) if line:
            return argv
    message = "this is no test: [CMD, program, words…], [CMD-SHELL, one line for a shell] or [NONE] is wanted here"
    hint = "put CMD before the program" if argv[0] not in ("", "CMD", "CMD-SHELL", "NONE") else None
    raise refuse("E_COMMAND", message, hint=hint)


Capability = Annotated[str, BeforeValidator(_capability)]
CudaVersion = Annotated[
    str, BeforeValidator(_cuda), WithJsonSchema({"type": "string", "pattern": f"^{_CUDA.pattern}$"})
]
Device = Annotated[AbsolutePath, AfterValidator(_device)]
User = Annotated[str, BeforeValidator(_user), WithJsonSchema({"type": "string", "pattern": f"^{_USER.pattern}$"})]
UlimitName = Annotated[
    str, BeforeValidator(_ulimit_name), WithJsonSchema({"type": "string", "pattern": f"^({'|'.join(_ULIMITS)})$"})
]
Entrypoint = Annotated[Argv, AfterValidator(_entrypoint)]
HealthTest = Annotated[PlainArgv, AfterValidator(_health_test)]


class Mount(Fields):
    """Mount one thing of the host: a directory, a file or the tree of this sandbox, or a path that policy allows."""

    directory: Reference | None = Field(default=None, description="A name under the sandbox's `directories`.")
    file: Reference | None = Field(default=None, description="A name under the sandbox's `files`.")
    source: Bool = Field(default=False, description="`true` mounts the sandbox's `source` tree.")
    path: AbsolutePath | None = Field(default=None, description="A path of the host, which the Fleet's policy allows.")
    read_only: Bool = Field(default=False, description="The container may not write to it.")

    @model_validator(mode="after")
    def _one_source(self) -> Mount:
        named = [source for source in (self.directory, self.file, self.path) if source is not None]
        if len(named) + self.source != 1:
            hint = "keep one of them"
            raise refuse("E_ONE_OF", "exactly one of directory, file, source and path is wanted here", hint=hint)
        return self


class Attachment(Fields):
    """Attach to a network of this sandbox, under further names."""

    aliases: tuple[ResourceName, ...] = Field(
        default=(), description="Further names in that network; the container's own name is always one."
    )


class PublishedPort(Fields):
    """Name a port of the container, and publish it on the host."""

    container: Port = Field(description="The port inside the container.")
    host: Port | None = Field(default=None, description="The port on the host; when left out, Docker picks a free one.")
    bind: IpAddress = Field(default="127.0.0.1", description="The host's address that it is published on.")
    protocol: Annotated[Literal["tcp", "udp"], BeforeValidator(choice_text)] = Field(
        default="tcp", description="The protocol."
    )


class Resources(Fields):
    """Bound what the container may use."""

    cpus: Cpus | None = Field(default=None, description="Cores, such as 1.5; no limit when left out.")
    memory: Memory | None = Field(default=None, description="At least 6MiB; no limit when left out.")
    pids: Annotated[int, Whole(1, 4_194_304)] = Field(default=4096, description="Processes and threads.")


class Healthcheck(Fields):
    """Let Docker probe the container; what is left out is the image's own."""

    test: HealthTest = Field(default=(), description="In Docker's form: `[CMD, …]`, `[CMD-SHELL, …]` or `[NONE]`.")
    interval: Milliseconds | None = Field(default=None, description="From one test to the next.")
    timeout: Milliseconds | None = Field(default=None, description="How long one test may take.")
    retries: Annotated[int, Whole(1, 1000)] | None = Field(
        default=None, description="Failures in a row that make it unhealthy."
    )
    start_period: Milliseconds | None = Field(default=None, description="Failures in this time do not count.")


class Ulimit(Fields):
    """Bound one kernel resource."""

    soft: Annotated[int, Whole(-1, 2**53)] = Field(description="What counts; -1 is no limit.")
    hard: Annotated[int, Whole(-1, 2**53)] = Field(description="How far a program may raise it; -1 is no limit.")


class Gpu(Fields):
    """Ask for graphics processors."""

    policy: Annotated[Literal["auto", "require", "off"], BeforeValidator(choice_text)] = Field(
        default="auto",
        description="Where the host lacks them: `require` holds it back, `auto` makes it without, and says so.",
    )
    count: Annotated[int, Whole(1, 64)] | None = Field(
        default=None, description="How many; all of the host's when left out."
    )
    cuda: CudaVersion | None = Field(
        default=None, description='The oldest CUDA that the host\'s driver must offer, quoted: `"12.9"`.'
    )


class Container(Fields):
    """Describe one container. Its networks and volumes are private to the sandbox."""

    image: ImageRef = Field(
        description="`[registry/]name[:tag][@sha256:…]`; needed once profile and sandbox are merged."
    )
    command: Argv | None = Field(default=None, description="Instead of the image's command.")
    entrypoint: Entrypoint | None = Field(default=None, description="Instead of the image's entrypoint.")
    env: dict[EnvName, LateText] = Field(
        default_factory=dict, description="Variables, besides those of the image; `docker inspect` shows their values."
    )
    user: User | None = Field(
        default=None, description="Instead of the image's user: `name`, `uid`, `uid:gid` or `name:group`."
    )
    working_dir: AbsolutePath | None = Field(default=None, description="Instead of the image's working directory.")
    mounts: dict[MountTarget, Mount] = Field(
        default_factory=dict, description="Path inside the container to what is mounted there."
    )
    volumes: dict[ResourceName, MountTarget] = Field(
        default_factory=dict,
        description="A volume of this sandbox to the path inside. Volumes are data, never removed.",
    )
    networks: dict[ResourceName, Attachment] = Field(
        default_factory=dict, description="Networks of this sandbox, private to it; containers see each other by name."
    )
    network_mode: Annotated[Literal["bridge", "host", "none"], BeforeValidator(choice_text)] = Field(
        default="bridge", description="`host` needs an allowance in the Fleet's policy."
    )
    ipc: Annotated[Literal["private", "host", "shareable"], BeforeValidator(choice_text)] = Field(
        default="private", description="`host` needs an allowance in the Fleet's policy."
    )
    cap_add: tuple[Capability, ...] = Field(
        default=(), description="Such as NET_ADMIN; each needs an allowance in the Fleet's policy."
    )
    devices: tuple[Device, ...] = Field(
        default=(), description="Devices of the host; each needs an allowance in the Fleet's policy."
    )
    gpu: Gpu | None = Field(default=None, description="Instead of the sandbox's `gpu`, as a whole.")
    healthcheck: Healthcheck | None = Field(
        default=None, description="Docker's own check; what is left out is the image's."
    )
    restart: Annotated[Literal["no", "always", "unless-stopped", "on-failure"] | None, BeforeValidator(choice_text)] = (
        Field(default=None, description='`unless-stopped` when left out, or "no" with `run: once`.')
    )
    run: Annotated[Literal["always", "once"], BeforeValidator(choice_text)] = Field(
        default="always", description="`once`: it does its work and exits with 0; that it stands still is no drift."
    )
    stop_grace: Annotated[
        DurationOrZero, Field(description="From asking it to stop to killing it; `0s` kills it at once.")
    ] = seconds("10s")
    optional: Bool = Field(default=False, description="The sandbox is ready without it.")
    init: Bool = Field(default=True, description="A small first process that reaps children and passes signals on.")
    shm_size: Size | None = Field(default=None, description="Size of /dev/shm; Docker's 64MiB when left out.")
    ulimits: dict[UlimitName, Ulimit] = Field(default_factory=dict, description="By kernel resource, such as `nofile`.")
    extra_hosts: dict[NameForHosts, IpAddress] = Field(
        default_factory=dict, description="Lines for /etc/hosts: name to address."
    )
    labels: dict[FreeLabelKey, Text] = Field(default_factory=dict, description="Docker labels of your own.")
    ports: dict[ResourceName, PublishedPort] = Field(
        default_factory=dict, description="Ports by a name that probes use."
    )
    resources: Resources = Resources()
    depends_on: tuple[Reference, ...] = Field(default=(), description="Other containers of this sandbox.")
