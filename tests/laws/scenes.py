"""Draw fleets that in-memory machines can really hold, and what people and accidents do to them between two passes."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from reconciler.host.memory.world import World
from reconciler.model.desired import Desired, SandboxDesired
from reconciler.model.marker import MARKER_NAME
from reconciler.model.names import sandbox_uid
from reconciler.model.resource import Container, Directory, File, Mount, Network, Published, Resource, Volume
from reconciler.model.status import Statuses
from reconciler.model.text import Late, Template
from tests.builders import BASE_DIR, FLEET, a_desired, a_host, a_sandbox, docker_name
from tests.laws.machines import IMAGES, Machines

HOSTS = ("h1", "h2")
SANDBOXES = ("db", "web-1", "worker")
MIB = 1 << 20
RUN, SECRET = Template((Late("run.id"),)), Template(("token=", Late("secret:hub")))

flags = st.booleans()


def _support(name: str) -> tuple[Resource, ...]:
    own = f"{BASE_DIR}/{sandbox_uid(FLEET, name)}"
    return (
        Directory(name="cache", path=Template((Late("host.baseDir"), f"/{sandbox_uid(FLEET, name)}/cache"))),
        Directory(name="data", path=f"/srv/data/{name}", data=True),
        Directory(name="traces", path=Template((f"{own}/runs-", Late("run.id")))),
        File(name="config", path=f"{own}/config", content="mode = fast\n"),
        File(name="stamp", path=f"{own}/stamp", content=Template(("run = ", Late("run.id")))),
        File(name="keys", path=f"{own}/keys", content=SECRET, mode="0600"),
        Volume(name="state"),
        Network(name="back"),
        Network(name="front"),
    )


def _mount(sandbox: str, resource: Resource) -> tuple[str, Mount] | None:
    match resource:
        case Directory() | File():
            return f"/in/{resource.name}", Mount("bind", resource.path)
        case Volume():
            return f"/in/{resource.name}", Mount("volume", docker_name(sandbox, resource.name))
        case _:
            return None


@st.composite
def _containers(draw: DrawFn, sandbox: str, name: str, support: list[Resource]) -> Container:
    joined = sorted(docker_name(sandbox, item.name) for item in support if isinstance(item, Network) and draw(flags))
    mounted = [pair for item in support if draw(flags) and (pair := _mount(sandbox, item)) is not None]
    env = {key: value for key, value in {"RUN": RUN, "TOKEN": SECRET, "MODE": "fast"}.items() if draw(flags)}
    fields: dict[str, Any] = {
        "image": draw(st.sampled_from(IMAGES)),
        "env": env,
        "mounts": dict(mounted),
        "networks": dict.fromkeys(joined, (name,)),
        "network_mode": min(joined, default="bridge"),
        "command": draw(st.sampled_from([None, ("serve",), ("serve", SECRET)])),
        "memory_bytes": draw(st.sampled_from([None, 64 * MIB, 128 * MIB])),
        "restart": draw(st.sampled_from(["unless-stopped", "no"])),
        "ports": {"8080/tcp": Published("127.0.0.1")} if draw(flags) else {},
        "run": draw(st.sampled_from(["always", "always", "always", "once"])),
    }
    return Container(name=name, **fields)


@st.composite
def sandboxes(draw: DrawFn, name: str, *, depends_on: tuple[str, ...] = ()) -> SandboxDesired:
    """Draw a sandbox that an in-memory machine can hold."""
    support = [item for item in _support(name) if draw(st.integers(0, 3)) == 0]
    named = ("main", "side") if draw(flags) else ("main",)
    return a_sandbox(
        name,
        host=draw(st.sampled_from(HOSTS)),
        resources=(*support, *(draw(_containers(name, container, support)) for container in named)),
        update=draw(st.sampled_from(["stop-first", "start-first"])),
        drift=draw(st.sampled_from(["heal", "heal", "heal", "report"])),
        deletion=draw(st.sampled_from(["Delete", "Delete", "Delete", "Retain"])),
        protected=draw(st.integers(0, 7)) == 0,
        ttl_s=draw(st.sampled_from([None, None, None, 3600])),
        depends_on=depends_on,
    )


@st.composite
def fleets(draw: DrawFn) -> Desired:
    """Draw a fleet of up to three sandboxes, each of which may depend on those before it."""
    wanted: list[SandboxDesired] = []
    for name in SANDBOXES:
        if draw(st.integers(0, 3)):
            needs = tuple(other.name for other in wanted if draw(st.integers(0, 3)) == 0)
            wanted.append(draw(sandboxes(name, depends_on=needs)))
    return fleet(*wanted)


def fleet(*wanted: SandboxDesired, **over: Any) -> Desired:
    """Want these sandboxes on two hosts with a storage root."""
    hosts = {name: a_host(name, storage={"data": "/srv/data"}) for name in HOSTS}
    return a_desired(*wanted, **{"hosts": hosts, **over})


DEEDS = ("nothing", "remove", "stop", "network", "marker", "file", "folder", "status", "reboot", "day")


def meddle(machines: Machines, deed: str, pick: int) -> None:
    """Do one thing behind the reconciler's back; `pick` chooses to what."""
    worlds = list(machines.worlds.values())
    world = worlds[pick % len(worlds)]
    ours = sorted(key for key, seen in world.containers.items() if seen.name.startswith(f"sbx-{FLEET}."))
    match deed:
        case "remove":
            _each(world, ours, pick, world.drop)
        case "stop":
            running = [key for key in ours if world.containers[key].live.state == "running"]
            _each(world, running, pick, lambda key: world.end(key, exit_code=1))
        case "network":
            _each(world, sorted(world.networks), pick, world.networks.pop)
        case "marker":
            markers = [path for path in world.paths if path.endswith(MARKER_NAME)]
            _each(world, sorted(markers), pick, world.paths.pop)
        case "file":
            own = [path for path, node in world.paths.items() if node.kind == "file" and path[-6:] in _FILE_ENDS]
            _each(world, sorted(own), pick, world.paths.pop)
        case "folder":
            own = [path for path in world.paths if path.startswith(f"{world.base_dir}/") and path.endswith("/cache")]
            _each(world, sorted(own), pick, world.paths.pop)
        case "status":
            machines.statuses = Statuses()
        case "reboot":
            world.reboot()
        case "day":
            machines.clock.advance(24 * 3600)
        case _:
            pass


_FILE_ENDS = ("config", "/stamp"[-6:], "d/keys"[-6:])


def _each(world: World, things: list[str], pick: int, do: Any) -> None:
    if things:
        do(things[pick % len(things)])
