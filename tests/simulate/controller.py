"""Run passes as one controller does: with its own clock, status folder and checkout, until it is killed."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from reconciler.apply.ports import Interrupt, Observer
from reconciler.errors import GuardRefused, Locked, ReconcilerError
from reconciler.model.desired import Desired, HostDesired
from reconciler.model.observed import Observed
from reconciler.model.outcome import ActionEnded, StepEnded
from reconciler.model.plan import Action, Plan, Step
from reconciler.model.record import Records
from reconciler.model.status import SandboxStatus
from reconciler.passes import Answer, PassAsked, Passed, Planned, Setting, apply_pass, plan_pass
from reconciler.plan import PlanRequest, Selection, plan
from reconciler.record.store import StatusStore
from tests.simulate import catalogue, disk, oracles, plans
from tests.simulate.clocks import SimClock
from tests.simulate.honesty import (
    Ledger,
    i09_power_takes_nothing_promised,
    i19_done_is_true,
    is_status_file,
    promise_what_is_written,
    step_begins,
)
from tests.simulate.host import SimHost
from tests.simulate.watch import Violated

if TYPE_CHECKING:
    from tests.simulate.editor import Revision
    from tests.simulate.play import Play

CURRENT: contextvars.ContextVar[Controller | None] = contextvars.ContextVar("controller", default=None)
"""Which controller's code runs: its tasks inherit it."""


TICK_S = 0.001


class Killed(BaseException):
    """The controller died here: no `except Exception` of it may notice."""


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """Say how one pass is to go.

    Attributes:
        kill_after_s: when the controller is killed, counted from the start of the pass.
        kill_at_point: at how many points of effects it is killed.
        disk_full_from: from which operation on the disk is full.
        press_after_s: when a person presses Ctrl-C, once or more.
        override: let the plan remove what the last refused one would.
        power: the kill takes the disk's unflushed writes along.
    """

    kind: str = "apply"
    kill_after_s: float | None = None
    kill_at_point: int | None = None
    kill_at_write: int | None = None
    disk_full_from: int | None = None
    press_after_s: tuple[float, ...] = ()
    override: bool = False
    power: bool = False
    names: frozenset[str] | None = None
    destroying: frozenset[str] = frozenset()
    asked: bool = False
    lock_timeout_s: float = 0.0


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """Say how a pass ended: with a result, with one of our errors, or with the controller's death."""

    passed: Passed | None = None
    planned: Planned | None = None
    error: ReconcilerError | None = None
    killed: bool = False
    errand: Errand
    revision: int


