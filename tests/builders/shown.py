"""Build what a host shows."""

from __future__ import annotations

import hashlib
from typing import Any

from msgspec.structs import replace

from reconciler.model import labels as label
from reconciler.model.completion import complete
from reconciler.model.desired import SandboxDesired
from reconciler.model.digest import container_digest
from reconciler.model.marker import MARKER_NAME, Marker
from reconciler.model.names import DerivedName, Key
from reconciler.model.observed import (
    HostIdentity,
    HostView,
    ImageFact,
    Live,
    Neighbour,
    Observed,
    Reachable,
    SeenContainer,
    SeenMarker,
    SeenNetwork,
    SeenPath,
    SeenVolume,
    Unreachable,
)
from reconciler.model.resource import Container
from reconciler.model.snapshot import Disks, DiskUse, Gpu, HostSnapshot
from reconciler.model.text import bind, is_run_scoped
from tests.builders.wanted import (
    ATTEMPT,
    BASE_DIR,
    CONTAINER,
    DOCKER_ROOT,
    FLEET,
    HOME,
    HOST,
    HOST_ID,
    IMAGE,
    REVISION,
    RUN,
    SANDBOX,
    T0,
    a_container,
    a_sandbox,
    full_id,
    image_id,
)


def an_identity(**over: Any) -> HostIdentity:
    """Answer as `h1`."""
    return HostIdentity(
        **{
            "host_id": HOST_ID,
            "home": HOME,
            "uid": 1000,
            "gid": 1000,
            "base_dir": BASE_DIR,
            "docker_root": DOCKER_ROOT,
            "boot_id": "6f1f9a52-9a7e-4b3a-9a43-0f1b2c3d4e5f",
            "engine_version": "26.1.5",
            "api_version": "1.45",
            **over,
        }
    )


def an_image(**over: Any) -> ImageFact:
    """Have an image that brings a command and a PATH."""
    return ImageFact(
        **{
            "id": image_id(IMAGE),
            "env": {"PATH": "/usr/local/bin:/usr/bin:/bin"},
            "command": ("/bin/web",),
            **over,
        }
    )


def a_live(**over: Any) -> Live:
    """Run since `T0`."""
    return Live(**{"state": "running", "started_at": T0, **over})


def an_exited_live(exit_code: int = 1, **over: Any) -> Live:
    """Have exited at `T0`."""
    return a_live(**{"state": "exited", "exit_code": exit_code, "finished_at": T0, **over})


def labels_for(
    sandbox: SandboxDesired | None = None, /, resource: str = CONTAINER, *, kind: str = "containers", **over: Any
) -> dict[str, str]:
    """Give the labels, as Docker's map, that we put on an object of `sandbox`; keywords override fields of `Labels`."""
    owner = a_sandbox() if sandbox is None else sandbox
    wanted = owner.find(Key(kind, resource))
    digest = container_digest(wanted) if isinstance(wanted, Container) else "2:0000000000000000"
    return label.to_docker(
        label.Labels(
            **{
                "fleet": FLEET,
                "sandbox": owner.name,
                "uid": owner.uid,
                "kind": kind,
                "resource": resource,
                "digest": digest,
                "generation": 1,
                "revision": REVISION,
                "run": RUN,
                "attempt": ATTEMPT,
                "ttl_s": owner.ttl_s,
                **over,
            }
        )
    )


def docker_name(sandbox: str | SandboxDesired = SANDBOX, resource: str = CONTAINER, *, fleet: str = FLEET) -> str:
    """Derive the lasting Docker name of an object."""
    name = sandbox if isinstance(sandbox, str) else sandbox.name
    return str(DerivedName(fleet=fleet, sandbox=name, resource=resource))


def bindings(**over: str) -> dict[str, str]:
    """Give what late values mean on `h1` in run `r-00000001`; keywords use `_` for `.` (`run_id`)."""
    return {
        "run.id": RUN,
        "run.startedAt": T0.isoformat(),
        "host.home": HOME,
        "host.uid": "1000",
        "host.gid": "1000",
        "host.baseDir": BASE_DIR,
        **{name.replace("_", "."): value for name, value in over.items()},
    }


