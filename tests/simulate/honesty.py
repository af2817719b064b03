"""Judge whether what a pass says of its own work is so: what it calls done was done, once, and is not lost."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from reconciler.model import labels as label
from reconciler.model.effect import (
    ConnectNetwork,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    Done,
    DropPath,
    Effect,
    Existing,
    Made,
    Outcome,
    PullImage,
    PutMarker,
    RemoveContainer,
    RemoveNetwork,
    RenameContainer,
    RestartContainer,
    StartContainer,
    StopContainer,
    UpdateContainer,
)
from reconciler.model.marker import MARKER_NAME, Marker, read_marker
from reconciler.model.names import DerivedName, parse_derived, sandbox_uid
from reconciler.model.observed import RUNNING_STATES, SeenContainer
from reconciler.model.outcome import StepEnded
from reconciler.model.plan import Action, Apply, Plan, Step, Verb
from reconciler.model.record import Records
from reconciler.model.status import SandboxStatus
from tests.simulate import catalogue
from tests.simulate.clocks import virtual_s
from tests.simulate.machine import Machine

if TYPE_CHECKING:
    from tests.simulate.controller import Controller, Ended
    from tests.simulate.play import Play

ONCE = (CreateContainer, StartContainer, RestartContainer, RenameContainer, UpdateContainer)
"""Effects that one pass never has a reason to do twice to one container."""


class Begun(msgspec.Struct, frozen=True):
    """Hold when a step began: by the virtual clock, and by the count of what had happened on its host."""

    effect: Effect
    at_s: float
    happened: int


class Ledger:
    """Hold what one pass began.

    Attributes:
        begun: by step id.
        acting: by host and sandbox, the action that is under way, and since when.
        did: what our own requests changed, as kind and target.
    """

    def __init__(self) -> None:
        self.begun: dict[str, Begun] = {}
        self.acting: dict[tuple[str, str], tuple[Action, float]] = {}
        self.did: dict[tuple[str, str], float] = {}


def is_status_file(path: Path) -> bool:
    """Tell whether a file of the status folder says what the fleet is, rather than what one pass did."""
    return path.suffix == ".json" and not {"passes", "removals"} & set(path.parts)


def status_files(folder: Path) -> list[Path]:
    """List them."""
    return sorted(filter(is_status_file, folder.rglob("*.json")))


# The disk ------------------------------------------------------------------------------------------------------------


def promise_what_is_written(play: Play, controller: Controller) -> None:
    """Expect from now on that no loss of power undoes what a whole pass wrote."""
    for path, contents in play.written.items():
        if path.is_relative_to(controller.folder):
            del contents[:-1]


def i09_power_takes_nothing_promised(play: Play, controller: Controller) -> None:
    """I9: after a loss of power each status file is what the last whole pass wrote, or something written since."""
    for path, contents in play.written.items():
        if path.is_relative_to(controller.folder):
            found = path.read_bytes() if path.exists() else None
            play.demand("I9", found in contents, f"{path.name} was lost or cut with the power, and had been promised")
            play.written[path] = [found]


# Steps ---------------------------------------------------------------------------------------------------------------


def step_begins(play: Play, controller: Controller, action: Action, step: Step) -> None:
    """Note that a step begins."""
    ledger = controller.ledger
    ledger.acting.setdefault((action.host, action.sandbox), (action, virtual_s()))
    if isinstance(step.do, Apply):
        happened = len(play.machine_of(action.host).world.happened)
        ledger.begun[step.id] = Begun(step.do.effect, virtual_s(), happened)


def i19_done_is_true(play: Play, controller: Controller, action: Action, ended: StepEnded) -> None:
    """I19: what is called done was done since the step began, or is so, unless somebody else was at it."""
    begun = controller.ledger.begun.get(ended.step)
    if begun is None or not isinstance(ended.result, Done):
        return
    machine = play.machine_of(action.host)
    if machine.touched_s >= begun.at_s or action.host in controller.blurred:
        return
    aim = _aim(begun.effect)
    did = any(
        isinstance(one.outcome, Done) and _aim(one.effect) == aim for one in machine.world.happened[begun.happened :]
    )
    play.demand("I19", did or _holds(machine, begun.effect), f"{ended.step} ({ended.title}) is called done, and is not")


def _aim(effect: Effect) -> tuple[str, str]:
    """Name what an effect is about, the same before and after its target got its id."""
    target = getattr(effect, "target", None)
    if target is not None:
        return str(effect.__struct_config__.tag), str(target.name)
    marker = getattr(effect, "marker", None)
    what = [getattr(effect, field, "") for field in ("name", "path", "reference")]
    return str(effect.__struct_config__.tag), str(marker.uid if marker is not None else what)


def _holds(machine: Machine, effect: Effect) -> bool:
    """Tell whether an effect that nobody is known to have done holds all the same."""
    world = machine.world
    target = getattr(effect, "target", None)
    seen = world.containers.get(target.full_id) if isinstance(target, Existing) else None
    if isinstance(target, Made):
        seen = world.by_name(target.name)
    running = seen is not None and seen.live.state in RUNNING_STATES
    networks = {network.name for network in world.networks.values()}
    match effect:
        case CreateContainer(name=name, labels=labels):
            there = world.by_name(name)
            attempt = label.PREFIX + "attempt"
            return there is not None and there.labels.get(attempt) == labels.get(attempt)
        case CreateNetwork(name=name):
            return name in networks
        case RemoveNetwork(id=network_id):
            return network_id not in world.networks
        case CreateVolume(name=name):
            return name in world.volumes
        case PullImage(reference=reference):
            return reference in world.images
        case DropPath(path=path):
            return path not in world.paths
        case StartContainer():
            return running or (seen is not None and seen.live.started_at is not None)
        case StopContainer():
            return not running
        case RemoveContainer():
            return seen is None
        case RenameContainer(to=to):
            return seen.name == to if seen is not None else world.by_name(to) is not None
        case ConnectNetwork(network=network):
            return seen is not None and network in seen.spec.networks
        case UpdateContainer(memory_bytes=memory_bytes, pids=pids):
            return seen is not None and (seen.spec.memory_bytes, seen.spec.pids) == (memory_bytes, pids)
        case _:
            return False


# Effects -------------------------------------------------------------------------------------------------------------


def handles(machine: Machine) -> dict[str, tuple[str, bool]]:
    """Give of every container what nothing but an effect changes: its name, and whether it runs."""
    machine.world.settle()
    return {full_id: (seen.name, _stays_up(machine, seen)) for full_id, seen in machine.world.containers.items()}


def _stays_up(machine: Machine, seen: SeenContainer) -> bool:
    return seen.live.state in RUNNING_STATES and machine.world.behaviour(seen).exit_code is None


def i01_nothing_else_is_hit(play: Play, machine: Machine, effect: Effect, before: dict[str, tuple[str, bool]]) -> None:
    """I1: an effect removes, renames and stops nothing but the container whose full id it names."""
    after = handles(machine)
    target = getattr(effect, "target", None)
    named = target.full_id if isinstance(target, Existing) else ""
    for full_id, (name, ran) in before.items():
        now = after.get(full_id)
        same = now is not None and now[0] == name and (now[1] or not ran)
        play.demand("I1", same or full_id == named, f"{machine.name}: {effect} hit {name} ({full_id[:6]})")


def look_at_own_effect(play: Play, controller: Controller, host: str, effect: Effect, outcome: Outcome) -> None:
    """Ask what one effect could break that a controller's own request did just now."""
    if isinstance(outcome, Done) and outcome.changed:
        machine = play.machine_of(host)
        # A marker that calls what is there expired makes nothing: the pass that ends it may be the first to meet it.
        if isinstance(effect, PutMarker) and effect.marker.phase == "present":
            play.known_to.add((controller.folder, host, effect.marker.sandbox))
        if isinstance(effect, CreateContainer):
            play.known_to.add((controller.folder, host, effect.labels[label.PREFIX + "sandbox"]))
        i18_new_is_ready_first(play, controller, host, effect)
        i20_nothing_is_done_twice(play, controller, machine, effect)


