"""Compare the services of a compose file with what a host holds of them, and lower what is to be done: one `up`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.model.compose import Project
from reconciler.model.digest import fingerprint
from reconciler.model.effect import PutMarker, RestartContainer, UpCompose
from reconciler.model.names import SERVICES
from reconciler.model.plan import ResourceChange, Verb
from reconciler.model.resource import Compose, Tree
from reconciler.model.rule import Remedy
from reconciler.model.text import bind
from reconciler.plan.assessment import Assessment, Item, Trouble
from reconciler.plan.motion import compare_run
from reconciler.plan.step_list import existing

if TYPE_CHECKING:
    from reconciler.model.marker import Marker
    from reconciler.plan.scene import Scene
    from reconciler.plan.step_list import StepList
    from reconciler.plan.steps import Work

_KEPT_BY_UP = "services that are as the file says stay as they are"

_SENT_AGAIN = "sent again, so that its compose file is judged anew"


def service_key(name: str) -> str:
    """Give the key of a service inside its sandbox."""
    return f"{SERVICES}/{name}"


def digest_of(compose: Compose | None) -> str:
    """Digest what of a compose file stands in no tree: how it is brought up; empty for none."""
    if compose is None:
        return ""
    policy = compose.policy
    return fingerprint((compose.file, compose.services, policy.hardened, policy.writable_root))


def assess_compose(scene: Scene, support: list[Item]) -> list[Item | Trouble]:
    """Compare service by service; what the file itself came to be is one more item."""
    compose = scene.want.compose
    if compose is None:
        return []
    found: list[Item | Trouble] = []
    marker = scene.holding.marker
    is_new_tree = any(isinstance(item.resource, Tree) for item in support)
    if is_new_tree or marker is None or marker.compose != digest_of(compose):
        verb = Verb.UPDATE if marker is not None and marker.compose else Verb.CREATE
        note = _KEPT_BY_UP if verb is Verb.UPDATE else ""
        if scene.want.tree is not None and not is_new_tree:
            # It is resolved and judged where its tree is staged, and nowhere else.
            key = str(scene.want.tree.key)
            found.append(
                Item(resource=scene.want.tree, change=ResourceChange(key=key, verb=Verb.UPDATE, note=_SENT_AGAIN))
            )
        found.append(Item(resource=compose, change=ResourceChange(key=str(compose.key), verb=verb, note=note)))
    for name in compose.services:
        item = _assess_service(scene, name, is_once=name in compose.once)
        found += [item] if item is not None else []
    return found


def _assess_service(scene: Scene, name: str, *, is_once: bool) -> Item | Trouble | None:
    owned = scene.holding.settled.get(service_key(name))
    if owned is None:
        return Item(change=ResourceChange(key=service_key(name), verb=Verb.CREATE))
    live = owned.seen.live
    if live.state == "removing":
        return Trouble("BeingRemoved", f"{owned.seen.name} is being removed by Docker", "plan again in a moment")
    if is_once and live.state == "exited" and live.exit_code == 0:
        return None
    moved = compare_run(scene, f"{SERVICES}.{name}", live)
    if moved is None:
        return None
    verb = Verb.RESTART if moved.remedy is Remedy.RESTART else Verb.START
    return Item(owned=owned, change=ResourceChange(key=service_key(name), verb=verb, changes=(moved,)))


def project_of(work: Work, *, folder: str) -> Project:
    """Name the project on its host, with the folders that nobody is given there."""
    compose = work.want.compose
    if compose is None:
        raise ValueError("a sandbox without a compose file has no project")
    identity = work.view.identity
    return Project(
        fleet=work.fleet,
        sandbox=work.want.name,
        origin=work.marker.origin,
        folder=folder,
        services=compose.services,
        policy=compose.policy,
        base_dir=identity.base_dir,
        docker_root=identity.docker_root,
    )


def lower_compose(work: Work, assessment: Assessment, steps: StepList, *, marker: Marker) -> None:
    """Bring up what differs, remember it, and wait for every service that may have been started."""
    compose = work.want.compose
    touched = [item for item in assessment.items if item.change.verb is not Verb.DESTROY and _is_composed(item)]
    if compose is None or not touched:
        return
    for item in touched:
        if item.owned is not None and item.change.verb is Verb.RESTART:
            grace_s = item.owned.seen.spec.stop_grace_s
            steps.effect(RestartContainer(existing(item.owned), grace_s), f"restart {item.owned.seen.name}")
    folder = str(bind(compose.folder, work.bindings))
    steps.effect(UpCompose(compose.file, project_of(work, folder=folder)), f"bring up {compose.file}")
    steps.effect(PutMarker(work.base_dir, marker), "remember the compose file")
    is_all = any(isinstance(item.resource, Compose) for item in touched)
    keys = {item.change.key for item in touched}
    for part in work.want.parts(work.fleet):
        if is_all or str(part.key) in keys:
            steps.wait_for(part)


def _is_composed(item: Item) -> bool:
    return isinstance(item.resource, Compose) or item.change.key.startswith(f"{SERVICES}/")
