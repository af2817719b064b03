"""Tell why a host cannot be used: each cause by its own name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli import exits, report
from reconciler.cli.clock import SystemClock
from reconciler.cli.ground import load_desired
from reconciler.cli.named_host import named_host
from reconciler.cli.options import SPECS, HostForm, HostOutput, Specs

if TYPE_CHECKING:
    from reconciler.model.access import Finding
    from reconciler.model.desired import HostDesired


def doctor(
    *,
    hosts: Annotated[list[str] | None, typer.Argument(metavar="HOST...", help="Hosts; all when none is named.")] = None,
    specs: Specs = SPECS,
    output: HostForm = HostOutput.TABLE,
) -> int:
    """Check the way to each host step by step.

    Says what stands in the way and what to do about it. Changes nothing.
    """
    import asyncio

    desired = load_desired(specs)
    chosen = [named_host(desired, name) for name in sorted(set(hosts or desired.hosts))]
    if not chosen:
        report.say(f"{specs} holds no Host yet; add one with: reconcile host add NAME ALIAS")
    findings = asyncio.run(_examine(chosen, at_once=desired.limits.concurrent_hosts))

    from reconciler.show.doctor_text import doctor_json, doctor_page

    report.answer(output, doctor_json(findings), lambda: doctor_page(findings))
    fine = all(finding.ok for found in findings.values() for finding in found)
    return exits.FINE if fine else exits.ERROR


async def _examine(hosts: list[HostDesired], *, at_once: int) -> dict[str, tuple[Finding, ...]]:
    """Examine hosts in parallel; a slow or dead one delays no other's findings."""
    import asyncio

    from reconciler.host import open_gate
    from reconciler.host.way.doctor import examine

    gate, slots = open_gate(), asyncio.Semaphore(at_once)

    async def one(host: HostDesired) -> tuple[Finding, ...]:
        async with slots:
            return await examine(host.access, now=SystemClock().now, gate=gate)

    found = await asyncio.gather(*(one(host) for host in hosts))
    return {host.name: findings for host, findings in zip(hosts, found, strict=True)}
