"""Judge where a run ends once faults and edits have stopped: everything as wanted, or held back for a true reason."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec.structs import replace

from reconciler.model import labels as label
from reconciler.model.completion import complete
from reconciler.model.desired import Desired, SandboxDesired
from reconciler.model.names import SERVICES, DerivedName, composed_name, parse_derived, sandbox_uid
from reconciler.model.observed import ImageFact, SeenContainer
from reconciler.model.plan import Bucket, Held, Plan
from reconciler.model.resource import Container, Directory, File, Published
from reconciler.model.rule import rules
from reconciler.model.text import bind
from reconciler.plan.placement import placed_in, settled
from reconciler.plan.runs import run_bindings
from tests.simulate import catalogue, groves, pools
from tests.simulate.controller import Controller
from tests.simulate.machine import Machine

if TYPE_CHECKING:
    from tests.simulate.play import Play

_EXCUSES: dict[str, frozenset[str]] = {
    "NameTaken": frozenset({"squat", "copied", "rename"}),
    "Unprovable": frozenset({"copied", "rename", "delete_image"}),
    "MarkerDamaged": frozenset({"damage_marker"}),
    "MarkerMissing": frozenset({"delete_marker", "delete_path", "landed_bare", "lock_broken"}),
    "HostIdentity": frozenset({"host_replaced", "twins", "status"}),
    "PathTaken": frozenset({"never"}),
    "PortTaken": frozenset({"rename"}),
    "Orphan": frozenset({"status", "twins", "rename"}),
    "SecondCopy": frozenset({"status", "twins", "rename"}),
}
"""What must have been done to a host so that something there may be held back for this reason."""

_RUN = re.compile(r"run-\w+-[0-9a-f]{8}")
_BY_SPEC = {"Protected": "protected", "DriftReported": "report"}
_UNKNOWN_TO_RECORDS = {"Orphan", "SecondCopy"}
_FORGETFUL = ("late", "duplicate", "partial", "stale")
"""Faults after which something of ours may stand where no record can know of it."""
_ALWAYS = {"TooYoung", "InGrace", "DependencyHeld", "MoveBlocked"}


class Judge:
    """Compare the machines with what is wanted at the end.

    Attributes:
        play: the run.
        made: the last plan.
    """

    def __init__(self, play: Play, made: Plan) -> None:
        self.play = play
        self.made = made
        self.wishes = play.editor.head.wishes
        self.held = {(item.host, item.address.removeprefix("sandbox/")): item for item in made.held}
        self.matched = {(item.host, item.sandbox): item for item in made.matched}
        self.sick = hopeless(play)
        self.desired = self._as_placed(pools.as_placed(play.editor.desired(play.editor.head), made))

    def _as_placed(self, desired: Desired) -> Desired:
        """Give the specs with what was placed and is held back, or expired, where that is said of it."""
        told = [
            *self.held,
            *((host, name) for (host, name), one in self.matched.items() if one.bucket is Bucket.EXPIRED),
        ]
        placed = placed_in(self.made, desired)
        more = {
            name: host
            for host, name in reversed(told)
            if name in desired.choices.keys() - placed.keys() and host in desired.choices[name].hosts
        }
        return settled(desired, more)

    def i03_everything_came_to_an_end(self, controller: Controller) -> None:
        """I3: every wanted sandbox is ready, or held back for a reason that is true, or cannot be ready at all."""
        for item in self.made.held:
            self.play.demand("I3", self._is_excused(item), f"{item.address} is held back without a cause: {item}")
        for name, want in self.desired.sandboxes.items():
            where = (want.host, name)
            if name in self.sick or where in self.held:
                continue
            matched = self.matched.get(where)
            settled = matched is not None and matched.bucket in (Bucket.MATCHING, Bucket.EXPIRED)
            self.play.demand("I3", settled, f"{name} on {want.host} is {matched} in the end")
            if matched is not None and matched.bucket is Bucket.MATCHING:
                status = controller.statuses.get(name)
                ready = [one for one in status.conditions if one.type == "Ready"] if status is not None else []
                holds = bool(ready) and ready[0].status == "True"
                self.play.demand("I3", holds, f"{name} is as wanted, and its status says {ready}")

    def _is_excused(self, item: Held) -> bool:
        machine = self.play.machines.get(item.host)
        if machine is None:
            # A damaged record that still reads as one may name a host that nobody knows.
            return self.play.tally["fault/status_corrupt"] > 0
        wish = self.wishes.get(item.address.removeprefix("sandbox/"))
        name = item.address.removeprefix("sandbox/")
        if item.reason in _ALWAYS:
            return True
        if item.reason in _BY_SPEC:
            flag = _BY_SPEC[item.reason]
            ever = any(
                getattr(revision.wishes[name], flag) for revision in self.play.editor.history if name in revision.wishes
            )
            return ever if item.reason == "Protected" else wish is not None and wish.report
        if item.reason == "NoHostFits":
            return any(one.deeds & _EXCUSES["HostIdentity"] for one in self.play.machines.values())
        if item.reason in _UNKNOWN_TO_RECORDS and self._may_be_unknown():
            return True
        if item.reason == "HostIdentity" and "never recorded" in item.message:
            # Nobody heard who it is while it held something, and then somebody took all of that away.
            return True
        return bool(_EXCUSES.get(item.reason, frozenset()) & machine.deeds)

    def _may_be_unknown(self) -> bool:
        """Tell whether the records may honestly miss something: made late, or by somebody with records of their own."""
        apart = len({controller.folder for controller in self.play.controllers}) > 1
        return apart or any(self.play.tally[f"fault/{kind}"] for kind in _FORGETFUL)

    def i08_rest_was_cheap(self, mutations: int, *, limit: int) -> None:
        """I8: coming to rest took no more effects than building everything anew and taking everything else away."""
        self.play.demand("I8", mutations <= limit, f"it took {mutations} effects to come to rest, {limit} would do")

    def i05_machines_are_as_wanted(self) -> None:
        """I5: each machine holds what the specs want of it, exactly, and nothing else that is ours."""
        for found in self.differences():
            self.play.demand("I5", holds=False, message=found)
        self.play.tally["checked/I5"] += 1

    def i26_lives_once(self) -> None:
        """I26: what the specs leave open lives on one host alone, but where a second copy is held back or retained."""
        for name in self.desired.choices:
            for machine in pools.standing_on(self.play, name):
                where = (machine.name, name)
                if self.desired.sandboxes[name].host == machine.name:
                    continue
                kept = where in self.matched and self.matched[where].bucket is Bucket.RETAINED
                told = where in self.held and self._is_excused(self.held[where])
                self.play.demand("I26", kept or told or name in self.sick, f"{name} lives on {machine.name} as well")

    def differences(self) -> Iterator[str]:
        """Tell every difference between the machines and what is wanted."""
        for machine in self.play.machines.values():
            for name, want in self.desired.sandboxes.items():
                matched = self.matched.get((machine.name, name))
                if want.host == machine.name and name not in self.sick and matched is not None:
                    if matched.bucket is Bucket.MATCHING:
                        yield from self._wanted(machine, want)
                    elif matched.bucket is Bucket.EXPIRED:
                        yield from self._absent(machine, name)
            yield from self._leaked(machine)

    def _wanted(self, machine: Machine, want: SandboxDesired) -> Iterator[str]:
        world, where = machine.world, f"{machine.name}/{want.name}"
        folder = f"{world.base_dir}/{want.uid}"
        ours = {seen.name: seen for seen in _of_sandbox(machine, want.name)}
        names = {str(DerivedName(catalogue.FLEET, want.name, one.name)): one for one in want.containers}
        services = _services(want)
        if ours.keys() != names.keys() | services:
            yield f"{where} has the containers {sorted(ours)}, and {sorted({*names, *services})} are wanted"
        yield from (f"{one} is {ours[one].live.state}" for one in services & ours.keys() if not _runs(ours[one]))
        if self.play.besides.on:
            yield from groves.differences(machine, want, self.wishes[want.name])
        run = ""
        for name, container in names.items():
            seen = ours.get(name)
            if seen is not None:
                run = seen.labels.get(label.PREFIX + "run", "")
                yield from _container(machine, container, seen)
        there = [one for one in world.networks.values() if one.id not in machine.foreign_networks]
        networks = sorted(one.name for one in there if _is_of(one.name, want.name))
        if networks != sorted(str(DerivedName(catalogue.FLEET, want.name, one.name)) for one in want.networks):
            yield f"{where} has the networks {networks}"
        bindings = {**_host_bindings(machine), **run_bindings(_run_of(machine, want) or run)}
        placed: tuple[File | Directory, ...] = (*want.files, *want.directories)
        for item in placed:
            bound = bind(item, bindings)
            node = world.paths.get(str(bound.path))
            if node is None or node.mode != bound.mode:
                yield f"{where} has {node} at {bound.path}"
            elif node.kind == "file" and node.content != str(getattr(bound, "content", "")).encode():
                yield f"{where} has {node.content!r} in {bound.path}"
        marker = world.paths.get(f"{folder}/.reconciler.json")
        if marker is None or want.intent.encode() not in marker.content:
            yield f"{where} has another intent in its marker: {marker}"

    def state(self) -> dict[str, str]:
        """Tell what each wanted sandbox that is as wanted has come to, without ids, runs and times."""
        found: dict[str, str] = {}
        for (host, name), matched in self.matched.items():
            if matched.bucket is not Bucket.MATCHING or name in self.sick:
                continue
            machine = self.play.machines[host]
            parts: list[object] = []
            for seen in _of_sandbox(machine, name):
                run = seen.labels.get(label.PREFIX + "run", "?")
                parts.append((seen.name, repr(seen.spec).replace(run, "RUN"), seen.live.state))
            folder = f"{machine.world.base_dir}/{sandbox_uid(catalogue.FLEET, name)}/"
            bindings = _host_bindings(machine)
            want = self.desired.sandboxes[name]
            placed: tuple[File | Directory, ...] = (*want.files, *want.directories)
            named = {str(bind(item.path, bindings)) for item in placed}
            for path, node in sorted(machine.world.paths.items()):
                if groves.is_of_tree(machine, path, name):
                    continue
                if path.startswith(folder) and not path.endswith("/.reconciler.json"):
                    if path in named:
                        parts.append((path, node.kind, node.mode, _RUN.sub("RUN", node.content.decode())))
                    elif node.kind == "file":
                        self.play.left_behind.add(path)
            parts += sorted(one.name for one in machine.world.networks.values() if _is_of(one.name, name))
            parts.append(groves.told(machine, name))
            # Two runs may honestly have placed it on two hosts: what it is there must be the same.
            found[f"{'*' if name in self.desired.choices else host}/{name}"] = repr(parts)
        return found

    def _absent(self, machine: Machine, name: str) -> Iterator[str]:
        left = [seen.name for seen in _of_sandbox(machine, name)]
        if left:
            yield f"{machine.name}/{name} is expired, and there still is {left}"

    def _leaked(self, machine: Machine) -> Iterator[str]:
        """Find what is ours on a machine and that neither specs nor the plan account for."""
        known = {name for name, want in self.desired.sandboxes.items() if want.host == machine.name}
        known |= {name for host, name in (*self.held, *self.matched) if host == machine.name}
        # What can never be ready in its new place keeps its old one.
        known |= self.sick
        for seen in machine.ours():
            name = seen.labels.get(label.PREFIX + "sandbox", "")
            if name not in known:
                yield f"{machine.name} still has {seen.name}, which nothing accounts for"
        for network in machine.world.networks.values():
            parsed = parse_derived(network.name)
            ours = network.id not in machine.foreign_networks
            if ours and parsed is not None and parsed.sandbox not in known:
                yield f"{machine.name} still has the network {network.name}"
        folders = {f"{machine.world.base_dir}/{sandbox_uid(catalogue.FLEET, name)}": name for name in catalogue.NAMES}
        for path, name in folders.items():
            unproved = machine.deeds & {"delete_marker", "delete_path", "damage_marker"}
            if path in machine.world.paths and name not in known and not unproved:
                yield f"{machine.name} still has the folder of {name}, {path}"


def hopeless(play: Play) -> set[str]:
    """Name every sandbox that cannot become ready: its shape, a port that somebody's has, or what it depends on."""
    wishes = play.editor.head.wishes
    renamed = {name for name, machine in play.machines.items() if "rename" in machine.deeds}
    sick = {
        name
        for name, wish in wishes.items()
        if wish.shape in catalogue.SICK
        or (wish.shape == "fixed" and (wish.host in renamed or (wish.pool is not None and renamed)))
    }
    while True:
        more = {name for name, wish in wishes.items() if sick.intersection(wish.depends_on)} - sick
        if not more:
            return sick
        sick |= more


