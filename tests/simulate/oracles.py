"""Judge a run: one function per invariant, named by its number.

They judge by what really happened on the machines, which the simulation knows, never by the product's own opinion.
I3, I5 and I8 are judged at the end of a run, in `ending.py`.
"""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from reconciler.errors import GuardRefused, Locked, PlanStale, ReconcilerError, StatusFolderError
from reconciler.host.memory.host import MemoryLease
from reconciler.model import labels as label
from reconciler.model.desired import Desired
from reconciler.model.effect import (
    CreateContainer,
    Done,
    DropPath,
    Effect,
    Existing,
    Outcome,
    RemoveNetwork,
)
from reconciler.model.names import is_full_id, parse_derived, sandbox_uid
from reconciler.model.observed import Observed, SeenContainer
from reconciler.model.outcome import ActionEnded
from reconciler.model.plan import Action, Bucket, Verb
from reconciler.model.record import Records
from reconciler.model.removal import RemovalRecord
from reconciler.model.status import FleetStatus, HostStatus, SandboxStatus
from reconciler.plan import PlanRequest
from reconciler.record.removals import faults_of
from tests.simulate import catalogue
from tests.simulate.groves import i27_only_its_own_is_removed
from tests.simulate.honesty import forget_what_ended, i19_synced_is_applied, i22_a_plan_holds_when_it_is_obeyed
from tests.simulate.loop import VirtualLoop
from tests.simulate.machine import Machine

if TYPE_CHECKING:
    from tests.simulate.controller import Controller, Ended
    from tests.simulate.play import Play

PlanInputs = tuple[Desired, Observed, Records, PlanRequest]
PASS_S_MAX = 6 * 3600.0  # longer than the sum of all deadlines of the largest pass here
PURITY_SHARE = 0.1
_NOUNS: dict[str, type[SandboxStatus | HostStatus | FleetStatus]] = {"sandboxes": SandboxStatus, "hosts": HostStatus}


# After every effect --------------------------------------------------------------------------------------------------


def look_at_effect(play: Play, machine: Machine, effect: Effect, outcome: Outcome) -> None:
    """Ask every invariant that one effect could break."""
    i01_only_ours_is_touched(play, machine, effect, outcome)
    i02_one_live_instance(play, machine)
    written, removed = machine.paths.take()
    i13_nothing_outside_is_written(play, machine, written=written, removed=removed)
    i27_only_its_own_is_removed(play, machine, effect, removed)
    if isinstance(effect, DropPath) and sandbox_of(effect) not in play.editor.head.wishes:
        _forget_generation(play, sandbox_of(effect))


def i01_only_ours_is_touched(play: Play, machine: Machine, effect: Effect, outcome: Outcome) -> None:
    """I1: a mutation targets a full id that is truly ours; everything foreign stays bit-identical."""
    if isinstance(effect, CreateContainer) and isinstance(outcome, Done) and outcome.value:
        ours = outcome.value in machine.made and outcome.value not in machine.foreign
        play.demand("I1", ours, f"{machine.name}: {effect.name} is said to be made, and is somebody else's")
    if isinstance(outcome, Done) and outcome.changed:
        target = getattr(effect, "target", None)
        if isinstance(target, Existing):
            ours = target.full_id in machine.made and target.full_id not in machine.foreign
            play.demand("I1", is_full_id(target.full_id) and ours, f"{machine.name}: {effect} hit what is not ours")
        if isinstance(effect, RemoveNetwork):
            play.demand("I1", effect.id not in machine.foreign_networks, f"{machine.name}: removed {effect.name}")
    for full_id, before in machine.foreign.items():
        now = machine.world.containers.get(full_id)
        same = now == before or (
            now is not None and _lives_by_itself(machine, now) and replace(now, live=before.live) == before
        )
        play.demand("I1", same, f"{machine.name}: {before.name} was changed by {kind_of(effect)}")
    for network_id, network in machine.foreign_networks.items():
        same = machine.world.networks.get(network_id) == network
        play.demand("I1", same, f"{machine.name}: network {network.name} was changed by {effect}")


def kind_of(effect: Effect) -> str:
    """Give the kind of an effect, such as `create_container`."""
    return str(effect.__struct_config__.tag)


def _lives_by_itself(machine: Machine, seen: SeenContainer) -> bool:
    return machine.world.behaviour(seen).exit_code is not None


