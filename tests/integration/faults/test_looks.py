"""F-05: what is lost while a host is looked at makes it a silent host, and never one that holds less."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from reconciler.errors import HostError
from reconciler.host import open_gate, open_host
from reconciler.host.interface import Host, Question
from reconciler.model.effect import StartContainer
from reconciler.model.observed import HostIdentity, HostView, SeenContainer
from reconciler.model.plan import Verb
from reconciler.model.probe import ExecProbe, ProbePassed, ProbeWaiting
from tests.builders import FLEET
from tests.e2e.driver import Driver
from tests.e2e.inside import plan_inside
from tests.e2e.sights import IDLE, condition, name_of, settle
from tests.integration.faults.relay import CutReply, Meddling, Request, relay
from tests.integration.subject import Subject, access_to, changing, do, now
from tests.lab.host import LabHost
from tests.lab.proxy import Direction, Proxy

pytestmark = pytest.mark.lab


def _a_fleet_that_a_short_list_would_hurt(fleet: Driver) -> None:
    """Settle four sandboxes and take one out of the specs: a plan from a short list would create or forget."""
    fleet.drop("Host", "beta")
    fleet.declare_fleet(limits={"removalsPerPlan": "100%"})
    for number in range(4):
        fleet.declare_sandbox(f"s-{number}", host="alpha", observability="off", containers={"main": IDLE})
    settle(fleet)
    fleet.drop("Sandbox", "s-3")


class Listing:
    """Cut the reply to one kind of request after so many bytes, once."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.after_bytes: int | None = None

    def __call__(self, request: Request) -> Meddling | None:
        if request.kind != self.kind or self.after_bytes is None:
            return None
        return CutReply(after_bytes=self.after_bytes)


def _offset_classes(reply: bytes) -> dict[str, int]:
    """Name sixteen places at which a reply with an inventory may end early."""
    head = reply.index(b"\r\n\r\n")
    body = head + 4
    first_item = reply.index(b"{", body)
    first_name = reply.index(b'"Names"', body)
    comma = reply.index(b'},{"Id"', body)
    second = reply.index(b'"Id"', comma)
    last_item = reply.rindex(b'{"Id"')
    closing = reply.rindex(b"]")
    return {
        "nothing": 0,
        "one byte": 1,
        "within the status line": 12,
        "after the status line": reply.index(b"\r\n") + 2,
        "within a header": head // 2,
        "before the empty line": head,
        "after the head": body,
        "before the first container": first_item,
        "within the first container": first_name,
        "after the first container": comma + 1,
        "after its comma": comma + 2,
        "within the second container": second + 30,
        "before the last container": last_item,
        "within the last container": last_item + 50,
        "before the closing bracket": closing,
        "before the last byte": len(reply) - 1,
    }


async def _expect_unknown(fleet: Driver, place: str) -> None:
    plan = await plan_inside(fleet)
    assert set(plan.unknown_hosts) == {"alpha"}, place
    assert plan.actions == (), place
    assert {item.reason for item in plan.held} == {"HostUnreachable"}, place


async def test_f05_an_inventory_cut_anywhere_is_a_silent_host_and_never_a_short_list(
    fleet: Driver, alpha: LabHost
) -> None:
    await asyncio.to_thread(_a_fleet_that_a_short_list_would_hurt, fleet)
    listing = Listing("GET /containers/json")
    path = alpha.docker_socket.with_name("cut.sock")
    with relay(path, alpha.docker_socket, meddle=listing) as tap:
        fleet.declare_host(alpha, dockerSocket=str(path))
        assert [action.verb for action in (await plan_inside(fleet)).actions] == [Verb.DESTROY]
        places = _offset_classes(tap.replies[listing.kind])
        assert len(places) == 16
        for place in places:
            # Measured anew each time: the engine words how long a container runs, and words differ in length.
            listing.after_bytes = None
            await plan_inside(fleet)
            listing.after_bytes = _offset_classes(tap.replies[listing.kind])[place]
            await _expect_unknown(fleet, place)
        refused = await asyncio.to_thread(fleet.run, "plan", "-o", "json")
        assert refused.exit == 3
        listing.after_bytes = None
        assert [action.verb for action in (await plan_inside(fleet)).actions] == [Verb.DESTROY]


