"""The lab itself: its hosts are real, can be disturbed, and leave nothing behind."""

import asyncio
import json
import os
import pwd
import signal
import subprocess
import sys
import urllib.request
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import asyncssh
import pytest

from tests.lab.config import HostOptions
from tests.lab.host import LabHost
from tests.lab.images import IMAGES
from tests.lab.missing import LabError
from tests.lab.packages import programs
from tests.lab.proxy import Proxy
from tests.lab.record import recorded
from tests.lab.world import wait_until

pytestmark = pytest.mark.lab

_EXPECTED_VERSIONS = {"bookworm": "20.10.", "trixie": "26.1."}


def _connect(host: LabHost, *, port: int | None = None) -> AbstractAsyncContextManager[asyncssh.SSHClientConnection]:
    port = port or host.ssh_port
    return asyncssh.connect(
        "127.0.0.1" if port != host.ssh_port else host.address,
        port,
        username=host.user,
        client_keys=[str(host.identity_file)],
        known_hosts=([asyncssh.import_public_key(host.host_key)], [], []),
        config=None,
    )


def _link_of(number: int) -> str | None:
    """Give the index of a host's link, which no later link of that name has; None for no link."""
    index = Path(f"/sys/class/net/rlab{number}/ifindex")
    return index.read_text().strip() if index.exists() else None


def _numbered_traces(host: LabHost) -> list[str]:
    number = host.record.number
    ip = programs("bookworm").find("ip")
    links = subprocess.run([ip, "-o", "link"], capture_output=True, text=True, check=True).stdout
    addresses = subprocess.run([ip, "-o", "addr"], capture_output=True, text=True, check=True).stdout
    found = [f"link rlab{number}"] if f" rlab{number}:" in links else []
    found += [line for line in addresses.splitlines() if f" 172.31.{number}." in line]
    found += [str(group) for group in Path("/sys/fs/cgroup").rglob(f"rlab{number}")]
    return found + [user.pw_name for user in pwd.getpwall() if user.pw_uid == host.record.gid]


def _traces(host: LabHost, *, link: str | None) -> list[str]:
    """Name what this machine shows of a host: links, mounts, control groups, users, processes, files.

    `link` is what `_link_of` its number gave while it ran: another lab may have its number by now.
    """
    found = _numbered_traces(host)
    if _link_of(host.record.number) not in (None, link):
        found = []
    found += [line for line in Path("/proc/mounts").read_text().splitlines() if str(host.home.parent) in line]
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = line.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(host.home.parent) in words:
            found.append(words)
    return found + ([str(host.home.parent)] if host.home.parent.exists() else [])


def test_each_engine_generation_answers_with_its_version(engine: LabHost) -> None:
    said = engine.docker("version", "--format", "{{.Server.Version}}").strip()

    assert said == engine.engine_version
    assert said.startswith(_EXPECTED_VERSIONS[engine.record.generation])


async def test_an_unprivileged_login_reaches_the_socket_and_the_command_line(engine: LabHost) -> None:
    async with _connect(engine) as connection:
        who = await connection.run("id -un; hostname; docker info --format '{{.DockerRootDir}}'", check=True)
        reader, writer = await connection.open_unix_connection(str(engine.docker_socket))
        writer.write(b"GET /_ping HTTP/1.0\r\n\r\n")
        pong = await reader.read()

    assert str(who.stdout).split() == ["ops", engine.name, str(engine.data_root)]
    assert pong.endswith(b"OK")


def test_an_image_runs_and_publishes_a_port(engine: LabHost) -> None:
    engine.load_image("lab/web:2")
    box = engine.docker("run", "--detach", "--publish", "127.0.0.1::8080", "lab/web:2").strip()
    try:
        place = engine.docker("port", box, "8080/tcp").strip()
        with urllib.request.urlopen(f"http://{place}/", timeout=5) as answer:
            page = answer.read()
    finally:
        engine.docker("rm", "--force", box)

    assert page == b"web 2\n"


def test_an_image_has_one_id_on_every_host(lab_hosts: tuple[LabHost, LabHost]) -> None:
    ids = []
    for host in lab_hosts:
        host.load_image(*IMAGES)
        ids.append([host.docker("image", "inspect", "--format", "{{.Id}}", ref) for ref in IMAGES])

    assert ids[0] == ids[1]
    assert len(set(ids[0])) == len(IMAGES)


def test_the_rich_image_keeps_every_field(engine: LabHost) -> None:
    engine.load_image("lab/rich:1")
    config = json.loads(engine.docker("image", "inspect", "lab/rich:1"))[0]["Config"]

    assert {key: config[key] for key in IMAGES["lab/rich:1"].config} == IMAGES["lab/rich:1"].config


def test_a_killed_engine_is_silent_until_it_is_started_again(lab_folder: Path) -> None:
    with LabHost.start(lab_folder, "killed") as host:
        host.kill_dockerd()
        with pytest.raises(LabError, match="Cannot connect"):
            host.docker("ps")
        host.start_dockerd()

        assert host.docker("ps", "--quiet") == ""


