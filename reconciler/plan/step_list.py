"""Number the steps of one action as they are added, so that their ids are stable and name crash points."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from reconciler.model.desired import Part
from reconciler.model.effect import Effect, Existing, RemoveContainer, StopContainer
from reconciler.model.names import sandbox_uid
from reconciler.model.observed import STOPPED_STATES
from reconciler.model.plan import Apply, Await, Do, Measure, Step
from reconciler.plan.holdings import OwnedContainer


class StepList:
    """Collect the steps of one action, in order."""

    def __init__(self, action: str) -> None:
        self._action = action
        self._steps: list[Step] = []

    def add(self, do: Do, title: str) -> None:
        """Add one step; `title` tells people what it does."""
        self._steps.append(Step(id=self.next_id(), do=do, title=title))

    def effect(self, effect: Effect, title: str) -> None:
        """Add one step that is an effect."""
        self.add(Apply(effect), title)

    def wait_for(self, part: Part, *, named: str = "") -> None:
        """Ask every probe of a part, which may have another name than its lasting one for now."""
        for probe in part.probes:
            wait = Await(probe, named or part.docker_name, gating=not part.optional)
            self.add(wait, f"wait until {part.key.name} is ready")

    @contextlib.contextmanager
    def measured(self, wanted: bool) -> Iterator[None]:  # noqa: FBT001  # the only thing that can be said of it
        """Measure the host before and after the steps that are added meanwhile, where that is wanted."""
        if wanted:
            self.add(Measure("before"), "measure the host")
        yield
        if wanted:
            self.add(Measure("after"), "measure the host again")

    def next_id(self) -> str:
        """Give the id that the next step will have."""
        return f"{self._action}#{len(self._steps):02d}"

    def finish(self) -> tuple[Step, ...]:
        """Give the steps."""
        return tuple(self._steps)


def existing(owned: OwnedContainer) -> Existing:
    """Target a container that is proved to be ours."""
    name = owned.proof.name
    return Existing(owned.seen.full_id, owned.seen.name, sandbox_uid(name.fleet, name.sandbox))


def remove_container(owned: OwnedContainer, steps: StepList) -> None:
    """Stop a container with its own grace, then remove it."""
    target = existing(owned)
    if owned.seen.live.state not in STOPPED_STATES:
        steps.effect(StopContainer(target, owned.seen.spec.stop_grace_s), f"stop {owned.seen.name}")
    steps.effect(RemoveContainer(target), f"remove {owned.seen.name}")
