"""Be the people around a fleet: who edits specs, who changes things by hand, and who plants what looks like ours."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from reconciler.model import labels as label
from reconciler.model.effect import CreateContainer, Effect, Existing
from reconciler.model.names import DerivedName, sandbox_uid
from tests.simulate import catalogue
from tests.simulate.deeds_on_paths import damage_marker, delete_marker, delete_path, edit_file
from tests.simulate.honesty import status_files
from tests.simulate.machine import Machine

if TYPE_CHECKING:
    from tests.simulate.controller import Controller
    from tests.simulate.play import Play

MID_PASS = 0.03
"""How often, at a call to a host, somebody does something just then; times the rate of that person."""


RACES = 0.03  # times the rate of that person


class Actors:
    """Let people act, by dice of their own."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self._olds: dict[Path, dict[str, bytes]] = {}

    def meddle(self) -> None:
        """Let whoever is at work do something in the middle of a pass."""
        play = self._play
        dice = play.dice("meddling")
        for who, act in self._people():
            rate = play.weather[who] * play.weather.rates.get("mid_pass", 1.0)
            if rate > 0.0 and dice.random() < rate * MID_PASS:
                act(dice)

    def race(self, machine: Machine, effect: Effect) -> None:
        """Let somebody be faster than an effect that is on its way: take its name, its target, or its target's name."""
        play, target = self._play, getattr(effect, "target", None)
        dice = play.dice("races")
        who = "adversary" if isinstance(effect, CreateContainer) else "user"
        rate = play.weather[who] * play.weather.rates.get("mid_pass", 1.0)
        if rate <= 0.0 or dice.random() >= rate * RACES:
            return
        seen = machine.world.containers.get(target.full_id) if isinstance(target, Existing) else None
        if isinstance(effect, CreateContainer) and machine.world.by_name(effect.name) is None:
            inherited = {**effect.labels, label.PREFIX + "attempt": "copied"}
            if dice.random() < 0.5:
                machine.plant(effect.name, deed="squat")
            else:
                machine.world.add_image("committed/race:1", labels=inherited)
                machine.plant(effect.name, image="committed/race:1", labels=inherited, deed="copied")
        elif seen is not None and machine.is_ours(seen):
            if dice.random() < 0.5:
                machine.world.rename(seen.full_id, f"mine-{machine.world.fresh_number()}")
                machine.disown(seen.full_id)
                machine.deeds.add("rename")
            else:
                machine.world.drop(seen.full_id)
                machine.plant(seen.name, deed="squat", running=False)
            machine.touched_s = play.now_s
        else:
            return
        play.tally[f"deed/race_{effect.__struct_config__.tag}"] += 1
        play.trace.add(who, f"{machine.name} is faster than {effect.__struct_config__.tag}")

    def act(self) -> None:
        """Let everybody do something between two passes."""
        play = self._play
        dice = play.dice("people")
        for who, act in self._people():
            while play.weather.hits(who, dice):
                act(dice)

    def _people(self) -> tuple[tuple[str, Callable[[random.Random], None]], ...]:
        return (("edit", self._edit), ("user", self._use), ("adversary", self._plant))

    def _edit(self, _: random.Random) -> None:
        self._play.tally["deed/edit"] += 1
        self._play.trace.add("editor", f"{self._play.editor.edit()} -> r{self._play.editor.head.number}")

    # By hand ---------------------------------------------------------------------------------------------------------

    def _use(self, dice: random.Random) -> None:
        """Change one thing of ours by hand."""
        machine = self._play.machines[dice.choice(self._play.hosts)]
        deed = dice.choice(sorted(_DEEDS))
        if _DEEDS[deed](machine, dice):
            machine.deeds.add(deed)
            machine.touched_s = self._play.now_s
            self._play.tally[f"deed/{deed}"] += 1
            self._play.trace.add("user", f"{machine.name} {deed}")

    # Things that look like ours --------------------------------------------------------------------------------------

    def _plant(self, dice: random.Random) -> None:
        machine = self._play.machines[dice.choice(self._play.hosts)]
        kind = dice.choice(sorted(_PLANTS))
        name = dice.choice(catalogue.NAMES[:6])
        if kind in _LABELLED and not self._play.weather.hits("labels", self._play.dice("labels")):
            return
        if _PLANTS[kind](machine, name, dice):
            self._play.tally[f"deed/{kind}"] += 1
            self._play.trace.add("enemy", f"{machine.name} {kind} {name}")

    # The status folder -----------------------------------------------------------------------------------------------

    def hurt_status(self, controller: Controller, kind: str, dice: random.Random) -> None:
        """Lose a status folder, damage a file of it, or put an older copy back."""
        folder = controller.folder
        if not folder.is_dir():
            return
        play = self._play
        files = status_files(folder)
        play.written.clear()
        play.known_to = {known for known in play.known_to if known[0] != folder}
        play.fault(kind, controller.name, "")
        for one in play.controllers:
            if one.folder == folder:
                one.generations.clear()
                one.statuses.clear()
                one.disk.cache.forget()
        for machine in play.machines.values():
            machine.deeds.add("status")
        if kind == "status_lost":
            shutil.rmtree(folder)
        elif kind == "status_corrupt" and files:
            path = dice.choice(files)
            raw = bytearray(path.read_bytes())
            where = dice.randrange(len(raw))
            raw[where:] = (
                b"" if dice.random() < 0.5 else bytes([raw[where] ^ (1 << dice.randrange(8))]) + raw[where + 1 :]
            )
            path.write_bytes(bytes(raw))
        elif kind == "status_older":
            saved = self._olds.get(folder)
            self._olds[folder] = {str(path.relative_to(folder)): path.read_bytes() for path in files}
            if saved is not None:
                _unpack(saved, folder)


