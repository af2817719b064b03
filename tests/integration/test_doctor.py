"""The checks of a host point at the one thing that is wrong, and change nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.host.way.dial import Gate
from reconciler.host.way.doctor import CHECKS, examine
from reconciler.model.access import Finding, HostAccess
from tests.integration.ways import way_to
from tests.lab.host import LabHost

pytestmark = pytest.mark.lab


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251  # stands for the cli, which reads the clock


@pytest.fixture(scope="module")
def host(lab_hosts: tuple[LabHost, LabHost]) -> LabHost:
    return lab_hosts[0]


async def failing(access: HostAccess, gate: Gate | None = None) -> Finding:
    """Give the one finding that is wrong; what comes before it is fine."""
    findings = await examine(access, now=now, gate=gate)
    wrong = [one for one in findings if one.ok is False]
    assert len(wrong) == 1
    assert all(one.ok for one in findings[: findings.index(wrong[0])])
    assert wrong[0].code
    assert wrong[0].hint
    return wrong[0]


async def test_a_healthy_host_passes_every_check(host: LabHost) -> None:
    findings = await examine(way_to(host), now=now)
    assert tuple(one.check for one in findings) == CHECKS
    assert all(one.ok for one in findings)


async def test_this_machine_passes_every_check_without_ssh(host: LabHost) -> None:
    findings = await examine(way_to(host, address="local", base_dir="/nonexistent-base"), now=now)
    assert tuple(one.check for one in findings) == CHECKS[9:]
    assert all(one.ok for one in findings)


@pytest.mark.parametrize(
    ("fields", "check", "code"),
    [
        ({"host_key": None}, "pinned key", "E_SSH_HOSTKEY_UNPINNED"),
        ({"identity_file": "/nonexistent"}, "identity", "E_KEY_MISSING"),
        ({"address": "no-such-host.invalid"}, "address", "E_HOST_RESOLVE"),
        ({"port": 1}, "network", "E_HOST_REFUSED"),
        ({"user": "nobody-here"}, "login", "E_SSH_LOGIN"),
        ({"docker_socket": "/run/no.sock"}, "docker socket", "E_DOCKER_SOCKET_MISSING"),
        ({"docker_socket": "/etc/passwd"}, "docker socket", "E_DOCKER_SOCKET_MISSING"),
        ({"base_dir": "/srv/reconciler"}, "base folder", "E_BASE_DIR"),
        ({"base_dir": "/etc"}, "base folder", "E_BASE_DIR"),
        ({"base_dir": "/etc/passwd"}, "base folder", "E_BASE_DIR"),
    ],
)
async def test_each_cause_fails_its_own_check(host: LabHost, fields: dict[str, Any], check: str, code: str) -> None:
    found = await failing(way_to(host, **fields))
    assert (found.check, found.code) == (check, code)


@contextmanager
def sshd_with(host: LabHost, line: str) -> Iterator[None]:
    """Run a host's sshd with one line more while the block runs; the first that says something wins."""
    config = Path(host.record.folder) / "sshd_config"
    try:
        with rewritten(config, f"{line}\n{config.read_text()}"):
            host.stop_sshd()
            host.start_sshd()
            yield
    finally:
        host.stop_sshd()
        host.start_sshd()


@contextmanager
def rewritten(path: Path, text: str) -> Iterator[None]:
    before = path.read_text()
    path.write_text(text)
    try:
        yield
    finally:
        path.write_text(before)


async def test_causes_that_sshd_answers_alike_are_told_apart(host: LabHost, lab_hosts: tuple[LabHost, LabHost]) -> None:
    keys = host.home.parent / "ssh/authorized_keys"
    with rewritten(keys, f"restrict {keys.read_text()}"):
        assert (await failing(way_to(host))).check == "forwarding"
    host.docker_socket.chmod(0o600)
    try:
        assert (await failing(way_to(host))).check == "docker permission"
    finally:
        host.docker_socket.chmod(0o660)
    assert (await failing(way_to(host, host_key=lab_hosts[1].host_key))).check == "host key"
    host.pause_dockerd()
    try:
        assert (await failing(way_to(host), Gate(engine_s=0.5))).check == "docker engine"
    finally:
        host.resume_dockerd()


@pytest.mark.parametrize("allowed", [2, 9])
async def test_too_few_sessions_for_a_pass_are_named_with_how_many_it_needs(host: LabHost, allowed: int) -> None:
    with sshd_with(host, f"MaxSessions {allowed}"):
        found = await failing(way_to(host))
    assert (found.check, found.code) == ("sessions", "E_SSH_SESSION")
    assert f"opens {allowed} sessions" in found.message
    assert "may need 10" in found.message
    assert "MaxSessions 10" in str(found.hint)


async def test_what_needs_a_second_session_is_not_tried_where_there_is_one(host: LabHost) -> None:
    with sshd_with(host, "MaxSessions 1"):
        findings = await examine(way_to(host), now=now)
    told = {one.check: one.ok for one in findings}
    assert tuple(told) == CHECKS
    assert told["sessions"] is False
    assert {told[check] for check in CHECKS[CHECKS.index("shell") + 1 :]} == {None}


async def test_a_jump_host_is_checked_first(host: LabHost, lab_hosts: tuple[LabHost, LabHost]) -> None:
    fine = await examine(way_to(lab_hosts[1], jump=way_to(host)), now=now)
    assert fine[0] == Finding(check="jump host", ok=True, message="alpha lets us in")
    assert all(one.ok for one in fine)
    assert (await failing(way_to(lab_hosts[1], jump=way_to(host, host_key=None)))).check == "jump host"


async def test_an_engine_that_is_too_old_is_named(host: LabHost, tmp_path: Path) -> None:
    """A stand-in speaks for an engine of before 20.10: there are no packages of one to run."""
    said = json.dumps({"ApiVersion": "1.40", "MinAPIVersion": "1.12", "message": "client is too new"}).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        status = b"400 Bad Request" if b" /v" in asked and b" /version" not in asked else b"200 OK"
        head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        writer.write(head % (status, len(said)) + said)
        await writer.drain()
        writer.close()

    here = {"address": "local", "docker_socket": str(tmp_path / "old.sock"), "base_dir": str(tmp_path / "base")}
    async with await asyncio.start_unix_server(answer, tmp_path / "old.sock"):
        found = await failing(way_to(host, **here))
    assert (found.check, found.code) == ("docker version", "E_DOCKER_TOO_OLD")
    assert "1.40" in found.message


async def test_a_clock_that_is_off_is_named_with_its_direction(host: LabHost) -> None:
    findings = await examine(way_to(host), now=lambda: now() + timedelta(hours=1))
    found = next(one for one in findings if one.check == "clock")
    assert found.ok is False
    assert "behind ours" in found.message


async def test_the_base_folder_below_home_and_behind_a_link(host: LabHost) -> None:
    findings = await examine(way_to(host, base_dir="${host.home}/.reconciler/doctor"), now=now)
    base = next(one for one in findings if one.check == "base folder")
    assert base.ok
    assert str(host.home) in base.message
    assert not (host.home / ".reconciler/doctor").exists()
    (host.home / "link").symlink_to(host.home)
    found = await failing(way_to(host, base_dir=f"{host.home}/link/.reconciler"))
    assert "symbolic link" in found.message
