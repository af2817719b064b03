"""Say whether a host has room for one more sandbox, by the limits its spec sets and the facts it gave."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from reconciler.model.desired import Admission, HostDesired, SandboxDesired
from reconciler.model.observed import RUNNING_STATES, Reachable
from reconciler.model.plan import Action, Verb
from reconciler.model.size import exact_size, round_size
from reconciler.model.snapshot import HostSnapshot
from reconciler.plan.assessment import Trouble
from reconciler.plan.composed import service_key
from reconciler.plan.gpus import Grant, count_of, grant, held_by, held_for, needs_gpus
from reconciler.plan.holdings import Holding, HostHoldings

if TYPE_CHECKING:
    from reconciler.plan.world import World  # which holds rooms

_HINT = "free some, raise spec.admission of the host, or name another host"


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what creations take of a host before anything can measure it; `gpus_needed` are for those that need some."""

    sandboxes: int = 0
    memory_bytes: int = 0
    gpus: int = 0
    gpus_needed: int = 0

    def __add__(self, other: Taken) -> Taken:
        """Give what both take together."""
        return Taken(
            sandboxes=self.sandboxes + other.sandboxes,
            memory_bytes=self.memory_bytes + other.memory_bytes,
            gpus=self.gpus + other.gpus,
            gpus_needed=self.gpus_needed + other.gpus_needed,
        )

    def gpus_before(self, want: SandboxDesired) -> int:
        """Count the GPUs that are given away before a sandbox has its turn: who can do without comes last."""
        return self.gpus_needed if needs_gpus(want) else self.gpus


NOTHING = Taken()


