"""What we make reads back as what we asked for, in every state, on both generations of the engine: no phantom drift.

And the reverse: every single field that differs is seen to differ.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from msgspec.structs import replace

from reconciler.host.docker.decode import decode_container, decode_image
from reconciler.host.docker.requests import create_body, update_body
from reconciler.host.docker.wire import Wire, quoted
from reconciler.model.completion import complete
from reconciler.model.observed import ImageFact, SeenContainer
from reconciler.model.resource import Container, Gpus, Healthcheck, LogPolicy, Mount, Published, Ulimit
from reconciler.model.rule import rules
from tests.builders import labels_for
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab

PLAIN, RICH, WEB = "lab/busybox:1", "lab/rich:1", "lab/web:1"
FRONT, BACK = "sbx-lab.phantom.front", "sbx-lab.phantom.back"
LABELS = labels_for()
MIB = 1024 * 1024
LONG_S = "86400"


class Engine:
    """Make and inspect containers on one engine, with our own requests and decoders and nothing in between."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.made: list[str] = []

    async def create(self, want: Container) -> str:
        name = f"sbx-lab.phantom.c{uuid4().hex[:10]}"
        reply = await self.wire.call(
            "POST",
            "/containers/create",
            params={"name": name},
            body=create_body(want, labels=LABELS),
            deadline_s=60,
        )
        full_id = self.wire.decode("create", reply.body)["Id"]
        self.made.append(full_id)
        await self.connect(full_id, want)
        return str(full_id)

    async def post(self, full_id: str, verb: str, **more: Any) -> None:
        await self.wire.call("POST", f"/containers/{full_id}/{verb}", deadline_s=60, **more)

    async def connect(self, full_id: str, want: Container) -> None:
        for network in sorted(want.networks)[1:]:
            body = {"Container": full_id, "EndpointConfig": {"Aliases": list(want.networks[network])}}
            await self.wire.call("POST", f"/networks/{network}/connect", body=body, deadline_s=60)

    async def inspect(self, full_id: str) -> SeenContainer:
        return decode_container(await self.wire.read_json(f"/containers/{full_id}/json", deadline_s=30), host="lab")

    async def image(self, ref: str) -> ImageFact:
        return decode_image(await self.wire.read_json(f"/images/{quoted(ref)}/json", deadline_s=30), host="lab")


@pytest.fixture(scope="module")
def prepared(engine: LabHost) -> Iterator[LabHost]:
    engine.load_image(PLAIN, RICH, WEB)
    for network in (FRONT, BACK):
        engine.docker("network", "create", network)
    (engine.home / "phantom").mkdir(exist_ok=True)
    yield engine
    for network in (FRONT, BACK):
        engine.docker("network", "rm", network)


@asynccontextmanager
async def on(host: LabHost) -> AsyncIterator[Engine]:
    connector = aiohttp.UnixConnector(str(host.docker_socket))
    wire = Wire(connector, host=host.name, path=str(host.docker_socket), read_only=False)
    engine = Engine(wire)
    try:
        yield engine
    finally:
        for full_id in engine.made:
            await wire.call("DELETE", f"/containers/{full_id}", params={"force": "1", "v": "1"}, deadline_s=60)
        await wire.close()
        await connector.close()


