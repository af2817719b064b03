"""F-03, F-04 and F-06 to F-08: lines that break, that fall silent, that are slow, or that never come about."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import ConnectFailed
from reconciler.host.way import connection
from reconciler.model.effect import (
    Done,
    DropPath,
    Effect,
    MakeDirectory,
    NotDone,
    PutFile,
    PutMarker,
)
from reconciler.model.plan import Verb
from tests.builders import a_marker
from tests.e2e.driver import Driver
from tests.e2e.inside import plan_inside
from tests.e2e.sights import IDLE, condition, expect_settled, name_of, run_of, settle, status_of, web_sandbox
from tests.integration.faults.entry import apply_watched
from tests.integration.faults.reference import OTHER, Reference
from tests.integration.faults.relay import CutReply, LoseRequest, Meddling, Request, relay
from tests.integration.subject import Subject, access_to, changing, do
from tests.integration.ways import linked, way_to
from tests.lab.config import HostOptions
from tests.lab.host import LabHost
from tests.lab.keys import make_key
from tests.lab.proxy import Direction, Proxy

pytestmark = pytest.mark.lab


CONTENT = "line of a file\n" * 20_000
"""More than one packet, so that a line can be cut within it."""


# F-03, F-04: a request or a reply that is lost -----------------------------------------------------------------------


@dataclass
class Meddled:
    """Lose the first request of each kind that changes something, or its reply, and cut the line with it."""

    how: Meddling
    lost: list[str]
    reached: list[Request]

    def __call__(self, request: Request) -> Meddling | None:
        if not request.changes or request.kind in self.lost:
            return None
        self.lost.append(request.kind)
        return self.how


@asynccontextmanager
async def meddled_lines(driver: Driver, hosts: tuple[LabHost, ...], how: Meddling) -> AsyncIterator[Meddled]:
    """Lead the driver's lines through proxies, and their engines through relays that lose something once a kind."""
    meddled = Meddled(how, [], [])
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        for host in hosts:
            proxy = await stack.enter_async_context(Proxy(host.address, host.ssh_port))

            def cut(proxy: Proxy = proxy) -> None:
                asyncio.run_coroutine_threadsafe(proxy.cut(), loop).result(10)

            path = host.docker_socket.with_name(f"meddled-{driver.fleet}.sock")
            tap = stack.enter_context(relay(path, host.docker_socket, meddle=meddled, lost=cut))
            tap.passed = meddled.reached
            driver.declare_host(host, address="127.0.0.1", ssh={"port": proxy.port}, dockerSocket=str(path))
        yield meddled
    for host in hosts:
        driver.declare_host(host)


async def _lose_once_a_kind(driver: Driver, hosts: tuple[LabHost, LabHost], how: Meddling) -> Meddled:
    """Go from nothing to `one` and on to `two` over such lines; expect what an unbroken line would have come to."""
    fleet = Reference(driver, hosts)
    async with meddled_lines(driver, hosts, how) as meddled:
        for state in ("one", "two"):
            fleet.declare(state)
            ended = (await apply_watched(driver)).ended
            assert ended is not None
            ends = {action.end for action in ended.actions}
            assert ends == {"done"}, [(action.id, action.end, action.message) for action in ended.actions]
    end = await asyncio.to_thread(fleet.end)
    for state in (OTHER[fleet.state], fleet.state):
        fleet.declare(state)
        await asyncio.to_thread(fleet.apply)
    assert await asyncio.to_thread(fleet.end) == end
    kinds = {
        "POST /containers/create",
        *(f"POST /containers/*/{verb}" for verb in ("start", "stop", "rename", "update", "restart")),
        "DELETE /containers/*",
        "POST /networks/create",
        "POST /networks/*/connect",
        "DELETE /networks/*",
        "POST /volumes/create",
    }
    assert kinds <= set(meddled.lost)
    return meddled


async def test_f03_a_line_that_drops_before_an_effect_means_that_it_is_done_a_moment_later(
    driver: Driver, stocked_hosts: tuple[LabHost, LabHost]
) -> None:
    meddled = await _lose_once_a_kind(driver, stocked_hosts, LoseRequest())
    made = [request.path for request in meddled.reached if request.kind == "POST /containers/create"]
    assert len(made) == len(set(made)), "no container was asked for twice"


