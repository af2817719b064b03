"""S01 to S06: whom we log in to, with what, by which way, and what the other side gets of us."""

from __future__ import annotations

import asyncio
import re
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from reconciler.errors import ConnectFailed
from reconciler.host.way.dial import Gate, dial
from reconciler.model.access import HostAccess
from tests.e2e.driver import CHECKOUT, Driver
from tests.integration.ways import linked, refusal, way_to
from tests.lab.host import LabHost
from tests.unit.load.bad_specs import KEY, OTHER_KEY, codes, host, problems

SERVER_KEY = asyncssh.generate_private_key("ssh-ed25519")
CLIENT_KEY = asyncssh.generate_private_key("ssh-ed25519")


class Stranger:
    """An SSH server of our own, which writes down what a client wants of it: a stand-in for a host that is hostile."""

    def __init__(self) -> None:
        self.port = 0
        self.logins = 0
        self.asked: list[str] = []
        self.meddle: Callable[[asyncssh.SSHServerConnection], Awaitable[None]] | None = None
        self.meddled = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def listening(self, **options: Any) -> AsyncIterator[Stranger]:
        """Listen on a port of this machine until the block ends."""
        server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[SERVER_KEY],
            server_factory=lambda: _Server(self),
            agent_forwarding=True,
            x11_forwarding=True,
            **options,
        )
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            for task in self.tasks:
                task.cancel()
            server.close()
            await server.wait_closed()


class _Server(asyncssh.SSHServer):
    def __init__(self, stranger: Stranger) -> None:
        self.stranger = stranger
        self.connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.connection = conn

    def begin_auth(self, username: str) -> bool:
        self.stranger.logins += 1
        assert username == "ops"
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002  # asyncssh's shape
        return True

    def server_requested(self, listen_host: str, listen_port: int) -> bool:
        self.stranger.asked.append(f"listen on {listen_host}:{listen_port}")
        return False

    def unix_server_requested(self, listen_path: str) -> bool:
        self.stranger.asked.append(f"listen on {listen_path}")
        return False

    def session_requested(self) -> asyncssh.SSHServerSession[bytes]:
        assert self.connection is not None
        if self.stranger.meddle is not None and not self.stranger.tasks:
            self.stranger.tasks.append(asyncio.ensure_future(self._meddle(self.connection)))
        return _Session(self.stranger)

    async def _meddle(self, connection: asyncssh.SSHServerConnection) -> None:
        assert self.stranger.meddle is not None
        await self.stranger.meddle(connection)
        self.stranger.meddled.set()


class _Session(asyncssh.SSHServerSession[bytes]):
    def __init__(self, stranger: Stranger) -> None:
        self.stranger = stranger
        self.channel: asyncssh.SSHServerChannel[bytes] | None = None

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self.channel = chan

    def pty_requested(self, term_type: str, term_size: Any, term_modes: Any) -> bool:  # noqa: ARG002  # same
        self.stranger.asked.append("a terminal")
        return True

    def exec_requested(self, command: str) -> bool:
        assert self.channel is not None
        self.stranger.asked.append(command)
        self.stranger.asked += [f"agent {self.channel.get_agent_path()}"] if self.channel.get_agent_path() else []
        self.stranger.asked += [f"display {self.channel.get_x11_display()}"] if self.channel.get_x11_display() else []
        self.stranger.asked += [f"{name}={value}" for name, value in self.channel.get_environment().items()]
        return True

    def session_started(self) -> None:
        self.stranger.tasks.append(asyncio.ensure_future(self._end()))

    async def _end(self) -> None:
        assert self.channel is not None
        if self.stranger.meddle is not None:
            await self.stranger.meddled.wait()
        self.channel.exit(1)


def way_in(stranger: Stranger, folder: Path, **over: Any) -> HostAccess:
    """Say how the stranger is reached, with its key pinned and a key of ours that it takes."""
    identity = folder / "identity"
    if not identity.exists():
        identity.touch(mode=0o600)
        identity.write_bytes(CLIENT_KEY.export_private_key())
    given: dict[str, Any] = {
        "name": "stranger",
        "address": "127.0.0.1",
        "port": stranger.port,
        "user": "ops",
        "host_key": SERVER_KEY.export_public_key().decode().strip(),
        "identity_file": str(identity),
        "docker_socket": "/run/docker.sock",
        "base_dir": "/srv/lab",
    }
    return HostAccess(**{**given, **over})


async def refused(access: HostAccess) -> ConnectFailed:
    """Dial, which must fail."""
    with pytest.raises(ConnectFailed) as caught:
        await dial(access, Gate(login_s=10))
    return caught.value