@pytest.mark.parametrize(
    "kind",
    [
        "GET /info",
        "GET /networks",
        "GET /volumes",
        "GET /containers/*/json",
        "GET /images/lab/busybox:1/json",
    ],
)
async def test_f05_any_other_part_of_a_look_that_is_cut_is_a_silent_host(
    fleet: Driver, alpha: LabHost, kind: str
) -> None:
    await asyncio.to_thread(_a_fleet_that_a_short_list_would_hurt, fleet)
    cut = Listing(kind)
    path = alpha.docker_socket.with_name("cut.sock")
    with relay(path, alpha.docker_socket, meddle=cut) as tap:
        fleet.declare_host(alpha, dockerSocket=str(path))
        assert [action.verb for action in (await plan_inside(fleet)).actions] == [Verb.DESTROY]
        # What the engine says of its clock and its own counters differs in length from one reply to the next.
        whole = len(tap.replies[kind]) - (40 if kind == "GET /info" else 0)
        for after_bytes in (0, whole // 2, whole - 1):
            cut.after_bytes = after_bytes
            await _expect_unknown(fleet, f"{kind} after {after_bytes} of {whole} bytes")


async def test_f05_other_hosts_go_on_when_one_is_lost_in_mid_look(fleet: Driver, alpha: LabHost, beta: LabHost) -> None:
    for host in ("alpha", "beta"):
        fleet.declare_sandbox(f"on-{host}", host=host, observability="off", containers={"main": IDLE})
    cut = Listing("GET /containers/json")
    cut.after_bytes = 100
    path = alpha.docker_socket.with_name("cut.sock")
    with relay(path, alpha.docker_socket, meddle=cut):
        fleet.declare_host(alpha, dockerSocket=str(path))
        (await asyncio.to_thread(fleet.run, "apply", "--yes")).expect(3)
        assert fleet.containers(alpha) == {}
        assert set(fleet.containers(beta)) == {name_of(fleet, "on-beta")}
        assert condition(fleet, "on-alpha", "Ready") == "Unknown/HostUnreachable"


Read = Callable[[Host, Subject], Awaitable[object]]
READS: dict[str, Read] = {
    "identify": lambda host, _: host.identify(),
    "look": lambda host, _: host.look(Question(fleet=FLEET, paths=("/etc/hostname",)), now=now),
    "find": lambda host, subject: host.find(subject.name),
    "logs": lambda host, subject: host.logs(subject.target.full_id, lines=5),
    "facts": lambda host, subject: host.facts((subject.target.full_id,), now=now),
    "probe": lambda host, subject: host.probe(
        ExecProbe(name="x", container="main", command=("cat", "/etc/passwd")), subject.name
    ),
    "lock": lambda host, _: host.hold("tests"),
}


def essence(kind: str, got: object) -> object:
    """Give what two answers to one read have in common."""
    match got:
        case HostView():
            return sorted(seen.full_id for seen in got.containers), got.paths.keys(), len(got.neighbours)
        case SeenContainer():
            return got.full_id
        case HostIdentity() | tuple() | ProbePassed() | ProbeWaiting():
            return got
        case _:
            return kind  # counters differ, and a lock may be busy with the one that was cut


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("kind", READS)
async def test_f05_a_line_cut_anywhere_around_a_read_is_an_error_or_the_whole_answer(
    alpha: LabHost, subject: Subject, kind: str, direction: Direction
) -> None:
    says = ("sh", "-c", "echo one; echo two; echo three; exec sleep 86400")
    async with changing(access_to(alpha)) as keeper:
        await do(keeper, subject.creation(command=says))
        await do(keeper, StartContainer(subject.target))
    failed = 0
    async with Proxy(alpha.address, alpha.ssh_port) as proxy:
        access = access_to(alpha, address="127.0.0.1", port=proxy.port)

        async def ask(cut: int | None) -> tuple[object, int]:
            host = open_host(access, gate=open_gate(), clock=now)
            try:
                await host.identify()
                before = proxy.passed_bytes[direction]
                if cut is not None:
                    proxy.cut_after(cut, direction=direction)
                got = await READS[kind](host, subject)
                return essence(kind, got), proxy.passed_bytes[direction] - before
            finally:
                await proxy.cut()
                await host.close()

        wanted, whole = await ask(None)
        for cut in sorted({0, whole // 4, whole // 2, 3 * whole // 4, whole - 1}):
            try:
                got, _ = await ask(cut)
            except HostError:
                failed += 1
            else:
                failed += isinstance(got, ProbeWaiting)
                assert got == wanted or isinstance(got, ProbeWaiting), cut
    assert failed, "what is cut in its middle fails"
