"""Look at one thing closely and show it; records nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from reconciler.cli import exits, report
from reconciler.cli.clock import SystemClock
from reconciler.cli.command import Command
from reconciler.cli.ground import load_desired
from reconciler.cli.inspect_stale import inspect_stale
from reconciler.cli.named_host import named_host
from reconciler.cli.options import SPECS, HostForm, HostOutput, Specs
from reconciler.errors import HostError, ReadFailed

if TYPE_CHECKING:
    from reconciler.model.desired import HostDesired
    from reconciler.model.observed import HostView
    from reconciler.model.snapshot import HostSnapshot

ANSWER_S = 10.0
"""Whoever asks about a host waits no longer; what came by then is shown."""

app = typer.Typer(rich_markup_mode=None, help="Look closely at one thing; changes nothing.")


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one look at one host; `without_facts` says why there is no snapshot."""

    view: HostView
    snapshot: HostSnapshot | None
    without_facts: str | None = None


@app.callback()
def inspect() -> None:
    """Look closely at one thing; changes nothing."""


@app.command("host", cls=Command)
def inspect_host(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The host's name in the specs.")],
    specs: Specs = SPECS,
    output: HostForm = HostOutput.TABLE,
) -> int:
    """Show what a host measures and what stands on it, asked now. Creates nothing there and records nothing here."""
    import asyncio

    desired = load_desired(specs)
    host = named_host(desired, name)
    clock = SystemClock()
    try:
        seen = asyncio.run(_look(host, clock, fleet=desired.fleet))
    except HostError as error:
        report.complain(error)
        return exits.PARTIAL

    from reconciler.show.host_text import host_json, host_page

    if seen.without_facts is not None:
        report.say(f"warning: {seen.without_facts}")
    report.answer(
        output,
        host_json(name, snapshot=seen.snapshot, view=seen.view, fleet=desired.fleet),
        lambda: host_page(name, snapshot=seen.snapshot, view=seen.view, fleet=desired.fleet, now=clock.now()),
    )
    return exits.FINE if seen.snapshot is not None else exits.PARTIAL


app.command("stale", cls=Command)(inspect_stale)


async def _look(host: HostDesired, clock: SystemClock, *, fleet: str) -> Seen:
    """Look through a reader, 10 s at most. Raises `HostError` when the host did not answer in full; facts may lack."""
    import asyncio

    from reconciler.host import open_gate, open_reader
    from reconciler.host.interface import Question

    reader = open_reader(host.access, gate=open_gate())
    until_s = asyncio.get_running_loop().time() + ANSWER_S
    late = f"host {host.access.name} did not answer within {ANSWER_S:g} s"
    try:
        try:
            async with asyncio.timeout_at(until_s):
                view = await reader.look(Question(fleet=fleet), now=clock.now)
        except TimeoutError:
            raise ReadFailed(late, code="E_HOST_TIMEOUT", hint="see what `reconcile doctor` finds there") from None
        running = tuple(seen.full_id for seen in view.containers if seen.live.state == "running")
        try:
            async with asyncio.timeout_at(until_s):
                snapshot = await reader.facts(running, now=clock.now, with_docker_disk=True)
        except (HostError, TimeoutError) as error:
            why = error.message if isinstance(error, HostError) else f"{late}: its counters are not there"
            return Seen(view=view, snapshot=None, without_facts=why)
    finally:
        await reader.close()
    return Seen(view=view, snapshot=snapshot)
