"""One path that nobody may look at does not make a whole host unknown."""

from __future__ import annotations

from reconciler.host.interface import Reader
from reconciler.host.memory.host import MemoryHost
from reconciler.host.memory.world import World
from reconciler.model.desired import HostDesired
from reconciler.model.observed import Reachable
from reconciler.model.record import Records
from reconciler.observe import observe
from tests import builders as b


async def test_a_host_with_a_closed_folder_is_reachable_and_says_which_paths_are_not_known() -> None:
    world = World(seed="h1")
    world.add_path(f"{world.home}/shut", kind="directory", mode="0000")
    world.add_path(f"{world.home}/shut/there", kind="directory")
    one, other = f"{world.home}/shut/there", f"{world.home}/open"
    wanted = b.a_sandbox(resources=(b.a_directory(path=one), b.a_directory("open", path=other), b.a_container()))

    def connect(host: HostDesired) -> Reader:
        return MemoryHost(host.name, world)

    sighting = await observe(b.a_desired(wanted), connect=connect, records=Records(), now=lambda: b.T0)
    state = sighting.observed.hosts[b.HOST]
    assert isinstance(state, Reachable)
    assert {path: seen.kind for path, seen in state.view.paths.items()} == {one: "unreadable", other: "absent"}
