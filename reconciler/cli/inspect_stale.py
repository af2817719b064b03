"""Show what may be stale on the hosts; creates nothing there, removes nothing, and records no pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from reconciler.cli import exits, report
from reconciler.cli.ground import Ground, lay_ground, load_records, question_of
from reconciler.cli.options import SPECS, STATUS, AcceptRevision, HostForm, HostOutput, On, Specs, Status

if TYPE_CHECKING:
    from reconciler.model.observed import Observed
    from reconciler.plan.stale import Survey


def inspect_stale(
    *,
    specs: Specs = SPECS,
    status: Status = STATUS,
    on: On = None,
    accept_revision: AcceptRevision = None,
    output: HostForm = HostOutput.TABLE,
) -> int:
    """Show what nobody may need any more, how old and how idle it is, and what to do about it.

    Looks at the hosts now. Creates nothing there, removes nothing, and records nothing here.
    """
    import asyncio

    from reconciler.model.observed import Unreachable
    from reconciler.show.stale_text import stale_json, stale_page

    ground = lay_ground(specs, status)
    observed, survey = asyncio.run(_survey(ground, on, accept_revision))
    silent = {name: look for name, look in observed.hosts.items() if isinstance(look, Unreachable)}
    report.answer(
        output,
        stale_json(survey.inventories, survey.stale, silent, fleet=ground.desired.fleet),
        lambda: stale_page(survey.inventories, survey.stale, silent, width=report.width()),
    )
    unread = any(one.unread for one in survey.inventories.values())
    return exits.PARTIAL if silent or unread else exits.FINE


async def _survey(ground: Ground, on: list[str] | None, accepted: list[str] | None) -> tuple[Observed, Survey]:
    """Look through readers that cannot mutate, and survey what they saw. No secret is needed for that."""
    from reconciler.cli.doors import RealDoors
    from reconciler.cli.selection import select
    from reconciler.observe import observe
    from reconciler.passes import revisions_in
    from reconciler.plan.stale import survey
    from reconciler.record.hosts import with_activity

    desired, clock = ground.desired, ground.clock
    records = load_records(ground)
    question = question_of(
        ground, select(desired, records, names=None, on=on, exclude=None), accepted=accepted, with_secrets=False
    )
    sighting = await observe(
        desired,
        connect=RealDoors(desired, secrets={}, now=clock.now).reader,
        records=records,
        now=clock.now,
        only=question.only,
        with_facts=True,
        roots=("${host.baseDir}", *desired.reap.legacy_roots),
    )
    await sighting.close()
    seen = sighting.observed
    request = msgspec.structs.replace(question.request, ancestors=question.ancestors(frozenset(revisions_in(seen))))
    return seen, survey(desired, seen, with_activity(records, seen), request)