async def test_a_paused_engine_never_answers_until_it_goes_on(lab_folder: Path) -> None:
    with LabHost.start(lab_folder, "paused") as host:
        host.pause_dockerd()
        reader, writer = await asyncio.open_unix_connection(host.docker_socket)
        writer.write(b"GET /_ping HTTP/1.0\r\n\r\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), timeout=0.3)
        host.resume_dockerd()
        pong = await asyncio.wait_for(reader.read(), timeout=10)
        writer.close()

        assert pong.endswith(b"OK")


async def test_a_stopped_sshd_ends_its_sessions_and_takes_none(lab_folder: Path) -> None:
    with LabHost.start(lab_folder, "deaf") as host:
        async with _connect(host) as connection:
            host.stop_sshd()
            await asyncio.wait_for(connection.wait_closed(), timeout=5)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(host.address, host.ssh_port)
        host.start_sshd()
        async with _connect(host) as connection:
            assert (await connection.run("true")).exit_status == 0


async def test_a_cut_link_is_silent_and_a_mended_one_carries_on(lab_folder: Path) -> None:
    with LabHost.start(lab_folder, "remote", HostOptions(own_network=True)) as host:
        async with _connect(host) as connection:
            host.cut_link()
            running = asyncio.create_task(connection.run("echo back"))
            done, _ = await asyncio.wait({running}, timeout=0.5)
            assert not done
            host.mend_link()
            answer = await asyncio.wait_for(running, timeout=10)

    assert answer.stdout == "back\n"


async def test_a_proxy_cuts_after_exactly_so_many_bytes(lab_hosts: tuple[LabHost, LabHost]) -> None:
    host, _ = lab_hosts
    async with Proxy(host.address, host.ssh_port) as proxy, _connect(host, port=proxy.port) as connection:
        before = proxy.passed_bytes["down"]
        proxy.cut_after(100_000, direction="down")
        answer = await asyncio.wait_for(connection.run("head -c 1000000 /dev/zero", encoding=None), timeout=10)

        assert answer.exit_status is None
        assert answer.stdout is not None
        assert 0 < len(answer.stdout) < 100_000
        assert proxy.passed_bytes["down"] - before == 100_000


async def test_a_halted_proxy_holds_everything_back(lab_hosts: tuple[LabHost, LabHost]) -> None:
    host, _ = lab_hosts
    async with Proxy(host.address, host.ssh_port) as proxy, _connect(host, port=proxy.port) as connection:
        proxy.halt()
        running = asyncio.create_task(connection.run("echo back"))
        done, _ = await asyncio.wait({running}, timeout=0.3)
        assert not done
        proxy.go_on()

        assert (await asyncio.wait_for(running, timeout=10)).stdout == "back\n"


@pytest.mark.parametrize("own_network", [False, True])
def test_a_stopped_host_leaves_nothing_behind(lab_folder: Path, *, own_network: bool) -> None:
    host = LabHost.start(lab_folder, "brief", HostOptions(own_network=own_network))
    host.load_image("lab/web:1")
    host.docker("network", "create", "own")
    host.docker("run", "--detach", "--network", "own", "--publish", "127.0.0.1::8080", "lab/web:1")
    link = _link_of(host.record.number)
    assert len(_traces(host, link=link)) >= 3

    host.stop()

    assert _traces(host, link=link) == []
    assert "brief" not in [facts.name for facts in recorded(lab_folder)]


def test_a_lab_that_stays_is_stopped_by_its_folder(lab_folder: Path) -> None:
    lab = lab_folder / "by-hand"
    command = [sys.executable, "-m", "tests.lab"]
    shown = json.loads(subprocess.run([*command, "up", "--hosts", "1", lab], capture_output=True, check=True).stdout)
    host = LabHost.attach(lab, recorded(lab)[0])
    link = _link_of(host.record.number)
    try:
        assert shown == [host.describe()]
        assert host.docker("version", "--format", "{{.Server.Version}}").strip() == shown[0]["engine_version"]
    finally:
        subprocess.run([*command, "down", lab], capture_output=True, check=True)

    assert _traces(host, link=link) == []
    assert not lab.exists()


def test_a_crashed_lab_takes_its_hosts_along_and_can_be_cleaned_up(lab_folder: Path) -> None:
    lab = lab_folder / "crashed"
    script = (
        "import sys; from pathlib import Path; from tests.lab.host import LabHost\n"
        "host = LabHost.start(Path(sys.argv[1]), 'lost'); host.load_image('lab/web:1')\n"
        "host.docker('run', '--detach', 'lab/web:1'); print('up', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, lab], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as crashing:
        assert crashing.stdout is not None
        assert crashing.stdout.readline() == b"up\n"
        os.kill(crashing.pid, signal.SIGKILL)

    host = LabHost.attach(lab, recorded(lab)[0])
    link = _link_of(host.record.number)
    wait_until(lambda: not host.world.init.lives(), timeout_s=10, what="the end of the host of a dead process")
    subprocess.run([sys.executable, "-m", "tests.lab", "down", lab], capture_output=True, check=True)

    assert _traces(host, link=link) == []
