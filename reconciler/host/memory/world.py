"""Hold the machine behind an in-memory host: what a host's engine and disk would hold, as plain values.

It stands in for a real host in tests and in the simulation, and the contract suite keeps it honest. It has no clock of
its own and no dice: ids are derived from a seed and a counter, time is whatever the injected clock says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

import msgspec
from msgspec.structs import replace

from reconciler.host.memory.parts import DEVICE, Behaviour, Happened, Lock, ManualClock, Node, live_by
from reconciler.model import labels as label
from reconciler.model.completion import complete
from reconciler.model.effect import Effect
from reconciler.model.observed import ImageFact, Live, SeenContainer, SeenNetwork, SeenVolume
from reconciler.model.resource import Container
from reconciler.model.snapshot import Gpu

EPHEMERAL_PORT_FIRST = 32768


class World:
    """Hold one machine: its containers, images, networks, volumes, files, ports, lock and log of what was done to it.

    Everything is open to a test: frozen values in mutable maps. `registry` holds what can be pulled, `behaviours` what
    a container does, by its Docker name, its command, or its image's reference, in this order. `layers` holds what each
    layer of an image takes, by the image's id and the layer's; an image that is not there has one of its own.
    `gpus` are those of the machine, None where they cannot be told; `lends_gpus`: its engine has a driver for them.
    """

    def __init__(
        self,
        *,
        seed: str = "world",
        clock: Callable[[], float] | None = None,
        home: str = "/home/ops",
        uid: int = 1000,
        base_dir: str | None = None,
    ) -> None:
        self.seed = seed
        self.clock: Callable[[], float] = ManualClock() if clock is None else clock
        self.home, self.uid, self.gid = home, uid, uid
        self.base_dir = f"{home}/.reconciler/lab" if base_dir is None else base_dir
        self.docker_root = "/var/lib/docker"
        self.engine_version, self.api_version = "26.1.5", "1.45"
        self.machine_id = self.derive("machine")[:32]
        self.gpus: tuple[Gpu, ...] | None = ()
        self.lends_gpus = False
        self.containers: dict[str, SeenContainer] = {}
        self.images: dict[str, ImageFact] = {}
        self.registry: dict[str, ImageFact] = {}
        self.layers: dict[str, dict[str, int]] = {}
        self.networks: dict[str, SeenNetwork] = {}
        self.volumes: dict[str, SeenVolume] = {}
        self.paths: dict[str, Node] = {}
        self.behaviours: dict[str | tuple[str, ...], Behaviour] = {}
        self.output: dict[str, list[str]] = {}
        self.ports: dict[str, dict[str, str]] = {}
        self.asks: dict[tuple[str, str], int] = {}
        self.locks: dict[str, Lock] = {}
        self.last_holds: dict[str, str] = {}
        self.given_back: dict[str, str] = {}
        self.happened: list[Happened] = []
        self.late: list[tuple[int, Effect]] = []
        self._first_start_s: dict[str, float] = {}
        self._run_begins: dict[str, int] = {}
        self._counter = 0
        self.boot_id = self.derive("boot")[:32]
        for path in ("/", "/etc", "/tmp", "/srv", "/srv/data", "/home"):  # noqa: S108 - paths of a made-up machine
            self.add_path(path, kind="directory", mode="0755", uid=0)
        self.add_path(home, kind="directory", mode="0750")

    # Ids and time ----------------------------------------------------------------------------------------------------

    def derive(self, what: str) -> str:
        """Give 64 hex digits that depend on the seed and on `what` alone."""
        return hashlib.sha256(f"{self.seed} {what}".encode()).hexdigest()

    def fresh_id(self, what: str) -> str:
        """Give the next 64-hex id."""
        return self.derive(f"{what} {self.fresh_number()}")

    def fresh_number(self) -> int:
        """Count everything that was ever made here."""
        self._counter += 1
        return self._counter

    def now(self) -> datetime:
        """Read the host's clock."""
        return datetime.fromtimestamp(self.clock(), UTC)

    # What a test puts there ------------------------------------------------------------------------------------------

    def add_image(self, reference: str, *, pullable: bool = False, **over: object) -> ImageFact:
        """Make an image present under `reference`, or only pullable; keywords override fields of `ImageFact`."""
        given = {"id": f"sha256:{self.derive(f'image {reference}')}", **over}
        fact = msgspec.convert(given, ImageFact)
        (self.registry if pullable else self.images)[reference] = fact
        return fact

    def add_foreign_container(
        self,
        name: str,
        *,
        image: str = "busybox:1",
        labels: dict[str, str] | None = None,
        running: bool = True,
        spec: Container | None = None,
    ) -> SeenContainer:
        """Let somebody else make a container; the image is made present where it is not."""
        fact = self.images.get(image) or self.add_image(image)
        wanted = Container(name=name, image=image) if spec is None else replace(spec, image=image)
        seen = self.make_container(name, wanted, labels=labels or {}, image=fact)
        return self.start(seen.full_id) if running else seen

    def add_network(self, name: str, labels: dict[str, str] | None = None) -> SeenNetwork:
        """Make a network; Docker lets two have one name."""
        network = SeenNetwork(id=self.fresh_id("network"), name=name, labels=labels or {}, created_at=self.now())
        self.networks[network.id] = network
        return network

    def add_path(
        self,
        path: str,
        *,
        kind: Literal["directory", "file", "symlink", "other"] = "file",
        mode: str | None = None,
        content: bytes = b"",
        target: str = "",
        uid: int | None = None,
        device: int = DEVICE,
    ) -> Node:
        """Put a node at `path`, replacing what stands there; ours unless `uid` says otherwise."""
        owner = self.uid if uid is None else uid
        node = Node(
            kind=kind,
            mode=mode or ("0755" if kind == "directory" else "0644"),
            inode=self.fresh_number(),
            modified_epoch_s=self.clock(),
            uid=owner,
            gid=owner,
            content=content,
            target=target,
            device=device,
        )
        self.paths[path] = node
        return node

    # What the engine does --------------------------------------------------------------------------------------------

    def by_name(self, name: str) -> SeenContainer | None:
        """Look a container up by its exact Docker name."""
        return next((seen for seen in self.containers.values() if seen.name == name), None)

    def make_container(
        self, name: str, container: Container, *, labels: dict[str, str], image: ImageFact
    ) -> SeenContainer:
        """Create a container from an image, with what the engine fills in."""
        spec = complete(container, image=image)
        merged = {**spec.labels, **labels}
        first = container.first_network
        shown = replace(
            spec,
            name=resource_name(name, merged),
            labels=label.without_ours(merged),
            networks={} if first is None else {first: tuple(sorted(container.networks[first]))},
            run="always",
            optional=False,
            after=(),
        )
        seen = SeenContainer(
            full_id=self.fresh_id("container"),
            name=name,
            labels=merged,
            image_id=image.id,
            created_at=self.now(),
            spec=shown,
            live=Live(state="created"),
        )
        self.containers[seen.full_id] = seen
        self.output[seen.full_id] = []
        for mount in container.mounts.values():
            if mount.kind == "volume":
                self.volumes.setdefault(str(mount.source), SeenVolume(name=str(mount.source)))
        return seen

    def behaviour(self, seen: SeenContainer) -> Behaviour:
        """Tell what a container does: by its name, else its command, else its image."""
        command = tuple(str(word) for word in (*(seen.spec.entrypoint or ()), *(seen.spec.command or ())))
        for key in (seen.name, command, seen.spec.image):
            if key in self.behaviours:
                return self.behaviours[key]
        return Behaviour()

    def start(self, full_id: str) -> SeenContainer:
        """Start a container, without asking whether it can be."""
        seen = self.containers[full_id]
        behaviour = self.behaviour(seen)
        self._run_begins[full_id] = len(self.output[full_id])
        self.output[full_id].extend(behaviour.output)
        self._first_start_s[full_id] = self.clock()
        self.ports[full_id] = self._publish(seen.spec)
        self.asks = {key: count for key, count in self.asks.items() if key[0] != full_id}
        live = Live(state="running", started_at=self.now(), finished_at=seen.live.finished_at)
        joined = {one.name: one.id for one in self.networks.values() if one.name in seen.spec.networks}
        self.containers[full_id] = replace(seen, live=live, network_ids=joined)
        self.settle()
        return self.containers[full_id]

    def run_output(self, full_id: str) -> list[str]:
        """Give what a container printed in its present or last run."""
        return self.output[full_id][self._run_begins.get(full_id, 0) :]

    def end(self, full_id: str, *, exit_code: int, error: str = "", oom_killed: bool = False) -> SeenContainer:
        """Let a container end for good, as `docker stop` or a crash without a restart policy would."""
        seen = self.containers[full_id]
        self._first_start_s.pop(full_id, None)
        self.ports.pop(full_id, None)
        live = replace(
            seen.live,
            state="exited",
            exit_code=exit_code,
            finished_at=self.now(),
            error=error,
            oom_killed=oom_killed,
            health="unhealthy" if seen.live.health is not None else None,
        )
        self.containers[full_id] = replace(seen, live=live)
        return self.containers[full_id]

    def drop(self, full_id: str) -> None:
        """Remove a container and everything that is only its own."""
        del self.containers[full_id]
        self.output.pop(full_id, None)
        self.ports.pop(full_id, None)
        self._first_start_s.pop(full_id, None)
        self._run_begins.pop(full_id, None)

    def rename(self, full_id: str, to: str) -> SeenContainer:
        """Give a container another name, without asking whether it is free."""
        seen = self.containers[full_id]
        spec = replace(seen.spec, name=resource_name(to, seen.labels))
        self.containers[full_id] = replace(seen, name=to, spec=spec)
        return self.containers[full_id]

    def reboot(self) -> None:
        """Restart the machine: another boot id, and only what has a restart policy runs again."""
        self.boot_id = self.derive(f"boot {self.fresh_number()}")[:32]
        self.locks.clear()
        for full_id, seen in list(self.containers.items()):
            if seen.live.state in {"running", "restarting", "paused"}:
                self.end(full_id, exit_code=137)
                if seen.spec.restart in {"always", "unless-stopped"}:
                    self.start(full_id)

    def taken_ports(self) -> dict[str, str]:
        """Map each published `bind:port/proto` to the name of the container that holds it now."""
        return {
            published: self.containers[full_id].name
            for full_id, bound in self.ports.items()
            for published in bound.values()
        }

    def settle(self) -> None:
        """Let everything happen that the clock has reached: containers that end by themselves, health checks."""
        for full_id, started_s in list(self._first_start_s.items()):
            seen = self.containers[full_id]
            live = live_by(self.clock(), seen=seen, behaviour=self.behaviour(seen), started_s=started_s)
            self.containers[full_id] = replace(seen, live=live)
            if live.state == "exited":
                self.ports.pop(full_id, None)
                del self._first_start_s[full_id]

    def _publish(self, spec: Container) -> dict[str, str]:
        taken = {published.rpartition("/")[0].rpartition(":")[2] for published in self.taken_ports()}
        bound: dict[str, str] = {}
        for inside, published in sorted(spec.ports.items()):
            port = published.host_port
            if port is None:
                port = EPHEMERAL_PORT_FIRST
                while str(port) in taken:
                    port += 1
            taken.add(str(port))
            bound[inside] = f"{published.bind}:{port}/{inside.partition('/')[2]}"
        return bound


def resource_name(docker_name: str, labels: dict[str, str]) -> str:
    """Name a container's resource: by its labels, else by Docker's name."""
    ours = label.from_docker(labels)
    return docker_name if ours is None else ours.resource