def rich(host: LabHost, **over: Any) -> Container:
    """Want something unlike the default in as many fields as one container can have."""
    return Container(
        **{
            "name": "main",
            "image": RICH,
            "command": ("sleep", LONG_S),
            "env": {"LAB_MODE": "ours", "EQUALS": "a=b=c", "BLANK": "", "ODD": "$(id) 'x' \"y\" \\ ü\n2"},
            "working_dir": "/tmp/",
            "labels": {"team": "blue", "empty": ""},
            "mounts": {
                "/in": Mount("bind", str(host.home / "phantom"), read_only=True),
                "/data": Mount("volume", "sbx-lab.phantom.data"),
            },
            "ports": {"8080/tcp": Published("127.0.0.1"), "9090/udp": Published("127.0.0.1")},
            "networks": {BACK: (), FRONT: ("a-name", "web")},
            "cap_add": ("NET_ADMIN", "SYS_PTRACE"),
            "cap_drop": ("MKNOD",),
            "devices": ("/dev/null:/dev/nought:r", "/dev/zero"),
            "security_opt": ("no-new-privileges",),
            "read_only": True,
            "healthcheck": Healthcheck(interval_ms=1500),
            "stop_signal": "SIGKILL",
            "stop_grace_s": 1,
            "shm_bytes": 32 * MIB,
            "ulimits": {"nofile": Ulimit(1024, 2048)},
            "extra_hosts": {"db": "10.0.0.7", "six": "fd00::7"},
            "logs": LogPolicy(driver="json-file", options={"max-size": "1m"}),
            "restart": "on-failure:3",
            "cpu_nanos": 500_000_000,
            "memory_bytes": 64 * MIB,
            "pids": 100,
            **over,
        }
    )


def bare(image: str = PLAIN, **over: Any) -> Container:
    """Want an image, something to run for long, and nothing else."""
    return Container(**{"name": "main", "image": image, "command": ("sleep", LONG_S), "stop_grace_s": 0, **over})


WANTS: dict[str, Callable[[LabHost], Container]] = {
    "bare": lambda _host: bare(),
    "rich": rich,
    "rich image as it is": lambda _host: Container(name="main", image=RICH, stop_grace_s=0),
    "image's own command": lambda _host: Container(name="main", image=WEB, stop_grace_s=0),
    "entrypoint drops the image's command": lambda _host: bare(RICH, entrypoint=("/bin/sleep", LONG_S), command=None),
    "entrypoint and command": lambda _host: bare(RICH, entrypoint=("/bin/sleep",), command=(LONG_S,)),
    "empty command is the image's": lambda _host: bare(RICH, command=()),
    "empty entrypoint": lambda _host: bare(RICH, entrypoint=(), command=("sleep", LONG_S)),
    "empty user and folder": lambda _host: bare(RICH, user="", working_dir=""),
    "no health check": lambda _host: bare(RICH, healthcheck=Healthcheck(test=("NONE",))),
    "own health check": lambda _host: bare(healthcheck=Healthcheck(("CMD-SHELL", "true"), 1000, 1000, 0, 5)),
    "host network": lambda _host: bare(network_mode="host"),
    "no network": lambda _host: bare(network_mode="none"),
    "host IPC": lambda _host: bare(ipc="host"),
    "host IPC, said in full": lambda _host: bare(ipc="host", security_opt=("label=disable", "no-new-privileges")),
    "shareable IPC": lambda _host: bare(ipc="shareable", init=False),
    "every address": lambda _host: bare(ports={"8080/tcp": Published("0.0.0.0")}),
    "unlimited": lambda _host: bare(restart="no", ulimits={"core": Ulimit(-1, -1)}),
}


@pytest.mark.parametrize("case", WANTS)
async def test_reads_back_as_asked_in_every_state(prepared: LabHost, case: str) -> None:
    want = WANTS[case](prepared)
    async with on(prepared) as engine:
        expected = facets(complete(want, image=await engine.image(want.image)))

        async def check(state: str, now: dict[str, Any] = expected) -> None:
            seen = await engine.inspect(full_id)
            async with asyncio.timeout(10):
                while seen.live.state == "restarting":  # a loaded engine shows it for a moment after a restart
                    await asyncio.sleep(0.05)
                    seen = await engine.inspect(full_id)
            assert seen.live.state == state
            assert facets(seen.spec) == now
            assert seen.labels.items() >= LABELS.items()

        full_id = await engine.create(want)
        await check("created")
        await engine.post(full_id, "start")
        await check("running")
        await engine.post(full_id, "restart", params={"t": "0"})
        await check("running")
        limits: dict[str, Any] = {
            "restart": want.restart,
            "cpu_nanos": want.cpu_nanos,
            "memory_bytes": want.memory_bytes,
        }
        raised = {**limits, "memory_bytes": 2 * want.memory_bytes if want.memory_bytes else None, "restart": "always"}
        await engine.post(full_id, "update", body=update_body(**raised, pids=321))
        await check("running", {**expected, **raised, "pids": 321})
        await engine.post(full_id, "update", body=update_body(**limits, pids=want.pids))
        await check("running")
        await engine.post(full_id, "stop", params={"t": "0"})
        await check("exited")


