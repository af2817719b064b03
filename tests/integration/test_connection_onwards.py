"""What lies behind sshd has its own codes too: the engine's socket, told apart by a second look, and jump hosts."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from reconciler.errors import ConnectFailed, ReadFailed
from reconciler.host.way.dial import Gate, dial
from tests.integration.ways import linked, refusal, way_to
from tests.lab.config import HostOptions
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab


# The engine's socket.


async def test_a_socket_that_is_not_there(alpha: LabHost) -> None:
    error = await refusal(way_to(alpha, docker_socket="/run/no-such.sock"))
    assert error.code == "E_DOCKER_SOCKET_MISSING"


async def test_a_file_that_is_no_socket(alpha: LabHost) -> None:
    assert (await refusal(way_to(alpha, docker_socket="/etc/passwd"))).code == "E_DOCKER_SOCKET_MISSING"


async def test_a_socket_that_is_closed_to_us(alpha: LabHost) -> None:
    alpha.docker_socket.chmod(0o600)
    try:
        error = await refusal(way_to(alpha))
    finally:
        alpha.docker_socket.chmod(0o660)
    assert error.code == "E_DOCKER_PERMISSION"
    assert "user ops (groups: docker)" in error.message


@pytest.mark.parametrize("option", ["restrict", "no-port-forwarding", 'permitopen="127.0.0.1:1"'])
async def test_a_key_that_may_not_forward(alpha: LabHost, option: str) -> None:
    keys = alpha.home.parent / "ssh/authorized_keys"
    plain = keys.read_text()
    keys.write_text(f"{option} {plain}")
    try:
        assert (await refusal(way_to(alpha))).code == "E_SSH_FORWARDING"
    finally:
        keys.write_text(plain)


async def test_an_sshd_that_does_not_forward(lab_folder: Path) -> None:
    with LabHost.start(lab_folder, "closed", HostOptions(sshd=["AllowStreamLocalForwarding no"])) as closed:
        assert (await refusal(way_to(closed))).code == "E_SSH_FORWARDING"


@pytest.mark.parametrize("over_ssh", [True, False])
async def test_an_engine_that_is_stopped_paused_or_gone(lab_folder: Path, over_ssh: bool) -> None:  # noqa: FBT001  # pytest passes it by name
    with LabHost.start(lab_folder, "down") as down:
        access = way_to(down) if over_ssh else way_to(down, address="local")
        down.pause_dockerd()
        paused = await refusal(access, Gate(engine_s=0.5))
        assert paused.code == "E_DOCKER_DOWN"
        assert "says nothing" in paused.message
        down.resume_dockerd()
        down.kill_dockerd()
        killed = await refusal(access)
        assert killed.code == "E_DOCKER_DOWN"
        assert "nothing listens" in killed.message


async def test_a_paused_engine_hits_the_deadline_of_every_call(lab_folder: Path) -> None:
    with LabHost.start(lab_folder, "paused") as paused:
        async with linked(way_to(paused)) as link:
            await link.reader()
            wire = link._wires[True]
            paused.pause_dockerd()
            with pytest.raises(ReadFailed) as caught:
                await wire.read_json("/containers/json", deadline_s=0.5)
            assert caught.value.code == "E_DOCKER_TIMEOUT"
            paused.resume_dockerd()


# Through a jump host.


async def test_a_host_behind_another_is_reached_with_both_keys_pinned(alpha: LabHost, beta: LabHost) -> None:
    async with linked(way_to(beta, jump=way_to(alpha))) as link:
        await link.reader()
        done = await link.shell.run("hostname; echo $SSH_CONNECTION", deadline_s=10)
        assert done.stdout.decode().split()[0] == beta.name


async def test_a_jump_host_with_another_key(alpha: LabHost, beta: LabHost) -> None:
    jump = way_to(alpha, host_key=beta.host_key)
    with pytest.raises(ConnectFailed) as caught:
        await dial(way_to(beta, jump=jump), Gate())
    assert caught.value.code == "E_SSH_HOSTKEY"
    assert "host alpha" in caught.value.message


async def test_a_jump_host_that_is_not_pinned_and_one_too_deep(alpha: LabHost, beta: LabHost) -> None:
    with pytest.raises(ConnectFailed) as unpinned:
        await dial(way_to(beta, jump=way_to(alpha, host_key=None)), Gate())
    assert unpinned.value.code == "E_SSH_HOSTKEY_UNPINNED"
    deep = replace(way_to(beta), jump=way_to(alpha, jump=way_to(beta)))
    assert (await refusal(deep)).code == "E_JUMP_DEPTH"


async def test_a_host_that_its_jump_host_cannot_reach(alpha: LabHost, beta: LabHost, free_port: int) -> None:
    error = await refusal(way_to(beta, address="127.0.0.1", port=free_port, jump=way_to(alpha)))
    assert error.code == "E_SSH_JUMP"