def i02_one_live_instance(play: Play, machine: Machine) -> None:
    """I2: of each resource of a sandbox at most one instance runs, or two while one replaces the other start-first."""
    running: Counter[tuple[str, str]] = Counter()
    for seen in machine.world.containers.values():
        if seen.live.state in {"running", "restarting", "paused"} and machine.is_ours(seen):
            running[seen.labels[label.PREFIX + "sandbox"], seen.labels[label.PREFIX + "resource"]] += 1
    surging = {
        name for revision in play.editor.history for name, wish in revision.wishes.items() if "surge" in wish.shape
    }
    for (sandbox, resource), count in running.items():
        most = 2 if sandbox in surging else 1
        play.demand("I2", count <= most, f"{machine.name}: {count} instances of {sandbox}/{resource} run")


def i13_nothing_outside_is_written(play: Play, machine: Machine, *, written: list[str], removed: list[str]) -> None:
    """I13: only baseDir and storage roots are written, and only a sandbox's own folder loses anything."""
    base, data = machine.world.base_dir, "/srv/data"
    for path in written:
        inside = path == base or path.startswith((f"{base}/", f"{data}/")) or base.startswith(f"{path}/")
        play.demand("I13", inside and path not in machine.foreign_paths, f"{machine.name}: {path} was written")
    for path in removed:
        play.demand("I13", path.startswith(f"{base}/") and path not in machine.foreign_paths,
                    f"{machine.name}: {path} was removed")  # fmt: skip


def i12_one_holder_acts(play: Play, machine: Machine, lease: MemoryLease | None) -> None:
    """I12: whoever acts holds the host's lock at that moment, unless it is broken on purpose."""
    if machine.lock_broken:
        return
    held = lease is not None and machine.world.locks.get(machine.world.base_dir) == lease.lock
    play.demand("I12", held, f"{machine.name}: an effect without the lock")


def i12_locks_are_not_taken_away(play: Play, machine: Machine) -> None:
    """I12: a host's lock is granted to nobody while another holds it."""
    play.demand("I12", not machine.locks.stolen, f"{machine.name}: its lock was granted twice")


# After every pass ----------------------------------------------------------------------------------------------------


def look_at_ended(play: Play, controller: Controller, ended: Ended, *, started_s: float) -> None:
    """Ask every invariant that a whole pass could break."""
    i14_passes_end(play, controller, started_s=started_s)
    i15_errors_are_ours(play, ended)
    i22_a_plan_holds_when_it_is_obeyed(play, controller, ended)
    forget_what_ended(play, ended)
    if ended.passed is not None:
        i16_ready_was_probed(play, controller, started_s=started_s)
        for action in ended.passed.planned.plan.actions:
            if action.verb is Verb.DESTROY:
                _forget_generation(play, action.sandbox)


def _forget_generation(play: Play, sandbox: str) -> None:
    """Let generations begin anew: what is made after a removal under the same name is another sandbox."""
    for controller in play.controllers:
        controller.generations.pop(sandbox, None)


def i09_status_is_whole(play: Play, controller: Controller, path: Path) -> None:
    """I9: every status file parses at every instant; no generation goes back or is observed before it exists."""
    if path.suffix != ".json" or "passes" in path.parts or not path.exists():
        return
    if path.parent.name == "removals":
        i25_removals_are_proved(play, path)
        return
    noun = _NOUNS.get(path.parent.name, FleetStatus)
    try:
        status = msgspec.json.decode(path.read_bytes(), type=noun)
    except msgspec.MsgspecError as error:
        raise play.fail("I9", f"{path.name} does not parse: {error}") from error
    whose = status.fleet == catalogue.FLEET or play.tally["fault/status_corrupt"] > 0
    play.demand("I9", whose, lambda: f"{path.name} is of fleet {status.fleet!r}")
    if isinstance(status, SandboxStatus):
        play.demand("I9", status.observed_generation <= status.generation, f"{path.name} is ahead of itself")
        before = controller.generations.get(status.name, 0)
        back = status.generation < before and not controller.has_been_blurred
        play.demand("I9", not back, f"{path.name} went from generation {before} back to {status.generation}")
        i19_synced_is_applied(play, controller, status)
        controller.generations[status.name] = status.generation
        controller.statuses[status.name] = status


def i25_removals_are_proved(play: Play, path: Path) -> None:
    """I25: the record of every removal proves by itself that it was right."""
    faults = faults_of(msgspec.json.decode(path.read_bytes(), type=RemovalRecord))
    play.demand("I25", not faults, f"{path.name}: {'; '.join(faults)}")


