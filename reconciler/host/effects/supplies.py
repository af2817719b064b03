"""Do the effects on what containers need: images, volumes and networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.host.docker.refusals import PullProgress, explain, explain_pull
from reconciler.host.docker.registry import find_login
from reconciler.host.docker.replies import VolumeReply, read_reply
from reconciler.host.effects.engine import Engine
from reconciler.host.foreign import DockerRefused
from reconciler.model.effect import CreateNetwork, CreateVolume, Done, NotDone, Outcome, PullImage, RemoveNetwork
from reconciler.model.observed import SeenNetwork
from reconciler.model.ownership import carries_ours, doubt_labels, same_owner

if TYPE_CHECKING:
    from reconciler.model.observed import ImageFact

_FORBIDDEN, _ABSENT, _CONFLICT = 403, 404, 409


async def pull_image(engine: Engine, effect: PullImage) -> Outcome:
    """Make an image present; one that is there already, with the digest that is asked for, is not pulled again."""
    there = await engine.image(effect.reference)
    if there is not None and (effect.digest is None or effect.digest in there.digests):
        return _accept(there, effect.reference, changed=False)
    progress = PullProgress()

    def report(document: dict[str, object]) -> None:
        line = progress.line(document)
        if line is not None:
            engine.report(line)

    login = find_login(effect.reference, engine.logins)
    try:
        await engine.send(engine.write.pull_image(effect.reference, login=login, progress=report))
    except DockerRefused as refused:
        return explain_pull(refused, effect.reference)
    pulled = await engine.image(effect.reference)
    if pulled is None:
        return NotDone(
            "E_IMAGE",
            f"the image {effect.reference} was pulled and is not there",
            "does something on the host prune images?",
            transient=True,
        )
    return _accept(pulled, effect.reference, changed=True)


def _accept(image: ImageFact, reference: str, *, changed: bool) -> Outcome:
    if carries_ours(image.labels):
        return image_labels_refused(reference)
    return Done(value=image.id, changed=changed)


def image_labels_refused(reference: str) -> NotDone:
    """Refuse an image whose labels would make every container of it look like ours."""
    return NotDone(
        "E_IMAGE_LABELS",
        f"the image {reference} carries labels of the reconciler (dev.reconciler.…): its containers could not be told "
        "from ours",
        "build it without them; `docker commit` of a managed container copies them",
    )


async def create_volume(engine: Engine, effect: CreateVolume) -> Outcome:
    """Create a volume; an existing one must be this sandbox's, since Docker would hand out anybody's."""
    raw = await engine.read.inspect_volume(effect.name)
    changed = raw is None
    if raw is None:
        body = {"Name": effect.name, "Driver": "local", "Labels": effect.labels}
        try:
            raw = await engine.send(engine.write.create_volume(body))
        except DockerRefused as refused:
            return explain(refused, what=f"the volume {effect.name} was not created")
    labels = read_reply(raw, VolumeReply, host=engine.host, what="a volume").labels or {}
    if not same_owner(labels, effect.labels):
        return _taken("volume", effect.name)
    return Done(value=effect.name, changed=changed)


async def create_network(engine: Engine, effect: CreateNetwork) -> Outcome:
    """Create a bridge network, unless one of this name is there: Docker would make a second one."""
    there = await engine.networks(effect.name)
    if there:
        return _judge_networks(there, effect)
    body = {"Name": effect.name, "Driver": "bridge", "Labels": effect.labels}
    try:
        made = await engine.send(engine.write.create_network(body))
    except DockerRefused as refused:
        there = await engine.networks(effect.name)
        return _judge_networks(there, effect) if there else _network_refused(refused, effect.name)
    there = await engine.networks(effect.name)
    if [network.id for network in there] == [made]:
        return Done(value=made)
    await engine.send(engine.write.remove_network(made))
    return _taken("network", effect.name)


def _judge_networks(there: tuple[SeenNetwork, ...], effect: CreateNetwork) -> Outcome:
    if len(there) == 1 and same_owner(there[0].labels, effect.labels):
        return Done(value=there[0].id, changed=False)
    return _taken("network", effect.name)


def _network_refused(refused: DockerRefused, name: str) -> NotDone:
    why = explain(refused, what=f"the network {name} was not created")
    if "address pool" in why.message:
        hint = "remove unused networks there (`docker network prune`), or widen default-address-pools in daemon.json"
        return NotDone("E_NETWORK_POOL", why.message, hint)
    return why


def _taken(kind: str, name: str) -> NotDone:
    return NotDone(
        "E_NAME_CONFLICT",
        f"a {kind} {name} is there already, and is not this sandbox's alone",
        f"look at it with `docker {kind} inspect {name}`, and rename or remove it",
    )


async def remove_network(engine: Engine, effect: RemoveNetwork) -> Outcome:
    """Remove a network of ours that nothing uses."""
    raw = await engine.read.inspect_network(effect.id)
    if raw is None:
        return Done(changed=False)
    found = [network for network in await engine.networks(effect.name) if network.id == effect.id]
    doubt = doubt_labels(effect.name, found[0].labels, uid=effect.uid) if found else "it has another name now"
    if doubt is not None:
        return NotDone(
            "E_TARGET_CHANGED", f"host {engine.host}: the network {effect.id} is not touched: {doubt}", "plan again"
        )
    try:
        await engine.send(engine.write.remove_network(effect.id))
    except DockerRefused as refused:
        if refused.status == _ABSENT:
            return Done(changed=False)
        if refused.status in (_FORBIDDEN, _CONFLICT):
            why = explain(refused, what=f"the network {effect.name} is still used")
            return NotDone("E_IN_USE", why.message, "stop or disconnect what uses it", transient=True)
        if await engine.read.inspect_network(effect.id) is None:
            return Done()
        return explain(refused, what=f"the network {effect.name} was not removed")
    return Done()