class Controller:
    """Be one controller. A dead one is born again with the next pass, with nothing in memory.

    Attributes:
        blurred: hosts of which it was shown the past in this pass.
        unheard: hosts whose last look in this pass gave nothing, or not all.
        fresh: what was planned last in this pass.
        ledger: what this pass, which began at `began_s`, began to do, and what it said became of it.
        lingers_s: how long hosts keep the lock of a dead one.
    """

    def __init__(self, play: Play, name: str, folder: Path, cache: disk.Cache) -> None:
        self.play = play
        self.name = name
        self.folder = folder
        self.clock = SimClock()
        self.disk = disk.Disk(cache)
        self.disk.before = self._before_disk
        self.disk.renamed = self._put_in_place
        self.disk.removed = self._forget
        self.dead = False
        self.lingers_s = 0.0
        self.blurred: set[str] = set()
        self.unheard: set[str] = set()
        self.fresh: Plan | None = None
        self.ledger = Ledger()
        self.known_before: frozenset[tuple[Path, str, str]] = frozenset()
        self.began_s = 0.0
        self.refused_removals: int | None = None
        self.passes = 0
        self.revision, self.is_current = play.editor.head, True
        self.generations: dict[str, int] = {}
        self.statuses: dict[str, SandboxStatus] = {}
        self.has_been_blurred = False
        self.last: Ended | None = None
        self.last_passed: Passed | None = None
        self._errand = Errand()
        self.points = 0
        self._operations = 0

    # Life and death --------------------------------------------------------------------------------------------------

    def insist_alive(self) -> None:
        """Raise `Killed` where a dead controller would go on."""
        if self.dead:
            raise Killed

    def die(self, how: str) -> None:
        """Be killed here."""
        if not self.dead:
            self.dead = True
            self.play.fault("power_loss" if self._errand.power else "kill", self.name, how)
        raise Killed

    def _before_disk(self, operation: str) -> None:
        self.insist_alive()
        self._operations += 1
        errand = self._errand
        if errand.kill_at_write is not None and self._operations >= errand.kill_at_write:
            self.die(f"before {operation} {self._operations}")
        if (
            errand.disk_full_from is not None
            and self._operations >= errand.disk_full_from
            and operation in {"write", "open", "mkdir", "fallocate"}
        ):
            self.play.fault("controller_disk", self.name, operation)
            raise disk.full()

    def at_point(self, name: str, host: str) -> None:
        """Pass a point of an effect, and perhaps no further."""
        self.insist_alive()
        self.points += 1
        self.play.tally[f"point/{name}"] += 1
        if self._errand.kill_at_point is not None and self.points >= self._errand.kill_at_point:
            self.play.tally["fault/kill_at_point"] += 1
            self.die(f"at {name} on {host}")

    def _put_in_place(self, path: Path, old: bytes | None) -> None:
        if is_status_file(path):
            self.play.written.setdefault(path, [old]).append(path.read_bytes())
        oracles.i09_status_is_whole(self.play, self, path)

    def _forget(self, path: Path, old: bytes) -> None:
        """Forget what a status file said that is gone."""
        if is_status_file(path):
            self.play.written.setdefault(path, [old]).append(None)
        if path.parent.name == "sandboxes":
            for one in self.play.controllers:
                if one.folder == self.folder:
                    one.generations.pop(path.stem, None)
            self.statuses.pop(path.stem, None)

    # Doors -----------------------------------------------------------------------------------------------------------

    def reader(self, host: HostDesired) -> SimHost:
        """Open a host for reading."""
        return SimHost(self.play.machine_of(host.name), self, name=host.name)

    def host(self, host: HostDesired) -> SimHost:
        """Open a host for changing."""
        return SimHost(self.play.machine_of(host.name), self, name=host.name)

    # One pass --------------------------------------------------------------------------------------------------------

    async def run(self, errand: Errand, revision: Revision) -> Ended:
        """Do one pass; whatever it raises that is not an error of ours is a failure of the run."""
        self._errand, self.points, self._operations, self.dead = errand, 0, 0, False
        self.blurred, self.unheard, self.fresh, self.ledger = set(), set(), None, Ledger()
        self.known_before = frozenset(self.play.known_to)
        self.revision, self.is_current = revision, revision is self.play.editor.head
        self.passes += 1
        await asyncio.sleep(TICK_S)  # so that nothing that happened before this pass bears its time
        started_s = self.began_s = self.play.now_s
        desired = self.play.editor.desired(revision)
        interrupt = Interrupt()
        self.play.trace.add(self.name, f"{errand.kind} r{revision.number} {_words(errand)}")
        token = CURRENT.set(self)
        task = asyncio.create_task(self._pass(errand, desired, revision, interrupt))
        CURRENT.reset(token)
        timers = [self.play.later(seconds, interrupt.press) for seconds in errand.press_after_s]
        if errand.kill_after_s is not None:
            timers.append(self.play.later(errand.kill_after_s, lambda: self._kill(task)))
        ended = await self._await(task, errand, revision)
        for timer in timers:
            timer.cancel()
        if errand.power and ended.killed:
            self.disk.lose_power(self.folder, dice=self.play.dice("power"))
            self._recall_generations()
            self._recall_generations()
            i09_power_takes_nothing_promised(self.play, self)
        elif ended.passed is not None:
            promise_what_is_written(self.play, self)
        self.last_passed = ended.passed
        oracles.look_at_ended(self.play, self, ended, started_s=started_s)
        self._note(ended)
        return ended

    def _recall_generations(self) -> None:
        """Go on from what is on the disk: what was written and not flushed was never promised."""
        kept: dict[str, int] = {}
        for path in self.folder.glob("sandboxes/*.json"):
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                kept[path.stem] = msgspec.json.decode(path.read_bytes(), type=SandboxStatus).generation
        for one in self.play.controllers:
            if one.folder == self.folder:
                one.generations = dict(kept)

    def _kill(self, task: asyncio.Task[Any]) -> None:
        if not task.done():
            self.dead = True
            self.play.fault("power_loss" if self._errand.power else "kill", self.name, "from outside")
            task.cancel()

    async def _await(self, task: asyncio.Task[Passed | Planned], errand: Errand, revision: Revision) -> Ended:
        number = revision.number
        try:
            result = await task
        except (Killed, asyncio.CancelledError):
            if not self.dead:
                raise
            return Ended(killed=True, errand=errand, revision=number)
        except ReconcilerError as error:
            return Ended(error=error, killed=self.dead, errand=errand, revision=number)
        except Violated:
            raise
        except BaseException as error:
            if self.dead and _came_of_death(error):
                return Ended(killed=True, errand=errand, revision=number)
            raise
        if isinstance(result, Planned):
            return Ended(planned=result, errand=errand, revision=number)
        return Ended(passed=result, planned=result.planned, errand=errand, revision=number)

    async def _pass(
        self, errand: Errand, desired: Desired, revision: Revision, interrupt: Interrupt
    ) -> Passed | Planned:
        store = StatusStore(self.folder, fleet=catalogue.FLEET)
        question = self._question(errand, desired, revision)
        if errand.kind == "plan":
            return await plan_pass(question, store=store, doors=self, clock=self.clock)
        saved: Plan | None = None
        if errand.kind == "saved":
            early = await plan_pass(question, store=store, doors=self, clock=self.clock)
            if early.plan.empty:
                return early
            saved = early.plan
            await self.clock.sleep(5)
        setting = Setting(
            store=store,
            doors=self,
            clock=self.clock,
            owner=self.name,
            lock_timeout_s=errand.lock_timeout_s,
            agree=lambda planned: self._agree(planned, asked=errand.asked),
            observer=_Watcher(self),
            interrupt=interrupt,
        )
        return await apply_pass(question, setting, saved=saved)

    def _question(self, errand: Errand, desired: Desired, revision: Revision) -> PassAsked:
        override = self.refused_removals if errand.override else None
        request = PlanRequest(
            now=self.clock.now(),
            pass_id=f"{self.name}-{self.passes:04}",
            tool="simulated",
            revision=revision.commit,
            secrets={f"secret:{catalogue.SECRET_NAME}": catalogue.CANARY},
            selection=Selection(names=errand.names),
            destroying=errand.destroying,
            removals_allowed=override,
        )

        def planner(desired: Desired, observed: Observed, records: Records, request: PlanRequest) -> Plan:
            made = self.fresh = plan(desired, observed, records, request)
            plans.look_at_plan(self.play, self, made, (desired, observed, records, request))
            return made

        return PassAsked(
            desired=desired,
            request=request,
            ancestors=lambda found: found & revision.ancestors,
            planner=planner,
        )

    def _agree(self, planned: Planned, *, asked: bool) -> Answer:
        """Answer as the command line does: a guard's refusal ends the pass."""
        made = planned.plan
        if made.refused:
            raise GuardRefused("refused: " + made.refused[0].text, hint=made.refused[-1].text, code="E_BUDGET")
        if made.empty:
            return Answer.NO
        return Answer.ASKED if asked else Answer.YES

    def _note(self, ended: Ended) -> None:
        self.last = ended
        says = "killed" if ended.killed else "planned"
        if ended.error is not None:
            says = f"{ended.error.code} {ended.error.message}"
        elif ended.passed is not None:
            done = ended.passed.ended
            says = "nothing" if done is None else " ".join(f"{item.id}={item.end}" for item in done.actions)
        self.play.trace.add(self.name, f"-> {says}")
        self.play.tally[f"pass/{'killed' if ended.killed else _kind(ended)}"] += 1
        if isinstance(ended.error, GuardRefused):
            count = self.play.last_removals.get(self.name)
            self.refused_removals = count
        elif ended.passed is not None:
            self.refused_removals = None


