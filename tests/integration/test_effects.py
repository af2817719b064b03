"""What the contract that every host keeps does not say: real connections that break, real words of a real engine."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import socket
from pathlib import Path
from uuid import uuid4

import pytest
from msgspec.structs import replace

from reconciler.errors import ReadFailed
from reconciler.host import open_gate, open_reader
from reconciler.host.interface import Busy, Question
from reconciler.host.redacted import RedactedHost
from reconciler.model.access import LOCAL
from reconciler.model.effect import (
    CreateContainer,
    CreateNetwork,
    Done,
    DropPath,
    Effect,
    Existing,
    MakeDirectory,
    NotDone,
    PullImage,
    PutMarker,
    RemoveContainer,
    StartContainer,
    StopContainer,
    Unknown,
)
from reconciler.model.probe import ExecProbe, FinishedProbe, HttpProbe, LogProbe, ProbePassed, ProbeWaiting, TcpProbe
from reconciler.model.redaction import redactor_of
from reconciler.model.resource import Mount, Published
from reconciler.model.text import Late, Template
from tests.builders import FLEET, a_marker, a_sandbox, docker_name, labels_for
from tests.integration.subject import BUSYBOX, WEB, Subject, access_to, changing, do, now, refuse, until_passed
from tests.lab.host import LabHost
from tests.lab.proxy import Direction, Proxy

pytestmark = pytest.mark.lab


# Connections that break ---------------------------------------------------------------------------------------------


def holds(lab: LabHost, effect: Effect, name: str) -> bool:
    """Ask the engine itself whether an effect happened."""
    state = next((seen["State"] for seen in lab.containers() if f"/{name}" in seen["Names"]), None)
    match effect:
        case CreateContainer():
            return state is not None
        case StartContainer():
            return state == "running"
        case RemoveContainer():
            return state is None
        case _:
            raise AssertionError(effect)


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("kind", [CreateContainer, StartContainer, RemoveContainer])
async def test_a_link_cut_anywhere_never_makes_an_outcome_a_lie(
    lab: LabHost,
    subject: Subject,
    kind: type[CreateContainer | StartContainer | RemoveContainer],
    direction: Direction,
) -> None:
    """Cut the link at bytes spread over one effect: "not done" means that it did not happen, "done" that it did."""
    unknowns = 0

    def aimed() -> Effect:
        orders = (subject.creation(), StartContainer(subject.target), RemoveContainer(subject.target))
        return next(one for one in orders if isinstance(one, kind))

    async def prepare() -> None:
        async with changing(access_to(lab)) as host:
            if kind is CreateContainer:
                await host.effect(RemoveContainer(subject.target), secrets={})
            else:
                await do(host, subject.creation())
                await do(host, StopContainer(subject.target, 0))

    async with Proxy(lab.address, lab.ssh_port) as proxy:
        access = access_to(lab, address="127.0.0.1", port=proxy.port)
        await prepare()
        if kind is StartContainer:
            # One that has run before is described at greater length than one that has not.
            lab.docker("start", subject.name)
            lab.engine("POST", f"/containers/{subject.name}/stop", t="0")
        effect = aimed()
        async with changing(access) as host:
            before = proxy.passed_bytes[direction]
            await do(host, effect)
            whole = proxy.passed_bytes[direction] - before
        # The change itself, after the reads that check its target, is in the last few hundred bytes.
        for cut in sorted({*range(1, whole, whole // 6), *range(max(1, whole - 500), whole, 50)}):
            if kind is StartContainer:
                lab.engine("POST", f"/containers/{subject.name}/stop", t="0")
            await prepare()
            effect = aimed()
            async with changing(access) as host:
                proxy.cut_after(cut, direction=direction)
                outcome = await host.effect(effect, secrets={})
            await proxy.cut()
            happened = holds(lab, effect, subject.name)
            if isinstance(outcome, Unknown):
                unknowns += 1
            else:
                assert happened is isinstance(outcome, Done), (cut, outcome)
            if isinstance(outcome, NotDone):
                assert outcome.transient, outcome
        async with changing(access) as host:
            again = await do(host, effect)
            assert holds(lab, effect, subject.name)
            assert kind is not CreateContainer or again.value is not None
        names = lab.docker("ps", "--all", "--format", "{{.Names}}").split()
        assert names.count(subject.name) == (0 if kind is RemoveContainer else 1)
    assert unknowns or direction == "up"


async def test_without_the_lock_and_after_its_connection_broke_nothing_is_changed(
    lab: LabHost, subject: Subject
) -> None:
    async with Proxy(lab.address, lab.ssh_port) as proxy:
        access = access_to(lab, address="127.0.0.1", port=proxy.port)
        async with changing(access) as host:
            await do(host, subject.creation())
            await proxy.cut()
            with pytest.raises(ReadFailed):
                await host.probe(ExecProbe(name="x", container="main", command=("true",)), subject.name)
            # The next read connects anew; the lock does not come back by itself.
            assert (await host.find(subject.name)) is not None
            lost = await refuse(host, StartContainer(subject.target))
            assert lost.code == "E_NO_LEASE"
            assert not isinstance(await host.hold("tests"), Busy)
            await do(host, StartContainer(subject.target))


async def test_a_paused_engine_is_not_a_host_without_containers(lab: LabHost, subject: Subject) -> None:
    async with changing(access_to(lab)) as host:
        await do(host, subject.creation())
        lab.pause_dockerd()
        try:
            look = asyncio.create_task(host.look(Question(fleet=FLEET), now=now))
            done, _ = await asyncio.wait([look], timeout=1)
            assert not done
        finally:
            lab.resume_dockerd()
        view = await look
        assert subject.name in [seen.name for seen in view.containers]


# Words of the engine --------------------------------------------------------------------------------------------------


async def test_a_port_of_a_foreign_listener_is_named(lab: LabHost, subject: Subject) -> None:
    with socket.socket() as theirs:
        theirs.bind(("127.0.0.1", 0))
        theirs.listen()
        port = theirs.getsockname()[1]
        async with changing(access_to(lab)) as host:
            await do(host, subject.creation(ports={"80/tcp": Published("127.0.0.1", port)}))
            refused = await refuse(host, StartContainer(subject.target))
    assert refused.code == "E_PORT_CONFLICT"
    assert f"127.0.0.1:{port}" in refused.message
    assert refused.hint


async def test_a_port_of_another_container_is_named(lab: LabHost, subject: Subject) -> None:
    other = Subject(lab)
    lab.docker("run", "--detach", "--name", other.name, "--publish", "127.0.0.1:18123:80", BUSYBOX, "sleep", "9999")
    try:
        async with changing(access_to(lab)) as host:
            await do(host, subject.creation(ports={"80/tcp": Published("127.0.0.1", 18123)}))
            refused = await refuse(host, StartContainer(subject.target))
            assert refused.code == "E_PORT_CONFLICT"
            assert "127.0.0.1:18123" in refused.message
            view = await host.look(Question(fleet=FLEET), now=now)
            assert view.taken_ports["127.0.0.1:18123/tcp"] == other.name
            lab.docker("rm", "--force", other.name)
            await do(host, StartContainer(subject.target))
    finally:
        lab.docker("rm", "--force", other.name)


async def test_what_cannot_start_says_why(lab: LabHost, subject: Subject) -> None:
    async with changing(access_to(lab)) as host:
        await do(host, subject.creation(command=("/no/such/program",), init=False))
        refused = await refuse(host, StartContainer(subject.target))
        assert (refused.code, refused.transient) == ("E_START_FAILED", False)
        assert "/no/such/program" in refused.message


async def test_a_missing_mount_source_is_named_and_not_made(lab: LabHost, subject: Subject) -> None:
    source = f"{lab.home}/none/such"
    async with changing(access_to(lab)) as host:
        refused = await refuse(host, subject.creation(mounts={"/in": Mount("bind", source)}))
    assert refused.code == "E_MOUNT_MISSING"
    assert source in refused.message
    assert not Path(source).exists()


async def test_a_registry_that_is_down_is_told_from_an_image_that_is_not_there(lab: LabHost) -> None:
    async with changing(access_to(lab)) as host:
        refused = await refuse(host, PullImage("127.0.0.1:1/none/such:1"))
        assert (refused.code, refused.transient) == ("E_IMAGE", True)
        assert "127.0.0.1:1/none/such:1" in refused.message


async def test_a_taken_name_is_named_with_its_holder_who_is_left_alone(lab: LabHost, subject: Subject) -> None:
    theirs = lab.docker("run", "--detach", "--name", subject.name, BUSYBOX, "sleep", "9999").strip()
    async with changing(access_to(lab)) as host:
        refused = await refuse(host, subject.creation())
        assert refused.code == "E_NAME_CONFLICT"
        assert theirs in refused.message
        assert theirs in (refused.hint or "")
        forged = Existing(theirs, subject.name, "00000000")
        assert (await refuse(host, RemoveContainer(forged))).code == "E_TARGET_CHANGED"
        seen = await host.find(subject.name)
        assert seen is not None
        assert seen.live.state == "running"


async def test_a_network_made_twice_behind_our_back_is_nobodys(lab: LabHost) -> None:
    name = docker_name(a_sandbox(f"n-{uuid4().hex[:8]}"), "net")
    labels = labels_for(kind="networks")
    made = [lab.docker("network", "create", name).strip()]
    try:
        async with changing(access_to(lab)) as host:
            refused = await refuse(host, CreateNetwork(name, labels))
        assert refused.code == "E_NAME_CONFLICT"
        assert lab.docker("network", "inspect", "--format", "{{.Id}}", name).strip() == made[0]
    finally:
        lab.docker("network", "rm", made[0])


# Secrets that come back -----------------------------------------------------------------------------------------------


async def test_what_a_real_engine_and_container_say_of_a_secret_is_redacted(lab: LabHost, subject: Subject) -> None:
    value = f"t0p/{uuid4().hex}+'x'"
    token = Template((Late("secret:hub"),))
    secrets = {"secret:hub": value}
    exec_probe = ExecProbe(name="p", container="main", command=("sh", "-c", 'echo "bad $TOKEN" >&2; exit 3'))
    async with changing(access_to(lab)) as opened:
        host = RedactedHost(opened, redactor_of((value,)))
        create = subject.creation(entrypoint=(token,), command=None, init=False)
        made = await host.effect(create, secrets=secrets)
        assert isinstance(made, Done)
        assert made.value == subject.target.full_id
        started = await host.effect(StartContainer(subject.target), secrets={})
        assert isinstance(started, NotDone)
        assert "(secret)" in started.message
        assert value not in repr(started)
        await do(host, RemoveContainer(subject.target))
        says = ("sh", "-c", 'echo "token is $TOKEN"; exec sleep 86400')
        await host.effect(subject.creation(attempt="a-2", command=says, env={"TOKEN": token}), secrets=secrets)
        await do(host, StartContainer(subject.target))
        await until_passed(host, LogProbe(name="p", container="main", pattern="^token is"), subject.name)
        assert await host.logs(subject.target.full_id, lines=5) == ("token is (secret)",)
        answer = await host.probe(exec_probe, subject.name)
        assert answer == ProbeWaiting(f"{subject.name}: the command exited with 3: bad (secret)")
        seen = await host.find(subject.name)
        assert seen is not None
        assert seen.spec.env["TOKEN"] == value


# Files, as the unprivileged user that logs in -------------------------------------------------------------------------


async def test_what_a_container_made_as_root_does_not_keep_a_sandbox_for_ever(lab: LabHost, subject: Subject) -> None:
    base = str(lab.base_dir)
    folder = f"{base}/{subject.sandbox.uid}"
    writes = ("sh", "-c", "mkdir -p /data/deep && echo x >/data/deep/file && echo x >/data/file")
    mounts = {"/data": Mount("bind", f"{folder}/data")}
    async with changing(access_to(lab)) as host:
        await do(host, PutMarker(base, a_marker(subject.sandbox)))
        await do(host, MakeDirectory(f"{folder}/data", "0755", base))
        await do(host, subject.creation(command=writes, mounts=mounts))
        await do(host, StartContainer(subject.target))
        await until_passed(host, FinishedProbe(name="end", container="main"), subject.name)
        await do(host, RemoveContainer(subject.target))
        inode = (await host.look(Question(fleet=FLEET, paths=(folder,)), now=now)).paths[folder].inode
        done = await do(host, DropPath(folder, base, inode))
        assert (await host.look(Question(fleet=FLEET, paths=(folder,)), now=now)).paths[folder].kind == "absent"
        command = done.warning.partition("to remove it: sudo ")[2]
        kept = shlex.split(command)[-1]
        assert lab.run("find", kept, "-type", "f") == f"{kept}/x/data/deep/file\n"
        lab.run("sh", "-c", command)
        assert not Path(kept).exists()


async def test_one_path_that_cannot_be_looked_at_leaves_the_rest_of_the_host_known(lab: LabHost) -> None:
    closed = Path(lab.home) / "closed"
    closed.mkdir(mode=0o700, exist_ok=True)
    os.chown(closed, 0, 0)
    host = open_reader(access_to(lab), gate=open_gate())
    try:
        paths = (f"{closed}/x", str(closed), f"{lab.home}/none")
        seen = (await host.look(Question(fleet=FLEET, paths=paths), now=now)).paths
        assert [seen[path].kind for path in paths] == ["unreadable", "directory", "absent"]
    finally:
        await host.close()
        closed.rmdir()


# Probes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["bridge", "host"])
@pytest.mark.parametrize("way", ["ssh", LOCAL])
async def test_probes_reach_the_container_through_the_hosts_own_connection(
    lab: LabHost, subject: Subject, mode: str, way: str
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    access = access_to(lab)
    if way == LOCAL:
        access = replace(access, address=LOCAL, base_dir=f"{lab.home}/local")
    command = ("httpd", "-f", "-p", str(port), "-h", "/www")
    http = HttpProbe(name="web", container="main", port=port, path="/index.html")
    async with changing(access) as host:
        await do(host, subject.creation(image=WEB, command=command, network_mode=mode))
        assert await host.probe(http, subject.name) == ProbeWaiting(f"{subject.name} is created")
        await do(host, StartContainer(subject.target))
        await until_passed(host, http, subject.name)
        assert await host.probe(TcpProbe(name="t", container="main", port=port), subject.name) == ProbePassed()
        gone = await host.probe(replace(http, path="/none y\r\nX: y"), subject.name)
        assert isinstance(gone, ProbeWaiting)
        assert "404" in gone.why
        closed = await host.probe(replace(http, port=1), subject.name)
        assert isinstance(closed, ProbeWaiting)
        assert "refuses" in closed.why
    if way == LOCAL:
        lock = Path(f"{lab.home}/local/.lock").stat().st_ino
        assert f":{lock} " not in Path("/proc/locks").read_text()
        shutil.rmtree(f"{lab.home}/local")


async def test_a_log_probe_ignores_what_an_earlier_run_printed(lab: LabHost, subject: Subject) -> None:
    say_once = ("sh", "-c", "[ -e /said ] || echo ready; touch /said; exec sleep 9999")
    probe = LogProbe(name="l", container="main", pattern="^ready$")
    async with changing(access_to(lab)) as host:
        await do(host, subject.creation(command=say_once))
        await do(host, StartContainer(subject.target))
        await until_passed(host, probe, subject.name)
        await do(host, StopContainer(subject.target, 0))
        await do(host, StartContainer(subject.target))
        assert isinstance(await host.probe(probe, subject.name), ProbeWaiting)


async def test_a_reader_runs_nothing_in_a_container(lab: LabHost, subject: Subject) -> None:
    async with changing(access_to(lab)) as host:
        await do(host, subject.creation())
        await do(host, StartContainer(subject.target))
    reader = open_reader(access_to(lab), gate=open_gate())
    try:
        with pytest.raises(ReadFailed, match="only reads"):
            await reader.probe(ExecProbe(name="x", container="main", command=("true",)), subject.name)
        assert not hasattr(reader, "effect")
    finally:
        await reader.close()
