"""Hold one host of the simulation: the in-memory world, its clock and link, and whose each thing on it truly is."""

from __future__ import annotations

import random
from collections import deque
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from reconciler.errors import ConnectFailed, HostError
from reconciler.host.memory.parts import Lock, Node
from reconciler.host.memory.world import World
from reconciler.model.effect import Effect
from reconciler.model.observed import HostView, SeenContainer, SeenNetwork
from tests.simulate import catalogue
from tests.simulate.clocks import SimClock, virtual_s

if TYPE_CHECKING:
    from tests.simulate.play import Play

VIEWS_KEPT = 6
BOOT_S = 30.0
"""How long after a reboot no probe can be asked."""
PRESENT = 0.7
"""How many of the images are on a host already; the others have to be pulled."""


class PathLog(dict[str, Node]):
    """Hold the nodes of a disk, and remember which were written and removed since somebody last asked."""

    def __init__(self, nodes: dict[str, Node]) -> None:
        super().__init__(nodes)
        self._written: list[str] = []
        self._removed: list[str] = []

    def __setitem__(self, path: str, node: Node) -> None:
        super().__setitem__(path, node)
        self._written.append(path)

    def __delitem__(self, path: str) -> None:
        super().__delitem__(path)
        self._removed.append(path)

    def pop(self, path: str, *default: Any) -> Any:
        """Remove one as `del` does, and give it."""
        if path not in self and default:
            return default[0]
        node = self[path]
        del self[path]
        return node

    def take(self) -> tuple[list[str], list[str]]:
        """Give what was written and removed, and forget it."""
        taken = self._written, self._removed
        self._written, self._removed = [], []
        return taken


class Mutation(NamedTuple):
    """Remember an effect that changed a host: when, where and by whom."""

    at_s: float
    host: str
    by: str
    effect: Effect


class Locks(dict[str, Lock]):
    """Hold the locks of a machine, and remember whether one was granted while somebody else had it."""

    stolen = False

    def __setitem__(self, base_dir: str, lock: Lock) -> None:
        self.stolen = self.stolen or base_dir in self
        super().__setitem__(base_dir, lock)


class Machine:
    """Be one host.

    Attributes:
        outage: while set, nobody reaches it.
        lock_broken: its lock is granted to whoever asks.
        foreign: what is not ours, by id or path: it must stay what it is. What a person renamed counts as theirs.
        made: ids of the containers that our effects created; made_s: when.
        crops: paths of what containers made beside their trees.
        views: what earlier looks saw, for looks that are served from the past.
        deeds: what people and late effects did to it, by kind, which excuses what is held back for it.
        started_when_passed: by id, when the container had been started that last passed a probe.
        booted_s: when it was last rebooted: containers are back before they can be asked anything.
        touched_s: when something last happened to it that was not an effect of ours.
        paths: what is written and removed on its disk.
    """

    def __init__(self, name: str, dice: random.Random) -> None:
        self.name = name
        self.clock = SimClock()
        self.world = World(seed=name, clock=self.clock)
        self.outage: HostError | None = None
        self.lock_broken = False
        self.foreign: dict[str, SeenContainer] = {}
        self.foreign_networks: dict[str, SeenNetwork] = {}
        self.foreign_paths: dict[str, Node] = {}
        self.made: set[str] = set()
        self.made_s: dict[str, float] = {}
        self.crops: set[str] = set()
        self.views: deque[HostView] = deque(maxlen=VIEWS_KEPT)
        self.deeds: set[str] = set()
        self.touched_s = -1.0
        self.booted_s = -BOOT_S
        self.started_when_passed: dict[str, datetime | None] = {}
        self._furnish(dice)
        self.paths = PathLog(self.world.paths)
        self.world.paths = self.paths
        self.locks = Locks()
        self.world.locks = self.locks

    def _furnish(self, dice: random.Random) -> None:
        for reference, word in catalogue.image_names():
            self.world.add_image(
                reference, pullable=dice.random() > PRESENT, env={"PATH": "/bin"}, command=("/bin/app",)
            )
            if word in catalogue.BEHAVIOURS:
                self.world.behaviours[reference] = catalogue.BEHAVIOURS[word]

    def plant(
        self,
        name: str,
        *,
        labels: dict[str, str] | None = None,
        image: str = "busybox:1",
        running: bool = True,
        deed: str = "",
    ) -> SeenContainer:
        """Let somebody else make a container."""
        seen = self.world.add_foreign_container(name, image=image, labels=labels, running=running)
        self.foreign[seen.full_id] = seen
        if deed:
            self.deeds.add(deed)
        return seen

    def plant_path(self, path: str, *, kind: Literal["directory", "file", "symlink"] = "file", uid: int = 0) -> None:
        """Let somebody else put something at a path."""
        self.foreign_paths[path] = self.world.add_path(path, kind=kind, content=b"theirs", uid=uid)

    def note_made(self, full_ids: set[str]) -> None:
        """Count containers as ours, made just now."""
        self.made |= full_ids
        self.made_s |= dict.fromkeys(full_ids, virtual_s())

    def disown(self, full_id: str) -> None:
        """Count a container as somebody else's from now on."""
        self.foreign[full_id] = self.world.containers[full_id]

    def is_ours(self, seen: SeenContainer) -> bool:
        """Tell whether a container was made by our effects and still is ours, by what really happened."""
        return seen.full_id in self.made and seen.full_id not in self.foreign

    def ours(self) -> list[SeenContainer]:
        """List the containers that are truly ours, by name."""
        return sorted(filter(self.is_ours, self.world.containers.values()), key=lambda seen: seen.name)

    def cut_off(self, seconds: float, play: Play) -> None:
        """Let nobody reach it for a while."""
        self.outage = ConnectFailed(
            f"host {self.name} does not answer", code="E_HOST_TIMEOUT", hint="is its network up?", transient=True
        )

        def restore() -> None:
            self.outage = None

        play.later(seconds, restore)

    def remember_foreign(self, now_s: float) -> None:
        """Take what is foreign as it is now: something else than us has changed it."""
        self.foreign = {full_id: self.world.containers[full_id] for full_id in self.foreign}
        self.touched_s = now_s
