"""Play one seed: some steps with faults, then heal everything, and see whether all comes to rest."""

from __future__ import annotations

import asyncio
import random
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from reconciler.host.memory.world import World
from tests.simulate import catalogue, disk, oracles
from tests.simulate.controller import CURRENT, Controller, Ended, Errand
from tests.simulate.ending import Judge, effects_enough, hopeless
from tests.simulate.groves import grow
from tests.simulate.honesty import status_files
from tests.simulate.loop import Deadlock, run_virtually
from tests.simulate.play import Play
from tests.simulate.swarm import Swarm, draw_swarm
from tests.simulate.trace import Tally
from tests.simulate.watch import Violated

ROUNDS = 6
QUIET_ROUNDS = (10, 2, 2, 2)
"""How often it is looked whether all stays quiet, by the seed's remainder: each round costs as much as a step."""
ROUND_S = 25 * 60.0
LONG_S = 10 * 24 * 3600.0
"""Longer than any ttl and any late effect: what is due by then happens in the first round."""
_FORMED = re.compile(rb'"fleet": "lab",\n.*"format": "reconciler-[a-z]+-status/1"', re.DOTALL)
"""What every file of a status folder says, unless it is damaged."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what one seed came to; `invariant` is empty when all held.

    Attributes:
        state: what each wanted sandbox is in the end, without ids and times, by `host/name`.
        left_behind: files of wanted sandboxes that no spec names any more.
        points: how many points of effects the last pass with faults went through.
    """

    seed: int
    invariant: str
    message: str
    step: int
    digest: str
    trace: str
    tally: Tally
    state: dict[str, str] = {}
    points: int = 0
    left_behind: frozenset[str] = frozenset()

    def report(self) -> str:
        """Say what failed, what happened before, and how to see it again."""
        head = f"SIMULATION FAILED seed={self.seed} step={self.step} invariant={self.invariant}"
        again = f"replay: .venv/bin/pytest tests/simulate -k simulate --seed {self.seed}"
        return f"{head}\n{self.message}\n--- the trace's end ---\n{self.trace}\n---\n{again}"


def play_seed(
    seed: int,
    *,
    swarm: Callable[[random.Random], Swarm] = draw_swarm,
    tail: int | None = 60,
    kill_last_at: int | None = None,
    from_empty: bool = False,
) -> Result:
    """Run one seed to its end. Never raises for what it finds.

    Args:
        seed: rules everything that is drawn.
        swarm: draws what goes wrong.
        tail: how many lines of the trace to give; None gives all.
        kill_last_at: kill the controller at this point of the last pass with faults.
        from_empty: do no pass before the specs are what they are in the end.
    """
    place = Path(tempfile.mkdtemp(prefix="simulate-", dir=_fast_folder()))
    try:
        dice = random.Random(f"{seed} swarm")  # noqa: S311 - reproducible on purpose
        play = Play(seed, swarm=swarm(dice), folder=place)
        play.kill_last_at, play.from_empty = kill_last_at, from_empty
        invariant, message = _run(play)
        return Result(
            seed=seed,
            invariant=invariant,
            message=message,
            step=play.trace.step,
            digest=play.trace.digest(),
            trace="\n".join(play.trace.lines) if tail is None else play.trace.tail(tail),
            tally=play.tally,
            state=play.state,
            points=play.points,
            left_behind=frozenset(play.left_behind),
        )
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _fast_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _run(play: Play) -> tuple[str, str]:
    try:
        with disk.in_place(disk.Routed(play.disk)):
            run_virtually(_scene(play), dice=play.dice("order"), owner=CURRENT)
    except Violated as violated:
        first = play.violation or violated
        return first.invariant, first.message
    except Deadlock as deadlock:
        return "I14", str(deadlock)
    except Exception as error:  # noqa: BLE001 - a bug of the product is what is looked for
        import traceback  # noqa: PLC0415 - only where something broke

        return "CRASH", "".join(traceback.format_exception(error))
    if play.violation is not None:
        return play.violation.invariant, play.violation.message
    return "", ""


async def _scene(play: Play) -> None:
    play.trace.add("seed", f"{play.seed} hosts={len(play.hosts)} on={','.join([*play.swarm.on, *play.besides.on])}")
    dice = play.dice("steps")
    for step in range(play.steps):
        play.trace.step = step
        await _step(play, dice)
        _insist(play)
    play.trace.step = play.steps
    play.points = play.controllers[0].points
    await _heal(play)
    await _come_to_rest(play)
    for controller in play.controllers:
        oracles.i10_no_secret_is_written(play, controller.folder)


def _insist(play: Play) -> None:
    if play.violation is not None:
        raise play.violation