def effects_enough(play: Play) -> int:
    """Count the effects that would do to take everything away that is there, and to build everything that is wanted.

    Of a resource that is wanted: make, connect twice, start, and the way of a replacement; of one that is there: stop,
    rename, remove; of a sandbox: its marker, twice, and its folder.
    """
    wanted = play.editor.desired(play.editor.head).sandboxes.values()
    enough = sum(6 * len(want.resources) + 3 for want in wanted)
    for machine in play.machines.values():
        markers = sum(1 for path in machine.world.paths if path.endswith("/.reconciler.json"))
        enough += 3 * len(machine.ours()) + 2 * len(machine.world.networks) + 3 * markers
    return enough


def _services(want: SandboxDesired) -> set[str]:
    """Name the containers of the services that are wanted."""
    services = want.compose.services if want.compose is not None else ()
    return {composed_name(DerivedName(catalogue.FLEET, want.name, one), SERVICES) for one in services}


def _runs(seen: SeenContainer) -> bool:
    return seen.live.state == "running"


def _of_sandbox(machine: Machine, name: str) -> list[SeenContainer]:
    return [seen for seen in machine.ours() if seen.labels.get(label.PREFIX + "sandbox") == name]


def _is_of(docker_name: str, sandbox: str) -> bool:
    parsed = parse_derived(docker_name)
    return parsed is not None and (parsed.fleet, parsed.sandbox) == (catalogue.FLEET, sandbox)