def _unpack(saved: dict[str, bytes], folder: Path) -> None:
    """Put an older copy of the status folder back, whole."""
    for path in status_files(folder):
        path.unlink()
    for name, raw in saved.items():
        (folder / name).parent.mkdir(mode=0o700, exist_ok=True)
        (folder / name).write_bytes(raw)


# Deeds: each tells whether there was anything to do ------------------------------------------------------------------


def _stop(machine: Machine, dice: random.Random) -> bool:
    running = [seen for seen in machine.ours() if seen.live.state == "running"]
    if running:
        machine.world.end(dice.choice(running).full_id, exit_code=137)
    return bool(running)


def _remove(machine: Machine, dice: random.Random) -> bool:
    ours = machine.ours()
    if ours:
        machine.world.drop(dice.choice(ours).full_id)
    return bool(ours)


def _restart(machine: Machine, dice: random.Random) -> bool:
    running = [seen for seen in machine.ours() if seen.live.state == "running"]
    if running:
        seen = dice.choice(running)
        machine.world.end(seen.full_id, exit_code=0)
        if all(one in machine.world.networks for one in seen.network_ids.values()):
            machine.world.start(seen.full_id)
    return bool(running)


def _pause(machine: Machine, dice: random.Random) -> bool:
    running = [seen for seen in machine.ours() if seen.live.state == "running"]
    if running:
        seen = dice.choice(running)
        machine.world.containers[seen.full_id] = replace(seen, live=replace(seen.live, state="paused"))
    return bool(running)


def _rename(machine: Machine, dice: random.Random) -> bool:
    ours = machine.ours()
    if ours:
        seen = dice.choice(ours)
        machine.world.rename(seen.full_id, f"mine-{machine.world.fresh_number()}")
        machine.disown(seen.full_id)
    return bool(ours)


def _resize(machine: Machine, dice: random.Random) -> bool:
    ours = machine.ours()
    if ours:
        seen = dice.choice(ours)
        spec = replace(seen.spec, memory_bytes=dice.choice((128, 256)) << 20)
        machine.world.containers[seen.full_id] = replace(seen, spec=spec)
    return bool(ours)


def _remove_network(machine: Machine, dice: random.Random) -> bool:
    networks = [one for one in sorted(machine.world.networks) if one not in machine.foreign_networks]
    if not networks:
        return False
    network = machine.world.networks[dice.choice(networks)]
    for seen in machine.ours():
        if network.name in seen.spec.networks and seen.live.state in {"running", "paused", "restarting"}:
            machine.world.end(seen.full_id, exit_code=137)
    del machine.world.networks[network.id]
    return True


def _delete_image(machine: Machine, dice: random.Random) -> bool:
    used = {seen.image_id for seen in machine.world.containers.values()}
    idle = [name for name, fact in sorted(machine.world.images.items()) if fact.id not in used and "lab/" in name]
    if idle:
        name = dice.choice(idle)
        machine.world.registry[name] = machine.world.images.pop(name)
    return bool(idle)


