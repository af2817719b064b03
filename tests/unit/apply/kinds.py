"""Offer one effect of every kind, each with what it needs on its in-memory host."""

from collections.abc import Callable

from reconciler.host.memory.files import HOST_ID_NAME
from reconciler.host.memory.host import MemoryHost
from reconciler.host.memory.parts import Node
from reconciler.model.compose import ComposePolicy, Project
from reconciler.model.effect import (
    ConnectNetwork,
    CreateNetwork,
    CreateVolume,
    DropPath,
    Effect,
    Existing,
    JudgeCompose,
    MakeDirectory,
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
    UpCompose,
    UpdateContainer,
)
from reconciler.model.observed import SeenContainer
from tests import builders as b
from tests.unit.apply.stage import create

NAME = b.docker_name()
UID = b.a_sandbox().uid


def put_there(host: MemoryHost, *, running: bool = True) -> SeenContainer:
    """Put the sandbox's container on the host, as an earlier pass made it."""
    world = host.world
    wanted = create(b.SANDBOX)
    seen = world.make_container(NAME, wanted.container, labels=wanted.labels, image=world.images[b.IMAGE])
    if running:
        return world.start(seen.full_id)
    world.start(seen.full_id)
    return world.end(seen.full_id, exit_code=0)


def existing(seen: SeenContainer) -> Existing:
    """Target a container that was seen."""
    return Existing(full_id=seen.full_id, name=seen.name, uid=UID)


def _on_running(build: Callable[[Existing], Effect]) -> Callable[[MemoryHost], Effect]:
    return lambda host: build(existing(put_there(host)))


def _on_stopped(build: Callable[[Existing], Effect]) -> Callable[[MemoryHost], Effect]:
    return lambda host: build(existing(put_there(host, running=False)))


def _connecting(host: MemoryHost) -> Effect:
    host.world.add_network("sbx-lab.web-1.net", {})
    return ConnectNetwork(existing(put_there(host)), "sbx-lab.web-1.net", ("main",))


def _removing_network(host: MemoryHost) -> Effect:
    labels = b.labels_for(kind="networks", resource="net")
    return RemoveNetwork(host.world.add_network("sbx-lab.web-1.net", labels).id, "sbx-lab.web-1.net", UID)


def _own_folder(host: MemoryHost) -> Node:
    for path in ("/home/ops/.reconciler", b.BASE_DIR, f"{b.BASE_DIR}/{UID}"):
        node = host.world.add_path(path, kind="directory")
    host.world.add_path(f"{b.BASE_DIR}/{HOST_ID_NAME}", content=b"an id")
    return node


def _placing(host: MemoryHost) -> Effect:
    _own_folder(host)
    host.world.add_path(f"{b.BASE_DIR}/{UID}/.new-source", kind="directory")
    host.world.add_path(f"{b.BASE_DIR}/{UID}/.new-source/.tree", content=b"tree1:ab")
    return PlaceTree(f"{b.BASE_DIR}/{UID}/source", b.BASE_DIR, "tree1:ab")


def _staging(host: MemoryHost) -> Effect:
    _own_folder(host)
    return StageTree(f"{b.BASE_DIR}/{UID}/source", b.BASE_DIR, "/here/app", (), "tree1:ab")


def _composing(build: Callable[[str, Project], Effect]) -> Callable[[MemoryHost], Effect]:
    def make(host: MemoryHost) -> Effect:
        _own_folder(host)
        folder = f"{b.BASE_DIR}/{UID}/source"
        host.world.add_path(folder, kind="directory")
        host.world.add_path(f"{b.BASE_DIR}/{UID}/.tree-model.json", content=b"compose.yaml")
        project = Project(
            fleet=b.FLEET,
            sandbox="web-1",
            origin="spec",
            folder=folder,
            services=("web",),
            policy=ComposePolicy(),
            base_dir=b.BASE_DIR,
            docker_root="/var/lib/docker",
        )
        return build("compose.yaml", project)

    return make


def dropping(host: MemoryHost) -> Effect:
    """Remove the sandbox's own folder."""
    node = _own_folder(host)
    return DropPath(f"{b.BASE_DIR}/{UID}", b.BASE_DIR, inode=f"{node.device}:{node.inode}")


def _putting(host: MemoryHost) -> Effect:
    host.world.add_path("/srv/data", kind="directory")
    return PutFile("/srv/data/one", "0640", "text", "/srv/data")


def _pulling(host: MemoryHost) -> Effect:
    host.world.add_image("other:1", pullable=True)
    return PullImage("other:1")


EVERY_KIND: dict[str, Callable[[MemoryHost], Effect]] = {
    "make_directory": lambda _: MakeDirectory("/srv/data/new", "0750", "/srv/data"),
    "put_file": _putting,
    "stage_tree": _staging,
    "place_tree": _placing,
    "judge_compose": _composing(JudgeCompose),
    "up_compose": _composing(UpCompose),
    "put_marker": lambda _: PutMarker(b.BASE_DIR, b.a_marker()),
    "drop_path": dropping,
    "pull_image": _pulling,
    "create_volume": lambda _: CreateVolume("sbx-lab.web-1.data", b.labels_for(kind="volumes", resource="data")),
    "create_network": lambda _: CreateNetwork("sbx-lab.web-1.net", b.labels_for(kind="networks", resource="net")),
    "remove_network": _removing_network,
    "create_container": lambda _: create(b.SANDBOX),
    "connect_network": _connecting,
    "start_container": _on_stopped(StartContainer),
    "restart_container": _on_running(lambda target: RestartContainer(target, 10)),
    "stop_container": _on_running(lambda target: StopContainer(target, 10)),
    "update_container": _on_running(lambda target: UpdateContainer(target, "no", 10**9, 1 << 30, 99)),
    "rename_container": _on_running(lambda target: RenameContainer(target, f"{NAME}.tomb-1")),
    "remove_container": _on_stopped(RemoveContainer),
}