# With faults ---------------------------------------------------------------------------------------------------------


async def _step(play: Play, dice: random.Random) -> None:
    """Let people act and things break, then let every controller do a pass."""
    play.actors.act()
    grow(play)
    if play.from_empty:
        return
    _break_machines(play, dice)
    _lead_astray(play)
    for controller in play.controllers:
        _break_controller(play, controller, dice)
    errands = [(controller, _draw_errand(play, controller, dice)) for controller in play.controllers]
    if play.kill_last_at is not None and play.trace.step == play.steps - 1:
        errands = [(controller, Errand(kill_at_point=play.kill_last_at)) for controller, _ in errands]
    together = len(errands) > 1 and dice.random() < 0.7
    if together:
        play.tally["fault/two_controllers"] += 1
        tasks = [
            asyncio.create_task(_delayed(play, controller, errand, dice.uniform(0, 20)))
            for controller, errand in errands
        ]
        await asyncio.gather(*tasks)
    else:
        for controller, errand in errands:
            await _delayed(play, controller, errand, 0.0)
    await asyncio.sleep(dice.choice((1.0, 30.0, 600.0, 7200.0)))


async def _delayed(play: Play, controller: Controller, errand: Errand, after_s: float) -> Ended:
    await asyncio.sleep(after_s)
    history = play.editor.history
    lag = 1 if controller.name == "B" and play.dice("lag").random() < 0.2 else 0
    return await controller.run(errand, history[max(0, len(history) - 1 - lag)])


def _break_machines(play: Play, dice: random.Random) -> None:
    for machine in play.machines.values():
        world = machine.world
        machine.lock_broken = play.swarm.hits("lock_broken", dice)
        play.tally["fault/lock_broken"] += machine.lock_broken
        if machine.lock_broken:
            machine.deeds.add("lock_broken")
        if play.weather.hits("swizzle", dice):
            play.fault("swizzle", machine.name, "cut")
            machine.cut_off(dice.choice((2.0, 30.0, 900.0)), play)
        if play.weather.hits("reboot", dice):
            play.fault("reboot", machine.name, "")
            _reboot(world)
            machine.booted_s = play.now_s
            machine.remember_foreign(play.now_s)
        if play.weather.hits("host_clock", dice):
            machine.clock.off_s = dice.uniform(-86_400, 86_400)
            play.fault("host_clock", machine.name, f"{machine.clock.off_s:.0f} s off")
        if play.weather.hits("host_replaced", dice):
            play.fault("host_replaced", machine.name, "")
            machine.deeds.add("host_replaced")
            world.docker_root = "/mnt/docker" if world.docker_root == "/var/lib/docker" else "/var/lib/docker"


def _lead_astray(play: Play) -> None:
    """Let the address of one host lead to another one's machine for one step."""
    play.routes = {}
    dice = play.dice("twins")
    if len(play.hosts) > 1 and play.weather.hits("twins", dice):
        there, astray = dice.sample(play.hosts, 2)
        play.routes = {astray: there}
        play.fault("twins", astray, f"leads to {there}")
        for name in (there, astray):
            play.machines[name].deeds.add("twins")


def _reboot(world: World) -> None:
    for full_id in list(world.containers):
        seen = world.containers[full_id]
        if not all(one in world.networks for one in seen.network_ids.values()):
            world.end(full_id, exit_code=137)
    world.reboot()


def _break_controller(play: Play, controller: Controller, dice: random.Random) -> None:
    for kind in ("status_lost", "status_corrupt", "status_older"):
        if play.weather.hits(kind, dice):
            play.actors.hurt_status(controller, kind, dice)
    own = play.dice("orphaned")
    if play.weather.hits("orphaned", own):
        # Nobody remembers what nobody wants any more, however young it is.
        play.actors.hurt_status(controller, "status_lost", own)
        play.fault("orphaned", controller.name, play.editor.drop_one(own))
    if play.weather.hits("controller_clock", dice):
        controller.clock.off_s = dice.uniform(-86_400, 86_400)
        play.fault("controller_clock", controller.name, f"{controller.clock.off_s:.0f} s off")


