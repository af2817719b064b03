"""Ask all hosts at once, on in-memory hosts: who answers is kept apart from who does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import UNSET, UnsetType

from reconciler.errors import ConnectFailed, ReadFailed
from reconciler.host.memory.faults import Fault, ReadFault, Verb
from reconciler.host.memory.host import MemoryHost
from reconciler.host.memory.world import World
from reconciler.model.desired import Admission, Desired, Limits
from reconciler.model.observed import ImageAbsent, Observed, Reachable, Unreachable
from reconciler.model.record import Records
from reconciler.model.resource import Gpus
from reconciler.model.text import Late, Template
from reconciler.observe import observe
from tests import builders as b

ONE = b.a_sandbox(
    resources=(
        b.a_directory(path=Template((Late("host.baseDir"), "/cache"))),
        b.a_file(path=Template((Late("host.home"), "/config"))),
        b.a_container(image="web:1"),
    )
)


def look(
    desired: Desired,
    faults: dict[str, tuple[Fault, ...]] | None = None,
    records: Records | None = None,
    prepare: Callable[[World], object] = lambda _: None,
    **over: Any,
) -> tuple[Observed, dict[str, MemoryHost]]:
    hosts: dict[str, MemoryHost] = {}
    for name in desired.hosts:
        world = World(seed=name)
        prepare(world)
        hosts[name] = MemoryHost(name, world, *(faults or {}).get(name, ()))

    async def whole() -> Observed:
        sighting = await observe(
            desired,
            connect=lambda host: hosts[host.name],
            records=Records() if records is None else records,
            now=lambda: b.T0,
            **over,
        )
        assert set(sighting.readers) == set(sighting.observed.hosts)
        return sighting.observed

    return asyncio.run(whole()), hosts


@pytest.mark.parametrize(("gpu", "is_measured"), [(UNSET, False), (Gpus(policy="auto"), True), (Gpus(count=1), True)])
def test_a_host_is_asked_for_its_gpus_where_a_sandbox_asks_for_some(gpu: Gpus | UnsetType, is_measured: bool) -> None:  # noqa: FBT001 - a parameter
    def two_cards(world: World) -> None:
        world.gpus = b.some_gpus(2)

    desired = b.a_desired(b.a_sandbox(resources=(b.a_container(gpu=gpu),)))
    snapshot = reachable(look(desired, prepare=two_cards)[0]).snapshot
    assert (snapshot is not None) is is_measured
    assert snapshot is None or snapshot.gpus == b.some_gpus(2)


def reachable(observed: Observed, host: str = "h1") -> Reachable:
    state = observed.hosts[host]
    assert isinstance(state, Reachable)
    return state


def test_it_asks_for_every_image_and_path_that_specs_name_there() -> None:
    observed, _ = look(b.a_desired(ONE))
    view = reachable(observed).view
    assert view.images == {"web:1": ImageAbsent()}
    assert set(view.paths) == {f"{b.BASE_DIR}/cache", f"{b.HOME}/config"}
    assert view.observed_at == b.T0


def test_it_hashes_files_and_nothing_else() -> None:
    def put(world: World) -> None:
        world.add_path(f"{b.HOME}/config", content=b"mode = fast\n")

    view = reachable(look(b.a_desired(ONE), prepare=put)[0]).view
    assert view.paths[f"{b.HOME}/config"].sha256 == b.a_seen_file("x").sha256


@pytest.mark.parametrize("verb", ["identify", "look"])
@pytest.mark.parametrize("error", [ConnectFailed, ReadFailed])
def test_a_host_that_fails_is_told_apart_and_takes_nobody_along(verb: Verb, error: type[ReadFailed]) -> None:
    failure = error("the cable is out", code="E_SSH_TIMEOUT", hint="plug it in")
    desired = b.a_desired(ONE, b.a_sandbox("far", host="h2"))
    observed, _ = look(desired, {"h1": (ReadFault(error=failure, verb=verb),)})
    assert observed.hosts["h1"] == Unreachable(
        code="E_SSH_TIMEOUT", reason="the cable is out", since=b.T0, hint="plug it in"
    )
    assert isinstance(observed.hosts["h2"], Reachable)


def test_silence_is_told_since_it_began() -> None:
    since = b.later(hours=-5)
    records = Records(hosts={"h1": b.a_host_record(unreachable_since=since)})
    fault = ReadFault(error=ReadFailed("no answer", code="E_SSH_TIMEOUT"))
    state = look(b.a_desired(), {"h1": (fault,)}, records)[0].hosts["h1"]
    assert isinstance(state, Unreachable)
    assert state.since == since


def test_only_those_that_are_named_are_asked() -> None:
    desired = b.a_desired(ONE, b.a_sandbox("far", host="h2"))
    assert set(look(desired, only=frozenset({"h2"}))[0].hosts) == {"h2"}


@pytest.mark.parametrize(
    ("admission", "asked", "measured"),
    [(Admission(), False, False), (Admission(), True, True), (Admission(sandboxes_max=3), False, True)],
)
def test_counters_are_read_where_somebody_needs_them(admission: Admission, asked: bool, measured: bool) -> None:  # noqa: FBT001 - a test's case
    desired = b.a_desired(hosts={"h1": b.a_host(admission=admission)})
    observed, _ = look(desired, with_facts=asked)
    assert (reachable(observed).snapshot is not None) == measured


def test_no_more_hosts_than_allowed_are_asked_at_once() -> None:
    names = [f"h{n}" for n in range(9)]
    busy = most = 0

    class Counted(MemoryHost):
        async def look(self, *args: Any, **over: Any) -> Any:
            nonlocal busy, most
            busy += 1
            most = max(most, busy)
            await asyncio.sleep(0)
            busy -= 1
            return await super().look(*args, **over)

    async def whole() -> Observed:
        desired = b.a_desired(hosts={name: b.a_host(name) for name in names}, limits=Limits(concurrent_hosts=3))
        connect = lambda host: Counted(host.name, World(seed=host.name))  # noqa: E731 - one word of a call
        return (await observe(desired, connect=connect, records=Records(), now=lambda: b.T0)).observed

    assert list(asyncio.run(whole()).hosts) == names
    assert most == 3
