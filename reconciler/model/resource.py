"""Name the things a sandbox is made of, each in one flat canonical form.

The same form describes what is wanted and what a host holds, so that comparing is `==` and explaining is one loop.
Every field that can differ carries its rule; a field without one says how we treat the object, not what it is.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from reconciler.model.compose import ComposePolicy
from reconciler.model.names import Key
from reconciler.model.rule import IN_PLACE, LIMIT, REPLACE
from reconciler.model.text import Text

TREE_NAME = "source"
"""The folder below a sandbox's own in which its tree lies."""

TREE_KEY = Key("trees", TREE_NAME)
TREE_BEGUN = "begun"
"""Stands in a marker for the digest of a tree while one is brought: something of it may be there, and is not whole."""

STAGED = ".new-"
"""Begins the name of what stands beside a tree and is not yet in its place."""

Moment = Literal["prepare", "launch", "verify", "ready", "retire", "stopped"]


class Directory(msgspec.Struct, frozen=True, kw_only=True, tag="directory"):
    """Want a directory on the host.

    Attributes:
        name: its name in the spec.
        path: absolute once bound.
        mode: octal text such as `0750`.
        data: it lies under a storage root, so it is never removed.
    """

    name: str
    path: Text
    mode: Annotated[str, IN_PLACE] = "0750"
    data: bool = False

    @property
    def key(self) -> Key:
        """Give its key inside the sandbox."""
        return Key("directories", self.name)


class File(msgspec.Struct, frozen=True, kw_only=True, tag="file"):
    """Want a file with this content on the host. `make_at` and `drop_at` say when in a run it exists."""

    name: str
    path: Text
    content: Annotated[Text, IN_PLACE] = ""
    mode: Annotated[str, IN_PLACE] = "0640"
    make_at: Moment = "prepare"
    drop_at: Moment | None = None

    @property
    def key(self) -> Key:
        """Give its key inside the sandbox."""
        return Key("files", self.name)


class Volume(msgspec.Struct, frozen=True, kw_only=True, tag="volume"):
    """Want a Docker volume, private to the sandbox. It is data: never removed."""

    name: str

    @property
    def key(self) -> Key:
        """Give its key inside the sandbox."""
        return Key("volumes", self.name)


class Network(msgspec.Struct, frozen=True, kw_only=True, tag="network"):
    """Want a bridge network, private to the sandbox."""

    name: str

    @property
    def key(self) -> Key:
        """Give its key inside the sandbox."""
        return Key("networks", self.name)


class Mount(msgspec.Struct, frozen=True):
    """Mount a host path (`bind`) or one of the sandbox's volumes (`volume`, source is Docker's name of it)."""

    kind: Literal["bind", "volume"]
    source: Text
    read_only: bool = False


class Published(msgspec.Struct, frozen=True):
    """Publish a container port on `bind`; `host_port` None lets Docker pick one, and matches whatever it picked."""

    bind: str
    host_port: int | None = None


class Healthcheck(msgspec.Struct, frozen=True):
    """Ask Docker to probe the container. None or an empty test inherits the image's value, field by field."""

    test: tuple[str, ...] = ()
    interval_ms: int | None = None
    timeout_ms: int | None = None
    start_period_ms: int | None = None
    retries: int | None = None


class Ulimit(msgspec.Struct, frozen=True):
    """Bound one kernel resource of the container."""

    soft: int
    hard: int


