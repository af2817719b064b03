"""Hold one run: its dice, machines, specs and controllers, and what has happened so far."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

from tests.simulate import catalogue
from tests.simulate.actors import Actors
from tests.simulate.clocks import virtual_s
from tests.simulate.controller import CURRENT, Controller
from tests.simulate.disk import Cache, Disk
from tests.simulate.editor import Editor
from tests.simulate.host import SimHost
from tests.simulate.later import later_of
from tests.simulate.machine import Machine, Mutation
from tests.simulate.swarm import Swarm
from tests.simulate.trace import Tally, Trace
from tests.simulate.watch import Violated

NEIGHBOURS = (0, 0, 0, 12)
"""How many containers of other people a host has from the beginning."""


class Play:
    """Be one run of one seed.

    Attributes:
        besides: what it plays of what the simulation learned later.
        weather: what goes wrong now; `Swarm({})` once everything is healed.
        mutations: every effect that changed a host.
        left_behind: files of sandboxes that no spec names any more, in the end.
        last_removals: per controller, how many removals its last plan held.
        routes: hosts whose address leads to another one's machine for now.
        known_to: what the records of a status folder must know: that folder, a host, a sandbox that was made there.
        written: what each status file may hold after a loss of power: what the last whole pass left, and all since.
    """

    def __init__(self, seed: int, *, swarm: Swarm, folder: Path) -> None:
        self.seed = seed
        self.swarm = self.weather = swarm
        self.besides = later_of(seed)
        self.trace = Trace(hidden=str(folder))
        self.tally = Tally()
        self._dice: dict[str, random.Random] = {}
        shape = self.dice("size")
        self.hosts = catalogue.HOSTS[: shape.choice((1, 1, 2, 2, 3))]
        self.latency_s = shape.choice((0.0, 0.02, 0.2, 1.0))
        self.steps = shape.choice((2, 3, 4, 6))
        self.machines = {name: Machine(name, self.dice(f"machine {name}")) for name in self.hosts}
        for name, machine in self.machines.items():
            dice = self.dice(f"neighbours {name}")
            for number in range(dice.choice(NEIGHBOURS)):
                machine.plant(f"neighbour-{number}")
        self.editor = Editor(
            self.dice("editor"),
            self.hosts,
            sandboxes_max=shape.choice((2, 2, 3, 3, 4, 4, 4, 6, 6, 15)),
            with_sick=shape.random() < 0.3,
            later=self.besides,
            later_dice=self.dice("later"),
        )
        names = ("A", "B") if swarm["two_controllers"] or swarm["lock_broken"] else ("A",)
        shared = shape.random() < 0.5
        caches = {name: Cache() for name in names}
        self.controllers = [
            Controller(self, name, folder / ("status" if shared else name), caches["A" if shared else name])
            for name in names
        ]
        self.actors = Actors(self)
        self.mutations: list[Mutation] = []
        self.last_removals: dict[str, int] = {}
        self.violation: Violated | None = None
        self.idle_disk = Disk(Cache())
        self.kill_last_at: int | None = None
        self.from_empty = False
        self.state: dict[str, str] = {}
        self.points = 0
        self.left_behind: set[str] = set()
        self.routes: dict[str, str] = {}
        self.written: dict[Path, list[bytes | None]] = {}
        self.known_to: set[tuple[Path, str, str]] = set()

    def dice(self, name: str) -> random.Random:
        """Give the dice of one part of the run: each part has its own, so that one does not disturb another."""
        found = self._dice.get(name)
        if found is None:
            found = self._dice[name] = random.Random(f"{self.seed} {name}")  # noqa: S311 - reproducible on purpose
        return found

    def machine_of(self, host: str) -> Machine:
        """Give the machine that a host's address leads to."""
        return self.machines[self.routes.get(host, host)]

    @property
    def now_s(self) -> float:
        """Give the virtual time."""
        return virtual_s()

    def later(self, seconds: float, do: Callable[[], object]) -> asyncio.TimerHandle:
        """Do something after a while, whatever becomes of who asked for it; what it violates ends the run."""

        def guarded() -> None:
            try:
                do()
            except Violated as violated:
                self.violation = self.violation or violated

        return asyncio.get_running_loop().call_later(seconds, guarded)

    def fault(self, kind: str, where: str, what: str) -> None:
        """Note that something went wrong on purpose."""
        self.tally[f"fault/{kind}"] += 1
        self.trace.add("fault", f"{kind} {where} {what}")

    def meddle(self) -> None:
        """Let people do something right now, in the middle of whatever goes on."""
        self.actors.meddle()

    def demand(self, invariant: str, holds: bool, message: Callable[[], str] | str) -> None:  # noqa: FBT001
        """Count one check of an invariant, and end the run when it does not hold."""
        self.tally[f"checked/{invariant}"] += 1
        if not holds:
            raise self.fail(invariant, message if isinstance(message, str) else message())

    def fail(self, invariant: str, message: str) -> Violated:
        """Note the first violation, and give the exception that ends the run."""
        violated = Violated(invariant, message)
        self.violation = self.violation or violated
        return violated

    def land_all(self, machine: Machine) -> None:
        """Let every effect happen that is still waiting for others to come first."""
        controller = self.controllers[0]
        controller.dead = False
        SimHost(machine, controller).land_everything()

    def disk(self) -> Disk:
        """Give the disk of whichever controller's code runs."""
        current = CURRENT.get()
        return self.idle_disk if current is None else current.disk
