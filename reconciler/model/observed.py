"""Hold what the hosts answered. Not seen is not gone: a host that did not answer in full is another type."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from reconciler.model.marker import Marker
from reconciler.model.resource import Container, Healthcheck
from reconciler.model.snapshot import HostSnapshot

State = Literal["created", "running", "paused", "restarting", "removing", "exited", "dead"]

RUNNING_STATES = frozenset({"running", "restarting", "paused"})
"""A container in one of these has to be stopped before it can be removed."""

STOPPED_STATES = frozenset({"created", "exited", "dead"})
"""A container in one of these has no process; `removing` is in neither set."""


CRASHES_MAX = 3
"""So many restarts by its policy, and a container that does not stay up is no longer waited for."""

STEADY_S = 60.0
"""Docker waits at most so long between the restarts of a container: one that has run for longer has recovered."""


class HostIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """Say which machine answered, and as whom we are there.

    Attributes:
        host_id: random id in `<baseDir>/.host-id`, or None when it was never written.
        home, uid, gid: of the user we are logged in as.
        base_dir: absolute, with `${host.home}` filled in.
        docker_root: Docker's data folder.
        docker_id, machine_id, boot_id: evidence only; None where unreadable.
        engine_version, api_version: of the Docker engine.
    """

    host_id: str | None
    home: str
    uid: int
    gid: int
    base_dir: str
    docker_root: str
    docker_id: str | None = None
    machine_id: str | None = None
    boot_id: str | None = None
    engine_version: str = ""
    api_version: str = ""

    @property
    def engine(self) -> str | None:
        """Name the running engine, or None where it cannot be told.

        A cloned machine has Docker's id of its original, and two engines of one machine may share theirs: the boot
        and the data folder tell these apart.
        """
        known = self.docker_id and self.boot_id
        return f"{self.docker_id} {self.boot_id} {self.docker_root}" if known else None

    @property
    def bindings(self) -> dict[str, str]:
        """Give what `${host.…}` means where this identity answered."""
        return {
            "host.home": self.home,
            "host.uid": str(self.uid),
            "host.gid": str(self.gid),
            "host.baseDir": self.base_dir,
        }


class ImageFact(msgspec.Struct, frozen=True, kw_only=True, tag="image"):
    """Hold what an image brings along.

    Attributes:
        id: `sha256:…`.
        digests: `sha256:…` under which registries gave it out; none for one that was built or loaded.
    """

    id: str
    digests: tuple[str, ...] = ()
    env: dict[str, str] = {}
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    user: str = ""
    working_dir: str = ""
    healthcheck: Healthcheck | None = None
    stop_signal: str | None = None


class ImageAbsent(msgspec.Struct, frozen=True, tag="absent"):
    """Say that the host answered and has no such image."""


class TagUnknown(msgspec.Struct, frozen=True, tag="tag_unknown"):
    """Say why a registry did not tell what a tag names now."""

    why: str


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the moving part of a container. Times are the host's, None where Docker reports none."""

    state: State
    exit_code: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    health: str | None = None
    restart_count: int = 0
    oom_killed: bool = False
    error: str = ""

    def keeps_crashing(self, *, host_clock_epoch_s: float) -> bool:
        """Tell whether it ends again and again; a look in between finds it running."""
        if self.restart_count < CRASHES_MAX:
            return False
        if self.state == "restarting":
            return True
        up_s = host_clock_epoch_s - self.started_at.timestamp() if self.started_at is not None else STEADY_S
        return self.state == "running" and 0 <= up_s < STEADY_S


