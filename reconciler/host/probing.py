"""Ask a container whether it is ready: once, within a few seconds, and from the host, never from the controller.

HTTP and TCP go through the host's own connection to the container's address there, so neither a published port nor a
route from the controller is needed. Answers of a container are foreign: bounded, and never followed anywhere.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, assert_never

import msgspec

from reconciler.errors import HostError, ReadFailed
from reconciler.host.docker.decode import decode_container
from reconciler.host.docker.replies import ContainerReply, read_reply
from reconciler.model.observed import CRASHES_MAX, SeenContainer
from reconciler.model.pattern import compile_pattern
from reconciler.model.probe import (
    ExecProbe,
    FinishedProbe,
    HealthProbe,
    HttpProbe,
    LogProbe,
    Probe,
    ProbeFailed,
    ProbePassed,
    ProbeResult,
    ProbeWaiting,
    RunningProbe,
    TcpProbe,
)
from reconciler.model.text import head_of, printable, tail_of

if TYPE_CHECKING:
    from reconciler.host.docker.reader import DockerReader
    from reconciler.host.docker.writer import DockerWriter
    from reconciler.host.way.link import Link

DIAL_S = 2.0
ANSWER_S = 5.0
EXEC_S = 5.0
LOG_LINES = 2000
SETTLE_S = 0.5
"""What dies at its start is caught within this: Docker restarts it after 0.1 s, so one look would find it running."""

LINE_MAX = 4096
"""A longer line is cut before a pattern is tried on it."""

SEARCH_S = 2.0
"""The costliest pattern that is taken needs about a second for one such line; a usual one needs microseconds."""

_STATUS_LINE_MAX = 8192
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})(?: |\r|\n)")
_ENDED = frozenset({"exited", "dead", "removing"})
_LOOPBACK = "127.0.0.1"
_NOT_RUNNING = 409


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the container that a probe asks: what was seen of it, and where it can be reached on its host.

    Attributes:
        addresses: its own, in each of its networks; `127.0.0.1` where it has the host's network.
        published: `8080/tcp` to address and port on the host.
        tty: whether it has a terminal, so that its output is one plain stream.
    """

    seen: SeenContainer
    addresses: tuple[str, ...]
    published: dict[str, tuple[str, int]]
    tty: bool


async def ask(
    probe: Probe, container: str, *, link: Link, read: DockerReader, write: DockerWriter | None
) -> ProbeResult:
    """Ask one probe once.

    Args:
        probe: what to ask.
        container: Docker's name of the container.
        link: the way to the host.
        read: a client of its engine.
        write: a client that may run a command in a container, or None where nothing may be changed.

    Raises:
        ReadFailed, ConnectFailed: the host, not the container, did not answer.
    """
    raw = await read.inspect_container(container)
    asked = None if raw is None else read_asked(raw, host=link.access.name)
    if asked is None or asked.seen.name != container:
        return ProbeFailed(f"there is no container {container}")
    live = asked.seen.live
    if isinstance(probe, FinishedProbe) and live.state == "exited" and live.exit_code == 0:
        return ProbePassed()
    logged = await _logged(probe, asked, read=read) if isinstance(probe, LogProbe) else None
    if isinstance(logged, ProbePassed):
        return logged
    if live.state in _ENDED:
        return ProbeFailed(_how_it_ended(asked.seen))
    if live.state == "restarting" and live.restart_count >= CRASHES_MAX:
        again = f"it was restarted {live.restart_count} times, and exited with {live.exit_code} again"
        return ProbeFailed(f"{container} does not stay up: {again}")
    if live.state != "running" or isinstance(probe, FinishedProbe):
        return ProbeWaiting(f"{container} is {live.state}")
    if logged is not None:
        return logged
    if isinstance(probe, RunningProbe):
        return await _settled(asked.seen, read=read, host=link.access.name)
    return await _ask_running(probe, asked, link=link, write=write)


async def _settled(seen: SeenContainer, *, read: DockerReader, host: str) -> ProbeResult:
    """Look again after a moment: only what is still in the same start stays up."""
    await asyncio.sleep(SETTLE_S)
    raw = await read.inspect_container(seen.full_id)
    if raw is None:
        return ProbeFailed(f"there is no container {seen.name}")
    now = decode_container(raw, host=host)
    if now.live.state in _ENDED:
        return ProbeFailed(_how_it_ended(now))
    if now.live.state == "running" and now.live.started_at == seen.live.started_at:
        return ProbePassed()
    more = ", out of memory" if now.live.oom_killed else ""
    return ProbeWaiting(f"{seen.name} exited at its start{more}, and is being restarted")


