"""Set the stage for a walk: made-up hosts, a journal and an observer that remember, and time that jumps.

All of it stands in for the real things. The loop's clock moves only when everybody waits, so a test of minutes takes
milliseconds, and a walk that would hang for ever fails at once.
"""

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec

from reconciler.apply import Interrupt, Observer, apply
from reconciler.host.interface import Host
from reconciler.host.memory.faults import Fault
from reconciler.host.memory.host import MemoryHost
from reconciler.host.memory.world import World
from reconciler.model.delta import ProvisionDelta
from reconciler.model.desired import Limits
from reconciler.model.effect import CreateContainer, Made, Outcome, StartContainer
from reconciler.model.names import sandbox_uid
from reconciler.model.outcome import ActionEnded, PassEnded, StepEnded
from reconciler.model.plan import Action, Apply, Await, Do, Measure, Plan, Step
from tests import builders as b

T = TypeVar("T")


class _JumpingSelector(selectors.SelectSelector):
    """Let time jump to the next timer instead of waiting for it."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits, and nothing will ever happen")
        self.now_s += timeout
        return super().select(0)


class JumpingLoop(asyncio.SelectorEventLoop):
    """Run tasks in virtual time, which begins at 0."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s


class LoopClock:
    """Tell the loop's time, as seconds since `T0`."""

    def now(self) -> datetime:
        return b.T0 + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def epoch_s(self) -> float:
        return self.now().timestamp()


def play(scene: Callable[[], Awaitable[T]]) -> T:
    """Run one scene in virtual time, and insist that it leaves no task behind."""

    async def whole() -> T:
        result = await scene()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return result

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(whole())


class Lines:
    """Be a journal in memory: `lines` holds (moment, host, step, outcome)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str, Outcome | None]] = []

    def before(self, step: Step, host: str) -> None:
        self.lines.append(("before", host, step.id, None))

    def after(self, step: Step, host: str, outcome: Outcome) -> None:
        self.lines.append(("after", host, step.id, outcome))

    def steps(self, moment: str = "before") -> list[str]:
        return [step for when, _, step, _ in self.lines if when == moment]


class Watcher(Observer):
    """Remember all that was seen, with the second at which it was."""

    def __init__(self, *, on_point: Callable[[str, str], None] | None = None) -> None:
        self.points: list[str] = []
        self.seen: list[tuple[float, str, str]] = []
        self.deltas: dict[str, ProvisionDelta] = {}
        self.ended: dict[str, ActionEnded] = {}
        self._on_point = on_point

    def _note(self, what: str, of: str) -> None:
        self.seen.append((asyncio.get_running_loop().time(), what, of))

    def point(self, name: str, *, host: str, step: str) -> None:  # noqa: ARG002 - the observer's signature
        self.points.append(name)
        if self._on_point is not None:
            self._on_point(name, step)

    def action_started(self, action: Action) -> None:
        self._note("action started", action.id)

    def step_started(self, action: Action, step: Step) -> None:  # noqa: ARG002 - the observer's signature
        self._note("step started", step.id)

    def progressed(self, action: Action, step: Step, line: str) -> None:  # noqa: ARG002 - the observer's signature
        self._note(f"progress: {line}", step.id)

    def step_ended(self, action: Action, ended: StepEnded) -> None:  # noqa: ARG002 - the observer's signature
        self._note("step ended", ended.step)

    def action_ended(self, action: Action, ended: ActionEnded) -> None:  # noqa: ARG002 - the observer's signature
        self._note("action ended", ended.id)
        self.ended[ended.id] = ended

    def measured(self, action: Action, delta: ProvisionDelta) -> None:
        self.deltas[action.id] = delta

    def when(self, what: str, of: str) -> float:
        return next(at for at, kind, which in self.seen if (kind, which) == (what, of))


class Stage:
    """Hold what a walk is given; every part can be reached, and changed, by a test."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.journal = Lines()
        self.watcher = Watcher()
        self.interrupt = Interrupt()
        self.hosts: dict[str, Host] = {}
        self.limits = Limits()

    def host(self, name: str = b.HOST, *faults: Fault, latency_s: float = 0.0) -> MemoryHost:
        """Put a host on the stage, with the image that the builders want."""
        world = World(seed=name, clock=self.clock.epoch_s)
        world.add_image(b.IMAGE)
        host = MemoryHost(name, world, *faults, sleep=asyncio.sleep, latency_s=latency_s)
        self.hosts[name] = host
        return host

    async def walk(self, *actions: Action, **over: Any) -> PassEnded:
        """Walk these actions."""
        return await self.walk_plan(b.a_plan(*actions), **over)

    async def walk_plan(self, plan: Plan, **over: Any) -> PassEnded:
        """Walk a plan; keywords override what the walk is given."""
        given: dict[str, Any] = {
            "hosts": self.hosts,
            "secrets": {},
            "limits": self.limits,
            "journal": self.journal,
            "observer": self.watcher,
            "clock": self.clock,
            "owner": "us",
            "interrupt": self.interrupt,
            "locks": {name: host.see_lock() for name, host in self.hosts.items() if isinstance(host, MemoryHost)},
        }
        return await apply(plan, **{**given, **over})


def steps_of(action_id: str, *dos: Do) -> tuple[Step, ...]:
    """Number the steps of an action."""
    return tuple(Step(id=f"{action_id}/{n}", do=do, title=f"step {n}") for n, do in enumerate(dos, start=1))


def acting(sandbox: str, *dos: Do, host: str = b.HOST, **over: Any) -> Action:
    """Order these things for one sandbox."""
    id_ = f"{host}/{sandbox}"
    given = {
        "id": id_,
        "sandbox": sandbox,
        "uid": sandbox_uid(b.FLEET, sandbox),
        "host": host,
    }
    return b.an_action(*steps_of(id_, *dos), **{**given, **over})


def create(sandbox: str, *, name: str | None = None, **over: Any) -> CreateContainer:
    """Create the sandbox's one container, or one of another name; keywords override the container."""
    owner = b.a_sandbox(sandbox, resources=(b.a_container(**over),))
    return CreateContainer(
        name=name or b.docker_name(owner),
        container=owner.containers[0],
        labels=b.labels_for(owner, attempt=f"a-{name or sandbox}"),
    )


def start(sandbox: str, *, name: str | None = None) -> StartContainer:
    """Start what the action made."""
    return StartContainer(Made(name=name or b.docker_name(sandbox), uid=sandbox_uid(b.FLEET, sandbox)))


def creating(sandbox: str, *more: Do, host: str = b.HOST, **over: Any) -> Action:
    """Order the creation of a sandbox: create, start, wait until it runs."""
    ready = Await(b.a_running_probe(), b.docker_name(sandbox))
    return acting(sandbox, Apply(create(sandbox)), Apply(start(sandbox)), ready, *more, host=host, **over)


def measured(sandbox: str, **over: Any) -> Action:
    """Order the creation of a sandbox with a delta."""
    plain = creating(sandbox, **over)
    dos = (Measure("before"), *(step.do for step in plain.steps), Measure("after"))
    return msgspec.structs.replace(plain, steps=steps_of(plain.id, *dos))


def ends(passed: PassEnded) -> dict[str, str]:
    """Give how each action ended, by its id."""
    return {ended.id: ended.end for ended in passed.actions}