class SeenContainer(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one inspected container.

    Attributes:
        full_id: 64 hex digits.
        name: Docker's name, without the leading slash.
        labels: every label as Docker reports it, the image's included.
        image_id: `sha256:…` of the image it really runs.
        spec: what it is, in canonical form; `spec.image` is the reference it was created with, `spec.name` is the
            resource's name by its labels, or Docker's name where it has none.
        live: its state.
        network_ids: the networks it was last started in, Docker's name to id; one that was removed and made again
            has another id, and the container cannot start in it.
    """

    full_id: str
    name: str
    labels: dict[str, str]
    image_id: str
    created_at: datetime
    spec: Container
    live: Live
    network_ids: dict[str, str] = {}


class Neighbour(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what the list says of a container that is none of our fleet's: enough for names, ports and counting.

    `mounted` are the host paths that it has, volumes left out.
    """

    full_id: str
    name: str
    state: str
    labels: dict[str, str] = {}
    ports: tuple[str, ...] = ()
    created_epoch_s: float | None = None
    mounted: tuple[str, ...] = ()


class SeenNetwork(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one Docker network; `created_at` by its host's clock."""

    id: str
    name: str
    labels: dict[str, str] = {}
    created_at: datetime | None = None


class SeenVolume(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one Docker volume."""

    name: str
    labels: dict[str, str] = {}


class SeenPath(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what stands at one path, or that nobody may look there (`unreadable`, which is not `absent`).

    `inode` is `device:inode`; `sha256` is of a regular file's content, when asked.
    """

    path: str
    kind: Literal["absent", "directory", "file", "symlink", "other", "unreadable"]
    mode: str = ""
    uid: int = -1
    gid: int = -1
    size_bytes: int = 0
    modified_epoch_s: float = 0.0
    inode: str = ""
    sha256: str | None = None


class SeenMarker(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one folder under baseDir that is named like a uid.

    Attributes:
        marker: what its marker says; None when there is none, or when it cannot be read as one.
        fault: why a marker that is there cannot be read as one (damaged, a newer version), else None.
        owner_uid: who owns the folder.
        inode: `device:inode` of the folder.
    """

    folder: str
    marker: Marker | None
    fault: str | None = None
    owner_uid: int = -1
    inode: str = ""


class SeenLock(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what a look told of a host's lock.

    Attributes:
        line: since when and by whom it was held last, as the host keeps it; empty when never.
        is_held: somebody held it during the look.
        is_left: nobody did, and whoever held it last ended without giving it back: what the engine had taken from
            them goes on.
    """

    line: str = ""
    is_held: bool = False
    is_left: bool = False


class SeenEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one entry of a folder that was listed; `modified_epoch_s` is its own, not that of what is in it.

    `used_by` names processes that have it, or something in it, open or as their folder, as far as `/proc` told us.
    """

    name: str
    kind: Literal["directory", "file", "symlink", "other"]
    uid: int
    modified_epoch_s: float
    inode: str
    used_by: tuple[str, ...] = ()


class SeenRoot(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what stands directly in one folder; an unreadable one is never an empty one."""

    path: str
    state: Literal["listed", "absent", "unreadable"]
    entries: tuple[SeenEntry, ...] = ()


class HostView(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one complete look at one host. It exists only when every part of the answer arrived whole.

    Attributes:
        observed_at: when the look ended, by the controller's clock.
        host_clock_epoch_s: the host's own clock during the look.
        containers: every container with this fleet's labels or a name that this fleet derives, inspected.
        neighbours: all other containers, from the list.
        images: facts by image id of `containers`, and by each reference that was asked.
        tags: by each reference whose registry was asked, the digest that it names there now.
        paths: what stands at each path that was asked, by path.
        markers: the folders under baseDir.
        roots: what stands directly in each folder whose listing was asked for.
        lock: who may change this host just now, or did so last.
        taken_ports: published `bind:port/proto` to the name of the container that holds it.
    """

    identity: HostIdentity
    observed_at: datetime
    host_clock_epoch_s: float
    containers: tuple[SeenContainer, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    networks: tuple[SeenNetwork, ...] = ()
    volumes: tuple[SeenVolume, ...] = ()
    images: dict[str, ImageFact | ImageAbsent] = {}
    tags: dict[str, str | TagUnknown] = {}
    paths: dict[str, SeenPath] = {}
    markers: tuple[SeenMarker, ...] = ()
    taken_ports: dict[str, str] = {}
    roots: tuple[SeenRoot, ...] = ()
    lock: SeenLock = SeenLock()


class Reachable(msgspec.Struct, frozen=True, kw_only=True, tag="reachable"):
    """Hold a host that answered in full. `snapshot` is None when its facts were not asked or could not be read."""

    view: HostView
    snapshot: HostSnapshot | None = None


class Unreachable(msgspec.Struct, frozen=True, kw_only=True, tag="unreachable"):
    """Hold a host that did not: stable code, sentence, hint, and since when by the controller's clock."""

    code: str
    reason: str
    since: datetime
    hint: str | None = None


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """Hold every host that was asked, by name."""

    hosts: dict[str, Reachable | Unreachable]
