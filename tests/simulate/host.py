"""Be one connection to a machine of the simulation: the in-memory host, with troubles that the dice choose."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace

from reconciler.errors import ConnectFailed, HostError, ReadFailed
from reconciler.host.interface import Busy, Lease, Progress, Question
from reconciler.host.memory.effects import perform
from reconciler.host.memory.faults import Late, LostReply, LostRequest, Script, Slow, Trouble, Verb
from reconciler.host.memory.host import MemoryHost, MemoryLease
from reconciler.host.memory.parts import Happened, Lock
from reconciler.host.memory.world import World
from reconciler.model import labels as label
from reconciler.model.effect import (
    CreateContainer,
    Done,
    Effect,
    Existing,
    Outcome,
    PlaceTree,
    PutMarker,
    RestartContainer,
    StageTree,
    StopContainer,
    Unknown,
    UpCompose,
)
from reconciler.model.marker import MARKER_NAME
from reconciler.model.observed import HostIdentity, HostView, SeenContainer
from reconciler.model.probe import Probe, ProbePassed, ProbeResult
from reconciler.model.text import bind
from tests.simulate import groves, oracles
from tests.simulate.clocks import virtual_s
from tests.simulate.honesty import handles, i01_nothing_else_is_hit, look_at_own_effect
from tests.simulate.machine import BOOT_S, Machine, Mutation
from tests.simulate.oracles import kind_of
from tests.simulate.replies import aim, refusal, short
from tests.simulate.swarm import EFFECT_KINDS

if TYPE_CHECKING:
    from tests.simulate.controller import Controller

NO_ANSWER = "the connection was lost before an answer came"
CUT_WITH_REPLY = 0.5
"""How often a lost answer means that the whole connection is gone, and the lock with it."""
TORN = 0.75
"""How often nobody sees that what is sent of a tree has ended in the middle."""
LATE_S = (0.5, 400.0)
SLOW_S = (1.0, 90.0)
HANG_S = 30.0


class _Dice(Script):
    """Ask the dice instead of a script what goes wrong."""

    def __init__(self, host: SimHost) -> None:
        super().__init__()
        self._host = host

    def meddle(self, world: World) -> None:  # noqa: ARG002 - the script's signature
        self._host.controller.play.meddle()

    def on_read(self, verb: Verb) -> None:
        """Faults of reads are drawn where they can take time."""

    def on_look(self) -> int:
        return 0

    def on_effect(self, effect: Effect) -> Trouble | None:
        return self._host.draw(effect)


class GrantedLease(MemoryLease):
    """Never notice that somebody else was granted the lock as well."""

    dropped = False

    @property
    def lost(self) -> bool:
        """Believe in the lock until it is given back."""
        return self.dropped

    def drop(self) -> None:
        self.dropped = True


class SimHost(MemoryHost):
    """Be a `Host` over a `Machine`, for one controller, until that one dies."""

    def __init__(self, machine: Machine, controller: Controller, *, name: str | None = None) -> None:
        play = controller.play
        super().__init__(name or machine.name, machine.world, sleep=asyncio.sleep, latency_s=play.latency_s)
        self.machine = machine
        self.controller = controller
        self.script = _Dice(self)
        self._bound: Effect | None = None
        self._again_s: float | None = None
        self._torn = False

    @property
    def dice(self) -> random.Random:
        """Give the dice of this machine's faults."""
        return self.controller.play.dice(f"faults {self.name}")

    @property
    def outage(self) -> HostError | None:
        """Say why the machine cannot be reached, if it cannot."""
        return self.machine.outage

    @outage.setter
    def outage(self, error: HostError | None) -> None:
        assert error is None

    # Reads -----------------------------------------------------------------------------------------------------------

    async def _ask(self, verb: Verb) -> None:
        self.controller.insist_alive()
        play = self.controller.play
        kind = play.weather.pick(("unreachable", "cut", "hang"), self.dice)
        if kind is not None:
            play.fault(kind, self.name, verb)
            if kind == "hang":
                await asyncio.sleep(HANG_S)
            self.cut()
            if kind == "unreachable":
                raise ConnectFailed(
                    f"host {self.name} does not answer", code="E_HOST_UNREACHABLE", hint="is it up?", transient=True
                )
            raise ReadFailed(f"host {self.name}: the answer ended early", code="E_READ_CUT", transient=True)
        await super()._ask(verb)
        if self.outage is not None:
            self.cut()
            raise self.outage
        self.controller.insist_alive()

    async def identify(self) -> HostIdentity:
        """Say whose machine answers; until a look has succeeded after it, nothing is known of the host."""
        self.controller.unheard.add(self.name)
        return await super().identify()

    async def look(self, question: Question, *, now: Callable[[], datetime]) -> HostView:
        """Look once; now and then see the past."""
        self.controller.unheard.add(self.name)
        await self._ask("look")
        self.controller.unheard.discard(self.name)
        view = self._look(question, now=now)
        play = self.controller.play
        if self.machine.views and play.weather.pick(("stale",), self.dice):
            play.fault("stale", self.name, "look")
            old = self.dice.choice(list(self.machine.views))
            paths = {path: old.paths.get(path, view.paths[path]) for path in view.paths}
            images = {**view.images, **old.images}
            self.controller.blurred.add(self.name)
            self.controller.has_been_blurred = True
            return replace(old, paths=paths, images=images, observed_at=view.observed_at)
        self.machine.views.append(view)
        return view

    async def probe(self, probe: Probe, container: str) -> ProbeResult:
        """Ask one probe once, and remember who passed."""
        if virtual_s() < self.machine.booted_s + BOOT_S:
            await self._ask("probe")
            raise ReadFailed(f"host {self.name}: it is still booting", code="E_READ_CUT", transient=True)
        result = await super().probe(probe, container)
        seen = self.world.by_name(container)
        if isinstance(result, ProbePassed) and seen is not None:
            self.machine.started_when_passed[seen.full_id] = seen.live.started_at
        return result

    # The lock --------------------------------------------------------------------------------------------------------

    async def hold(self, owner: str) -> Lease | Busy:
        """Take the lock, which a broken one grants to everybody."""
        if not self.machine.lock_broken:
            held = await super().hold(owner)
            oracles.i12_locks_are_not_taken_away(self.controller.play, self.machine)
            return held
        await self._ask("hold")
        token = self.world.fresh_number()
        # Whoever is granted a broken lock cannot see either that others had it meanwhile.
        before = self.world.last_holds.get(self._base_dir, "")
        lock = Lock(owner=owner, since=self.world.now().isoformat(timespec="seconds"), token=token, before=before)
        self._lease = GrantedLease(self.world, self._base_dir, lock)
        return self._lease

    def cut(self) -> None:
        """Lose the connection; of a dead controller, the host may take a while to notice."""
        controller = self.controller
        if controller.dead and self._lease is not None and controller.lingers_s > 0:
            lease, self._lease = self._lease, None
            controller.play.later(controller.lingers_s, lease.drop)
            return
        super().cut()

    # Effects ---------------------------------------------------------------------------------------------------------

    async def effect(self, effect: Effect, *, secrets: dict[str, str], progress: Progress | None = None) -> Outcome:
        """Do one effect, or let happen to it what the dice say."""
        self.controller.insist_alive()
        self._bound, self._again_s, self._torn = bind(effect, secrets), None, False
        outcome = await super().effect(effect, secrets=secrets, progress=progress)
        self.controller.insist_alive()
        if isinstance(outcome, Unknown) and self.dice.random() < CUT_WITH_REPLY:
            self.cut()
        return outcome

    def draw(self, effect: Effect) -> Trouble | None:
        """Draw what becomes of an effect that is about to be sent."""
        play = self.controller.play
        if play.weather.hits("lock_lost", play.dice("locks")):
            play.fault("lock_lost", self.name, "")
            self.world.locks.clear()
        play.actors.race(self.machine, effect)
        kind = play.weather.pick(EFFECT_KINDS, self.dice)
        if kind is None or self._bound is None:
            return None
        play.fault(kind, self.name, kind_of(effect))
        if isinstance(self._bound, StageTree) and kind in {"late", "duplicate", "partial"}:
            return self._stop_sending(self._bound)
        match kind:
            case "lost_request":
                return LostRequest()
            case "lost_reply":
                return LostReply()
            case "slow":
                return Slow(self.dice.uniform(*SLOW_S))
            case "late":
                if self.dice.random() < 0.5:
                    return Late(self.dice.randint(1, 4))
                self._land_in(self.dice.uniform(*LATE_S), self._bound)
                return LostRequest()
            case "duplicate":
                self._land_in(self.dice.uniform(*LATE_S), self._bound)
                return None
            case "partial":
                self._do_part(self._bound)
                return LostRequest()
            case _:
                return refusal(kind, effect)

    def _stop_sending(self, effect: StageTree) -> Trouble | None:
        """End what is sent in the middle, seen or unseen: nobody goes on sending for whoever is gone."""
        self._torn = self.dice.random() < TORN
        if self._torn:
            return None
        self._do_part(effect)
        return LostRequest()

    def _land_in(self, seconds: float, effect: Effect) -> None:
        """Let an effect happen by itself: the engine did not forget it when its connection went."""

        def land() -> None:
            if self.machine.outage is None:
                self._do_late(effect)

        self.controller.play.later(seconds, land)

    def _land_late(self) -> None:
        waiting = [(left - 1, effect) for left, effect in self.world.late]
        self.world.late = [(left, effect) for left, effect in waiting if left > 0]
        for left, effect in waiting:
            if left <= 0:
                self._do_late(effect)

    def land_everything(self) -> None:
        """Let all that is late happen now."""
        waiting, self.world.late = self.world.late, []
        for _, effect in waiting:
            self._do_late(effect)

    def _do_late(self, effect: Effect) -> None:
        """Do an effect as the engine alone would: by id, with nobody to check the name again."""
        if isinstance(effect, StageTree):
            self._do_part(effect)
            return
        if isinstance(effect, PutMarker):
            self.machine.deeds.add("late_marker")
        raw = _by_id_alone(self.world, effect)
        if raw is None:
            return
        self._act(raw, by="late")

    def _do_part(self, effect: Effect) -> None:
        """Do the first half of an effect that has two."""
        world = self.world
        match effect:
            case StageTree() | PlaceTree():
                self._act(effect, by="part")
                return
            case RestartContainer():
                part: Effect = StopContainer(effect.target, effect.grace_s)
            case CreateContainer() if effect.container.networks and effect.name not in _names(world):
                bare = replace(effect.container, networks={})
                part = replace(effect, container=bare)
            case _:
                return
        self._act(part, by="part")

    def _perform(self, effect: Effect) -> Outcome:
        if self._lease is None or self._lease.lost:
            # The connection went while the request was under way: the engine has it all the same.
            self._do_late(effect)
            return Unknown(NO_ANSWER)
        oracles.i12_one_holder_acts(self.controller.play, self.machine, self._lease)
        return self._act(effect, by=self.controller.name)

    def _act(self, effect: Effect, *, by: str) -> Outcome:
        self.machine.paths.take()
        before = handles(self.machine)
        machine, there = self.machine, set(self.world.containers)
        if machine.crops:
            machine.crops &= machine.paths.keys()
        outcome = self._do(effect, is_cut=by == "part")
        if isinstance(effect, UpCompose):
            machine.note_made(set(self.world.containers) - there)
        i01_nothing_else_is_hit(self.controller.play, self.machine, effect, before)
        if by in {"late", "part"}:
            self.machine.touched_s = virtual_s()
            self._note_bare(effect, outcome)
        self._done(effect, outcome, by=by)
        return outcome

    def _do(self, effect: Effect, *, is_cut: bool) -> Outcome:
        """Do an effect on the machine: trees file by file, all else as the in-memory host does."""
        match effect:
            case StageTree():
                files = groves.found_by(self.controller.play, self.controller, effect)
                share = self.dice.random() * 0.9 if is_cut or self._torn else 1.0
                return groves.stage(self.world, effect, files, share=share, is_cut=is_cut)
            case PlaceTree():
                return groves.put(self.world, effect, steps_max=self.dice.randint(0, 6) if is_cut else None)
            case _:
                return perform(self.world, effect, base_dir=self._base_dir)

    def _note_bare(self, effect: Effect, outcome: Outcome) -> None:
        """Note that a container landed after its sandbox was removed, whose marker nobody can ask any more."""
        if isinstance(effect, CreateContainer) and isinstance(outcome, Done):
            uid = effect.labels[label.PREFIX + "uid"]
            if f"{self._base_dir}/{uid}/{MARKER_NAME}" not in self.world.paths:
                self.machine.deeds.add("landed_bare")

    def _done(self, effect: Effect, outcome: Outcome, *, by: str) -> None:
        """Note what an effect came to, and let the oracles look at the machine."""
        play = self.controller.play
        self.world.happened.append(Happened(effect=effect, outcome=outcome, by=by))
        if isinstance(effect, CreateContainer) and isinstance(outcome, Done) and outcome.value and outcome.changed:
            self.machine.note_made({outcome.value})
        changed = isinstance(outcome, Done) and outcome.changed
        play.trace.add(by, f"{self.name} {kind_of(effect)} {aim(effect)} {short(outcome)}")
        play.tally[f"effect/{kind_of(effect)}"] += 1
        if changed:
            play.mutations.append(Mutation(virtual_s(), self.name, self.controller.name, effect))
        oracles.look_at_effect(play, self.machine, effect, outcome)
        if by == self.controller.name:
            look_at_own_effect(play, self.controller, self.name, effect, outcome)


def _names(world: World) -> set[str]:
    return {seen.name for seen in world.containers.values()}


def _by_id_alone(world: World, effect: Effect) -> Effect | None:
    """Aim at the container whatever its name is by now; None when that one is gone."""
    target = getattr(effect, "target", None)
    if not isinstance(target, Existing):
        return effect
    there: SeenContainer | None = world.containers.get(target.full_id)
    if there is None:
        return None
    aimed: Effect = replace(effect, target=replace(target, name=there.name))
    return aimed
