"""Tell the story on hosts in memory, a stand-in for real ones: no container is started, nothing is reached.

Everything above the interface of a host is the product's own: it reads the specs, looks, plans, asks for readiness,
applies, records and shows. Only the doors open made-up machines instead of SSH connections.
"""

import asyncio
import shutil
from contextlib import chdir
from pathlib import Path

from reconciler import cli
from reconciler.apply.ports import Interrupt
from reconciler.cli import exits, report
from reconciler.cli.clock import SystemClock
from reconciler.cli.ground import Ground, lay_ground, load_records, owner, question_of
from reconciler.cli.plan import status_of
from reconciler.cli.progress import Lines
from reconciler.cli.selection import select
from reconciler.errors import GuardRefused, ReconcilerError
from reconciler.host.memory.host import MemoryHost
from reconciler.host.memory.parts import Behaviour
from reconciler.host.memory.world import World
from reconciler.model.desired import HostDesired
from reconciler.passes import Answer, PassAsked, Planned, Setting, apply_pass, plan_pass
from reconciler.plan import Selection
from reconciler.show.outcome_text import not_ready_page, outcome_page
from reconciler.show.plan_text import plan_page
from tests.lab.images import IMAGES
from tests.lab.missing import LabError
from tests.lab.story import Story

_ROOT = Path(__file__).resolve().parents[2]
_HOSTS = ("h1", "h2")  # those of the example fleet


class MemoryDoors:
    """Open made-up machines, as `RealDoors` opens real ones: a new connection each time, to the same machine."""

    def __init__(self, worlds: dict[str, World]) -> None:
        self._worlds = worlds

    def reader(self, host: HostDesired) -> MemoryHost:
        """Give a connection for reading."""
        return self.host(host)

    def host(self, host: HostDesired) -> MemoryHost:
        """Give a connection that effects may be sent to."""
        return MemoryHost(host.name, self._worlds[host.name])


class SimulatedStory(Story):
    """Hold two made-up machines that carry the lab's images, and the example fleet as it is."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        shutil.copytree(_ROOT / "specs", self.specs)
        self._clock = SystemClock()
        self._worlds = {name: self._machine(name) for name in _HOSTS}
        self._doors = MemoryDoors(self._worlds)

    def _machine(self, name: str) -> World:
        world = World(seed=name, clock=lambda: self._clock.now().timestamp())
        # A storage root is the operator's: it is there before the reconciler comes.
        world.add_path("/srv/data", kind="directory", mode="0755")
        for image in IMAGES.values():
            env = dict(line.split("=", 1) for line in image.config["Env"])
            world.add_image(image.ref, env=env, command=tuple(image.config["Cmd"]))
            world.behaviours[image.ref] = Behaviour(ready_after=1)
        return world

    def remove_container(self, *, host: str, name: str) -> None:
        """Remove a container from a made-up machine."""
        seen = self._worlds[host].by_name(name)
        if seen is None:
            raise LabError(f"the simulated {host} has no container {name}")
        self._worlds[host].drop(seen.full_id)

    def reconcile(self, *arguments: str) -> int:
        """Run the command itself where it reaches no host, else what it is made of."""
        with chdir(self.folder):
            try:
                match arguments:
                    case ("plan", *names, "--detailed-exitcode"):
                        return self._plan(names)
                    case ("apply", *names, "--yes"):
                        return self._apply(names)
                    case ("destroy", "--all", "--yes"):
                        return self._destroy_all()
                    case _:
                        return cli.run(list(arguments))
            except ReconcilerError as error:
                return report.complain(error)

    def _plan(self, names: list[str]) -> int:
        ground, question = self._ask(names)
        planned = asyncio.run(plan_pass(question, store=ground.store, doors=self._doors, clock=ground.clock))
        self._show_plan(planned)
        return status_of(planned, detailed=True)

    def _apply(self, names: list[str]) -> int:
        return self._carry(*self._ask(names))

    def _destroy_all(self) -> int:
        ground = _ground()
        wanted = frozenset(ground.desired.sandboxes)
        return self._carry(ground, question_of(ground, Selection(names=wanted), destroying=wanted))

    def _ask(self, names: list[str]) -> tuple[Ground, PassAsked]:
        ground = _ground()
        selection = select(ground.desired, load_records(ground), names=names, on=None, exclude=None)
        return ground, question_of(ground, selection)

    def _carry(self, ground: Ground, question: PassAsked) -> int:
        setting = Setting(
            store=ground.store,
            doors=self._doors,
            clock=ground.clock,
            owner=owner(),
            lock_timeout_s=0,
            agree=self._agree,
            observer=Lines(),
            interrupt=Interrupt(),
        )
        passed = asyncio.run(apply_pass(question, setting))
        ended = passed.ended
        if ended is not None:
            report.show(outcome_page(passed.planned.plan, ended, deltas=True))
        if passed.not_ready:
            report.show(not_ready_page(passed.not_ready))
        is_fine = not passed.not_ready and (ended is None or all(action.end == "done" for action in ended.actions))
        return exits.FINE if is_fine else exits.ERROR

    def _agree(self, planned: Planned) -> Answer:
        self._show_plan(planned)
        if planned.plan.refused:
            raise GuardRefused("refused: " + planned.plan.refused[0].text, code="E_BUDGET")
        return Answer.NO if planned.plan.empty else Answer.YES

    def _show_plan(self, planned: Planned) -> None:
        age_s = (self._clock.now() - planned.plan.made_at).total_seconds()
        report.show(plan_page(planned.plan, width=report.width(), age_s=age_s))


def _ground() -> Ground:
    return lay_ground(Path("specs"), Path("status"))