def a_seen(
    sandbox: SandboxDesired | None = None,
    container: Container | None = None,
    *,
    image: ImageFact | None = None,
    fleet: str = FLEET,
    **over: Any,
) -> SeenContainer:
    """Show `container` (by default the sandbox's first) of `sandbox` as its host does once it runs as wanted."""
    owner = a_sandbox(fleet=fleet) if sandbox is None else sandbox
    wanted = owner.containers[0] if container is None else container
    fact = an_image() if image is None else image
    spec = complete(bind(wanted, bindings()), image=fact)
    name = docker_name(owner, wanted.name, fleet=fleet)
    ours = labels_for(owner, wanted.name, fleet=fleet)
    return SeenContainer(
        **{
            "full_id": full_id(name),
            "name": name,
            "labels": {**spec.labels, **ours},
            "image_id": fact.id,
            "created_at": T0,
            "spec": replace(spec, labels=label.without_ours(spec.labels), run="always", optional=False, after=()),
            "live": a_live(),
            **over,
        }
    )


def a_foreign(name: str = "postgres", **over: Any) -> SeenContainer:
    """Show a container that nobody would take for ours."""
    spec = complete(a_container(name=name), image=an_image())
    return SeenContainer(
        **{
            "full_id": full_id(f"foreign {name}"),
            "name": name,
            "labels": {},
            "image_id": an_image().id,
            "created_at": T0,
            "spec": spec,
            "live": a_live(),
            **over,
        }
    )


def a_neighbour(name: str = "postgres", **over: Any) -> Neighbour:
    """Show, from the list, a container that is none of our fleet's."""
    return Neighbour(**{"full_id": full_id(f"foreign {name}"), "name": name, "state": "running", **over})


def a_seen_network(sandbox: SandboxDesired | None = None, name: str = "net", **over: Any) -> SeenNetwork:
    """Show a network of `sandbox`."""
    owner = a_sandbox() if sandbox is None else sandbox
    docker = docker_name(owner, name)
    return SeenNetwork(
        **{
            "id": full_id(docker),
            "name": docker,
            "labels": labels_for(owner, name, kind="networks"),
            "created_at": T0,
            **over,
        }
    )


def a_seen_volume(sandbox: SandboxDesired | None = None, name: str = "data", **over: Any) -> SeenVolume:
    """Show a volume of `sandbox`."""
    owner = a_sandbox() if sandbox is None else sandbox
    return SeenVolume(**{"name": docker_name(owner, name), "labels": labels_for(owner, name, kind="volumes"), **over})


def a_seen_path(path: str, **over: Any) -> SeenPath:
    """Show a directory of ours."""
    return SeenPath(
        **{
            "path": path,
            "kind": "directory",
            "mode": "0750",
            "uid": 1000,
            "gid": 1000,
            "inode": f"2049:{int(full_id(path)[:8], 16)}",
            "modified_epoch_s": T0.timestamp(),
            **over,
        }
    )