def read_asked(raw: object, *, host: str) -> Asked:
    """Read where a container can be reached, out of its inspection. Raises `ReadFailed`."""
    reply = read_reply(raw, ContainerReply, host=host, what="an inspected container")
    settings = reply.network_settings
    own = [end.ip_address for _, end in sorted((settings.networks or {}).items()) if end is not None]
    addresses = [_LOOPBACK] if reply.host_config.network_mode == "host" else [address for address in own if address]
    published = {
        port: (_reachable(places[0].host_ip), int(places[0].host_port))
        for port, places in (settings.ports or {}).items()
        if places and places[0].host_port.isascii() and places[0].host_port.isdigit()
    }
    return Asked(
        seen=decode_container(raw, host=host),
        addresses=tuple(dict.fromkeys(addresses)),
        published=published,
        tty=reply.config.tty,
    )


def _reachable(bind: str) -> str:
    return _LOOPBACK if bind in {"", "0.0.0.0", "::"} else bind  # noqa: S104  # compared, not bound


def _how_it_ended(seen: SeenContainer) -> str:
    live = seen.live
    more = " (out of memory)" if live.oom_killed else ""
    error = f": {head_of(printable(live.error), 300)}" if live.error else ""
    ended = f"exited with {live.exit_code}" if live.state == "exited" else f"is {live.state}"
    return f"{seen.name} {ended}{more}{error}"


async def _ask_running(probe: Probe, asked: Asked, *, link: Link, write: DockerWriter | None) -> ProbeResult:
    seen = asked.seen
    match probe:
        case HttpProbe():
            return await _ask_http(probe, asked, link)
        case TcpProbe():
            connected = await _dial(asked, probe.port, link)
            if isinstance(connected, ProbeWaiting):
                return connected
            _hang_up(connected[1])
            return ProbePassed()
        case ExecProbe():
            return await _ask_exec(probe, seen, write)
        case HealthProbe():
            health = seen.live.health
            if health == "healthy":
                return ProbePassed()
            said = f"says {health}" if health else "is not there: neither spec nor image has one"
            return ProbeWaiting(f"the health check of {seen.name} {said}")
        case LogProbe() | RunningProbe() | FinishedProbe():
            return ProbeWaiting(f"{seen.name} is {seen.live.state}")
        case _:
            assert_never(probe)


async def _ask_http(probe: HttpProbe, asked: Asked, link: Link) -> ProbeResult:
    """Send one GET and read no more than its status line; a redirect is an answer like any other."""
    connected = await _dial(asked, probe.port, link)
    if isinstance(connected, ProbeWaiting):
        return connected
    reader, writer = connected
    where = f"{asked.seen.name} port {probe.port}"
    try:
        async with asyncio.timeout(ANSWER_S):
            writer.write(_request(probe))
            line = await _status_line(reader)
    except TimeoutError:
        return ProbeWaiting(f"{where} accepted the request and did not answer in {ANSWER_S:g} s")
    except (OSError, _ssh_error()):
        return ProbeWaiting(f"{where} broke the connection")
    finally:
        _hang_up(writer)
    found = _STATUS_LINE.match(line)
    if found is None:
        return ProbeWaiting(f"{where} does not speak HTTP" if line else f"{where} closed the connection")
    status = int(found[1])
    if probe.status_min <= status <= probe.status_max:
        return ProbePassed()
    return ProbeWaiting(f"{where} answered {status}, not {probe.status_min} to {probe.status_max}")


def _request(probe: HttpProbe) -> bytes:
    # A path comes from a spec; a blank or a line break in it must not become a second header.
    path = "".join(
        char if "!" <= char <= "~" else "".join(f"%{byte:02X}" for byte in char.encode()) for char in probe.path
    )
    head = f"GET {path} HTTP/1.1\r\nHost: localhost:{probe.port}\r\nUser-Agent: reconciler\r\nAccept: */*\r\n"
    return f"{head}Connection: close\r\n\r\n".encode()


async def _status_line(reader: asyncio.StreamReader) -> bytes:
    line = b""
    while b"\n" not in line and len(line) < _STATUS_LINE_MAX:
        part = await reader.read(1024)
        if not part:
            break
        line += part
    return line


