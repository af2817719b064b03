"""Bring up compose projects on an in-memory host. It resolves no file: one idle container stands for each service."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.host.memory.world import World
from reconciler.model.compose import ours
from reconciler.model.effect import Done, JudgeCompose, NotDone, Outcome, UpCompose
from reconciler.model.names import SERVICES, DerivedName, composed_name
from reconciler.model.observed import RUNNING_STATES, ImageFact, SeenContainer
from reconciler.model.ownership import doubt_container
from reconciler.model.resource import Container

IMAGE = ImageFact(id="sha256:" + "c0" * 32)
_REFERENCE = "compose/stand-in:1"

Launch = Callable[[World, SeenContainer], Outcome]


def judge_compose(world: World, effect: JudgeCompose) -> Outcome:
    """See that there is a folder for the file to be in, and remember which file was judged."""
    folder = effect.project.folder
    if folder not in world.paths:
        return NotDone("E_PATH_MISSING", f"{folder} is not there")
    world.paths.pop(_kept(folder), None)
    world.add_path(_kept(folder), content=effect.file.encode())
    return Done()


def _kept(folder: str) -> str:
    return f"{folder.rpartition('/')[0]}/.tree-model.json"


def up_compose(world: World, effect: UpCompose, *, launch: Launch) -> Outcome:
    """Make and start one container for each service; what runs stays as it is."""
    project = effect.project
    kept = world.paths.get(_kept(project.folder))
    if project.folder not in world.paths or kept is None or kept.content != effect.file.encode():
        return NotDone("E_TREE_MISSING", f"{project.folder} holds no compose file that was judged")
    world.images.setdefault(_REFERENCE, IMAGE)
    model = ours({"services": {name: {} for name in project.services}}, project)
    changed = False
    for service in project.services:
        name = composed_name(DerivedName(project.fleet, project.sandbox, service), SERVICES)
        seen = world.by_name(name)
        if seen is not None and doubt_container(seen, IMAGE, uid=project.uid) is not None:
            return NotDone("E_COMPOSE_UP", f"the name {name} is taken by the container {seen.full_id}")
        if seen is None:
            want = Container(name=service, image=_REFERENCE)
            seen = world.make_container(name, want, labels=model["services"][service]["labels"], image=IMAGE)
        if seen.live.state not in RUNNING_STATES:
            started = launch(world, seen)
            if not isinstance(started, Done):
                return started
            changed = True
    return Done(changed=changed)
