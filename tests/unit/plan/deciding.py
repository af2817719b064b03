"""Decide about one small world: what the specs want on h1, what h1 shows, and what is remembered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from reconciler.model.desired import Desired, SandboxDesired
from reconciler.model.effect import Effect
from reconciler.model.observed import HostView, Observed, Reachable, SeenContainer, Unreachable
from reconciler.model.plan import Action, Apply, Held, Matched, Plan
from reconciler.model.record import Records
from reconciler.plan import PlanRequest, plan
from tests import builders as b

SECOND_ID = "2" * 32


def request(**over: Any) -> PlanRequest:
    """Ask, an hour after `T0`, from a checkout that contains everything that was made."""
    given = {
        "now": b.later(hours=1),
        "pass_id": "p-00000001",
        "tool": "reconciler 0",
        "revision": b.REVISION,
        "ancestors": frozenset({b.REVISION}),
    }
    return PlanRequest(**{**given, **over})


def decide(
    desired: Desired,
    seen: HostView | Unreachable | Mapping[str, Reachable | Unreachable] | None = None,
    records: Records | None = None,
    **over: Any,
) -> Plan:
    """Plan; `seen` is h1's view, its silence, or what each host says. A clock that nobody set goes with ours."""
    asked = request(**over)
    hosts: dict[str, Reachable | Unreachable]
    match seen:
        case Mapping():
            hosts = dict(seen)
        case Unreachable():
            hosts = {b.HOST: seen}
        case _:
            view = b.a_view() if seen is None else seen
            if view.host_clock_epoch_s == b.T0.timestamp():
                view = replace(view, host_clock_epoch_s=asked.now.timestamp())
            hosts = {b.HOST: b.a_reachable(view, snapshot=b.a_snapshot())}
    return plan(desired, Observed(hosts=hosts), Records() if records is None else records, asked)


def wanted(*sandboxes: SandboxDesired, **over: Any) -> Desired:
    return b.a_desired(*sandboxes, **over)


def standing(*sandboxes: SandboxDesired, **over: Any) -> HostView:
    """Show h1 with everything of these sandboxes as wanted."""
    return b.a_settled_view(*sandboxes, **over)


def remembered(*sandboxes: SandboxDesired, **over: Any) -> Records:
    return b.a_records(*(b.a_record(sandbox) for sandbox in sandboxes), **over)


def second_host(view: HostView | None = None) -> Reachable:
    """Hear from another machine than h1."""
    shown = b.a_view() if view is None else view
    containers = tuple(replace(seen, full_id=b.full_id(("second", seen.name))) for seen in shown.containers)
    other = replace(shown, identity=b.an_identity(host_id=SECOND_ID), containers=containers)
    return b.a_reachable(other, snapshot=b.a_snapshot())


def the_action(made: Plan) -> Action:
    assert [item.message for item in made.held] == []
    (action,) = made.actions
    return action


def the_held(made: Plan) -> Held:
    assert made.actions == ()
    (held,) = made.held
    return held


def the_matched(made: Plan) -> Matched:
    assert (made.actions, made.held) == ((), ())
    (matched,) = made.matched
    return matched


def effects(action: Action) -> list[Effect]:
    return [step.do.effect for step in action.steps if isinstance(step.do, Apply)]


def kinds(action: Action) -> list[str]:
    """Name the effects of an action, in order."""
    return [str(effect.__struct_config__.tag) for effect in effects(action)]


def altered(seen: SeenContainer, **spec: Any) -> SeenContainer:
    """Show a container whose spec differs in these fields."""
    return replace(seen, spec=replace(seen.spec, **spec))


def exited(seen: SeenContainer, **live: Any) -> SeenContainer:
    return replace(seen, live=b.an_exited_live(**live))


def arriving(seen: SeenContainer) -> SeenContainer:
    """Show the same container as a replacement that was begun and not finished."""
    return replace(seen, name=f"{seen.name}.next-0a1b2c", full_id=b.full_id("arriving"))


def buried(seen: SeenContainer, epoch_s: int) -> SeenContainer:
    """Show the same container marked for removal."""
    return replace(exited(seen), name=f"{seen.name}.tomb-{epoch_s}")


__all__ = [
    "altered",
    "arriving",
    "buried",
    "decide",
    "effects",
    "exited",
    "kinds",
    "remembered",
    "request",
    "second_host",
    "standing",
    "the_action",
    "the_held",
    "the_matched",
    "wanted",
]