async def test_f04_a_line_that_drops_after_an_effect_means_that_it_is_found_done_and_not_done_twice(
    driver: Driver, stocked_hosts: tuple[LabHost, LabHost]
) -> None:
    meddled = await _lose_once_a_kind(driver, stocked_hosts, CutReply())
    for kind in ("POST /containers/create", "POST /containers/*/start"):
        paths = [request.path for request in meddled.reached if request.kind == kind]
        assert len(paths) == len(set(paths)), "no container was asked for, nor started, twice"


async def test_f03_a_call_over_a_line_that_somebody_else_found_lost_was_certainly_not_sent(alpha: LabHost) -> None:
    async with linked(way_to(alpha)) as link:
        read, write = await link.reader(), await link.writer()
        await link.close()
        for call in (read.list_containers(), write.start_container("ab" * 32)):
            with pytest.raises(ConnectFailed) as caught:
                await call
            assert caught.value.transient


def _file_effects(host: LabHost, subject: Subject) -> dict[str, tuple[Effect, Callable[[], bool]]]:
    """Give each effect on files, in an order in which each can be done, with the truth about it."""
    base = str(host.base_dir)
    folder = Path(f"{base}/{subject.sandbox.uid}")
    marker = folder / ".reconciler.json"

    def inode() -> str | None:
        found = (folder / "kept").lstat() if (folder / "kept").exists() else None
        return f"{found.st_dev}:{found.st_ino}" if found is not None else None

    return {
        "put_marker": (PutMarker(base, a_marker(subject.sandbox)), marker.exists),
        "make_directory": (MakeDirectory(f"{folder}/kept", "0750", base), (folder / "kept").exists),
        "put_file": (
            PutFile(f"{folder}/file", "0640", CONTENT, base),
            lambda: (folder / "file").exists() and (folder / "file").read_text() == CONTENT,
        ),
        "drop_path": (DropPath(f"{folder}/kept", base, inode()), lambda: not (folder / "kept").exists()),
    }


