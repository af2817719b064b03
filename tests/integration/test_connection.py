"""Each way in which a host cannot be reached has its own code: on real sshd, with every kind of login shell."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import asyncssh
import pytest

from reconciler.errors import ConnectFailed
from reconciler.host.way.dial import Gate
from reconciler.host.way.scan import scan
from tests.integration.ways import linked, refusal, way_to
from tests.lab.apt import Suite
from tests.lab.config import HostOptions
from tests.lab.host import LabHost
from tests.lab.packages import cache_folder
from tests.lab.proxy import Proxy

pytestmark = pytest.mark.lab


def sshd_log(host: LabHost) -> str:
    return (host.home.parent / "sshd.log").read_text()


# Reaching the host.


async def test_a_host_is_reached_and_its_engine_met(alpha: LabHost) -> None:
    async with linked(way_to(alpha)) as link:
        engine = await link.engine()
        assert engine.version == alpha.engine_version
        assert engine.root == str(alpha.data_root)
        done = await link.shell.run("id -un", deadline_s=10)
        assert done.stdout == b"ops\n"


async def test_this_machine_needs_no_ssh(alpha: LabHost) -> None:
    async with linked(way_to(alpha, address="local", host_key=None, identity_file=None)) as link:
        assert link.ssh is None
        assert await (await link.reader()).list_containers() == []


async def test_a_name_that_does_not_resolve(alpha: LabHost) -> None:
    assert (await refusal(way_to(alpha, address="no-such-host.invalid"))).code == "E_HOST_RESOLVE"


async def test_a_port_where_nothing_listens(alpha: LabHost, free_port: int) -> None:
    assert (await refusal(way_to(alpha, address="127.0.0.1", port=free_port))).code == "E_HOST_REFUSED"


async def test_a_host_that_packets_do_not_reach(lab_folder: Path) -> None:
    with LabHost.start(lab_folder, "far", HostOptions(own_network=True)) as far:
        async with linked(way_to(far)) as link:
            far.cut_link()
            error = await refusal(way_to(far), Gate(connect_s=0.5))
            assert error.code in ("E_HOST_TIMEOUT", "E_HOST_UNREACHABLE")
            with pytest.raises(ConnectFailed) as caught:
                await link.shell.run("true", deadline_s=0.5)
            assert caught.value.code == "E_SSH_SESSION"
            far.mend_link()
            assert (await link.shell.run("echo back", deadline_s=10)).stdout == b"back\n"


async def test_a_port_that_accepts_and_says_nothing(alpha: LabHost) -> None:
    async with Proxy(alpha.address, alpha.ssh_port) as proxy:
        proxy.halt()
        error = await refusal(way_to(alpha, address="127.0.0.1", port=proxy.port), Gate(login_s=0.5))
    assert error.code == "E_HOST_TIMEOUT"
    assert "accepted the connection" in error.message


async def test_a_port_that_is_no_ssh_server(alpha: LabHost) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    error = await refusal(way_to(alpha, address="127.0.0.1", port=port), Gate(login_s=2))
    assert error.code in ("E_SSH_PROTOCOL", "E_SSH_DROPPED", "E_HOST_TIMEOUT")
    server.close()
    await server.wait_closed()


# The host's key.


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"])
async def test_another_host_key_ends_it_before_any_login(alpha: LabHost, kind: str) -> None:
    other = asyncssh.generate_private_key(kind).export_public_key().decode()
    before = sshd_log(alpha)
    assert (await refusal(way_to(alpha, host_key=other))).code == "E_SSH_HOSTKEY"
    said = sshd_log(alpha).removeprefix(before)
    # sshd at LogLevel VERBOSE names the user as soon as the first byte of a login arrives.
    assert "authenticating user" not in said
    assert "Failed publickey" not in said
    assert "Postponed" not in said


async def test_a_host_whose_key_is_not_pinned_is_not_even_called(alpha: LabHost, free_port: int) -> None:
    error = await refusal(way_to(alpha, host_key=None, port=free_port))
    assert error.code == "E_SSH_HOSTKEY_UNPINNED"
    assert "spec.ssh.hostKey" in (error.hint or "")


async def test_the_hosts_key_can_be_asked_for(alpha: LabHost) -> None:
    assert await scan(way_to(alpha, host_key=None), gate=Gate()) == " ".join(alpha.host_key.split()[:2])


# The login.


async def test_a_key_that_the_host_does_not_know(alpha: LabHost, tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.write_bytes(asyncssh.generate_private_key("ssh-ed25519").export_private_key())
    path.chmod(0o600)
    error = await refusal(way_to(alpha, identity_file=str(path)))
    assert error.code == "E_SSH_LOGIN"
    assert "user ops" in error.message


async def test_no_key_at_all_never_falls_back_on_the_keys_at_home(
    alpha: LabHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".ssh").mkdir()
    shutil.copy(alpha.identity_file, tmp_path / ".ssh/id_ed25519")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert (await refusal(way_to(alpha, identity_file=None))).code == "E_KEY_NONE"


async def test_a_key_with_a_passphrase_made_by_ssh_keygen(alpha: LabHost, tmp_path: Path) -> None:
    path = tmp_path / "id"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "s3cret-words", "-f", str(path)]
    await asyncio.to_thread(subprocess.run, command, check=True)
    error = await refusal(way_to(alpha, identity_file=str(path)))
    assert error.code == "E_KEY_PASSPHRASE"
    assert "ssh-add" in (error.hint or "")


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run a real ssh-agent without keys."""
    path = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL) as process:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        # Its socket is there a moment before it listens; 2 says that nobody answered.
        while subprocess.run(["ssh-add", "-l"], capture_output=True, check=False).returncode == 2:  # said above
            assert process.poll() is None
        yield
        process.terminate()