def i20_nothing_is_done_twice(play: Play, controller: Controller, machine: Machine, effect: Effect) -> None:
    """I20: nothing is created, started, renamed or changed twice by one pass, unless somebody else was at it."""
    target = getattr(effect, "target", None)
    if not isinstance(effect, ONCE):
        return
    key = (str(effect.__struct_config__.tag), target.full_id if isinstance(target, Existing) else str(effect.name))  # type: ignore[union-attr]  # what has no target here is created, and has a name
    before_s = controller.ledger.did.get(key)
    play.demand("I20", before_s is None or machine.touched_s >= before_s, f"{machine.name}: {key} twice in one pass")
    controller.ledger.did[key] = virtual_s()


def i18_new_is_ready_first(play: Play, controller: Controller, host: str, effect: Effect) -> None:
    """I18: of a start-first replacement, the old instance ends only once the new one has passed its probes."""
    target = getattr(effect, "target", None)
    if not isinstance(effect, StopContainer | RemoveContainer) or not isinstance(target, Existing):
        return
    name = parse_derived(target.name)
    if name is None or not name.settled:
        return
    action, since_s = controller.ledger.acting.get((host, name.sandbox), (None, 0.0))
    if action is None or action.strategy != "start-first" or not _replaces(action, f"containers/{name.resource}"):
        return
    machine = play.machine_of(host)
    new = [seen for seen in machine.ours() if _arrives(seen, name)]
    ready = any(seen.live.started_at == machine.started_when_passed.get(seen.full_id, 0) for seen in new)
    undisturbed = machine.touched_s < since_s
    play.demand("I18", ready or not undisturbed, f"{target.name} is ended, and its replacement is not ready: {new}")


def _replaces(action: Action, key: str) -> bool:
    return any(item.key == key and item.verb is Verb.REPLACE for item in action.resources)


