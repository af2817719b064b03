"""Put a fleet on in-memory machines and carry plans out in a straight line, so that laws can be asked of the result.

The walk here stands in for `apply`: one step after the other, no retries, and it can be cut after any number of steps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, assert_never

from msgspec.structs import replace

from reconciler.apply.made import MadeContainers
from reconciler.errors import ReadFailed
from reconciler.host.memory.effects import perform
from reconciler.host.memory.faults import Fault
from reconciler.host.memory.host import MemoryHost
from reconciler.host.memory.parts import ManualClock
from reconciler.host.memory.probes import answer
from reconciler.host.memory.world import World
from reconciler.model.desired import Desired, HostDesired
from reconciler.model.effect import Done, NotDone, Outcome, Unknown
from reconciler.model.observed import Observed
from reconciler.model.outcome import ActionEnded, PassEnded, StepEnded
from reconciler.model.plan import Action, Apply, Await, Measure, Note, Plan, Step
from reconciler.model.probe import FinishedProbe, ProbePassed
from reconciler.model.record import Records
from reconciler.model.status import Statuses
from reconciler.model.text import SECRET_PREFIX, bind, late_names
from reconciler.observe import observe
from reconciler.plan import PlanRequest, Selection, plan
from reconciler.record.fold import fold, records_of
from tests.builders import IMAGE, REVISION, an_image

IMAGES = (IMAGE, "busybox:1.36", "registry.example/web:1.5")
CANARY = "canary-5ecre7"


class Cut(Exception):
    """The controller died here."""


class Machines:
    """Hold the machines of a fleet, the controller's memory of them, and the clock that all share.

    `steps_left` counts down with every step and kills the controller at 0; None lets it live.
    """

    def __init__(self, *hosts: str) -> None:
        self.clock = ManualClock(1_800_000_000.0)
        self.worlds = {name: World(seed=name, clock=self.clock) for name in hosts}
        self.statuses = Statuses()
        self.silent: set[str] = set()
        self.faults: dict[str, tuple[Fault, ...]] = {}
        self.steps_left: int | None = None
        self.passes = 0
        for world in self.worlds.values():
            for reference in IMAGES:
                world.add_image(reference, pullable=reference != IMAGE, env=an_image().env, command=("/bin/web",))

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC)

    @property
    def records(self) -> Records:
        return records_of(self.statuses)

    def look(self, desired: Desired, *, only: frozenset[str] | None = None) -> Observed:
        def connect(host: HostDesired) -> MemoryHost:
            reader = MemoryHost(host.name, self.worlds[host.name], *self.faults.get(host.name, ()))
            if host.name in self.silent:
                reader.outage = ReadFailed(f"host {host.name} does not answer", code="E_SSH_TIMEOUT")
            return reader

        async def whole() -> Observed:
            sighting = await observe(
                desired, connect=connect, records=self.records, now=lambda: self.now, only=only, with_facts=True
            )
            return sighting.observed

        return asyncio.run(whole())

    def request(self, desired: Desired, **over: object) -> PlanRequest:
        given: dict[str, object] = {
            "now": self.now,
            "pass_id": f"p-{self.passes:08}",
            "tool": "reconciler 0",
            "revision": REVISION,
            "ancestors": frozenset({REVISION}),
            "secrets": secrets_of(desired),
            **over,
        }
        return PlanRequest(**given)  # type: ignore[arg-type]  # keywords of a request

    def plan(self, desired: Desired, *, lift: bool = True, **over: Any) -> Plan:
        """Look and plan; a budget that refuses is lifted, as a person would, unless `lift` is False."""
        self.passes += 1
        selection = over.get("selection", Selection())
        assert isinstance(selection, Selection)
        self.seen = self.look(desired, only=selection.hosts)
        request = self.request(desired, **over)
        made = plan(desired, self.seen, self.records, request)
        if not made.refused or not lift:
            return made
        count = sum(1 for action in made.actions if action.removes and action.sandbox not in request.destroying)
        return plan(desired, self.seen, self.records, replace(request, removals_allowed=count))

    def carry_out(self, desired: Desired, made: Plan) -> None:
        """Do every step of every action, and remember it. Raises `Cut`, before remembering, when told to."""
        secrets = secrets_of(desired)
        started_at = self.now
        ended: dict[str, ActionEnded] = {}
        for action in made.actions:
            if all(ended[needed].end == "done" for needed in action.after):
                ended[action.id] = self._act(action, secrets)
            else:
                ended[action.id] = ActionEnded(id=action.id, end="skipped")
        self.over = PassEnded(
            pass_id=made.pass_id, started_at=started_at, finished_at=self.now, actions=tuple(ended.values())
        )
        self.statuses = fold(self.statuses, made, self.seen, self.over, self.now, desired=desired)

    def apply(self, desired: Desired, **over: Any) -> Plan:
        """Plan and carry out; everything must succeed."""
        made = self.plan(desired, **over)
        self.carry_out(desired, made)
        undone = [item.message for item in self.over.actions if item.end != "done"]
        assert not undone, undone
        return made

    def settle(self, desired: Desired, *, passes_max: int = 4) -> Plan:
        """Apply until nothing is to be done, and give that last plan."""
        for _ in range(passes_max):
            if not self.apply(desired).actions:
                break
        made = self.plan(desired)
        left = [(action.id, action.verb, action.cause.text) for action in made.actions]
        assert not left, left
        return made

    def _act(self, action: Action, secrets: dict[str, str]) -> ActionEnded:
        steps: list[StepEnded] = []
        made = MadeContainers(action.uid)
        for step in action.steps:
            if self.steps_left is not None:
                if self.steps_left == 0:
                    raise Cut
                self.steps_left -= 1
            self.clock.advance(1)
            outcome = self._do(action, step, secrets, made)
            steps.append(
                StepEnded(
                    step=step.id, title=step.title, result=outcome, tries=1, started_at=self.now, finished_at=self.now
                )
            )
            if not isinstance(outcome, Done):
                message = f"{action.id}: {step.title}: {outcome}"
                return ActionEnded(id=action.id, end="failed", message=message, steps=tuple(steps))
        return ActionEnded(id=action.id, end="done", steps=tuple(steps), ready_at=self.now)

    def _do(self, action: Action, step: Step, secrets: dict[str, str], made: MadeContainers) -> Outcome:
        world = self.worlds[action.host]
        match step.do:
            case Apply(effect=effect):
                resolved = made.resolve(effect)
                if isinstance(resolved, NotDone):
                    return resolved
                outcome = perform(world, bind(resolved, secrets), base_dir=world.base_dir)
                if isinstance(outcome, Done):
                    made.learn(resolved, outcome)
                return outcome
            case Await(probe=probe, name=name):
                seen = world.by_name(name)
                if seen is None:
                    return NotDone("E_TARGET_GONE", f"there is no {name} to wait for")
                if isinstance(probe, FinishedProbe) and seen.live.state == "running":
                    seen = world.end(seen.full_id, exit_code=0)
                asked = answer(world, probe, seen)
                return Done(changed=False) if isinstance(asked, ProbePassed) else Unknown(str(asked))
            case Measure() | Note():
                return Done(changed=False)
            case _:
                assert_never(step.do)


def secrets_of(desired: Desired) -> dict[str, str]:
    """Give every secret that a fleet names a value that is easy to find again."""
    named = late_names(tuple(desired.sandboxes[name].resources for name in sorted(desired.sandboxes)))
    return {name: f"{CANARY}-{name}" for name in sorted(named) if name.startswith(SECRET_PREFIX)}


def container_names(worlds: Iterable[World]) -> list[str]:
    """List every container of every machine."""
    return sorted(seen.name for world in worlds for seen in world.containers.values())
