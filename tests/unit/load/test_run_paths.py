"""Follow `${run.…}` in a path from the specs to a machine: each run has a folder of its own, and past ones stay.

The machine is an in-memory one, which stands in for a host.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.host.memory.world import World
from reconciler.load.lower import lower
from reconciler.model.desired import Desired
from reconciler.model.text import LATE_NAMES
from reconciler.plan.runs import run_bindings, run_id
from tests import builders as b
from tests.laws.machines import IMAGES, Machines
from tests.unit.load.bad_specs import documents, host, sandbox

OLD, NEW, _ = IMAGES


def fleet(folder: Path, *, image: str, path: str, settings: str = "settings-${run.id}") -> Desired:
    container = f"image: {image}\n      mounts: {{/traces: {{directory: traces}}, /settings: {{file: settings}}}}"
    rest = (
        f'  directories: {{traces: {{path: "{path}"}}}}\n'
        f'  files: {{settings: {{path: "{settings}", content: "run ${{run.id}}\\n"}}}}\n'
    )
    return lower(documents(folder, h=host(), s=sandbox(container=container, rest=rest)))


def mounted(world: World) -> dict[str, str]:
    """Give what the one container has at each place."""
    (seen,) = world.containers.values()
    return {target: str(mount.source) for target, mount in seen.spec.mounts.items()}


@pytest.mark.parametrize("path", ["runs-${run.id}", "${storage.data}/traces-${run.startedAt}-${run.id}"])
def test_each_run_has_its_own_and_nothing_is_left_to_do(path: str, tmp_path: Path) -> None:
    machines = Machines("h1")
    world = machines.worlds["h1"]
    machines.settle(fleet(tmp_path, image=OLD, path=path))
    first = mounted(world)
    machines.clock.advance(60)
    machines.settle(fleet(tmp_path, image=NEW, path=path))
    second = mounted(world)
    assert len({*first.values(), *second.values()}) == 4
    for place in (first, second):
        assert all("${" not in source for source in place.values())
        assert world.paths[place["/traces"]].kind == "directory"
        run = place["/settings"].partition("settings-")[2]
        assert place["/traces"].endswith(run)
        assert world.paths[place["/settings"]].content == f"run {run}\n".encode()


def test_every_late_name_is_bound_and_no_other() -> None:
    bound = b.an_identity().bindings | run_bindings(run_id(pass_id="p-1", uid="0" * 8, now=b.T0))
    assert set(bound) == set(LATE_NAMES)
