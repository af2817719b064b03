"""Networks and volumes: Docker would make two networks of one name, and hands out an existing volume as a new one."""

from __future__ import annotations

from reconciler.model.effect import (
    ConnectNetwork,
    CreateNetwork,
    CreateVolume,
    RemoveNetwork,
    StartContainer,
    StopContainer,
)
from reconciler.model.observed import SeenNetwork
from reconciler.model.resource import Mount
from tests.builders import docker_name
from tests.contract.bench import look
from tests.contract.case import Case


def creation(case: Case, name: str = "net") -> CreateNetwork:
    return CreateNetwork(docker_name(case.sandbox, name), case.labels(name, kind="networks"))


async def networks(case: Case, name: str = "net") -> list[SeenNetwork]:
    return [found for found in (await look(case.host)).networks if found.name == docker_name(case.sandbox, name)]


async def test_a_network_is_made_with_our_labels_and_once_only(case: Case) -> None:
    made = await case.done(creation(case))
    again = await case.done(creation(case), changed=False)
    (seen,) = await networks(case)
    assert seen.id == made.value == again.value
    assert seen.labels == case.labels("net", kind="networks")


async def test_a_network_of_somebody_elses_is_not_taken(case: Case) -> None:
    case.bench.add_network(docker_name(case.sandbox, "net"), {"theirs": "yes"})
    await case.refused(creation(case))
    (seen,) = await networks(case)
    assert seen.labels == {"theirs": "yes"}


async def test_a_network_is_removed_once(case: Case) -> None:
    made = await case.done(creation(case))
    assert made.value is not None
    removal = RemoveNetwork(id=made.value, name=docker_name(case.sandbox, "net"), uid=case.uid)
    await case.done(removal)
    assert await networks(case) == []
    await case.done(removal, changed=False)


async def test_a_network_that_is_not_what_was_meant_is_left_alone(case: Case) -> None:
    made = await case.done(creation(case))
    assert made.value is not None
    name = docker_name(case.sandbox, "net")
    await case.refused(RemoveNetwork(id=made.value, name=name, uid="00000000"))
    await case.refused(RemoveNetwork(id=made.value, name=f"{name}x", uid=case.uid))
    assert len(await networks(case)) == 1


async def test_a_network_in_use_is_not_removed(case: Case) -> None:
    made = await case.done(creation(case))
    assert made.value is not None
    name = docker_name(case.sandbox, "net")
    await case.make(start=True, networks={name: ()})
    await case.refused(RemoveNetwork(id=made.value, name=name, uid=case.uid))
    assert len(await networks(case)) == 1


async def test_a_network_that_was_made_again_is_another_to_who_was_in_the_old_one(case: Case) -> None:
    made = await case.done(creation(case))
    assert made.value is not None
    name = docker_name(case.sandbox, "net")
    seen = await case.make(start=True, networks={name: ()})
    assert (await case.see(case.name)).network_ids == {name: made.value}
    await case.done(StopContainer(case.target(seen), 0))
    await case.done(RemoveNetwork(id=made.value, name=name, uid=case.uid))
    again = await case.done(creation(case))
    assert again.value != made.value
    assert (await case.see(case.name)).network_ids == {name: made.value}
    await case.refused(StartContainer(case.target(seen)))


async def test_a_container_is_created_in_its_first_network_and_connected_to_the_others(case: Case) -> None:
    back, front = docker_name(case.sandbox, "back"), docker_name(case.sandbox, "front")
    for name in ("back", "front"):
        await case.done(creation(case, name))
    seen = await case.make(networks={back: ("db", "api"), front: ()})
    assert seen.spec.networks == {back: ("api", "db")}
    connection = ConnectNetwork(case.target(seen), network=front, aliases=("www",))
    await case.done(connection)
    await case.done(connection, changed=False)
    await case.done(StartContainer(case.target(seen)))
    assert (await case.see(case.name)).spec.networks == {back: ("api", "db"), front: ("www",)}


async def test_a_network_that_is_not_there_cannot_be_connected(case: Case) -> None:
    seen = await case.make()
    await case.refused(ConnectNetwork(case.target(seen), network=docker_name(case.sandbox, "absent")))


async def test_a_volume_is_made_once_and_mounted(case: Case) -> None:
    name = docker_name(case.sandbox, "data")
    order = CreateVolume(name, case.labels("data", kind="volumes"))
    await case.done(order)
    await case.done(order, changed=False)
    seen = await case.make(start=True, mounts={"/data": Mount("volume", name)})
    assert seen.spec.mounts == {"/data": Mount("volume", name)}
    (volume,) = [found for found in (await look(case.host)).volumes if found.name == name]
    assert volume.labels == case.labels("data", kind="volumes")


async def test_a_volume_of_somebody_elses_is_not_taken(case: Case) -> None:
    name = docker_name(case.sandbox, "data")
    case.bench.add_volume(name, {"theirs": "yes"})
    await case.refused(CreateVolume(name, case.labels("data", kind="volumes")))
    (volume,) = [found for found in (await look(case.host)).volumes if found.name == name]
    assert volume.labels == {"theirs": "yes"}