@pytest.mark.parametrize("direction", ["up", "down"])
async def test_f04_a_line_cut_around_a_change_of_files_never_makes_an_outcome_a_lie(
    alpha: LabHost, subject: Subject, direction: Direction
) -> None:
    folder = Path(f"{alpha.base_dir}/{subject.sandbox.uid}")
    undo: dict[str, Callable[[], object]] = {
        "put_marker": lambda: (folder / ".reconciler.json").unlink(missing_ok=True),
        "make_directory": lambda: (folder / "kept").rmdir() if (folder / "kept").exists() else None,
        "put_file": lambda: (folder / "file").unlink(missing_ok=True),
        "drop_path": lambda: alpha.run("install", "-d", "-o", str(alpha.uid), "-m", "0750", folder / "kept"),
    }
    ends: list[str] = []
    async with Proxy(alpha.address, alpha.ssh_port) as proxy:
        access = access_to(alpha, address="127.0.0.1", port=proxy.port)
        for kind, take_back in undo.items():
            async with changing(access) as host:
                before = proxy.passed_bytes[direction]
                await do(host, _file_effects(alpha, subject)[kind][0])
                whole = proxy.passed_bytes[direction] - before
            for cut in sorted({0, whole // 2, whole - 200, whole - 60, whole - 1} & set(range(whole))):
                take_back()
                effect, holds = _file_effects(alpha, subject)[kind]
                async with changing(access) as host:
                    proxy.cut_after(cut, direction=direction)
                    outcome = await host.effect(effect, secrets={})
                await proxy.cut()
                ends.append(type(outcome).__name__)
                if isinstance(outcome, Done):
                    assert holds(), (kind, cut)
                elif isinstance(outcome, NotDone):
                    assert outcome.transient, (kind, cut, outcome)
                    assert not holds(), (kind, cut, outcome)
                async with changing(access) as host:
                    # Again: done or found done, whatever had become of it.
                    again = await host.effect(_file_effects(alpha, subject)[kind][0], secrets={})
                    assert isinstance(again, Done), again
                assert holds()
    assert "Unknown" in ends
    assert not list(folder.glob(".new*"))


# F-06: a host that cannot be reached ---------------------------------------------------------------------------------


def _ways_to_fail(fleet: Driver, host: LabHost, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """Give, for each code, what makes a Host document lead to it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = free.getsockname()[1]
    stranger = tmp_path / "stranger"
    make_key(stranger)
    return {
        "E_HOST_REFUSED": {"ssh": {"port": closed}},
        "E_HOST_RESOLVE": {"address": "no-such-host.invalid"},
        "E_SSH_HOSTKEY": {"ssh": {"hostKey": make_key(tmp_path / "another")}},
        "E_SSH_LOGIN": {"ssh": {"identityFile": str(stranger)}},
        "E_DOCKER_SOCKET_MISSING": {"dockerSocket": "/run/no-such.sock"},
    }


def test_f06_every_way_of_not_reaching_a_host_has_its_code_and_changes_nothing(
    fleet: Driver, alpha: LabHost, tmp_path: Path
) -> None:
    fleet.drop("Host", "beta")
    web_sandbox(fleet, "web", "alpha")
    settle(fleet)
    before, known = run_of(fleet, alpha), status_of(fleet, "web")
    web_sandbox(fleet, "web", "alpha", container={"image": "lab/web:2"})
    for code, fields in _ways_to_fail(fleet, alpha, tmp_path).items():
        fleet.declare_host(alpha, **fields)
        refused = fleet.run("apply", "--yes").expect(3)
        assert "1 host unknown (alpha)" in refused.stdout, code
        told = json.loads((fleet.status / "hosts/alpha.json").read_text())
        (reachable,) = (one for one in told["conditions"] if one["type"] == "Reachable")
        assert reachable["status"] == "False"
        assert f"({code})" in reachable["message"]
        assert told["stale"] is True
        left = status_of(fleet, "web")
        assert condition(fleet, "web", "Ready") == "Unknown/HostUnreachable"
        assert left["stale"] is True
        assert (left["observedAt"], left["sync"], left["health"]) == (
            known["observedAt"],
            known["sync"],
            known["health"],
        )
        assert run_of(fleet, alpha) == before, code
    fleet.declare_host(alpha)
    settle(fleet)
    assert condition(fleet, "web", "Ready") == "True/ProbesPassed"
    assert status_of(fleet, "web")["stale"] is False


# F-07: a line that falls silent --------------------------------------------------------------------------------------

BEAT_S = 1
"""As the product's, a fifth as long; with its own numbers: `test_connection_lost.py`."""


@pytest.fixture
def cable(lab_folder: Path) -> Iterator[LabHost]:
    """Give a host at the end of a cable of its own."""
    with LabHost.start(lab_folder, "cable", HostOptions(own_network=True)) as host:
        host.load_image("lab/busybox:1")
        yield host


async def test_f07_a_half_open_line_is_seen_within_its_deadline_and_the_pass_goes_on_after_it(
    bare: Driver, cable: LabHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "KEEPALIVE_S", BEAT_S)
    bare.declare_fleet()
    bare.declare_host(cable)
    bare.declare_sandbox("one", host="cable", observability="off", containers={"main": IDLE})
    cut_s: list[float] = []
    seen_s: list[float] = []

    def reached(moment: str, _: str) -> None:
        if moment == "apply.create_container.before_send" and not cut_s:
            cable.cut_link()
            cut_s.append(time.monotonic())
        if moment == "apply.create_container.after_effect" and not seen_s:
            seen_s.append(time.monotonic())
            cable.mend_link()

    tasks = asyncio.all_tasks()
    async with asyncio.timeout(90):
        ended = (await apply_watched(bare, reached)).ended
    assert seen_s[0] - cut_s[0] < BEAT_S * (connection.KEEPALIVE_MISSES + 1) + 4
    assert ended is not None
    assert [action.end for action in ended.actions] == ["done"], ended
    assert asyncio.all_tasks() == tasks, "nobody waits for what will never come"
    assert set(bare.containers(cable)) == {name_of(bare, "one")}
    await asyncio.to_thread(expect_settled, bare)


async def test_f07_a_half_open_line_while_looking_is_a_silent_host_within_its_deadline(
    bare: Driver, cable: LabHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "KEEPALIVE_S", BEAT_S)
    bare.declare_fleet()
    path = cable.docker_socket.with_name("silent.sock")
    cut_s: list[float] = []

    def cut(request: Request) -> None:
        if request.kind == "GET /containers/json" and not cut_s:
            cable.cut_link()
            cut_s.append(time.monotonic())

    with relay(path, cable.docker_socket, meddle=cut):
        bare.declare_host(cable, dockerSocket=str(path))
        bare.declare_sandbox("one", host="cable", observability="off", containers={"main": IDLE})
        async with asyncio.timeout(60):
            plan = await plan_inside(bare)
        assert time.monotonic() - cut_s[0] < BEAT_S * (connection.KEEPALIVE_MISSES + 1) + 4
        assert set(plan.unknown_hosts) == {"cable"}
        assert plan.actions == ()
        cable.mend_link()
        assert [action.verb for action in (await plan_inside(bare)).actions] == [Verb.CREATE]


# F-08: a host that is slow -------------------------------------------------------------------------------------------


async def test_f08_a_host_behind_a_slow_line_delays_no_other(fleet: Driver, alpha: LabHost, beta: LabHost) -> None:
    async with Proxy(alpha.address, alpha.ssh_port) as proxy:
        fleet.declare_host(alpha, address="127.0.0.1", ssh={"port": proxy.port})
        for host in ("alpha", "beta"):
            fleet.declare_sandbox(f"on-{host}", host=host, observability="off", containers={"main": IDLE})
        moments: list[tuple[str, str]] = []

        def reached(moment: str, host: str) -> None:
            if moment == "pass.planned":
                proxy.delay_s = 0.2
            moments.append((moment, host))

        ended = (await apply_watched(fleet, reached)).ended
        assert ended is not None
        assert {action.end for action in ended.actions} == {"done"}
        over = moments.index(("walk.action_ended", "beta"))
        assert over < moments.index(("walk.action_ended", "alpha"))
        assert over < moments.index(("apply.create_container.after_effect", "alpha")), "long before"
        sent = [moment for moment in moments if moment == ("apply.create_container.before_send", "alpha")]
        assert len(sent) == 1, "slow is no reason to send it again"
        proxy.delay_s = 0
    fleet.declare_host(alpha)
    await asyncio.to_thread(expect_settled, fleet)


async def test_f08_an_engine_that_hangs_delays_no_other_and_what_it_was_told_is_found_done(
    fleet: Driver, alpha: LabHost, beta: LabHost
) -> None:
    for host in ("alpha", "beta"):
        fleet.declare_sandbox(f"on-{host}", host=host, observability="off", containers={"main": IDLE})
    moments: list[tuple[str, str]] = []

    def reached(moment: str, host: str) -> None:
        moments.append((moment, host))
        if (moment, host) == ("apply.create_container.before_send", "alpha"):
            alpha.pause_dockerd()
        if (moment, host) == ("walk.action_ended", "beta"):
            alpha.resume_dockerd()

    try:
        async with asyncio.timeout(60):
            ended = (await apply_watched(fleet, reached)).ended
    finally:
        alpha.resume_dockerd()
    assert ended is not None
    assert {action.end for action in ended.actions} == {"done"}
    assert moments.index(("walk.action_ended", "beta")) < moments.index(
        ("apply.create_container.after_effect", "alpha")
    )
    assert moments.count(("apply.create_container.before_send", "alpha")) == 1
    await asyncio.to_thread(expect_settled, fleet)


def test_f08_an_engine_that_hangs_while_looked_at_is_a_silent_host_and_others_go_on(
    fleet: Driver, alpha: LabHost, beta: LabHost
) -> None:
    for host in ("alpha", "beta"):
        fleet.declare_sandbox(f"on-{host}", host=host, observability="off", containers={"main": IDLE})
    alpha.pause_dockerd()
    try:
        fleet.run("apply", "--yes", timeout_s=60).expect(3)
    finally:
        alpha.resume_dockerd()
    assert set(fleet.containers(beta)) == {name_of(fleet, "on-beta")}
    assert fleet.containers(alpha) == {}
    settle(fleet)