def _arrives(seen: SeenContainer, old: DerivedName) -> bool:
    name = parse_derived(seen.name)
    return (
        name is not None and name.next_hex is not None and (name.sandbox, name.resource) == (old.sandbox, old.resource)
    )


def i24_what_was_made_is_known(play: Play, controller: Controller, records: Records) -> None:
    """I24: what a pass made, and is there, is in the records of the next one, however the first one ended.

    Not of what others make in the same folder meanwhile: a plan without a lock has read the records before.
    """
    known = {(record.host, record.sandbox) for record in records.sandboxes}
    for folder, host, sandbox in sorted(play.known_to & controller.known_before):
        machine = play.machines[host]
        marker = f"{machine.world.base_dir}/{sandbox_uid(catalogue.FLEET, sandbox)}/{MARKER_NAME}"
        ours = [seen for seen in machine.ours() if seen.labels.get(label.PREFIX + "sandbox") == sandbox]
        if folder != controller.folder:
            continue
        if not ours and marker not in machine.world.paths:
            play.known_to.discard((folder, host, sandbox))
            continue
        honest = (host, sandbox) in known or any(one.has_been_blurred for one in play.controllers)
        play.demand("I24", honest, f"{sandbox} was made on {host}, is there, and no record knows of it")


def forget_what_ended(play: Play, ended: Ended) -> None:
    """Expect no record any more of what was ended."""
    if ended.passed is not None and ended.passed.ended is not None:
        done = {one.id for one in ended.passed.ended.actions if one.end == "done"}
        for action in ended.passed.planned.plan.actions:
            if action.id in done and action.verb in (Verb.DESTROY, Verb.REAP, Verb.FORGET):
                gone = (action.host, action.sandbox)
                play.known_to = {known for known in play.known_to if known[1:] != gone}


# Passes --------------------------------------------------------------------------------------------------------------


def i22_a_plan_holds_when_it_is_obeyed(play: Play, controller: Controller, ended: Ended) -> None:
    """I22: a plan made before is obeyed only where planning anew would do the same to what is there."""
    if ended.passed is None or ended.passed.ended is None or controller.fresh is None:
        return
    stale = _destructive(ended.passed.planned.plan) - _destructive(controller.fresh)
    play.demand("I22", not stale, f"a plan from before was obeyed, and by now nobody would: {sorted(stale)}")


def _destructive(plan: Plan) -> set[tuple[str, ...]]:
    """List what a plan takes from what is there."""
    found: set[tuple[str, ...]] = set()
    for action in plan.actions:
        for effect in (step.do.effect for step in action.steps if isinstance(step.do, Apply)):
            target = getattr(effect, "target", None)
            if isinstance(target, Existing):
                found.add((action.id, str(effect.__struct_config__.tag), target.full_id))
            elif isinstance(effect, DropPath | RemoveNetwork):
                found.add((action.id, *_aim(effect)))
    return found


# The status ----------------------------------------------------------------------------------------------------------


def i19_synced_is_applied(play: Play, controller: Controller, status: SandboxStatus) -> None:
    """I19: a sandbox is called synced only once its host's marker tells of that generation.

    Judged where one controller alone works, and nothing but its own effects has changed the host or the records. A copy
    that a sandbox comes back to, as it left it, keeps its marker, and with it an older number until its next change.
    """
    if status.sync != "Synced" or status.health == "Missing" or status.stale or status.host not in play.machines:
        return
    machine = play.machine_of(status.host)
    wish = play.editor.head.wishes.get(status.name)
    hurt = (
        wish is None
        or (wish.pool is None and wish.host != status.host)
        or machine.deeds & {"delete_marker", "delete_path", "damage_marker", "status", "twins"}
    )
    disturbed = machine.touched_s >= 0.0 or controller.has_been_blurred or len(play.controllers) > 1
    if hurt or disturbed or _came_back(play, status.name, status.host):
        return
    node = machine.world.paths.get(
        f"{machine.world.base_dir}/{sandbox_uid(catalogue.FLEET, status.name)}/{MARKER_NAME}"
    )
    told = read_marker(node.content.decode()) if node is not None else "there is none"
    applied = isinstance(told, Marker) and told.generation >= status.observed_generation
    play.demand("I19", applied, f"{status.name} is called synced, and its marker on {status.host} says: {told}")


def _came_back(play: Play, sandbox: str, host: str) -> bool:
    """Tell whether the specs have named another host between naming this one, or may have left it to be placed."""
    wishes = [revision.wishes[sandbox] for revision in play.editor.history if sandbox in revision.wishes]
    if any(wish.pool is not None for wish in wishes):
        return len({one.host for one in play.mutations if _is_marker_of(one.effect, sandbox)}) > 1
    stays = [there for there, _ in itertools.groupby(wish.host for wish in wishes)]
    return stays.count(host) > 1


def _is_marker_of(effect: Effect, sandbox: str) -> bool:
    return isinstance(effect, PutMarker) and effect.marker.sandbox == sandbox