def _draw_errand(play: Play, controller: Controller, dice: random.Random) -> Errand:
    """Draw how a pass goes, and how it is cut short."""
    kind = dice.choice(("apply", "apply", "apply", "apply", "apply", "apply", "plan", "saved"))
    given: dict[str, object] = {"kind": kind, "override": dice.random() < 0.4, "asked": dice.random() < 0.1}
    if dice.random() < 0.1:
        given["names"] = frozenset(dice.sample(catalogue.NAMES[:6], 2))
    if dice.random() < 0.04 and kind == "apply":
        given["destroying"] = frozenset({dice.choice(catalogue.NAMES[:6])})
    if dice.random() < 0.3:
        given["lock_timeout_s"] = 60.0
    controller.lingers_s = dice.choice((0.0, 0.0, 15.0, 120.0))
    weather = play.weather
    if weather.hits("kill", dice):
        given["kill_after_s"] = dice.choice((dice.uniform(0, 2), dice.uniform(0, 20), dice.uniform(0, 120)))
    if weather.hits("kill_at_point", dice):
        given["kill_at_point"] = dice.choice((dice.randint(1, 8), dice.randint(1, 60)))
    if weather.hits("power_loss", dice):
        given |= {"kill_at_write": dice.randint(1, 90), "power": True}
    if weather.hits("controller_disk", dice):
        given["disk_full_from"] = dice.randint(1, 90)
    if weather.hits("interrupt", dice):
        times = dice.choice((1, 1, 2))
        given["press_after_s"] = tuple(sorted(dice.uniform(0, 20) for _ in range(times)))
        play.fault("interrupt", controller.name, f"{times} times")
    return Errand(**given)  # type: ignore[arg-type]  # the fields of an errand


# Without faults ------------------------------------------------------------------------------------------------------


async def _heal(play: Play) -> None:
    """Stop everything that goes wrong and everybody who acts, and let pass what is still to come."""
    play.trace.add("heal", "")
    play.weather = Swarm({})
    play.routes = {}
    for machine in play.machines.values():
        machine.outage = None
        machine.lock_broken = False
        machine.clock.off_s = 0
        machine.world.docker_root = "/var/lib/docker"
    for controller in play.controllers:
        controller.clock.off_s = 0
    # What is due is due by both clocks: what one that was ahead has dated is over by then, too.
    await asyncio.sleep(LONG_S)
    for machine in play.machines.values():
        play.land_all(machine)
        machine.world.locks.clear()
    play.editor.freeze()
    _insist(play)


async def _come_to_rest(play: Play) -> None:
    """Do rounds until nothing is to be done, judge where that led, and insist that it stays so."""
    first = play.controllers[0]
    enough, touched = effects_enough(play), _touched(play, None)
    for number in range(ROUNDS):
        ended = [await _round(play, controller) for controller in play.controllers]
        if number > 0 and all(_is_idle(play, one) for one in ended):
            break
    else:
        raise play.fail("I3", f"after {ROUNDS} rounds there still is something to do: {_left(ended[0])}")
    made = ended[0].planned
    assert made is not None
    judge = Judge(play, made.plan)
    judge.i08_rest_was_cheap(_touched(play, judge) - touched, limit=enough)
    judge.i05_machines_are_as_wanted()
    judge.i26_lives_once()
    before = _touched(play, judge)
    for _ in range(QUIET_ROUNDS[play.seed % len(QUIET_ROUNDS)]):
        for controller in play.controllers:
            quiet = await _round(play, controller)
            left = _left(quiet)
            play.demand("I3", not (left - judge.sick), f"it had come to rest, and now: {left}")
    judge.i03_everything_came_to_an_end(first)
    play.state = judge.state()
    after = _touched(play, judge)
    play.demand("I3", before == after, f"changed while all was quiet: {after - before}")


def _touched(play: Play, judge: Judge | None) -> int:
    """Count the mutations so far, without those for sandboxes that can never be ready."""
    sick = set() if judge is None else judge.sick
    return sum(1 for one in play.mutations if oracles.sandbox_of(one.effect) not in sick)


async def _round(play: Play, controller: Controller) -> Ended:
    ended = await controller.run(Errand(override=True), play.editor.head)
    await asyncio.sleep(ROUND_S)
    _insist(play)
    hurt = play.tally["fault/status_corrupt"] > 0
    if hurt and ended.error is not None and ended.error.code in {"E_STATUS_FLEET", "E_STATUS_NEWER", "E_STATUS_DIR"}:
        # A damaged file that reads as somebody else's is refused: a person looks, and takes it away.
        for path in status_files(controller.folder):
            if not _FORMED.search(path.read_bytes()):
                path.unlink()
    return ended


def _left(ended: Ended) -> set[str]:
    if ended.planned is None:
        return {"everything" if ended.error is None else ended.error.code}
    return {action.sandbox for action in ended.planned.plan.actions}


def _is_idle(play: Play, ended: Ended) -> bool:
    held = () if ended.planned is None else ended.planned.plan.held
    waits = any(item.reason in {"TooYoung", "InGrace"} for item in held)
    return not (_left(ended) - hopeless(play)) and not waits
