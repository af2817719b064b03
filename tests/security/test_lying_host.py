"""S08, and bad input 77: a host is believed nothing that is too large, too deep, or of another form than Docker's.

Whatever it says, it is skipped, its sandboxes are held, and nothing is done on account of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from reconciler.errors import HostError
from reconciler.host import open_gate, open_reader
from reconciler.host.interface import Question
from reconciler.model.access import HostAccess
from tests.builders import T0
from tests.e2e.driver import Driver
from tests.e2e.sights import name_of, run_of, settle, web_sandbox
from tests.e2e.warm import Warm
from tests.lab.host import LabHost
from tests.security.liar import Liar, Lie, lying

pytestmark = pytest.mark.lab

NUMBER = 77
LIST, ONE = "/containers/json", "/containers/[0-9a-f]{64}/json"
MIB = 1 << 20


class Case(NamedTuple):
    what: str
    path: str
    lie: Lie
    codes: tuple[str, ...] = ("E_HOST_REPLY",)


def edited(change: Callable[[Any], Any]) -> Lie:
    """Lie by changing the decoded document, in place or by returning another."""

    def lie(body: bytes) -> bytes:
        document = json.loads(body)
        told = change(document)
        return json.dumps(document if told is None else told).encode()

    return lie


def field(path: str, value: object) -> Lie:
    """Lie about one field, e.g. `State.Status`."""
    *way, last = path.split(".")

    def change(document: Any) -> None:
        for name in way:
            document = document[name]
        document[last] = value

    return edited(change)


def _many(count: int) -> Lie:
    return edited(lambda _: [{"Id": f"{number:064x}", "Names": [f"/n{number}"]} for number in range(count)])


def _endless(_: bytes) -> Iterator[bytes]:
    return iter((b"[", *repeat(b" " * 65536, 2048 * MIB // 65536)))


CASES = [
    Case("html", LIST, lambda _: b"<html><body>502 Bad Gateway</body></html>"),
    Case("half a document", LIST, lambda body: body[: len(body) // 2]),
    Case("nothing", LIST, lambda _: b""),
    Case("null", LIST, lambda _: b"null"),
    Case("an object", LIST, lambda _: b"{}"),
    Case("two gigabytes", LIST, _endless),
    Case("more containers than a host has", LIST, _many(100_001)),
    Case("too deep", LIST, lambda _: b"[" * 100_000 + b"]" * 100_000),
    Case("twice the same", LIST, edited(lambda document: document * 2)),
    Case("an id that is none", LIST, edited(lambda document: [{**document[0], "Id": "abc"}])),
    Case("a number for a name", LIST, edited(lambda document: [{**document[0], "Names": [5]}])),
    Case("a container that is a list", ONE, lambda _: b"[]"),
    Case("another container", ONE, field("Id", "f" * 64)),
    Case(
        "too many labels",
        ONE,
        edited(lambda one: one["Config"].update(Labels=dict.fromkeys(map(str, range(20_001)), "x"))),
    ),
    Case("a long name", ONE, field("Name", "/" + "x" * 100_000)),
    Case("negative restarts", ONE, field("RestartCount", -1)),
    Case("a size past the end of numbers", ONE, field("HostConfig.ShmSize", 2**70)),
    Case("a negative size", ONE, field("HostConfig.ShmSize", -5)),
    Case("a day after the end of days", ONE, field("State.StartedAt", "99999-12-31T23:59:59Z")),
    Case("no date", ONE, field("State.StartedAt", "yesterday")),
    Case("words for a state", ONE, field("State", "running")),
    Case("networks that are text", "/networks", lambda _: b'["bridge"]'),
    Case("volumes that are a list", "/volumes", lambda _: b"[]"),
    Case("an engine that says nothing of itself", "/info", lambda _: b"{}"),
    Case("an engine of no form", "/info", lambda _: b'{"ID": 5}'),
]


@pytest.fixture(scope="module")
def fleet(
    stocked_hosts: tuple[LabHost, LabHost], warm: Warm, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Driver]:
    """Give a fleet with one sandbox that is wanted, and one that is not any more; all tests here share it."""
    alpha = stocked_hosts[0]
    driver = Driver(tmp_path_factory.mktemp("liar") / "work", fleet="lied-to", warm=warm)
    driver.declare_fleet(limits={"removalsPerPlan": "100%"})
    driver.declare_host(alpha)
    web_sandbox(driver, "web", "alpha")
    web_sandbox(driver, "gone", "alpha")
    settle(driver)
    driver.drop("Sandbox", "gone")
    yield driver
    driver.clear(alpha)


@pytest.fixture(scope="module")
def liar(fleet: Driver, stocked_hosts: tuple[LabHost, LabHost]) -> Iterator[Liar]:
    """Give a liar in the way to the host's engine."""
    alpha = stocked_hosts[0]
    with lying(alpha.home / "liar.sock", alpha.docker_socket) as one:
        fleet.declare_host(alpha, dockerSocket=str(one.path))
        yield one


