"""The Docker engine behind SSH: the same replies as on its own socket, and a cut is never a shorter answer."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from reconciler.errors import ConnectFailed, HostError, OutcomeUnknown, ReadFailed
from reconciler.host.docker.reader import DockerReader
from reconciler.host.docker.registry import RegistryLogin
from reconciler.host.docker.wire import ReadOnlyViolation
from reconciler.host.docker.writer import DockerWriter
from reconciler.host.foreign import DockerRefused
from reconciler.host.way.link import Link
from tests.integration.ways import linked, way_to
from tests.lab.host import LabHost
from tests.lab.proxy import Proxy

pytestmark = pytest.mark.lab

IMAGE = "lab/busybox:1"
ASK_S = 0.05
TALKS = {"Image": IMAGE, "Cmd": ["sh", "-c", "echo out; echo err >&2; exec sleep 86400"], "HostConfig": {"Init": False}}


@pytest.fixture(scope="module")
def host(lab_hosts: tuple[LabHost, LabHost]) -> LabHost:
    lab_hosts[0].load_image(IMAGE)
    return lab_hosts[0]


LOGIN = RegistryLogin(host="127.0.0.1:1", username="u", password="hunter2")  # of no registry at all


@asynccontextmanager
async def container(link: Link, name: str, **config: Any) -> AsyncIterator[str]:
    writer = await link.writer()
    full_id = await writer.create_container(name, {**TALKS, **config})
    try:
        yield full_id
    finally:
        await writer.stop_container(full_id, grace_s=0)
        await writer.remove_container(full_id)


@pytest.mark.parametrize("local", [False, True], ids=["ssh", "local"])
async def test_a_container_lives_its_whole_life(engine: LabHost, local: bool) -> None:  # noqa: FBT001  # pytest passes it by name
    engine.load_image(IMAGE)
    access = way_to(engine, address="local") if local else way_to(engine)
    async with linked(access) as link:
        reader, writer = await link.reader(), await link.writer()
        async with container(link, "life", Labels={"a": "é\n"}) as full_id:
            with pytest.raises(DockerRefused) as taken:
                await writer.create_container("life", TALKS)
            assert taken.value.status == 409
            assert await writer.start_container(full_id) is True
            assert await writer.start_container(full_id) is False
            seen = await reader.inspect_container("life")
            assert seen is not None
            assert seen["Id"] == full_id
            assert seen["Config"]["Labels"] == {"a": "é\n"}
            assert [one["Id"] for one in await reader.list_containers()] == [full_id]
            await writer.update_container(full_id, {"Memory": 64 << 20, "MemorySwap": 128 << 20})
            await writer.rename_container(full_id, to="lived")
            assert await reader.inspect_container("life") is None
            await writer.restart_container(full_id, grace_s=0)
            assert await writer.stop_container(full_id, grace_s=0) is True
            assert await writer.stop_container(full_id, grace_s=0) is False
            after = await reader.inspect_container(full_id)
            assert after is not None
            assert (after["Name"], after["HostConfig"]["Memory"]) == ("/lived", 64 << 20)
        assert await reader.list_containers() == []
        with pytest.raises(DockerRefused) as gone:
            await writer.remove_container(full_id)
        assert gone.value.is_absent


async def test_networks_and_volumes(host: LabHost) -> None:
    async with linked(way_to(host)) as link, container(link, "net") as full_id:
        reader, writer = await link.reader(), await link.writer()
        made = await writer.create_network({"Name": "lab.net", "Driver": "bridge", "Labels": {"a": "b"}})
        assert (await reader.inspect_network(made) or {})["Labels"] == {"a": "b"}
        assert "lab.net" in [one["Name"] for one in await reader.list_networks()]
        with pytest.raises(DockerRefused):
            await writer.create_network({"Name": "lab.net", "Driver": "bridge"})
        await writer.connect_network(made, container=full_id, endpoint={"Aliases": ["x"]})
        seen = await reader.inspect_container(full_id)
        assert seen is not None
        assert "lab.net" in seen["NetworkSettings"]["Networks"]
        with pytest.raises(DockerRefused) as used:
            await writer.remove_network("0" * 64)
        assert used.value.is_absent
        await writer.create_volume({"Name": "lab.volume", "Labels": {"a": "b"}})
        again = await writer.create_volume({"Name": "lab.volume", "Labels": {"a": "c"}})
        assert again["Labels"] == {"a": "b"}
        assert [one["Name"] for one in await reader.list_volumes()] == ["lab.volume"]
        assert await reader.inspect_volume("lab.volume") is not None
    host.docker("volume", "rm", "lab.volume")
    async with linked(way_to(host)) as link:
        await (await link.writer()).remove_network(made)
        assert await (await link.reader()).inspect_network(made) is None


async def test_output_comes_apart_into_its_two_streams(host: LabHost) -> None:
    async with linked(way_to(host)) as link, container(link, "logs") as full_id:
        reader, writer = await link.reader(), await link.writer()
        await writer.start_container(full_id)
        async with asyncio.timeout(10):
            while sorted((await reader.logs(full_id, lines=10, tty=False)).split()) != [b"err", b"out"]:  # noqa: ASYNC110  # output sets no event here
                await asyncio.sleep(ASK_S)
        assert len((await reader.logs(full_id, lines=1, tty=False)).split()) == 1


async def test_output_of_a_terminal_is_not_framed(host: LabHost) -> None:
    async with linked(way_to(host)) as link, container(link, "tty", Tty=True) as full_id:
        reader, writer = await link.reader(), await link.writer()
        await writer.start_container(full_id)
        async with asyncio.timeout(10):
            while await reader.logs(full_id, lines=10, tty=True) != b"out\r\nerr\r\n":  # noqa: ASYNC110  # same
                await asyncio.sleep(ASK_S)
        with pytest.raises(ReadFailed):
            await reader.logs(full_id, lines=10, tty=False)


async def test_a_command_in_a_container_gives_its_exit_code_and_both_streams(host: LabHost) -> None:
    async with linked(way_to(host)) as link, container(link, "exec") as full_id:
        writer = await link.writer()
        with pytest.raises(DockerRefused) as stopped:
            await writer.run_in_container(full_id, ("true",), deadline_s=10)
        assert stopped.value.status == 409
        await writer.start_container(full_id)
        done = await writer.run_in_container(full_id, ("sh", "-c", 'echo "a  b"; echo e >&2; exit 3'), deadline_s=10)
        assert (done.exit_code, done.stdout, done.stderr) == (3, b"a  b\n", b"e\n")
        absent = await writer.run_in_container(full_id, ("no-such-program",), deadline_s=10)
        assert absent.exit_code in (126, 127)
        with pytest.raises(OutcomeUnknown):
            await writer.run_in_container(full_id, ("sleep", "20"), deadline_s=0.3)
        with pytest.raises(ReadFailed) as loud:
            await writer.run_in_container(full_id, ("yes",), deadline_s=10)
        assert loud.value.code == "E_HOST_REPLY"


async def test_a_pull_that_cannot_work_is_refused_with_the_engines_words(host: LabHost) -> None:
    async with linked(way_to(host)) as link:
        writer = await link.writer()
        with pytest.raises(DockerRefused):
            await writer.pull_image("127.0.0.1:1/none:1", login=LOGIN)
        assert "hunter2" not in repr(LOGIN)


async def test_the_disk_report_is_read(host: LabHost) -> None:
    async with linked(way_to(host)) as link:
        assert "LayersSize" in await (await link.reader()).disk_usage()


async def test_sixty_calls_at_once_pass_sshds_defaults(host: LabHost) -> None:
    async with linked(way_to(host)) as link:
        reader = await link.reader()
        replies = await asyncio.gather(*(reader.inspect_image(IMAGE) for _ in range(60)))
        assert all(replies)


async def test_a_reader_cannot_change_anything_on_a_real_engine(host: LabHost) -> None:
    async with linked(way_to(host)) as link, container(link, "kept") as full_id:
        await link.reader()
        for attempt in (
            DockerWriter(link._wires[True]).remove_container(full_id),
            DockerWriter(link._wires[True]).start_container(full_id),
        ):
            with pytest.raises(ReadOnlyViolation):
                await attempt
        seen = await (await link.reader()).inspect_container(full_id)
        assert seen is not None
        assert seen["State"]["Status"] == "created"


async def test_a_list_cut_anywhere_on_its_way_is_an_error_and_never_a_shorter_list(host: LabHost) -> None:
    async with linked(way_to(host)) as keeper, container(keeper, "one"), container(keeper, "two"):
        whole = 0
        for cut_bytes in (*range(100, 4000, 150), 100_000):
            async with (
                Proxy(host.address, host.ssh_port) as proxy,
                linked(way_to(host, address="127.0.0.1", port=proxy.port)) as link,
            ):
                reader = await link.reader()
                proxy.cut_after(cut_bytes, direction="down")
                try:
                    assert len(await asyncio.wait_for(reader.list_containers(), 10)) == 2
                    whole += 1
                except HostError as error:
                    assert isinstance(error, ReadFailed | ConnectFailed)  # noqa: PT017  # either end is right
        assert 0 < whole < 27


async def test_a_change_whose_reply_is_lost_is_unknown_and_may_have_happened(host: LabHost) -> None:
    async with linked(way_to(host)) as keeper, container(keeper, "lost") as full_id:
        async with (
            Proxy(host.address, host.ssh_port) as proxy,
            linked(way_to(host, address="127.0.0.1", port=proxy.port)) as link,
        ):
            writer = await link.writer()
            await (await link.reader()).list_containers()
            start = asyncio.ensure_future(writer.start_container(full_id))
            proxy.cut_after(1, direction="down")
            with pytest.raises((OutcomeUnknown, ConnectFailed)):
                await start
        reader = await keeper.reader()
        async with asyncio.timeout(10):
            while (await reader.inspect_container(full_id) or {})["State"]["Status"] != "running":  # noqa: ASYNC110  # a container sets no event here
                await asyncio.sleep(ASK_S)


async def test_a_call_after_the_connection_was_lost_was_certainly_not_sent(host: LabHost) -> None:
    async with linked(way_to(host)) as link:
        writer = await link.writer()
        assert link.ssh is not None
        link.ssh.connection.abort()
        await link.ssh.lost.wait()
        with pytest.raises(ConnectFailed):
            await writer.start_container("ab" * 32)


async def test_an_engine_that_restarts_is_met_again_on_the_same_connection(host: LabHost) -> None:
    async with linked(way_to(host)) as link:
        reader = await link.reader()
        await asyncio.gather(*(reader.list_containers() for _ in range(5)))
        await asyncio.to_thread(host.restart_dockerd)
        assert await reader.list_containers() == []


def test_aiohttp_still_dials_the_way_that_our_connector_overrides() -> None:
    dialling = inspect.signature(aiohttp.UnixConnector._create_connection)
    assert list(dialling.parameters) == ["self", "req", "traces", "timeout"]
    assert "_retry_connection" in aiohttp.ClientSession.ATTRS
    assert isinstance(DockerReader, type)