def a_seen_file(path: str, content: str = "mode = fast\n", **over: Any) -> SeenPath:
    """Show a file of ours, hashed."""
    raw = content.encode()
    given = {"kind": "file", "mode": "0640", "size_bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    return a_seen_path(path, **{**given, **over})


def an_absent_path(path: str) -> SeenPath:
    """Show that nothing stands there."""
    return SeenPath(path=path, kind="absent")


def a_marker(sandbox: SandboxDesired | None = None, /, **over: Any) -> Marker:
    """Mark `sandbox` as it is wanted, in its first generation."""
    owner = a_sandbox() if sandbox is None else sandbox
    return Marker(
        **{
            "fleet": FLEET,
            "sandbox": owner.name,
            "uid": owner.uid,
            "generation": 1,
            "intent": owner.intent,
            "revision": REVISION,
            "run": RUN,
            "created_at": T0,
            "deletion": owner.deletion,
            "protected": owner.protected,
            "ttl_s": owner.ttl_s,
            "files": _own_files(owner),
            **over,
        }
    )


def _own_files(owner: SandboxDesired) -> tuple[str, ...]:
    """Name its files below its own folder."""
    folder = f"{BASE_DIR}/{owner.uid}/"
    paths = [str(file.path) for file in owner.files if not is_run_scoped(file.path)]
    return tuple(sorted(path.removeprefix(folder) for path in paths if path.startswith(folder)))


def a_seen_marker(marker: Marker | None = None, /, **over: Any) -> SeenMarker:
    """Show the folder of a sandbox with its marker, owned by the user that we are there."""
    held = a_marker() if marker is None else marker
    return SeenMarker(**{"folder": held.uid, "marker": held, "owner_uid": 1000, **over})


def marker_path(uid: str, base_dir: str = BASE_DIR) -> str:
    """Give the path of a sandbox's marker."""
    return f"{base_dir}/{uid}/{MARKER_NAME}"


def a_view(*containers: SeenContainer, **over: Any) -> HostView:
    """Show a host with these containers and no marker; image facts are there for each of them."""
    facts = {seen.image_id: an_image(id=seen.image_id) for seen in containers}
    return HostView(
        **{
            "identity": an_identity(),
            "observed_at": T0,
            "host_clock_epoch_s": T0.timestamp(),
            "containers": containers,
            "images": {IMAGE: an_image(), **facts},
            **over,
        }
    )


def a_settled_view(*sandboxes: SandboxDesired, **over: Any) -> HostView:
    """Show a host on which everything of these sandboxes is exactly as wanted, markers included."""
    late = bindings()
    paths: dict[str, SeenPath] = {}
    for sandbox in sandboxes:
        for directory in sandbox.directories:
            path = str(bind(directory.path, late))
            paths[path] = a_seen_path(path, mode=directory.mode)
        for file in sandbox.files:
            path = str(bind(file.path, late))
            kept = file.drop_at in {None, "retire", "stopped"}
            shown = a_seen_file(path, str(bind(file.content, late)), mode=file.mode)
            paths[path] = shown if kept else an_absent_path(path)
    return a_view(
        *(a_seen(sandbox, container) for sandbox in sandboxes for container in sandbox.containers),
        **{
            "networks": tuple(a_seen_network(sandbox, net.name) for sandbox in sandboxes for net in sandbox.networks),
            "volumes": tuple(a_seen_volume(sandbox, item.name) for sandbox in sandboxes for item in sandbox.volumes),
            "markers": tuple(a_seen_marker(a_marker(sandbox)) for sandbox in sandboxes),
            "paths": paths,
            **over,
        },
    )


def a_gpu(index: int = 0, **over: Any) -> Gpu:
    """Have an idle GPU whose driver offers CUDA 12.9."""
    return Gpu(
        **{
            "index": index,
            "name": "NVIDIA L4",
            "memory_total_bytes": 24 << 30,
            "memory_used_bytes": 0,
            "utilisation_percent": 0.0,
            "driver": "575.57.08",
            "cuda": "12.9",
            **over,
        }
    )


def some_gpus(count: int, **over: Any) -> tuple[Gpu, ...]:
    """Have so many of them."""
    return tuple(a_gpu(index, **over) for index in range(count))


def a_snapshot(**over: Any) -> HostSnapshot:
    """Measure an idle host with room."""
    disk = DiskUse(path="/", total_bytes=100 << 30, available_bytes=60 << 30, inodes_total=1 << 20, inodes_free=1 << 19)
    return HostSnapshot(
        **{
            "host": HOST,
            "collected_at": T0,
            "boot_id": "6f1f9a52-9a7e-4b3a-9a43-0f1b2c3d4e5f",
            "uptime_s": 1000.0,
            "clock_epoch_s": int(T0.timestamp()),
            "load_1": 0.1,
            "load_5": 0.1,
            "load_15": 0.1,
            "cpu_count": 4,
            "cpu_percent": 3.0,
            "memory_total_bytes": 16 << 30,
            "memory_available_bytes": 12 << 30,
            "swap_total_bytes": 0,
            "swap_free_bytes": 0,
            "pressure_cpu": None,
            "pressure_memory": None,
            "pressure_io": None,
            "disks": Disks(root=disk, base_dir=disk, docker_root=disk),
            "containers_running": 0,
            "containers_total": 0,
            **over,
        }
    )


def a_reachable(view: HostView | None = None, /, **over: Any) -> Reachable:
    """Hear from a host; without a view, from an empty one."""
    return Reachable(**{"view": a_view() if view is None else view, **over})


def an_unreachable(**over: Any) -> Unreachable:
    """Hear nothing."""
    return Unreachable(
        **{
            "code": "E_SSH_TIMEOUT",
            "reason": "h1 did not answer within 10 s",
            "since": T0,
            "hint": "is the machine up, and port 22 open from here?",
            **over,
        }
    )


def an_observed(hosts: dict[str, Reachable | Unreachable] | None = None) -> Observed:
    """Observe these hosts, or `h1` alone and empty."""
    return Observed(hosts={HOST: a_reachable()} if hosts is None else hosts)