async def test_the_agents_key_lets_us_in_and_the_agent_is_not_forwarded(alpha: LabHost, agent: None) -> None:
    assert (await refusal(way_to(alpha, identity_file=None, agent=True))).code == "E_KEY_NONE"
    await asyncio.to_thread(subprocess.run, ["ssh-add", "-q", str(alpha.identity_file)], check=True)
    async with linked(way_to(alpha, identity_file=None, agent=True)) as link:
        done = await link.shell.run('printf "<%s%s>" "${SSH_AUTH_SOCK-}" "${DISPLAY-}"', deadline_s=10)
        assert done.stdout == b"<>"


async def test_no_agent_answers(alpha: LabHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/nonexistent/agent")
    assert (await refusal(way_to(alpha, identity_file=None, agent=True))).code == "E_KEY_AGENT"


async def test_many_logins_at_once_pass_a_sshd_that_drops_most_of_them(lab_folder: Path) -> None:
    with LabHost.start(lab_folder, "narrow", HostOptions(sshd=["MaxStartups 2:100:3"])) as narrow:
        gate = Gate()
        async with AsyncExitStack() as stack:
            await asyncio.gather(*(stack.enter_async_context(linked(way_to(narrow), gate)) for _ in range(20)))
        assert "MaxStartups" in sshd_log(narrow)


# The account's shell.


@pytest.fixture(scope="module")
def shells(lab_folder: Path) -> Iterator[LabHost]:
    with LabHost.start(lab_folder, "shells") as host:
        yield host


def give_shell(host: LabHost, shell: Path | str) -> None:
    host.run("sed", "-i", f"s#^\\({host.user}:.*:\\).*#\\1{shell}#", "/etc/passwd")
    assert host.run("getent", "passwd", host.user).strip().endswith(f":{shell}")


TRICKY = ("a'b\"c\\d!e $HOME `id` $(id) ; rm -rf x", "-rf", "", "  blanks  ", "é\u202e")


@pytest.mark.parametrize("name", ["sh", "bash", "csh", "fish"])
async def test_scripts_work_whatever_the_login_shell(shells: LabHost, name: str) -> None:
    give_shell(shells, login_shell(shells, name))
    (shells.home / ".bashrc").write_text("echo noise on stdout; echo noise on stderr >&2; alias printf=false\n")
    async with linked(way_to(shells)) as link:
        done = await link.shell.run('printf "%s|" "$@"; cat', args=TRICKY, stdin=b"in\0put\n", deadline_s=10)
        assert done.stdout == "".join(f"{arg}|" for arg in TRICKY).encode() + b"in\0put\n"
        assert done.stderr == b""
        assert (await link.held.run('printf "%s|" "$@"', args=TRICKY, deadline_s=10)).stdout == done.stdout[:-7]
        await link.reader()


@pytest.mark.parametrize("shell", ["/usr/sbin/nologin", "/bin/false"])
async def test_an_account_without_a_shell(shells: LabHost, shell: str) -> None:
    give_shell(shells, shell)
    assert (await refusal(way_to(shells))).code == "E_REMOTE_SHELL"


def login_shell(host: LabHost, name: str) -> Path:
    """Give a login shell: the machine's, or one from Debian's archive, fetched once and put where the host sees it."""
    packages = {"csh": ("tcsh",), "fish": ("fish", "fish-common", "libpcre2-32-0")}.get(name)
    if packages is None:
        return Path("/bin") / name
    fetched = cache_folder() / f"login-{name}"
    if not fetched.exists():
        suite = Suite("bookworm", cache_folder() / "apt" / f"login-{name}")
        suite.refresh()
        suite.fetch(packages, into=fetched)
    folder = host.home.parent / f"login-{name}"
    shutil.copytree(fetched, folder, symlinks=True)
    program, runner = folder / ("bin/tcsh" if name == "csh" else "usr/bin/fish"), folder / "run"
    libraries = f"{folder}/usr/lib/x86_64-linux-gnu"
    runner.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={libraries} exec {program} "$@"\n')
    runner.chmod(0o755)
    return runner
