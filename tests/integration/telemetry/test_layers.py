"""What single containers take is told by real engines of both generations, and what images share is told apart."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from reconciler.host.measure.layers import unique_by_layers, unique_bytes, written_bytes
from reconciler.host.measure.weights import weigh
from tests.integration.subject import Subject
from tests.integration.ways import linked, way_to
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab

MIB = 1 << 20
FILES = 10_000
DERIVED, FURTHER = "weights/derived:1", "weights/further:1"


def image_id(lab: LabHost, reference: str) -> str:
    return lab.docker("image", "inspect", "--format", "{{.Id}}", reference).strip()


@pytest.fixture
def running(lab: LabHost, subject: Subject) -> str:
    """Run a container, and give its full id."""
    return lab.docker("run", "-d", "--name", subject.name, "lab/busybox:1", "sleep", "1000").strip()


@pytest.fixture
def derived(lab: LabHost, subject: Subject) -> Iterator[tuple[str, str, str]]:
    """Make an image of 5 MiB more than busybox, and one of it with 3 MiB more; give the ids of all three."""
    made = []
    base = "lab/busybox:1"
    for number, (reference, mib) in enumerate(((DERIVED, 5), (FURTHER, 3))):
        name = f"{subject.name}-{number}"
        script = f"head -c {mib * MIB} /dev/zero >/{number}"
        lab.docker("run", "--name", name, base, "sh", "-c", script)
        lab.docker("commit", "--change", "ENV MORE=1", "--change", "LABEL more=2", name, reference)
        lab.docker("rm", name)
        made.append(image_id(lab, reference))
        base = reference
    yield image_id(lab, "lab/busybox:1"), made[0], made[1]
    lab.docker("rmi", FURTHER, DERIVED)


async def test_layers_that_another_image_has_too_are_not_an_images_own(
    lab: LabHost, derived: tuple[str, str, str]
) -> None:
    base, middle, last = derived
    async with linked(way_to(lab)) as link:
        told = await unique_bytes(await link.wire(), derived, known={})
    assert told == {base: 0, middle: 0, last: 3 * MIB}


async def test_the_layers_that_images_name_and_the_engines_own_sum_say_the_same(
    lab: LabHost, derived: tuple[str, str, str]
) -> None:
    """Only newer engines sum up by themselves; of those both ways are asked."""
    async with linked(way_to(lab)) as link:
        wire = await link.wire()
        listed = await wire.read_json("/images/json", deadline_s=10)
        sizes = {one["Id"]: one for one in listed}
        worked_out = await unique_by_layers(wire, sorted(derived), sizes, {})
        assert worked_out == await unique_bytes(wire, derived, known={})
        lab.docker("rmi", FURTHER)
        assert (await unique_bytes(wire, [derived[1]], known={}))[derived[1]] == 5 * MIB
        lab.docker("tag", DERIVED, FURTHER)


async def test_an_image_that_the_engine_does_not_list_is_not_taken_for_one_without_layers(lab: LabHost) -> None:
    unknown = f"sha256:{'0' * 64}"
    async with linked(way_to(lab)) as link:
        told = await unique_bytes(await link.wire(), [unknown], known={})
    assert told == {unknown: "the engine does not list its image"}


async def test_a_layer_that_is_slow_to_add_up_is_given_up(lab: LabHost, running: str) -> None:
    async with linked(way_to(lab)) as link:
        told = await written_bytes(await link.wire(), running, limit_s=0)
    assert told == "the engine did not add it up within 0 s"


async def test_a_container_that_went_is_told_as_gone(lab: LabHost) -> None:
    async with linked(way_to(lab)) as link:
        assert await written_bytes(await link.wire(), "0" * 64) == "it went before it was added up"


async def test_a_layer_of_many_files_is_added_up(lab: LabHost, running: str) -> None:
    """Print what it costs: an engine walks the whole layer for it."""
    lab.docker("exec", running, "sh", "-c", f"mkdir /many; cd /many; for i in $(seq {FILES}); do echo $i >$i; done")
    async with linked(way_to(lab)) as link:
        wire = await link.wire()
        for what, work in (
            ("a layer of 10,000 files", lambda: written_bytes(wire, running)),
            ("what images share", lambda: unique_bytes(wire, [image_id(lab, "lab/busybox:1")], known={})),
            ("all of one container", lambda: weigh(link.held, wire, (running,), known={})),
        ):
            began_s = time.perf_counter()
            told = await work()
            print(f"{lab.engine_version}: {what}: {(time.perf_counter() - began_s) * 1000:.1f} ms, {told}")
        written = await written_bytes(wire, running)
    assert isinstance(written, int)
    assert written >= len("".join(f"{number}\n" for number in range(1, FILES + 1)))