class _Watcher(Observer):
    """See a walk for the oracles and the tally, and be where it is killed."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller

    def point(self, name: str, *, host: str, step: str) -> None:  # noqa: ARG002 - the observer's signature
        self._controller.at_point(name, host)

    def step_started(self, action: Action, step: Step) -> None:
        step_begins(self._controller.play, self._controller, action, step)

    def step_ended(self, action: Action, ended: StepEnded) -> None:
        i19_done_is_true(self._controller.play, self._controller, action, ended)

    def action_started(self, action: Action) -> None:
        self._controller.play.tally[f"verb/{action.verb}"] += 1
        self._controller.play.tally[f"bucket/{action.bucket}"] += 1

    def action_ended(self, action: Action, ended: ActionEnded) -> None:
        self._controller.play.tally[f"end/{ended.end} {ended.code}".strip()] += 1
        oracles.i15_failures_say_what_to_do(self._controller.play, action, ended)


def _came_of_death(error: BaseException) -> bool:
    """Tell whether an error is only the echo of a kill, met on the way out."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, Killed | asyncio.CancelledError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _kind(ended: Ended) -> str:
    if isinstance(ended.error, Locked):
        return "locked"
    if ended.error is not None:
        return ended.error.code
    return ended.errand.kind


def _words(errand: Errand) -> str:
    said = {
        name: value
        for name, value in msgspec.structs.asdict(errand).items()
        if value not in (None, False, (), frozenset(), 0.0) and name != "kind"
    }
    return " ".join(
        f"{name}={sorted(value) if isinstance(value, frozenset) else value}" for name, value in said.items()
    )