# S01: the host's key.


async def test_s01_another_key_than_the_pinned_one_gets_not_even_a_user_name(tmp_path: Path) -> None:
    async with Stranger().listening() as stranger:
        error = await refused(way_in(stranger, tmp_path, host_key=OTHER_KEY))
        assert (error.code, stranger.logins, stranger.asked) == ("E_SSH_HOSTKEY", 0, [])
        assert (await refused(way_in(stranger, tmp_path))).code == "E_REMOTE_SHELL"
        assert stranger.logins == 1, "with the right key it would have been asked"


async def test_s01_there_is_no_trust_on_first_use(tmp_path: Path) -> None:
    async with Stranger().listening() as stranger:
        assert (await refused(way_in(stranger, tmp_path, host_key=None))).code == "E_SSH_HOSTKEY_UNPINNED"
        assert stranger.logins == 0


def test_s01_specs_without_a_key_are_refused_with_the_way_to_get_one(tmp_path: Path) -> None:
    found = [problem for problem in problems(tmp_path, h=host(key=None)) if problem.code == "E_SSH_HOSTKEY_UNPINNED"]
    assert [problem.field for problem in found] == ["spec.ssh.hostKey"]
    assert "ssh-keyscan" in (found[0].hint or "")


@pytest.mark.lab
def test_s01_a_command_that_meets_another_key_changes_and_sends_nothing(fleet: Driver, alpha: LabHost) -> None:
    fleet.drop("Host", "beta")
    fleet.declare_host(alpha, ssh={"hostKey": OTHER_KEY})
    fleet.declare_sandbox("web", host="alpha", containers={"main": {"image": "lab/web:1"}})
    log = Path(alpha.record.folder) / "sshd.log"
    before = len(log.read_text(errors="replace"))
    for words in (("plan",), ("apply", "--yes"), ("doctor",)):
        ran = fleet.run(*words).expect(1, 3)
        assert "E_SSH_HOSTKEY" in ran.stdout + ran.stderr or "another host key" in ran.stdout + ran.stderr
    said = log.read_text(errors="replace")[before:]
    assert [word for word in ("user ops", "publickey", "Accepted") if word in said] == []
    assert fleet.containers(alpha) == {}


# S02: nobody's configuration.


@pytest.mark.lab
def test_s02_an_ssh_configuration_at_home_is_never_read(fleet: Driver, alpha: LabHost) -> None:
    mark = fleet.folder / "ran"
    ours = fleet.home / ".ssh"
    ours.mkdir(mode=0o700)
    (ours / "config").write_text(
        f'Match exec "touch {mark}"\n  User nobody\nHost *\n  ProxyCommand touch {mark}\n  StrictHostKeyChecking no\n'
        f"  UserKnownHostsFile /dev/null\n  IdentityFile {ours}/none\n  PermitLocalCommand yes\n"
        f"  LocalCommand touch {mark}\n  KnownHostsCommand /usr/bin/touch {mark}\n"
    )
    fleet.drop("Host", "beta")
    fleet.declare_sandbox("web", host="alpha", containers={"main": {"image": "lab/web:1"}})
    ran = fleet.run("plan", "--detailed-exitcode", fresh=True).expect(2)
    assert "1 to create" in ran.stdout
    fleet.declare_host(alpha, ssh={"hostKey": OTHER_KEY})
    fleet.run("plan", fresh=True).expect(3)
    assert not mark.exists()


# S03: what the other side gets of us.


async def test_s03_a_host_that_asks_for_our_agent_or_display_or_network_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    monkeypatch.setenv("DISPLAY", ":0")
    refusals: dict[str, str] = {}

    async def meddle(connection: asyncssh.SSHServerConnection) -> None:
        tries: dict[str, Callable[[], Awaitable[object]]] = {
            "agent": connection.open_agent_connection,
            "display": lambda: connection.create_x11_connection(asyncssh.SSHTCPSession, "127.0.0.1", 6000),
            "port": lambda: connection.create_connection(asyncssh.SSHTCPSession, "127.0.0.1", 22),
            "socket": lambda: connection.create_unix_connection(asyncssh.SSHUNIXSession, "/run/docker.sock"),
        }
        for what, attempt in tries.items():
            try:
                await asyncio.wait_for(attempt(), 5)
                refusals[what] = "given"
            except asyncssh.ChannelOpenError:
                refusals[what] = "refused"

    stranger = Stranger()
    stranger.meddle = meddle
    async with stranger.listening():
        await refused(way_in(stranger, tmp_path))
    assert refusals == dict.fromkeys(("agent", "display", "port", "socket"), "refused")