class Room(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Hold one host that answered, with what its spec lets onto it.

    What is measured counts, and what a plan reserves: a sandbox that failed and is still there counts for one, and
    for no memory that it does not use.
    """

    host: HostDesired
    state: Reachable
    holdings: HostHoldings

    def lacking(self, want: SandboxDesired, *, reserved: Taken = NOTHING) -> str | None:
        """Say what is short for one more sandbox, and by how much; None when it fits or nothing limits it.

        `reserved` is what the plan makes here first.
        """
        beyond = self._beyond_limits(want, reserved)
        return beyond or held_for(self.grants(want, reserved_gpus=reserved.gpus_before(want)), want.containers)

    def grants(self, want: SandboxDesired, *, reserved_gpus: int = 0) -> dict[str, Grant]:
        """Say which GPUs its containers get, if they are made now."""
        if all(one.gpu is msgspec.UNSET for one in want.containers):
            return {}
        others = (held for name, held in self.holdings.sandboxes.items() if name != want.name)
        taken = sum(held_by(held, total=self.gpus) for held in others)
        return grant(want, self._held(want.name), self.state.snapshot, taken=taken + reserved_gpus)

    @property
    def gpus(self) -> int:
        """Count its GPUs; 0 also where it did not tell them."""
        return len(self.state.snapshot.gpus or ()) if self.state.snapshot is not None else 0

    def _beyond_limits(self, want: SandboxDesired, reserved: Taken) -> str | None:
        limits, facts = self.host.admission, self.state.snapshot
        if limits == Admission():
            return None
        sandboxes = self._sandboxes(limits, want, reserved)
        if sandboxes is not None:
            return sandboxes
        if facts is None:
            bounded = msgspec.structs.replace(limits, sandboxes_max=None) != Admission()
            return "could not tell its memory, load and disk, which admission asks for" if bounded else None
        takes_bytes = self.takes(want).memory_bytes
        return (
            _memory(limits, facts, reserved.memory_bytes, takes_bytes=takes_bytes)
            or _disk(limits, facts)
            or _load(limits, facts)
        )

    def takes(self, want: SandboxDesired, *, reserved: Taken = NOTHING) -> Taken:
        """Say what a sandbox will take that is made here: for what runs of it already, the host's facts speak.

        `reserved` is what the plan makes here first: with `auto`, it may leave no GPU.
        """
        held = self._held(want.name)
        running = {name for name, one in held.settled.items() if one.seen.live.state in RUNNING_STATES}
        limits = {item.name: item.memory_bytes or 0 for item in want.containers}
        if want.compose is not None:
            limits |= {service_key(name): limit_bytes for name, limit_bytes in want.compose.memory.items()}
        missing = [limit_bytes for place, limit_bytes in limits.items() if place not in running]
        granted = [one.gpus for one in self.grants(want, reserved_gpus=reserved.gpus_before(want)).values()]
        gpus = max(0, count_of(granted, total=self.gpus) - held_by(held, total=self.gpus)) if granted else 0
        needed = gpus if needs_gpus(want) else 0
        return Taken(sandboxes=0 if held.exists else 1, memory_bytes=sum(missing), gpus=gpus, gpus_needed=needed)

    def owned(self, *, without: str) -> int:
        """Count the sandboxes that are here, but for one: a half-made one takes no second room."""
        return len(self._there) - (without in self._there)

    def _held(self, sandbox: str) -> Holding:
        return self.holdings.sandboxes.get(sandbox) or Holding(sandbox=sandbox)

    @cached_property
    def _there(self) -> frozenset[str]:
        return frozenset(name for name, held in self.holdings.sandboxes.items() if held.exists)

    def _sandboxes(self, limits: Admission, want: SandboxDesired, reserved: Taken) -> str | None:
        most, owned = limits.sandboxes_max, self.owned(without=want.name)
        if most is None or owned + reserved.sandboxes < most:
            return None
        more = f" and {reserved.sandboxes} more come first" if reserved.sandboxes else ""
        missing = owned + reserved.sandboxes + 1 - most
        return f"needs room for {missing} more: it holds {owned}{more}, admission.maxSandboxes is {most}"


def _memory(limits: Admission, facts: HostSnapshot, reserved_bytes: int, *, takes_bytes: int) -> str | None:
    least_bytes, there_bytes = limits.memory_available_min_bytes, facts.memory_available_bytes
    if least_bytes is None:
        return None
    missing_bytes = least_bytes + reserved_bytes + takes_bytes - there_bytes
    if missing_bytes <= 0:
        return None
    reserved = f", {round_size(reserved_bytes)} of it reserved by this plan" if reserved_bytes else ""
    takes = f", this takes {round_size(takes_bytes)}" if takes_bytes else ""
    return (
        f"needs {round_size(missing_bytes)} more of memory available: {round_size(there_bytes)} is there{reserved}"
        f"{takes}, {exact_size(least_bytes)} must stay free (admission.minMemoryAvailable)"
    )


def _disk(limits: Admission, facts: HostSnapshot) -> str | None:
    least_bytes, disk = limits.disk_free_min_bytes, facts.disks.docker_root
    if least_bytes is None:
        return None
    if disk is None:
        why = facts.missing.get("disks.docker_root")
        return f"could not tell what is free on Docker's disk, as admission.minDiskFree asks{f': {why}' if why else ''}"
    missing_bytes = least_bytes - disk.available_bytes
    if missing_bytes <= 0:
        return None
    return (
        f"needs {round_size(missing_bytes)} more of disk at {disk.path}: {round_size(disk.available_bytes)} is free, "
        f"{exact_size(least_bytes)} must stay free (admission.minDiskFree)"
    )


def _load(limits: Admission, facts: HostSnapshot) -> str | None:
    most, load = limits.load_per_cpu_max, facts.load_1 / max(facts.cpu_count, 1)
    if most is None or load <= most:
        return None
    return f"has a load of {load:.2f} per CPU, {load - most:.2f} above admission.maxLoadPerCpu, which is {most:g}"


def admission_trouble(room: Room, want: SandboxDesired, *, reserved: Taken = NOTHING) -> Trouble | None:
    """Name the dimension that is short, and by how much; None when the sandbox fits or nothing limits it."""
    lacking = room.lacking(want, reserved=reserved)
    return None if lacking is None else Trouble("AdmissionRefused", f"{room.host.name} {lacking}", _HINT)


def crowded_out(world: World, actions: list[Action]) -> dict[str, Trouble]:
    """Name the creations, by id, for which there is no room once those before them are done: each fits alone."""
    troubles: dict[str, Trouble] = {}
    coming: defaultdict[str, Taken] = defaultdict(Taken)
    for action in sorted(actions, key=lambda item: item.id):
        if action.verb is not Verb.CREATE:
            continue
        room, want = world.rooms[action.host], world.desired.sandboxes[action.sandbox]
        trouble = admission_trouble(room, want, reserved=coming[action.host])
        if trouble is not None:
            troubles[action.id] = trouble
        else:
            coming[action.host] += room.takes(want, reserved=coming[action.host])
    return troubles
