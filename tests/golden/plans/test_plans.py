"""Compare whole plans, as data and as text, with what they were.

Each case holds `specs/`, and mostly `before/` with the specs that were applied first and `deeds.txt` with what happened
since: one deed a line, e.g. `stop h1 web-1.main`. Everything happens on in-memory machines, which stand in for hosts.
`RECONCILER_GOLDEN=write` writes anew what is expected.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from reconciler.load import load
from reconciler.load.lower import lower
from reconciler.model.desired import Desired
from reconciler.model.digest import canonical_json
from reconciler.model.plan import Plan
from reconciler.show.page import plain
from reconciler.show.plan_text import plan_page
from tests.laws.machines import Machines
from tests.laws.scenes import meddle

CASES = sorted(path.parent for path in Path(__file__).parent.glob("*/specs"))
WRITE = os.environ.get("RECONCILER_GOLDEN") == "write"


def desired_of(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Desired:
    """Load specs as if they lay in the folder that people stand in."""
    monkeypatch.chdir(folder / name / "..")
    return lower(load(name, cache=False))


def play(case: Path, desired: Desired, before: Desired | None) -> Plan:
    machines = Machines(*sorted(desired.hosts))
    for world in machines.worlds.values():
        for fleet in (desired, before):
            for sandbox in fleet.sandboxes.values() if fleet is not None else ():
                for container in sandbox.containers:
                    world.add_image(container.image, pullable=fleet is desired and before is not None)
    if before is not None:
        machines.settle(before)
    deeds = case / "deeds.txt"
    for line in deeds.read_text().splitlines() if deeds.exists() else ():
        _do(machines, line.split(), fleet=desired.fleet)
    return machines.plan(desired, lift=False)


def _do(machines: Machines, words: list[str], *, fleet: str) -> None:
    match words:
        case ["silent", host]:
            machines.silent.add(host)
        case ["status"]:
            meddle(machines, "status", 0)
        case ["hours", count]:
            machines.clock.advance(3600 * int(count))
        case ["stranger", host, name]:
            machines.worlds[host].add_foreign_container(name, labels={"com.docker.compose.project": "shop"})
        case [deed, host, name]:
            world = machines.worlds[host]
            if deed == "network":
                found = next(net for net in world.networks.values() if net.name == f"sbx-{fleet}.{name}")
                del world.networks[found.id]
                return
            seen = world.by_name(f"sbx-{fleet}.{name}")
            assert seen is not None
            if deed == "stop":
                world.end(seen.full_id, exit_code=1)
            elif deed == "remove":
                world.drop(seen.full_id)
            elif deed == "limit":
                world.containers[seen.full_id] = replace(seen, spec=replace(seen.spec, memory_bytes=1 << 30))
            else:
                raise AssertionError(deed)
        case _:
            raise AssertionError(words)


def normalised(made: Plan) -> str:
    """Write a plan with sorted keys, and without what changes with the bytes of a comment."""
    basis = {host: replace(read, reads=dict.fromkeys(read.reads, "(fingerprint)")) for host, read in made.basis.items()}
    return msgspec.json.format(canonical_json(replace(made, specs="(specs)", basis=basis))).decode() + "\n"


def compare(path: Path, found: str) -> None:
    if WRITE:
        path.write_text(found)
    assert found == path.read_text()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_plan(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desired = desired_of(case, "specs", monkeypatch)
    before = desired_of(case, "before", monkeypatch) if (case / "before").exists() else None
    made = play(case, desired, before)
    assert msgspec.json.decode(canonical_json(made), type=Plan) == made
    compare(case / "plan.json", normalised(made))
    compare(case / "plan.txt", plain(plan_page(made, width=120, age_s=None)))


def test_there_are_cases() -> None:
    assert len(CASES) >= 8
