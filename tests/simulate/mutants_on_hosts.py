"""Break how effects are sent, understood, fenced and waited for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from reconciler.apply.patience import NO_REPLY, Patience, patience_for
from reconciler.apply.ready import NotReady, Waited
from reconciler.host.memory.files import make_base_dir
from reconciler.host.memory.host import MemoryHost, MemoryLease
from reconciler.host.memory.parts import Lock
from reconciler.host.memory.world import World
from reconciler.model.effect import Done, Effect, Existing, NotDone, Outcome, RemoveContainer, Unknown
from reconciler.model.observed import RUNNING_STATES, SeenContainer
from reconciler.model.probe import ProbePassed
from tests.simulate.mutant import Mutant


def _success_from_silence(old: Callable[[Any, Outcome], Awaitable[Outcome]]) -> object:
    async def understand(tries: Any, reply: Outcome) -> Outcome:
        return Done() if isinstance(reply, Unknown) else await old(tries, reply)

    return understand


def _reply_as_it_came(old: Callable[[Any, Outcome], Awaitable[Outcome]]) -> object:
    async def understand(tries: Any, reply: Outcome) -> Outcome:
        return reply if isinstance(reply, Unknown) else await old(tries, reply)

    return understand


def _another_try(old: Callable[[Any, Outcome], Patience | None]) -> object:
    def worth_another(tries: Any, outcome: Outcome) -> Patience | None:
        return patience_for(tries._effect, NO_REPLY) if isinstance(outcome, Unknown) else old(tries, outcome)

    return worth_another


def _remove(world: World, seen: SeenContainer | None) -> Outcome:
    if seen is None:
        return Done(changed=False)
    if seen.live.state in RUNNING_STATES:
        return NotDone("E_RUNNING", f"{seen.name} is running")
    world.drop(seen.full_id)
    return Done()


def _remove_by_name(_: object) -> object:
    def remove(world: World, effect: RemoveContainer) -> Outcome:
        return _remove(world, world.by_name(effect.target.name))

    return remove


def _remove_unseen(_: object) -> object:
    def remove(world: World, effect: RemoveContainer) -> Outcome:
        assert isinstance(effect.target, Existing)
        return _remove(world, world.containers.get(effect.target.full_id))

    return remove


def _name_on_the_wire(old: Callable[[World, Effect], Effect | None]) -> object:
    def aim(world: World, effect: Effect) -> Effect | None:
        return effect if isinstance(effect, RemoveContainer) else old(world, effect)

    return aim


def _never_lost(_: object) -> object:
    return property(lambda _lease: False)


def _drop_if_ours(_: object) -> object:
    def drop(lease: MemoryLease) -> None:
        if lease._world.locks.get(lease._key) == lease.lock:
            del lease._world.locks[lease._key]

    return drop


def _granted_to_all(_: object) -> object:
    async def hold(host: MemoryHost, owner: str) -> MemoryLease:
        await host._ask("hold")
        make_base_dir(host.world, host._base_dir)
        before = host.world.last_holds.get(host._base_dir, "")
        lock = Lock(owner=owner, since=host.world.now().isoformat(), token=host.world.fresh_number(), before=before)
        host.world.locks[host._base_dir] = lock
        host._lease = MemoryLease(host.world, host._base_dir, lock)
        return host._lease

    return hold


def _late_is_ready(old: Callable[..., Awaitable[Waited]]) -> object:
    async def wait_ready(*given: Any, **named: Any) -> Waited:
        waited = await old(*given, **named)
        return Waited(ProbePassed(), waited.asked) if isinstance(waited.answer, NotReady) else waited

    return wait_ready


def _always(_: object) -> object:
    return lambda *_given: True


_TRIES = "reconciler.apply.perform:_Tries"
_LEASE = "reconciler.host.memory.host:MemoryLease"

MUTANTS = (
    Mutant(
        name="silence-is-success",
        breaks="takes an effect whose end nobody told (no exit status, a lost reply) for done",
        parts={f"{_TRIES}._understand": _success_from_silence},
        seed=1,
    ),
    Mutant(
        name="blind-retry",
        breaks="sends an effect again after a lost reply, without looking whether it happened",
        parts={f"{_TRIES}._understand": _reply_as_it_came, f"{_TRIES}.worth_another": _another_try},
        seed=108,
    ),
    Mutant(
        name="taken-name-is-ours",
        breaks="takes whatever has the wanted name for what an earlier try of its own made",
        parts={"reconciler.model.ownership:same_attempt": _always},
        seed=66,
    ),
    Mutant(
        name="removal-by-name",
        breaks="removes whatever has the name, instead of the container with the full id",
        parts={
            "reconciler.host.memory.effects:_remove": _remove_by_name,
            "tests.simulate.host:_by_id_alone": _name_on_the_wire,
        },
        seed=201,
    ),
    Mutant(
        name="no-look-before-removal",
        breaks="removes by id without reading again whose container that is by now",
        parts={"reconciler.host.memory.effects:_remove": _remove_unseen},
        seed=134,
    ),
    Mutant(
        name="lock-ignored",
        breaks="takes a host's lock although another pass holds it",
        parts={"reconciler.host.memory.host:MemoryHost.hold": _granted_to_all},
        seed=120,
    ),
    Mutant(
        name="fence-ignored",
        breaks="goes on changing a host after its lock was lost",
        parts={f"{_LEASE}.lost": _never_lost, f"{_LEASE}.drop": _drop_if_ours},
        seed=11,
    ),
    Mutant(
        name="not-ready-is-ready",
        breaks="goes on as if a probe had passed that did not pass in its time",
        parts={"reconciler.apply.ready:wait_ready": _late_is_ready},
        seed=33,
    ),
)