async def test_s03_we_ask_a_host_for_scripts_and_for_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("LC_SECRET", "x")
    async with Stranger().listening() as stranger:
        await refused(way_in(stranger, tmp_path))
    assert {command[:12] for command in stranger.asked} == {"/bin/sh -c '"}


# S04: jump hosts.


@pytest.mark.lab
async def test_s04_both_keys_of_a_way_through_another_host_are_checked(alpha: LabHost, beta: LabHost) -> None:
    async with linked(way_to(beta, jump=way_to(alpha))) as link:
        assert (await link.shell.run("id -un", deadline_s=10)).stdout == b"ops\n"
    for wrong in (
        way_to(beta, jump=way_to(alpha, host_key=OTHER_KEY)),
        way_to(beta, host_key=OTHER_KEY, jump=way_to(alpha)),
    ):
        with pytest.raises(ConnectFailed) as caught:
            await dial(wrong, Gate())
        assert caught.value.code == "E_SSH_HOSTKEY"
    unpinned = way_to(beta, jump=way_to(alpha, host_key=None))
    with pytest.raises(ConnectFailed) as caught:
        await dial(unpinned, Gate())
    assert caught.value.code == "E_SSH_HOSTKEY_UNPINNED"


@pytest.mark.lab
async def test_s04_a_jump_through_a_jump_is_too_deep(alpha: LabHost, beta: LabHost) -> None:
    assert (await refusal(way_to(beta, jump=way_to(alpha, jump=way_to(beta))))).code == "E_JUMP_DEPTH"


def test_s04_jumps_in_a_circle_and_jumps_to_what_is_no_host_are_refused(tmp_path: Path) -> None:
    first = host("h1", ssh=", jump: h2")
    second = host("h2", address="10.0.0.2", key=OTHER_KEY, ssh=", jump: h1")
    assert "E_JUMP_CYCLE" in codes(problems(tmp_path, a=first, b=second))
    assert KEY in first
    (tmp_path / "b.yaml").unlink()
    assert codes(problems(tmp_path, a=host("h1", ssh=", jump: ops@10.0.0.2"))) <= {"E_NAME", "E_REF"}


# S05: the key that we log in with.


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o777, 0o601], ids=oct)
async def test_s05_a_key_file_that_others_may_use_opens_no_connection(mode: int, tmp_path: Path) -> None:
    async with Stranger().listening() as stranger:
        access = way_in(stranger, tmp_path)
        (tmp_path / "identity").chmod(mode)
        error = await refused(access)
        assert (error.code, stranger.logins) == ("E_KEY_MODE", 0)
        assert "chmod 600" in (error.hint or "")


async def test_s05_a_passphrase_is_nowhere_asked_for_and_the_agent_named_instead(tmp_path: Path) -> None:
    identity = tmp_path / "identity"
    identity.touch(mode=0o600)
    identity.write_bytes(CLIENT_KEY.export_private_key("pkcs8-pem", passphrase="hunter2"))
    async with Stranger().listening() as stranger:
        error = await refused(way_in(stranger, tmp_path))
        assert (error.code, stranger.logins) == ("E_KEY_PASSPHRASE", 0)
    assert "agent: true" in (error.hint or "")
    assert "hunter2" not in f"{error.message}{error.hint}"


# S06: Terrapin.


async def test_s06_the_cipher_of_terrapin_is_not_used_even_where_there_is_no_other(tmp_path: Path) -> None:
    async with Stranger().listening(encryption_algs=["chacha20-poly1305@openssh.com"]) as stranger:
        assert (await refused(way_in(stranger, tmp_path))).code == "E_SSH_PROTOCOL"
        assert stranger.logins == 0


@pytest.mark.lab
async def test_s06_a_real_host_agrees_on_a_cipher_that_terrapin_cannot_cut(alpha: LabHost) -> None:
    async with linked(way_to(alpha)) as link:
        assert link.ssh is not None
        ciphers = {link.ssh.connection.get_extra_info(way) for way in ("send_cipher", "recv_cipher")}
        assert all(cipher.endswith("-gcm@openssh.com") for cipher in ciphers), ciphers


def test_s06_no_asyncssh_without_strict_key_exchange_is_allowed() -> None:
    wanted = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["dependencies"]
    (floor,) = [found.groups() for line in wanted if (found := re.fullmatch(r"asyncssh>=(\d+)\.(\d+).*", line))]
    assert tuple(map(int, floor)) >= (2, 15)
