"""Measure what single containers take by themselves: their control groups, their own layers, and their images' layers.

Nothing here takes time for a rate, so that a container which is about to go is asked while it is there.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from reconciler.host.docker.wire import quoted
from reconciler.host.foreign import DockerRefused, reply_refused
from reconciler.host.measure.collector import look_at_groups
from reconciler.host.measure.layers import READ_S, Amount, unique_bytes, written_bytes
from reconciler.host.together import first_failure, together
from reconciler.model.names import is_full_id
from reconciler.model.snapshot import Weight

if TYPE_CHECKING:
    from reconciler.host.docker.wire import Wire
    from reconciler.host.measure.groups import Groups
    from reconciler.host.shell.held import HeldShell


async def weigh(
    shell: HeldShell, wire: Wire, containers: tuple[str, ...], *, known: dict[str, tuple[str, ...]]
) -> dict[str, Weight]:
    """Measure containers, by exact Docker name or full id; those that the host says are absent are not in the answer.

    Args:
        shell: the host's kept shell.
        wire: the way to its engine.
        containers: names or ids.
        known: layers by image id; what is learned is added.

    Raises:
        ReadFailed, ConnectFailed: the control groups, or who the containers are, could not be read.
    """
    ids = tuple(one for one in containers if is_full_id(one))
    try:
        async with asyncio.TaskGroup() as group:
            early = group.create_task(look_at_groups(shell, ids))
            seen = await together([_inspect(wire, one) for one in containers])
            there = [raw for raw in seen if raw is not None]
            named = tuple(str(raw["Id"]) for raw in there if raw["Id"] not in ids)
            late = group.create_task(look_at_groups(shell, named))
            written = group.create_task(together([written_bytes(wire, str(raw["Id"])) for raw in there]))
            unique = group.create_task(unique_bytes(wire, (str(raw["Image"]) for raw in there), known=known))
    except ExceptionGroup as failed:
        raise first_failure(failed) from failed
    layers = {str(raw["Id"]): amount for raw, amount in zip(there, written.result(), strict=True)}
    return {
        asked: _weight(
            raw,
            late.result() if raw["Id"] in named else early.result(),
            layer=layers[raw["Id"]],
            image=unique.result()[str(raw["Image"])],
        )
        for asked, raw in zip(containers, seen, strict=True)
        if raw is not None
    }


async def _inspect(wire: Wire, container: str) -> dict[str, Any] | None:
    """Inspect one container; None when there is none, or when it is only an abbreviation that fits."""
    call = f"/containers/{quoted(container)}/json"
    try:
        said = await wire.read_json(call, deadline_s=READ_S)
    except DockerRefused as refused:
        if refused.is_absent:
            return None
        raise
    if not isinstance(said, dict) or not is_full_id(str(said.get("Id"))) or not said.get("Image"):
        raise reply_refused(wire.host, f"GET {call}", "not a container")
    return said if container in (said["Id"], _name(said)) else None


def _name(raw: dict[str, Any]) -> str:
    return str(raw.get("Name") or "").removeprefix("/")


def _weight(raw: dict[str, Any], groups: Groups, *, layer: Amount, image: Amount) -> Weight:
    full_id = str(raw["Id"])
    missing = {field: why for field, why in (("layer_bytes", layer), ("image_bytes", image)) if isinstance(why, str)}
    for path, why in groups.missing.items():
        whose, _, field = path.partition(".")
        if whose == full_id:
            missing[f"use.{field}" if field else "use"] = why
    runs = bool((raw.get("State") or {}).get("Running"))
    if runs and "use" in missing:
        missing["use"] = "no control group of this container was found"
    return Weight(
        full_id=full_id,
        name=_name(raw),
        image_id=str(raw["Image"]),
        runs=runs,
        use=groups.uses.get(full_id),
        layer_bytes=layer if isinstance(layer, int) else None,
        image_bytes=image if isinstance(image, int) else None,
        missing=missing,
    )
