"""Refuse plans that would remove too much, whatever the reason. Nothing unrelated dilutes the share that is counted."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from reconciler.model.plan import Action, Cause
from reconciler.plan.world import World

PER_PLAN_MIN = 2
PER_DAY_MIN = 10
DAY = timedelta(hours=24)


def refusals(world: World, actions: list[Action], *, owned: Counter[str]) -> tuple[Cause, ...]:
    """Name every guard that forbids these actions.

    Args:
        world: for the limits, the day's removals and what a person allowed.
        actions: what would be done, selection already applied.
        owned: sandboxes that are provably or by record ours, per host, whatever was selected.
    """
    request = world.request
    removals = [action for action in actions if action.removes and action.sandbox not in request.destroying]
    count = len(removals)
    if request.removals_allowed is not None:
        if count == request.removals_allowed:
            return ()
        return (Cause(f"--allow-destroy {request.removals_allowed} was given, and this plan removes {count}"),)
    found: list[Cause] = []
    total = owned.total()
    if not world.desired.sandboxes and total and count:
        found.append(Cause(f"the specs want no sandbox at all, and {total} are owned: is this the right spec folder?"))
    percent = world.desired.limits.removals_per_plan_percent
    found += _over("this plan", count, total, percent=percent, at_least=PER_PLAN_MIN, where="the fleet")
    per_host = Counter(action.host for action in removals)
    for host, on_host in sorted(per_host.items()):
        found += _over("this plan", on_host, owned[host], percent=percent, at_least=PER_PLAN_MIN, where=host)
    recent = sum(1 for removal in world.records.removals if removal.at > request.now - DAY)
    if count:
        percent = world.desired.limits.removals_per_day_percent
        before = total + recent
        found += _over(
            f"with the {recent} of the last 24 h, this plan",
            count + recent,
            before,
            percent=percent,
            at_least=PER_DAY_MIN,
            where="the fleet",
        )
    if found:
        names = ", ".join(f"{action.sandbox} on {action.host}" for action in removals)
        found.append(Cause(f"it would remove: {names}; to allow exactly that: --allow-destroy {count}"))
    return tuple(found)


def _over(who: str, count: int, owned: int, *, percent: int, at_least: int, where: str) -> list[Cause]:
    allowed = max(at_least, owned * percent // 100)
    if count <= allowed:
        return []
    return [Cause(f"{who} removes {count} of {owned} sandboxes of {where}; the budget is {allowed} ({percent} %)")]
