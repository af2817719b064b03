"""Tell what the images and the writable layers of single containers take, and ask an engine for no more than that.

A writable layer is summed up by walking its files, so only those are asked for that are wanted. What images share is
known to the engine without looking at the disk: engines of API 1.42 tell it of all images in one reply, and of older
ones it is worked out from the layers that each image names.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from reconciler.errors import ReadFailed
from reconciler.host.docker.wire import quoted
from reconciler.host.foreign import DockerRefused, reply_refused
from reconciler.host.together import together

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.host.docker.reader import DockerReader
    from reconciler.host.docker.wire import Wire

READ_S = 10.0
SIZE_S = 2.0
"""The end of a pass waits for 3 s, and what came by then is worth more than one more number."""
STORED_S = 5.0
"""`inspect host` answers within 10 s, its login and the rest of its look included."""
IMAGES_MAX = 256
"""So many images are asked one by one; on an old engine with more, nobody would want to wait."""
AT_ONCE = 8

Amount = int | str
"""Bytes, or why they are not known."""


async def written_bytes(wire: Wire, full_id: str, *, limit_s: float = SIZE_S) -> Amount:
    """Ask what a container wrote into its own layer: sizes as files have them, so holes in them count."""
    slow = f"the engine did not add it up within {limit_s:g} s"
    try:
        async with asyncio.timeout(limit_s):
            said = await _object(wire, f"/containers/{quoted(full_id)}/json", params={"size": "true"})
    except TimeoutError:
        return slow
    except ReadFailed as failed:
        return failed.message
    except DockerRefused as refused:
        return "it went before it was added up" if refused.is_absent else refused.message
    size = said.get("SizeRw")
    # An engine leaves it out where nothing was written, and says -1 where it could not look.
    if size is None:
        return 0
    return int(size) if isinstance(size, int) and size >= 0 else "the engine does not tell it"


async def stored(read: DockerReader, *, limit_s: float = STORED_S) -> Mapping[str, Any] | str:
    """Ask for the engine's disk report, for which it walks all that it stores; give why there is none in time."""
    try:
        async with asyncio.timeout(limit_s):
            return await read.disk_usage()
    except TimeoutError:
        return f"the engine did not add it up within {limit_s:g} s"
    except ReadFailed as failed:
        return failed.message


async def unique_bytes(wire: Wire, images: Iterable[str], *, known: dict[str, tuple[str, ...]]) -> dict[str, Amount]:
    """Tell of each of these images, by id, what those of its layers take that no other image on the host has.

    Args:
        wire: the way to the engine.
        images: ids, `sha256:…`.
        known: layers by image id; they never change, and what is learned is added.
    """
    wanted = sorted(set(images))
    if not wanted:
        return {}
    try:
        # Without a version: only so do newer engines tell what is shared, and older ones pass over the question.
        call = "/images/json"
        listed = await wire.read_json(call, params={"shared-size": "true"}, deadline_s=READ_S, versioned=False)
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            raise reply_refused(wire.host, f"GET {call}", "not a list of JSON objects")
        sizes = {str(one.get("Id")): one for one in listed}
        if all(_shared(sizes.get(one)) is not None for one in wanted if one in sizes):
            return {one: _without_shared(sizes.get(one)) for one in wanted}
        return await unique_by_layers(wire, wanted, sizes, known)
    except ReadFailed as failed:
        return dict.fromkeys(wanted, failed.message)
    except DockerRefused as refused:
        return dict.fromkeys(wanted, refused.message)


_UNLISTED = "the engine does not list its image"


def _shared(listed: Mapping[str, Any] | None) -> int | None:
    shared = None if listed is None else listed.get("SharedSize")
    return shared if isinstance(shared, int) and shared >= 0 else None


def _without_shared(listed: Mapping[str, Any] | None) -> Amount:
    shared = _shared(listed)
    return _UNLISTED if listed is None or shared is None else max(0, int(listed["Size"]) - shared)


async def unique_by_layers(
    wire: Wire, wanted: list[str], sizes: dict[str, Any], known: dict[str, tuple[str, ...]]
) -> dict[str, Amount]:
    """Work out what is shared: two images share the layers with which both begin. Raises as any read.

    `sizes` is the engine's list of images, by id; the rest is as for `unique_bytes`.
    """
    if len(sizes) > IMAGES_MAX:
        why = f"the engine has {len(sizes)} images and does not tell what they share"
        return dict.fromkeys(wanted, why)
    slots = asyncio.Semaphore(AT_ONCE)

    async def learn(image: str) -> None:
        async with slots:
            said = await _object(wire, f"/images/{quoted(image)}/json")
        layers = (said.get("RootFS") or {}).get("Layers") or ()
        known[image] = tuple(str(layer) for layer in layers)

    await together([learn(image) for image in sizes if image not in known])
    found: dict[str, Amount] = {}
    for image in wanted:
        if image not in sizes:
            found[image] = _UNLISTED
            continue
        others = (known[other] for other in sizes if other != image)
        shared = max((_begin_alike(known[image], other) for other in others), default=0)
        found[image] = await _beyond(wire, image, int(sizes[image]["Size"]), layers=len(known[image]), shared=shared)
    return found


def _begin_alike(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """Count the layers with which both begin."""
    alike = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        alike += 1
    return alike


async def _beyond(wire: Wire, image: str, size_bytes: int, *, layers: int, shared: int) -> Amount:
    """Sum the layers of an image beyond the first `shared`; its history names their sizes, the newest first."""
    if shared == 0:
        return size_bytes
    if shared == layers:
        return 0
    call = f"/images/{quoted(image)}/history"
    told = await wire.read_json(call, deadline_s=READ_S)
    if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
        raise reply_refused(wire.host, f"GET {call}", "not a list of JSON objects")
    amounts = [int(one.get("Size") or 0) for one in reversed(told)]
    if len(amounts) != layers:
        # Entries without a layer, such as those of an ENV, have no size.
        amounts = [amount for amount in amounts if amount]
    if len(amounts) != layers:
        return "its history does not tell its layers one by one"
    return sum(amounts[shared:])


async def _object(wire: Wire, path: str, *, params: dict[str, str] | None = None) -> dict[str, Any]:
    said = await wire.read_json(path, params=params, deadline_s=READ_S)
    if not isinstance(said, dict):
        raise reply_refused(wire.host, f"GET {path}", "not a JSON object")
    return said