_DEEDS: dict[str, Callable[[Machine, random.Random], bool]] = {
    "stop": _stop,
    "remove": _remove,
    "restart": _restart,
    "pause": _pause,
    "rename": _rename,
    "resize": _resize,
    "remove_network": _remove_network,
    "edit_file": edit_file,
    "delete_path": delete_path,
    "delete_marker": delete_marker,
    "damage_marker": damage_marker,
    "delete_image": _delete_image,
}


# Plants --------------------------------------------------------------------------------------------------------------


def our_labels(name: str, *, fleet: str = catalogue.FLEET, resource: str = "main") -> dict[str, str]:
    """Give labels such as we write, as somebody would copy them."""
    return label.to_docker(
        label.Labels(
            fleet=fleet,
            sandbox=name,
            uid=sandbox_uid(fleet, name),
            kind="containers",
            resource=resource,
            digest="2:0123456789abcdef",
            generation=1,
            revision="none",
            run="run-20270101T000000Z-01234567",
            attempt="copied",
        )
    )


def _similar(machine: Machine, name: str, dice: random.Random) -> bool:
    number = machine.world.fresh_number()
    docker = dice.choice((f"{name}-{number}", f"sbx-{catalogue.FLEET}-{name}-{number}", f"sbx-labs.{name}.m{number}"))
    machine.plant(docker)
    return True


def _squat(machine: Machine, name: str, _: random.Random) -> bool:
    """Take the very name that a sandbox wants."""
    docker = str(DerivedName(catalogue.FLEET, name, "main"))
    if machine.world.by_name(docker) is not None:
        return False
    machine.plant(docker, deed="squat")
    return True


def _copied_labels(machine: Machine, name: str, _: random.Random) -> bool:
    machine.plant(f"copy-{machine.world.fresh_number()}", labels=our_labels(name), deed="copied")
    return True


def _copied_to_other(machine: Machine, name: str, dice: random.Random) -> bool:
    """Put one sandbox's labels on a container with another's name."""
    other = dice.choice([one for one in catalogue.NAMES[:6] if one != name])
    docker = str(DerivedName(catalogue.FLEET, other, f"x{machine.world.fresh_number()}"))
    machine.plant(docker, labels=our_labels(name), deed="copied")
    return True


def _labelled_image(machine: Machine, name: str, dice: random.Random) -> bool:
    """Run an image that was committed from a container of ours."""
    image = f"committed/{name}:1"
    if image not in machine.world.images:
        machine.world.add_image(image, labels=our_labels(name))
    docker = dice.choice((str(DerivedName(catalogue.FLEET, name, "main")), f"own-{machine.world.fresh_number()}"))
    if machine.world.by_name(docker) is not None:
        return False
    machine.plant(docker, image=image, labels=our_labels(name), deed="copied")
    return True


def _other_fleet(machine: Machine, name: str, _: random.Random) -> bool:
    number = machine.world.fresh_number()
    docker = f"sbx-other.{name}.m{number}"
    machine.plant(docker, labels=our_labels(name, fleet="other", resource=f"m{number}"))
    network = machine.world.add_network(f"sbx-other.{name}.n{number}", our_labels(name, fleet="other"))
    machine.foreign_networks[network.id] = network
    machine.plant_path(f"/home/ops/.reconciler/other-{number}", kind="directory", uid=1000)
    return True


def _same_network(machine: Machine, name: str, _: random.Random) -> bool:
    """Make a network under a name that a sandbox wants."""
    wanted = str(DerivedName(catalogue.FLEET, name, "inside"))
    if any(one.name == wanted for one in machine.world.networks.values()):
        return False
    network = machine.world.add_network(wanted)
    machine.foreign_networks[network.id] = network
    machine.deeds.add("squat")
    return True


def _stray_path(machine: Machine, _: str, dice: random.Random) -> bool:
    number = machine.world.fresh_number()
    roots = ("/etc", "/srv/data", "/home/ops", "/srv")
    machine.plant_path(f"{dice.choice(roots)}/theirs-{number}", kind=dice.choice(("file", "directory", "symlink")))
    return True


_PLANTS: dict[str, Callable[[Machine, str, random.Random], bool]] = {
    "similar": _similar,
    "squat": _squat,
    "copied_labels": _copied_labels,
    "copied_to_other": _copied_to_other,
    "labelled_image": _labelled_image,
    "other_fleet": _other_fleet,
    "same_network": _same_network,
    "stray_path": _stray_path,
}
_LABELLED = frozenset({"copied_labels", "copied_to_other", "labelled_image"})