class Gpus(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for GPUs of the host; the plain form, with a count at most, is what an engine was asked for.

    Attributes:
        count: how many; None is all that the host has.
        policy: `auto` goes without where they are not to be had.
        cuda: the oldest CUDA that will do, as `major.minor`; None is any.
    """

    count: int | None = None
    policy: Literal["auto", "require"] = "require"
    cuda: str | None = None

    @property
    def plain(self) -> Gpus:
        """Give what the engine is asked for."""
        return Gpus(count=self.count)


class LogPolicy(msgspec.Struct, frozen=True):
    """Say where Docker keeps the container's output, and how much of it."""

    driver: str = "json-file"
    options: dict[str, str] = msgspec.field(default_factory=lambda: {"max-file": "3", "max-size": "10m"})


class Container(msgspec.Struct, frozen=True, kw_only=True, tag="container"):
    """Want a container, or describe one: the canonical form that both sides are brought to.

    Collections are canonical as well: tuples whose order has no meaning are sorted, maps have no empty values.
    `ports` maps `8080/tcp` to where it is published, `networks` maps Docker's network name to sorted aliases,
    `mounts` maps the path inside to its source. None means "what the image or the engine says" until completed.
    `gpu` is unset where there are none: it is then in no digest and no plan that was made before there were any.
    """

    name: str
    image: Annotated[str, REPLACE]
    entrypoint: Annotated[tuple[Text, ...] | None, REPLACE] = None
    command: Annotated[tuple[Text, ...] | None, REPLACE] = None
    env: Annotated[dict[str, Text], REPLACE] = {}
    user: Annotated[str | None, REPLACE] = None
    working_dir: Annotated[str | None, REPLACE.at("workingDir")] = None
    labels: Annotated[dict[str, str], REPLACE] = {}
    mounts: Annotated[dict[str, Mount], REPLACE] = {}
    ports: Annotated[dict[str, Published], REPLACE] = {}
    network_mode: Annotated[str, REPLACE.at("networkMode")] = "bridge"
    networks: Annotated[dict[str, tuple[str, ...]], REPLACE] = {}
    ipc: Annotated[str, REPLACE] = "private"
    cap_add: Annotated[tuple[str, ...], REPLACE.at("capAdd")] = ()
    cap_drop: Annotated[tuple[str, ...], REPLACE] = ()
    devices: Annotated[tuple[str, ...], REPLACE] = ()
    gpu: Annotated[Gpus | msgspec.UnsetType, REPLACE] = msgspec.UNSET
    security_opt: Annotated[tuple[str, ...], REPLACE] = ()
    read_only: Annotated[bool, REPLACE] = False
    init: Annotated[bool, REPLACE] = True
    healthcheck: Annotated[Healthcheck | None, REPLACE] = None
    stop_signal: Annotated[str | None, REPLACE] = None
    stop_grace_s: Annotated[int, REPLACE.at("stopGrace")] = 10
    shm_bytes: Annotated[int | None, REPLACE.at("shmSize")] = None
    ulimits: Annotated[dict[str, Ulimit], REPLACE] = {}
    extra_hosts: Annotated[dict[str, str], REPLACE.at("extraHosts")] = {}
    logs: Annotated[LogPolicy, REPLACE] = LogPolicy()
    restart: Annotated[str, IN_PLACE] = "unless-stopped"
    cpu_nanos: Annotated[int | None, LIMIT.at("resources.cpus")] = None
    memory_bytes: Annotated[int | None, LIMIT.at("resources.memory")] = None
    pids: Annotated[int | None, IN_PLACE.at("resources.pids")] = None
    run: Literal["always", "once"] = "always"
    optional: bool = False
    after: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        """Give its key inside the sandbox."""
        return Key("containers", self.name)

    @property
    def first_network(self) -> str | None:
        """Pick the network that it is created in: the first by name, or None for the engine's own."""
        return min(self.networks, default=None)


class Tree(msgspec.Struct, frozen=True, kw_only=True, tag="tree"):
    """Want a folder on the host like one of the operator's.

    Attributes:
        path: where it lies on the host, in the sandbox's own folder.
        folder: where it is on the machine of whoever plans; no part of what is meant.
        exclude: patterns that leave files out, as in a `.gitignore`.
        content: digest of what is in it; empty until it was read.
        entries: how many files and links that is; size_bytes: the sum of the files.
    """

    name: str = TREE_NAME
    path: Text
    folder: str
    exclude: tuple[str, ...] = ()
    content: Annotated[str, IN_PLACE] = ""
    entries: int = 0
    size_bytes: int = 0

    @property
    def key(self) -> Key:
        """Give its key inside the sandbox."""
        return TREE_KEY


class Compose(msgspec.Struct, frozen=True, kw_only=True, tag="compose"):
    """Want the services of a compose file, which the host's own compose makes from the sandbox's tree.

    Attributes:
        folder: the tree's, on the host.
        file: the compose file, below that.
        services: what the file names, sorted; empty until it was read. Those of a compose profile are left out.
        once: those that others wait for to complete, so that their end is no fault.
        policy: what the file may ask of the host.
        memory: limits in bytes by service, as far as the file alone tells them.
    """

    name: str = "compose"
    folder: Text
    file: str
    services: tuple[str, ...] = ()
    once: tuple[str, ...] = ()
    policy: ComposePolicy = ComposePolicy()
    memory: dict[str, int] = {}

    @property
    def key(self) -> Key:
        """Give its key inside the sandbox."""
        return Key("compose", self.name)


Resource = Directory | File | Tree | Compose | Volume | Network | Container
