"""Do the effects, one function each: check the target again, do it, and map every answer to what it means.

A refusal, a conflict and "already so" are how Docker says that somebody was here before: the host is read back, and
that decides. Nothing here raises; an effect is `Done`, `NotDone` or `Unknown`.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import assert_never

from msgspec.structs import replace

from reconciler.errors import HostError, OutcomeUnknown
from reconciler.host.docker.decode import decode_list
from reconciler.host.docker.refusals import explain
from reconciler.host.docker.requests import create_body, update_body
from reconciler.host.effects.compose import HostCompose
from reconciler.host.effects.engine import Engine
from reconciler.host.effects.supplies import (
    create_network,
    create_volume,
    image_labels_refused,
    pull_image,
    remove_network,
)
from reconciler.host.files.change import HostFiles
from reconciler.host.files.tree import HostTrees
from reconciler.host.foreign import DockerRefused
from reconciler.model.effect import (
    ConnectNetwork,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    Done,
    DropPath,
    Effect,
    JudgeCompose,
    MakeDirectory,
    NotDone,
    Outcome,
    PlaceTree,
    PullImage,
    PutFile,
    PutMarker,
    RemoveContainer,
    RemoveNetwork,
    RenameContainer,
    RestartContainer,
    StageTree,
    StartContainer,
    StopContainer,
    Unknown,
    UpCompose,
    UpdateContainer,
)
from reconciler.model.observed import RUNNING_STATES, ImageFact, SeenContainer
from reconciler.model.ownership import carries_ours, same_attempt
from reconciler.model.text import Unbound

_FORBIDDEN, _ABSENT, _CONFLICT = 403, 404, 409


async def perform(
    effect: Effect, *, engine: Engine, files: HostFiles, trees: HostTrees, compose: HostCompose
) -> Outcome:
    """Do one effect that is bound. It never raises: what fails before anything was sent is `NotDone`."""
    try:
        return await _perform(effect, engine, files, trees, compose)
    except Unbound as error:
        return NotDone(
            "E_UNBOUND", f"{error}, so nothing was sent", "is the secret declared under the Fleet's secrets?"
        )
    except OutcomeUnknown as error:
        return Unknown(error.message)
    except HostError as error:
        if engine.sent:
            return Unknown(error.message)
        if isinstance(error, DockerRefused):
            return explain(error, what=f"host {engine.host}: nothing was changed")
        return NotDone(error.code, error.message, error.hint, transient=error.transient)


def _perform(
    effect: Effect, engine: Engine, files: HostFiles, trees: HostTrees, compose: HostCompose
) -> Awaitable[Outcome]:
    match effect:
        case MakeDirectory():
            return files.make_directory(effect)
        case PutFile():
            return files.put_file(effect)
        case StageTree():
            return trees.stage(effect)
        case PlaceTree():
            return trees.place(effect)
        case JudgeCompose():
            return compose.judge(effect)
        case UpCompose():
            return compose.bring_up(effect, engine)
        case PutMarker():
            return files.put_marker(effect)
        case DropPath():
            return _drop(engine, files, effect)
        case PullImage():
            return pull_image(engine, effect)
        case CreateVolume():
            return create_volume(engine, effect)
        case CreateNetwork():
            return create_network(engine, effect)
        case RemoveNetwork():
            return remove_network(engine, effect)
        case CreateContainer():
            return _create(engine, files, effect)
        case ConnectNetwork():
            return _connect(engine, effect)
        case StartContainer():
            return _start(engine, effect)
        case RestartContainer():
            return _restart(engine, effect)
        case StopContainer():
            return _stop(engine, effect)
        case UpdateContainer():
            return _update(engine, effect)
        case RenameContainer():
            return _rename(engine, effect)
        case RemoveContainer():
            return _remove(engine, effect)
        case _:
            assert_never(effect)


async def _drop(engine: Engine, files: HostFiles, effect: DropPath) -> Outcome:
    """Remove a path; of what nothing proves to be ours, ask the engine once more whether it is in use."""
    if effect.legacy is not None:
        listed = decode_list(await engine.read.list_containers(), host=engine.host)
        users = [one.name for one in listed if any(f"{at}/".startswith(f"{effect.path}/") for at in one.mounted)]
        if users:
            return NotDone("E_IN_USE", f"host {engine.host}: {effect.path} is mounted by {', '.join(sorted(users))}")
    return await files.drop_path(effect)


async def _create(engine: Engine, files: HostFiles, effect: CreateContainer) -> Outcome:
    doubt = await files.doubt_sources(effect)
    if doubt is not None:
        return doubt
    reference = effect.container.image
    image = await engine.image(reference)
    if image is None:
        return NotDone("E_IMAGE", f"there is no image {reference} on host {engine.host}", "plan and apply again")
    if effect.image_id is not None and image.id != effect.image_id:
        return NotDone(
            "E_IMAGE",
            f"{reference} is {image.id} on host {engine.host} now, and was {effect.image_id} when this was planned",
            "plan again",
        )
    if carries_ours(image.labels):
        return image_labels_refused(reference)
    body = create_body(effect.container, labels=effect.labels)
    try:
        full_id = await engine.send(engine.write.create_container(effect.name, body))
    except DockerRefused as refused:
        there = await engine.find(effect.name)
        if there is not None and same_attempt(there.labels, effect.labels):
            return await _read_back(engine, effect, there.full_id, image, changed=refused.status != _CONFLICT)
        if refused.status == _CONFLICT:
            return _name_taken(effect.name, there)
        return explain(refused, what=f"{effect.name} was not created")
    return await _read_back(engine, effect, full_id, image, changed=True)


def _name_taken(name: str, there: SeenContainer | None) -> NotDone:
    if there is None:
        return NotDone(
            "E_NAME_PHANTOM",
            f"the engine says that the name {name} is taken, and shows no container of that name",
            "it usually lets go within seconds; if not, restart the engine",
            transient=True,
        )
    return NotDone(
        "E_NAME_CONFLICT",
        f"the name {name} is taken by the container {there.full_id} ({there.live.state})",
        f"look at it; if it is to be managed from here: reconcile adopt {there.full_id}",
    )


async def _read_back(
    engine: Engine, effect: CreateContainer, full_id: str, image: ImageFact, *, changed: bool
) -> Outcome:
    """Compare what was made with what was asked, in the fields that Docker is known to drop silently."""
    seen = await engine.find(full_id)
    if seen is None:
        return NotDone("E_READBACK", f"{effect.name} was created as {full_id} and is not there", transient=True)
    want = effect.container
    asked = {
        "memory": (want.memory_bytes, seen.spec.memory_bytes),
        "CPUs": (want.cpu_nanos, seen.spec.cpu_nanos),
        "process limit": (want.pids, seen.spec.pids),
        "read-only root": (want.read_only, seen.spec.read_only),
        "dropped capabilities": (want.cap_drop, seen.spec.cap_drop),
        "security options": (want.security_opt, seen.spec.security_opt),
        "image": (image.id, seen.image_id),
    }
    wrong = [f"{name} {got}, not {wanted}" for name, (wanted, got) in asked.items() if got != wanted]
    if not wrong:
        return Done(value=full_id, changed=changed)
    await engine.send(engine.write.remove_container(full_id))
    return NotDone(
        "E_READBACK",
        f"{effect.name} was created with {'; '.join(wrong)}, and was removed again",
        "does the host's kernel support these limits (cgroups), and did the image's tag just move?",
    )


async def _connect(engine: Engine, effect: ConnectNetwork) -> Outcome:
    seen = await engine.target(effect.target)
    if isinstance(seen, NotDone):
        return seen
    if effect.network in seen.spec.networks:
        return Done(changed=False)
    found = await engine.networks(effect.network)
    if len(found) != 1:
        many = "no network" if not found else f"{len(found)} networks"
        return NotDone("E_NETWORK_ABSENT", f"there is {many} called {effect.network}", "plan and apply again")
    endpoint = {"Aliases": list(effect.aliases)}
    try:
        await engine.send(engine.write.connect_network(found[0].id, container=seen.full_id, endpoint=endpoint))
    except DockerRefused as refused:
        now = await engine.find(seen.full_id)
        if now is not None and effect.network in now.spec.networks:
            return Done(changed=refused.status != _FORBIDDEN)
        return explain(refused, what=f"{seen.name} was not connected to {effect.network}")
    return Done()


async def _start(engine: Engine, effect: StartContainer) -> Outcome:
    seen = await engine.target(effect.target)
    if isinstance(seen, NotDone):
        return seen
    if seen.live.state == "paused":
        return NotDone("E_PAUSED", f"{seen.name} is paused", f"docker unpause {seen.full_id}, or restart it")
    if seen.live.state in RUNNING_STATES:
        return Done(changed=False)
    try:
        changed = await engine.send(engine.write.start_container(seen.full_id))
    except DockerRefused as refused:
        return await _why_not_started(engine, seen, refused)
    return Done(changed=changed)


async def _restart(engine: Engine, effect: RestartContainer) -> Outcome:
    seen = await engine.target(effect.target)
    if isinstance(seen, NotDone):
        return seen
    try:
        await engine.send(engine.write.restart_container(seen.full_id, grace_s=effect.grace_s))
    except DockerRefused as refused:
        return await _why_not_started(engine, seen, refused)
    return Done()


async def _why_not_started(engine: Engine, before: SeenContainer, refused: DockerRefused) -> Outcome:
    """Read the container back: whether it runs is what counts, and `State.Error` may say more than the answer."""
    now = await engine.find(before.full_id)
    if now is None:
        return NotDone("E_TARGET_GONE", f"host {engine.host}: the container {before.name} is gone", "plan again")
    if now.live.state in RUNNING_STATES and now.live.started_at != before.live.started_at:
        return Done()
    what = f"{before.name} did not start"
    return explain(refused, what=what, also=now.live.error, otherwise="E_START_FAILED")


async def _stop(engine: Engine, effect: StopContainer) -> Outcome:
    seen = await engine.target(effect.target)
    if isinstance(seen, NotDone):
        return seen
    if seen.live.state not in RUNNING_STATES:
        return Done(changed=False)
    try:
        changed = await engine.send(engine.write.stop_container(seen.full_id, grace_s=effect.grace_s))
    except DockerRefused as refused:
        now = await engine.find(seen.full_id)
        if now is None or now.live.state not in RUNNING_STATES:
            return Done()
        why = explain(refused, what=f"{seen.name} did not stop")
        return NotDone(
            "E_STUCK",
            why.message,
            "a process of it may hang in the kernel: see `ps -eo pid,stat,wchan`",
            transient=True,
        )
    return Done(changed=changed)


async def _update(engine: Engine, effect: UpdateContainer) -> Outcome:
    seen = await engine.target(effect.target)
    if isinstance(seen, NotDone):
        return seen
    if not _unlike(seen, effect):
        return Done(changed=False)
    body = update_body(
        restart=effect.restart, cpu_nanos=effect.cpu_nanos, memory_bytes=effect.memory_bytes, pids=effect.pids
    )
    refusal: DockerRefused | None = None
    try:
        await engine.send(engine.write.update_container(seen.full_id, body))
    except DockerRefused as refused:
        refusal = refused
    now = await engine.find(seen.full_id)
    if now is None:
        return NotDone("E_TARGET_GONE", f"host {engine.host}: the container {seen.name} is gone", "plan again")
    wrong = _unlike(now, effect)
    if not wrong:
        return Done()
    if refusal is not None:
        return explain(refusal, what=f"{seen.name} was not updated")
    return NotDone(
        "E_READBACK",
        f"{seen.name} still has {'; '.join(wrong)} after the update",
        "a limit of CPU or memory cannot be lifted in place: replace the container",
    )


def _unlike(seen: SeenContainer, effect: UpdateContainer) -> list[str]:
    asked = {
        "restart": (effect.restart, seen.spec.restart),
        "memory": (effect.memory_bytes, seen.spec.memory_bytes),
        "CPUs": (effect.cpu_nanos, seen.spec.cpu_nanos),
        "process limit": (effect.pids, seen.spec.pids),
    }
    return [f"{name} {got}, not {wanted}" for name, (wanted, got) in asked.items() if got != wanted]


async def _rename(engine: Engine, effect: RenameContainer) -> Outcome:
    there = await engine.find(effect.to)
    if there is not None and await _is_renamed(engine, effect):
        return Done(changed=False)
    seen = await engine.target(effect.target)
    if isinstance(seen, NotDone):
        return seen
    if there is not None:
        return _name_taken(effect.to, there)
    try:
        await engine.send(engine.write.rename_container(seen.full_id, to=effect.to))
    except DockerRefused as refused:
        there = await engine.find(effect.to)
        if there is not None and there.full_id == seen.full_id:
            return Done()
        if refused.status == _CONFLICT:
            return _name_taken(effect.to, there)
        return explain(refused, what=f"{seen.name} was not renamed")
    return Done()


async def _is_renamed(engine: Engine, effect: RenameContainer) -> bool:
    """Tell whether the target bears its new name already, as after a reply that was lost."""
    return isinstance(await engine.target(replace(effect.target, name=effect.to)), SeenContainer)


async def _remove(engine: Engine, effect: RemoveContainer) -> Outcome:
    seen = await engine.target(effect.target)
    if isinstance(seen, NotDone):
        return Done(changed=False) if seen.code == "E_TARGET_GONE" else seen
    if seen.live.state in RUNNING_STATES:
        return NotDone(
            "E_RUNNING", f"{seen.name} is {seen.live.state}: it is stopped before it is removed", "plan again"
        )
    try:
        await engine.send(engine.write.remove_container(seen.full_id))
    except DockerRefused as refused:
        if refused.status == _ABSENT or await engine.find(seen.full_id) is None:
            return Done()
        why = explain(refused, what=f"{seen.name} was not removed")
        return NotDone(
            "E_STUCK", why.message, "if it stays so, something on the host keeps its files busy", transient=True
        )
    return Done()