CHANGES: dict[str, list[Any]] = {
    "image": [WEB],
    "entrypoint": [("/bin/env",)],
    "command": [("sleep", "1"), ("sleep",)],
    "env": [{"LAB_MODE": "ours"}, {"LAB_MODE": "theirs", "EQUALS": "a=b=c", "BLANK": "", "ODD": ""}],
    "user": ["0", "1000"],
    "working_dir": ["/work", "/"],
    "labels": [{}, {"team": "red", "empty": ""}],
    "mounts": [{}, {"/data": Mount("volume", "sbx-lab.phantom.data")}],
    "ports": [{}, {"8080/tcp": Published("0.0.0.0")}, {"8080/tcp": Published("127.0.0.1", 18080)}],
    "network_mode": ["host", "none"],
    "networks": [{FRONT: ("web",)}, {BACK: ()}],
    "ipc": ["host", "shareable"],
    "cap_add": [(), ("NET_ADMIN",)],
    "cap_drop": [(), ("MKNOD", "SETUID")],
    "devices": [(), ("/dev/zero",), ("/dev/null:/dev/nought", "/dev/zero")],
    "security_opt": [(), ("apparmor=unconfined", "no-new-privileges")],
    "read_only": [False],
    "init": [False],
    "healthcheck": [
        Healthcheck(test=("NONE",)),
        Healthcheck(interval_ms=2500),
        Healthcheck(interval_ms=1500, retries=9),
        Healthcheck(test=("CMD", "false"), interval_ms=1500),
    ],
    "stop_signal": ["SIGTERM", "SIGUSR1"],
    "stop_grace_s": [0, 10, 30],
    "shm_bytes": [None, 16 * MIB],
    "ulimits": [{}, {"nofile": Ulimit(1024, 4096)}],
    "extra_hosts": [{}, {"db": "10.0.0.8", "six": "fd00::7"}],
    "logs": [LogPolicy(), LogPolicy(driver="none", options={}), LogPolicy(driver="json-file", options={})],
    "restart": ["no", "always", "unless-stopped", "on-failure", "on-failure:4"],
    "cpu_nanos": [None, 250_000_000],
    "memory_bytes": [None, 128 * MIB],
    "pids": [None, 99],
    "gpu": [Gpus(), Gpus(count=1), Gpus(count=2)],
}
# A container has either the host's network or networks of its own; so these change a container without any.
NETWORKLESS: dict[str, Any] = {"networks": {}, "ports": {}}


def test_no_field_is_left_out() -> None:
    assert set(CHANGES) == set(rules(Container))


@pytest.mark.parametrize(
    ("field", "value"),
    [(field, value) for field, values in CHANGES.items() for value in values],
    ids=lambda value: str(value)[:40],
)
async def test_every_single_change_is_seen(prepared: LabHost, field: str, value: Any) -> None:
    base = rich(prepared, **(NETWORKLESS if field == "network_mode" else {}))
    changed = replace(base, **{field: value})
    async with on(prepared) as engine:
        fact, new_fact = await engine.image(base.image), await engine.image(changed.image)
        old = await engine.inspect(await engine.create(base))
        new = await engine.inspect(await engine.create(changed))
        want, new_want = facets(complete(base, image=fact)), facets(complete(changed, image=new_fact))
        assert facets(old.spec) == want
        assert facets(new.spec) == new_want
        differing = {name for name in want if want[name] != facets(new.spec)[name]}
        assert field in differing
        # Another image, or another entrypoint, brings other defaults along.
        assert differing == {field} or field in {"image", "entrypoint"}


def facets(container: Container) -> dict[str, Any]:
    """Give the fields that a change of the spec can change."""
    return {field: getattr(container, field) for field in rules(Container)}