async def _dial(
    asked: Asked, port: int, link: Link
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | ProbeWaiting:
    """Connect to the container's port: at its own address first, then where it is published.

    A refusal by the container itself stands: Docker's proxy takes connections to a published port that nobody serves.
    """
    places = [(address, port) for address in asked.addresses]
    published = asked.published.get(f"{port}/tcp")
    name = asked.seen.name
    why = f"{name} has no network, so nothing can be asked on its port {port}"
    refused = False
    for address, number in (*places, *((published,) if published else ())):
        if refused and (address, number) not in places:
            break
        try:
            async with asyncio.timeout(DIAL_S):
                return await _connect(link, address, number)
        except TimeoutError:
            why = f"{name} port {port}: no connection to {address}:{number} in {DIAL_S:g} s"
        except (OSError, _ssh_error()) as error:
            why = f"{name} port {port}: {address}:{number} refuses connections"
            if _is_denied(error):
                why = f"{name} port {port}: sshd does not forward to it (AllowTcpForwarding, or permitopen on the key)"
            refused = refused or "refused" in str(error).lower()
    return ProbeWaiting(why)


async def _connect(link: Link, address: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if link.ssh is None:
        return await asyncio.open_connection(address, port)
    reader, writer = await link.ssh.connection.open_connection(address, port, encoding=None)
    # asyncssh's streams read and write as asyncio's do.
    return reader, writer  # type: ignore[return-value]


def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()


def _is_denied(error: BaseException) -> bool:
    """Tell sshd's refusal to forward (code 1) from a port that refuses (code 2)."""
    return getattr(error, "code", None) == 1


def _ssh_error() -> type[BaseException]:
    """Give what a channel that fails raises; nothing more than the system's errors where SSH is not in use."""
    import sys  # noqa: PLC0415  # `local` must not pay for asyncssh

    asyncssh = sys.modules.get("asyncssh")
    return OSError if asyncssh is None else asyncssh.Error


async def _ask_exec(probe: ExecProbe, seen: SeenContainer, write: DockerWriter | None) -> ProbeResult:
    if write is None:
        raise ReadFailed(
            f"the probe {probe.name} runs a command in {seen.name}, and this command only reads", code="E_READ_ONLY"
        )
    from reconciler.host.foreign import DockerRefused  # noqa: PLC0415  # pulls in the engine's client

    try:
        result = await write.run_in_container(seen.full_id, probe.command, deadline_s=EXEC_S)
    except DockerRefused as refused:
        if refused.is_absent or refused.status == _NOT_RUNNING:
            return ProbeWaiting(f"{seen.name} stopped running while it was asked")
        return ProbeWaiting(f"{seen.name}: {head_of(printable(refused.message), 300)}")
    except HostError as error:
        # A probe changes nothing that counts, so a lost answer is only an answer that is not there yet.
        return ProbeWaiting(f"{seen.name}: {error.message}")
    if result.exit_code == 0:
        return ProbePassed()
    said = printable(tail_of((result.stderr or result.stdout).decode("utf-8", "replace").strip(), 200))
    return ProbeWaiting(f"{seen.name}: the command exited with {result.exit_code}{f': {said}' if said else ''}")


async def _logged(probe: LogProbe, asked: Asked, *, read: DockerReader) -> ProbePassed | ProbeWaiting:
    """Look for the pattern in what this run printed, and not in an earlier run's output.

    A program's first lines bear a time shortly before `StartedAt`, which Docker notes once it runs, and the last
    lines of the run before may bear one shortly after `FinishedAt`: so the middle between the two tells them apart.
    """
    live, name = asked.seen.live, asked.seen.name
    if live.started_at is None:
        return ProbeWaiting(f"{name} is {live.state}")
    since_s = 0.0
    if live.finished_at is not None and live.finished_at < live.started_at:
        since_s = (live.started_at.timestamp() + live.finished_at.timestamp()) / 2
    data = await read.logs(asked.seen.full_id, lines=LOG_LINES, tty=asked.tty, since_s=since_s)
    found = await search_lines(probe.pattern, split_lines(data))
    if found:
        return ProbePassed()
    if found is None:
        late = f"the pattern {printable(probe.pattern)!r} is too costly: {SEARCH_S:g} s were not enough"
        return ProbeWaiting(f"{name}: {late} for its last {LOG_LINES} lines")
    return ProbeWaiting(f"no line of {name} holds {printable(probe.pattern)!r} yet")


async def search_lines(pattern: str, lines: Iterable[str]) -> bool | None:
    """Tell whether a line holds the pattern; None when that took too long.

    The search has a thread of its own, so that a costly pattern holds up nobody but its own probe.
    """

    def search() -> bool | None:
        holds = compile_pattern(pattern)
        until_s = time.monotonic() + SEARCH_S
        for line in lines:
            if holds(line[:LINE_MAX]):
                return True
            if time.monotonic() > until_s:
                return None
        return False

    return await asyncio.to_thread(search)


def split_lines(data: bytes) -> Iterable[str]:
    """Split a container's output into lines of text."""
    return data.decode("utf-8", "replace").splitlines()