async def test_s08_what_no_engine_says_is_no_answer(liar: Liar, fleet: Driver, tmp_path: Path) -> None:
    access = HostAccess(name="liar", address="local", docker_socket=str(liar.path), base_dir=str(tmp_path / "x/lab"))
    question = Question(fleet=fleet.fleet)
    liar.lies = {}
    wrong: dict[str, object] = {}
    for case in (None, *CASES):
        liar.lies = {} if case is None else {case.path: case.lie}
        liar.sent_bytes = 0
        reader = open_reader(access, gate=open_gate())
        found: object = ()
        try:
            view = await reader.look(question, now=lambda: T0)
            found = [seen.name for seen in view.containers]
        except HostError as error:
            found = error.code
        finally:
            await reader.close()
        if case is None:
            assert sorted(found) == ["sbx-lied-to.gone.main", "sbx-lied-to.web.main"], "the truth is believed"
        elif found not in case.codes or liar.sent_bytes > 100 * MIB:
            wrong[case.what] = (found, liar.sent_bytes)
    assert wrong == {}


def test_s08_a_lying_host_is_not_applied_to(liar: Liar, fleet: Driver, alpha: LabHost) -> None:
    liar.lies = {}
    before = run_of(fleet, alpha)
    (planned,) = fleet.run("plan", "-o", "json").expect(0).json["actions"]
    assert planned["action"] == "destroy", "what would be done, if the host were believed"
    for path, lie in ((LIST, lambda _: b"[]]"), (ONE, lambda _: b"[]"), ("/info", lambda _: b"<html>")):
        liar.lies = {path: lie}
        said = fleet.run("plan", "--json").expect(3).lines
        (seen,) = [line for line in said if line["type"] == "host_observed"]
        assert (seen["reachable"], seen["code"]) == (False, "E_HOST_REPLY")
        assert [line for line in said if line["type"] in {"planned_change", "resource_drift"}] == []
        fleet.run("apply", "--yes").expect(3)
        assert liar.changes == []
    liar.lies = {}
    assert run_of(fleet, alpha) == before


LOST = {"ReadonlyRootfs": False, "CapDrop": None, "SecurityOpt": None, "PidsLimit": 0, "Privileged": True}


def test_s13_an_engine_that_drops_a_limit_in_silence_does_not_keep_the_container(
    liar: Liar, fleet: Driver, alpha: LabHost
) -> None:
    fleet.declare_fleet(policy={"hardened": True})
    fleet.drop("Sandbox", "web")
    web_sandbox(fleet, "hard", "alpha")
    try:
        for name, lost in LOST.items():
            liar.lies = {ONE: field(f"HostConfig.{name}", lost)}
            (error,) = [
                line
                for line in fleet.run("apply", "hard", "--yes", "--json").expect(1).lines
                if line["type"] == "apply_errored"
            ]
            assert error["code"] == "E_READBACK", name
            assert "was removed again" in error["@message"]
            assert name_of(fleet, "hard") not in fleet.containers(alpha)
    finally:
        liar.lies = {}
        fleet.declare_fleet(limits={"removalsPerPlan": "100%"})
        fleet.drop("Sandbox", "hard")
        web_sandbox(fleet, "web", "alpha")


NASTY = "\x1b]0;owned\x07\x1b[2J\rfine\u202e\u200b"


def _nasty(document: Any) -> None:
    """Put what terminals obey wherever a host may say words of its own."""
    for one in document:
        if "dev.reconciler.fleet" not in (one.get("Labels") or {}):
            one["Names"] = [f"/sbx-x{NASTY}"]
            one["Image"] = NASTY
            one["Status"] = NASTY
            one["Labels"] = {NASTY: NASTY}


def test_s08_nothing_that_a_host_says_reaches_a_terminal_as_it_is(liar: Liar, fleet: Driver, alpha: LabHost) -> None:
    stranger = alpha.docker("run", "-d", "lab/web:1").strip()

    def ours(one: Any) -> None:
        one["State"].update(Status="exited", Error=f"cannot start {NASTY}", ExitCode=1)
        one["Config"]["Env"] = [f"A={NASTY}"]
        one["Config"]["Cmd"] = [NASTY]
        one["Config"]["Labels"][NASTY] = NASTY
        one["HostConfig"]["RestartPolicy"]["Name"] = NASTY

    liar.lies = {LIST: edited(_nasty), ONE: edited(ours), "/info": edited(lambda one: one.update(ServerVersion=NASTY))}
    try:
        for words in (
            ("plan",),
            ("plan", "-o", "wide"),
            ("plan", "-o", "json"),
            ("plan", "-o", "yaml"),
            ("plan", "--json"),
            ("inspect", "host", "alpha"),
            ("inspect", "host", "alpha", "-o", "json"),
            ("doctor",),
            ("status",),
        ):
            ran = fleet.run(*words)
            # JSON is for programs, and holds every character but controls.
            bad = "\x1b\x07\r" if "json" in words or "--json" in words else "\x1b\x07\r\u202e\u200b"
            for text in (ran.stdout, ran.stderr):
                assert [char for char in bad if char in text] == [], (words, text)
        wide = fleet.run("plan", "-o", "wide").stdout
        assert "x1b" in wide or "?" in wide, "it was shown, written out"
    finally:
        alpha.docker("rm", "-f", stranger)
