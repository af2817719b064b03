"""The in-memory host goes wrong as it is told to, and is the same each time; that it is right is the contract's."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from reconciler.errors import ConnectFailed, HostError, ReadFailed
from reconciler.host.interface import Busy, Host, Lease, Question
from reconciler.host.memory.faults import (
    ByHand,
    EffectFault,
    Fault,
    Late,
    LostReply,
    LostRequest,
    ReadFault,
    Refuse,
    Slow,
    StaleLook,
)
from reconciler.host.memory.host import MemoryHost
from reconciler.host.memory.parts import Behaviour, ManualClock
from reconciler.host.memory.world import World
from reconciler.model.effect import (
    CreateContainer,
    Done,
    Made,
    NotDone,
    Outcome,
    RemoveContainer,
    StartContainer,
    StopContainer,
    Unknown,
)
from reconciler.model.observed import HostView
from reconciler.model.probe import ProbePassed, ProbeResult, ProbeWaiting
from tests.builders import FLEET, IMAGE, T0, a_container, a_running_probe, docker_name, existing, labels_for, made

NAME = docker_name()
CREATE = CreateContainer(NAME, a_container(restart="no"), labels_for())
START = StartContainer(made())

Order = CreateContainer | StartContainer | StopContainer | RemoveContainer


class Stage:
    """Hold one in-memory host with a lock held, an image, and a clock."""

    def __init__(self, *faults: Fault, world: World | None = None) -> None:
        self.clock = ManualClock(T0.timestamp())
        self.world = World(clock=self.clock) if world is None else world
        self.world.add_image(IMAGE)
        self.host = MemoryHost("h1", self.world, *faults)

    async def do(self, *effects: Order) -> list[Outcome]:
        if not self.world.locks:
            lease = await self.host.hold("test")
            assert not isinstance(lease, Busy)
        return [await self.host.effect(self.aimed(effect), secrets={}) for effect in effects]

    def aimed(self, effect: Order) -> Order:
        """Aim at what was made under the name by its full id, as an action does."""
        seen = self.world.by_name(NAME)
        if isinstance(effect, CreateContainer) or not isinstance(effect.target, Made) or seen is None:
            return effect
        return msgspec.structs.replace(effect, target=existing(seen))

    async def look(self) -> HostView:
        return await self.host.look(Question(fleet=FLEET), now=lambda: T0)

    @property
    def state(self) -> str:
        seen = self.world.by_name(NAME)
        return "absent" if seen is None else seen.live.state


def test_it_is_a_host() -> None:
    host: Host = MemoryHost()
    assert host.name == "h1"


async def test_a_lost_request_is_unknown_and_nothing_happened() -> None:
    stage = Stage(EffectFault(trouble=LostRequest()))
    (outcome,) = await stage.do(CREATE)
    assert isinstance(outcome, Unknown)
    assert stage.state == "absent"
    assert stage.world.happened == []


async def test_a_lost_reply_is_unknown_and_it_happened() -> None:
    stage = Stage(EffectFault(trouble=LostReply()))
    unknown, again = await stage.do(CREATE, CREATE)
    assert isinstance(unknown, Unknown)
    assert isinstance(again, Done)
    assert not again.changed
    assert stage.state == "created"


async def test_what_is_late_happens_before_a_later_effect() -> None:
    stage = Stage(EffectFault(trouble=Late(effects=2), kind="remove_container"))
    await stage.do(CREATE)
    full_id = next(iter(stage.world.containers))
    removal = RemoveContainer(existing(stage.world.containers[full_id]))
    (unknown,) = await stage.do(removal)
    assert isinstance(unknown, Unknown)
    await stage.do(START)
    assert stage.state == "running"
    await stage.do(StopContainer(made(), grace_s=1))
    # It came while the container still ran, was refused like any other, and is not tried again.
    assert stage.state == "exited"
    assert [entry.by for entry in stage.world.happened] == ["test", "test", "late", "test"]
    assert isinstance(stage.world.happened[2].outcome, NotDone)


async def test_a_refusal_is_given_as_it_was_told() -> None:
    refusal = NotDone("E_HOST_DISK", "the disk is full", transient=True)
    stage = Stage(EffectFault(trouble=Refuse(refusal), kind="start_container"))
    created, started, again = await stage.do(CREATE, START, START)
    assert isinstance(created, Done)
    assert started == refusal
    assert isinstance(again, Done)


async def test_slowness_takes_time_on_the_injected_clock_only() -> None:
    stage = Stage(EffectFault(trouble=Slow(30.0)))
    before_s = stage.clock()
    await stage.do(CREATE)
    assert stage.clock() - before_s == 30.0
    assert stage.state == "created"


@pytest.mark.parametrize(("nth", "times", "states"), [(1, 1, "NYY"), (2, 1, "YNY"), (2, 2, "YNN"), (4, 1, "YYY")])
async def test_the_nth_of_a_kind_is_troubled(nth: int, times: int, states: str) -> None:
    stage = Stage(EffectFault(trouble=LostRequest(), kind="create_container", nth=nth, times=times))
    effects = [msgspec.structs.replace(CREATE, name=f"{NAME}-{number}") for number in range(3)]
    outcomes = [(await stage.do(effect))[0] for effect in effects]
    assert "".join("N" if isinstance(outcome, Unknown) else "Y" for outcome in outcomes) == states


async def test_reads_fail_when_told_and_then_no_more() -> None:
    stage = Stage(ReadFault(error=ReadFailed("cut short", code="E_DOCKER_CUT"), nth=2))
    await stage.look()
    with pytest.raises(ReadFailed, match="cut short"):
        await stage.look()
    await stage.look()


async def test_a_stale_look_answers_what_an_earlier_one_did() -> None:
    stage = Stage(StaleLook(nth=2))
    before = await stage.look()
    await stage.do(CREATE)
    assert await stage.look() == before
    assert len((await stage.look()).containers) == 1


async def test_an_outage_fails_every_read_and_does_nothing() -> None:
    stage = Stage()
    await stage.do(CREATE)
    stage.host.outage = ConnectFailed("h1 refuses connections", code="E_HOST_REFUSED", transient=True)
    for ask in (stage.look, stage.host.identify, lambda: stage.host.find(NAME), lambda: stage.host.hold("x")):
        with pytest.raises(HostError, match="refuses"):
            await ask()
    (outcome,) = await stage.do(START)
    assert isinstance(outcome, NotDone)
    assert (outcome.code, outcome.transient) == ("E_HOST_REFUSED", True)
    stage.host.outage = None
    assert stage.state == "created"


async def test_a_hand_changes_things_between_calls() -> None:
    stage = Stage(ByHand(change=lambda world: world.end(next(iter(world.containers)), exit_code=137), nth=4))
    await stage.do(CREATE, START)
    assert stage.state == "running"
    await stage.look()
    assert stage.state == "exited"


async def test_a_cut_connection_loses_the_lock_and_another_may_take_it() -> None:
    stage = Stage()
    lease = await stage.host.hold("first")
    other = MemoryHost("h1", stage.world)
    assert isinstance(await other.hold("second"), Busy)
    stage.host.cut()
    assert not isinstance(lease, Busy)
    assert lease.lost
    assert not isinstance(await other.hold("second"), Busy)
    outcome = await stage.host.effect(CREATE, secrets={})
    assert isinstance(outcome, NotDone)
    assert outcome.code == "E_NO_LEASE"


async def test_a_crashing_container_is_counted_by_its_policy() -> None:
    stage = Stage()
    stage.world.behaviours[NAME] = Behaviour(exit_code=1)
    await stage.do(msgspec.structs.replace(CREATE, container=a_container(restart="always")), START)
    assert stage.state == "restarting"
    counts = []
    for _ in range(4):
        stage.clock.advance(1.0)
        (seen,) = (await stage.look()).containers
        counts.append(seen.live.restart_count)
    assert counts == sorted(counts)
    assert counts[-1] > counts[0] > 0


async def test_a_container_may_end_later_and_ports_are_free_again() -> None:
    stage = Stage()
    stage.world.behaviours[IMAGE] = Behaviour(exit_code=0, exits_after_s=5.0)
    await stage.do(CREATE, START)
    assert stage.state == "running"
    stage.clock.advance(5.0)
    (seen,) = (await stage.look()).containers
    assert (seen.live.state, seen.live.exit_code) == ("exited", 0)


async def test_a_probe_passes_after_as_many_asks_as_told_and_anew_after_a_start() -> None:
    stage = Stage()
    stage.world.behaviours[NAME] = Behaviour(ready_after=2)
    await stage.do(CREATE, START)

    async def ask() -> ProbeResult:
        return await stage.host.probe(a_running_probe(), NAME)

    assert [type(await ask()) for _ in range(3)] == [ProbeWaiting, ProbeWaiting, ProbePassed]
    await stage.do(StopContainer(made(), grace_s=1), START)
    assert isinstance(await ask(), ProbeWaiting)


async def test_a_reboot_ends_what_has_no_policy_and_every_lock() -> None:
    stage = Stage()
    await stage.do(CREATE, START)
    boot_id = stage.world.boot_id
    stage.world.reboot()
    assert stage.state == "exited"
    assert stage.world.boot_id != boot_id
    assert stage.world.locks == {}


async def test_the_same_seed_gives_the_same_world_to_the_last_byte() -> None:
    async def run() -> bytes:
        stage = Stage(EffectFault(trouble=LostReply(), nth=2))
        stage.world.add_foreign_container("postgres")
        await stage.do(CREATE, START, START)
        return msgspec.json.encode(await stage.look())

    assert await run() == await run()


async def test_effects_of_two_controllers_interleave() -> None:
    world = World()
    world.add_image(IMAGE)
    first, second = MemoryHost("h1", world), MemoryHost("h1", world, base_dir="/home/ops/.reconciler/other")
    leases: list[Lease | Busy] = [await first.hold("one"), await second.hold("two")]
    assert not any(isinstance(lease, Busy) for lease in leases)
    other = msgspec.structs.replace(CREATE, labels=labels_for(attempt="a-2"))
    outcomes = await asyncio.gather(first.effect(CREATE, secrets={}), second.effect(other, secrets={}))
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Done", "NotDone"]