def _host_bindings(machine: Machine) -> dict[str, str]:
    world = machine.world
    return {
        "host.home": world.home,
        "host.uid": str(world.uid),
        "host.gid": str(world.gid),
        "host.baseDir": world.base_dir,
        f"secret:{catalogue.SECRET_NAME}": catalogue.CANARY,
    }


def _run_of(machine: Machine, want: SandboxDesired) -> str:
    node = machine.world.paths.get(f"{machine.world.base_dir}/{want.uid}/.reconciler.json")
    return "" if node is None else str(json.loads(node.content).get("run", ""))


def _container(machine: Machine, container: Container, seen: SeenContainer) -> Iterator[str]:
    """Compare one container in every field that has a rule, and its state."""
    run = seen.labels.get(label.PREFIX + "run", "")
    bound = bind(container, {**_host_bindings(machine), **run_bindings(run)})
    image = next((fact for fact in machine.world.images.values() if fact.id == seen.image_id), None)
    want = complete(bound, image=image) if isinstance(image, ImageFact) else bound
    for field in rules(Container):
        wanted, there = getattr(want, field), getattr(seen.spec, field)
        if field == "ports":
            there = {inside: _as_wanted(wanted.get(inside), found) for inside, found in there.items()}
        if wanted is not None and wanted != there:
            yield f"{seen.name} has {field}={there!r}, and {wanted!r} is wanted"
    states = {"running"} if container.run == "always" else {"running", "exited"}
    if seen.live.state not in states:
        yield f"{seen.name} is {seen.live.state}"


def _as_wanted(wanted: Published | None, found: Published) -> Published:
    """Forget which port Docker picked, where none was asked for."""
    return replace(found, host_port=None) if wanted is not None and wanted.host_port is None else found
