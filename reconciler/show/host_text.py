"""Draw one host: what it measures, and what stands on it (`inspect host`)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from reconciler.model.observed import HostView, SeenContainer
from reconciler.model.ownership import Ours, Proof, Theirs, Unprovable, prove_container, trusted_markers
from reconciler.model.size import round_size
from reconciler.model.snapshot import DiskUse, HostSnapshot, Pressure
from reconciler.show.escape import shown
from reconciler.show.page import Page, Span, line, table
from reconciler.show.words import count, span


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one container of the inventory. `owner` is `ours`, `unprovable`, or whose it is."""

    name: str
    full_id: str
    owner: str
    sandbox: str | None
    state: str
    health: str | None
    image: str
    why: str = ""


def host_json(name: str, *, snapshot: HostSnapshot | None, view: HostView, fleet: str) -> dict[str, Any]:
    """Give the document: `host`, `snapshot` and `inventory`. No environment and no file content is in it."""
    return {
        "format": "reconciler-host/1",
        "host": name,
        "snapshot": msgspec.to_builtins(snapshot),
        "inventory": {
            "observed_at": view.observed_at.isoformat(),
            "identity": msgspec.to_builtins(view.identity),
            "containers": [msgspec.to_builtins(one) for one in inventory(view, fleet=fleet)],
            "others": [{"name": one.name, "full_id": one.full_id, "state": one.state} for one in view.neighbours],
            "networks": [one.name for one in view.networks],
            "volumes": [one.name for one in view.volumes],
            "folders": [_folder(view, at) for at in range(len(view.markers))],
        },
    }


def host_page(name: str, *, snapshot: HostSnapshot | None, view: HostView, fleet: str, now: datetime) -> Page:
    """Lay one host out."""
    identity = view.identity
    age = span((now - view.observed_at).total_seconds())
    page: Page = [
        line(Span(f"host/{shown(name)}", "heading"), f"   observed {age} ago"),
        line(f"  identity    {identity.host_id or 'none yet: it is written with the first sandbox'}"),
        line(f"  engine      {shown(identity.engine_version)} (API {shown(identity.api_version)})"),
        line(f"  base dir    {shown(identity.base_dir)}"),
    ]
    page += _measured(snapshot) if snapshot is not None else [line("  its load, memory and disks could not be read")]
    page.append(())
    rows = [_row(one) for one in inventory(view, fleet=fleet)]
    if rows:
        page += [*table(("CONTAINER", "OWNER", "STATE", "IMAGE", ""), rows), ()]
    faults = [f"  {shown(one.folder)}: {shown(one.fault)}" for one in view.markers if one.fault is not None]
    if faults:
        page += [line(Span("Folders that cannot be taken as ours", "heading")), *(line(text) for text in faults), ()]
    others = count(len(view.neighbours), "container")
    page.append(line(f"{count(len(rows), 'container')} with this fleet's names or labels, {others} of others."))
    return page


def inventory(view: HostView, *, fleet: str) -> list[Shown]:
    """List the inspected containers with whose they are, and why where that cannot be told."""
    markers = trusted_markers(view, fleet=fleet)
    listed = []
    for seen in sorted(view.containers, key=lambda one: one.name):
        proof = prove_container(seen, fleet=fleet, images=view.images, markers=markers)
        listed.append(_shown(seen, proof))
    return listed


def _shown(seen: SeenContainer, proof: Proof) -> Shown:
    owner, why, sandbox = "ours", "", None
    match proof:
        case Ours(name=derived):
            sandbox = derived.sandbox
            why = "" if derived.settled else "waits for its removal" if derived.tomb_epoch_s else "a replacement"
        case Theirs(owner=theirs):
            owner = theirs
        case Unprovable(why=doubt):
            owner, why = "unprovable", doubt
    return Shown(
        name=seen.name,
        full_id=seen.full_id,
        owner=owner,
        sandbox=sandbox,
        state=seen.live.state,
        health=seen.live.health,
        image=seen.spec.image,
        why=why,
    )


def _row(one: Shown) -> tuple[Span | str, ...]:
    state = one.state if one.health is None else f"{one.state} ({one.health})"
    return shown(one.name), shown(one.owner), shown(state), shown(one.image), Span(shown(one.why), "quiet")


def _measured(facts: HostSnapshot) -> Page:
    load = f"{facts.load_1:.2f} {facts.load_5:.2f} {facts.load_15:.2f} on {count(facts.cpu_count, 'CPU')}"
    busy = "" if facts.cpu_percent is None else f", {facts.cpu_percent:.0f} % busy"
    memory = f"{round_size(facts.memory_available_bytes)} available of {round_size(facts.memory_total_bytes)}"
    page = [
        line(f"  up          {span(facts.uptime_s)}"),
        line(f"  load        {load}{busy}"),
        line(f"  memory      {memory}"),
        line(f"  pressure    {_pressures(facts)}"),
    ]
    page += _disks([disk for disk in (facts.disks.root, facts.disks.base_dir, facts.disks.docker_root) if disk])
    page += [line(f"  GPU {gpu.index}       {shown(gpu.name)}, driver {shown(gpu.driver)}") for gpu in facts.gpus or ()]
    taken = facts.docker_disk
    if taken is not None:
        parts = (
            ("images", taken.images_bytes),
            ("containers", taken.containers_bytes),
            ("volumes", taken.volumes_bytes),
        )
        said = ", ".join(f"{name} {'unknown' if value is None else round_size(value)}" for name, value in parts)
        page.append(line(f"  docker      {said}"))
    page += [line(Span(f"  unknown     {shown(field)}: {shown(why)}", "held")) for field, why in facts.missing.items()]
    return page


def _pressures(facts: HostSnapshot) -> str:
    named = (("CPU", facts.pressure_cpu), ("memory", facts.pressure_memory), ("I/O", facts.pressure_io))
    return ", ".join(f"{name} {_pressure(one)}" for name, one in named)


def _pressure(one: Pressure | None) -> str:
    return "unknown" if one is None else f"{one.some_avg10_percent:.1f} %"


def _disks(disks: list[DiskUse]) -> Page:
    """Write a line for each file system; paths with one measure are on one."""
    paths: dict[str, list[str]] = {}
    for disk in disks:
        said = f"{round_size(disk.available_bytes)} available of {round_size(disk.total_bytes)}"
        if shown(disk.path) not in paths.setdefault(said, []):
            paths[said].append(shown(disk.path))
    return [line(f"  disk        {said}: {', '.join(those)}") for said, those in paths.items()]


def _folder(view: HostView, at: int) -> dict[str, Any]:
    held = view.markers[at]
    sandbox = None if held.marker is None else held.marker.sandbox
    return {"folder": held.folder, "sandbox": sandbox, "fault": held.fault}
