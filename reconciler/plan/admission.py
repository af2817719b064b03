"""Say whether a host has room for one more sandbox, by the limits its spec sets and the facts it gave."""

from __future__ import annotations

from collections import Counter

from reconciler.model.desired import Admission
from reconciler.model.plan import Action, Verb
from reconciler.model.size import exact_size, round_size
from reconciler.model.snapshot import HostSnapshot
from reconciler.plan.assessment import Trouble
from reconciler.plan.world import Place, World

_HINT = "free some, raise spec.admission of the host, or name another host"


def admission_trouble(world: World, place: Place) -> Trouble | None:
    """Name the dimension that is short, and by how much; None when the sandbox fits or nothing limits it."""
    host = world.desired.hosts[place.host]
    state = world.reachable(place.host)
    limits = host.admission
    if state is None or limits == Admission():
        return None
    owned = _others_on(world, place)
    if limits.sandboxes_max is not None and owned >= limits.sandboxes_max:
        return _short(place, f"holds {owned} sandboxes, admission.maxSandboxes is {limits.sandboxes_max}")
    if state.snapshot is None:
        return _short(place, "could not tell its memory, load and disk, which admission asks for")
    return _measured_trouble(place, limits, state.snapshot)


def crowded_out(world: World, actions: list[Action]) -> dict[str, Trouble]:
    """Name the creations, by id, for which there is no room once those before them are done: each fits alone."""
    troubles: dict[str, Trouble] = {}
    coming: Counter[str] = Counter()
    for action in sorted(actions, key=lambda item: item.id):
        if action.verb is not Verb.CREATE:
            continue
        place = Place(action.host, action.sandbox)
        most = world.desired.hosts[action.host].admission.sandboxes_max
        owned = _others_on(world, place)
        if most is not None and owned + coming[action.host] >= most:
            what = (
                f"holds {owned} sandboxes, and {coming[action.host]} more come first; admission.maxSandboxes is {most}"
            )
            troubles[action.id] = _short(place, what)
        elif not world.held(place).exists:
            coming[action.host] += 1
    return troubles


def _others_on(world: World, place: Place) -> int:
    """Count the sandboxes of a host without the one at this place: a half-made one takes no second room."""
    sandboxes = world.holdings[place.host].sandboxes
    return sum(1 for name, holding in sandboxes.items() if holding.exists and name != place.sandbox)


def _measured_trouble(place: Place, limits: Admission, facts: HostSnapshot) -> Trouble | None:
    memory_bytes = limits.memory_available_min_bytes
    if memory_bytes is not None and facts.memory_available_bytes < memory_bytes:
        have, want = round_size(facts.memory_available_bytes), exact_size(memory_bytes)
        return _short(place, f"has {have} of memory available, admission.minMemoryAvailable is {want}")
    disk = facts.disks.docker_root
    if limits.disk_free_min_bytes is not None:
        if disk is None:
            return _short(place, "could not tell what is free on Docker's disk, as admission.minDiskFree asks")
        if disk.available_bytes < limits.disk_free_min_bytes:
            have, want = round_size(disk.available_bytes), exact_size(limits.disk_free_min_bytes)
            return _short(place, f"has {have} free at {disk.path}, admission.minDiskFree is {want}")
    load = facts.load_1 / max(facts.cpu_count, 1)
    if limits.load_per_cpu_max is not None and load > limits.load_per_cpu_max:
        return _short(place, f"has a load of {load:.2f} per CPU, admission.maxLoadPerCpu is {limits.load_per_cpu_max}")
    return None


def _short(place: Place, what: str) -> Trouble:
    return Trouble("AdmissionRefused", f"{place.host} {what}", _HINT)