def i10_no_secret_is_written(play: Play, folder: Path) -> None:
    """I10: the secret's value is in no file of the status folder and on no line of the trace, however encoded."""
    raw = catalogue.CANARY.encode()
    needles = (raw, base64.b64encode(raw), raw.hex().encode(), raw.replace(b"/", b"%2F").replace(b"+", b"%2B"))
    texts = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    texts["trace"] = "\n".join(play.trace.lines).encode()
    for name, text in texts.items():
        play.demand("I10", not any(needle in text for needle in needles), f"the secret is in {name}")


def i14_passes_end(play: Play, controller: Controller, *, started_s: float) -> None:
    """I14: a pass ends within the sum of its deadlines, and leaves no task behind."""
    took_s = play.now_s - started_s
    play.demand("I14", took_s <= PASS_S_MAX, f"a pass took {took_s:.0f} s")
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    scene = asyncio.current_task()
    mine = [task for task in asyncio.all_tasks() if task is not scene and loop.owners.get(task) is controller]
    play.demand("I14", not mine, lambda: f"left behind: {mine}")


def i15_errors_are_ours(play: Play, ended: Ended) -> None:
    """I15: an error that ends a pass has a stable code, a sentence, and a hint."""
    error = ended.error
    if error is None or ended.killed:
        return
    expected = isinstance(error, GuardRefused | Locked | PlanStale | StatusFolderError)
    play.demand("I15", expected and _is_told(error), f"a pass ended with {type(error).__name__}: {error}")


def _is_told(error: ReconcilerError) -> bool:
    return bool(error.code.startswith("E_") and error.message and error.hint)


def i15_failures_say_what_to_do(play: Play, action: Action, ended: ActionEnded) -> None:
    """I15: an action that did not end well has a code and says why."""
    if ended.end != "done":
        told = ended.code.startswith("E_") and bool(ended.message)
        play.demand("I15", told, f"{action.id} ended {ended.end} with code {ended.code!r}: {ended.message!r}")


def i16_ready_was_probed(play: Play, controller: Controller, *, started_s: float) -> None:
    """I16: Ready is said only of what passed a probe since its instance started."""
    last = controller.last_passed
    if last is None:
        return
    ended = () if last.ended is None else last.ended.actions
    done = {one.id for one in ended if one.end == "done"}
    settled = [(one.sandbox, one.host) for one in last.planned.plan.matched if one.bucket is Bucket.MATCHING]
    settled += [(one.sandbox, one.host) for one in last.planned.plan.actions if one.id in done]
    for sandbox, host in settled:
        status = controller.statuses.get(sandbox)
        machine = play.machines[host]
        # With a broken lock, another controller may start it anew after it was probed, unseen.
        raced = any(one.at_s >= started_s and one.by != controller.name for one in play.mutations if one.host == host)
        disturbed = machine.touched_s >= started_s or host in controller.blurred or (machine.lock_broken and raced)
        if status is None or disturbed or not _is_ready(status) or status.host != host:
            continue
        for instance in status.instances:
            seen = machine.world.containers.get(instance.full_id)
            if seen is None or instance.resource in _optional(play, sandbox):
                continue
            probed = machine.started_when_passed.get(instance.full_id)
            play.demand("I16", probed is not None and probed == seen.live.started_at,
                        f"{sandbox} is Ready, and {seen.name} was not probed since it started")  # fmt: skip


def _is_ready(status: SandboxStatus) -> bool:
    return any(one.type == "Ready" and one.status == "True" for one in status.conditions)


def _optional(play: Play, sandbox: str) -> set[str]:
    found: set[str] = set()
    for revision in play.editor.history:
        wish = revision.wishes.get(sandbox)
        if wish is not None:
            containers = catalogue.sandbox(sandbox, shape=wish.shape, version=wish.version).containers
            found |= {f"containers/{one.name}" for one in containers if one.optional}
    return found


def sandbox_of(effect: Effect) -> str:
    """Name the sandbox that an effect is about, as far as its names tell."""
    target = getattr(effect, "target", None)
    name = target.name if isinstance(target, Existing) else getattr(effect, "name", "")
    parsed = parse_derived(str(name))
    if parsed is not None:
        return parsed.sandbox
    marker = getattr(effect, "marker", None)
    if marker is not None:
        return str(marker.sandbox)
    path = str(getattr(effect, "path", ""))
    uids = {sandbox_uid(catalogue.FLEET, one): one for one in catalogue.NAMES}
    return next((one for uid, one in uids.items() if f"/{uid}" in path), "")
