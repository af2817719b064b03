"""Ask, after a walk, what the walk could not know: who is ready, who new hosts are, and what hosts measure."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import datetime

import msgspec

from reconciler.errors import HostError
from reconciler.host.interface import Reader
from reconciler.model.desired import Desired
from reconciler.model.observed import Observed, Reachable
from reconciler.model.outcome import ActionEnded, PassEnded
from reconciler.model.plan import Action, Await, Bucket, Plan, Verb
from reconciler.model.status import Statuses
from reconciler.observe.counters import read_counters
from reconciler.observe.readiness import Now, ask_readiness


async def ask_the_others(
    made: Plan,
    ended: PassEnded | None,
    *,
    desired: Desired,
    statuses: Statuses,
    readers: Mapping[str, Reader],
    now: Now,
) -> tuple[ActionEnded, ...]:
    """Ask the probes that no action waited for: ready is what answers now, not what once did.

    Returns:
        As `ask_readiness`.
    """
    known = {name: status.ready_run for name, status in statuses.sandboxes.items()}
    done = {item.id for item in ended.actions if item.end == "done"} if ended is not None else set()
    runs = {item.sandbox: item.run for item in made.matched if item.bucket is Bucket.MATCHING}
    runs |= {item.sandbox: item.run for item in made.actions if _leaves_it_running(item, done)}
    told = {item.sandbox for item in made.actions if not _leaves_open(item, desired, fleet=made.fleet)}
    wanted = [want for name in sorted(runs) if (want := desired.sandboxes.get(name)) is not None and name not in told]
    proved = frozenset(name for name, run in runs.items() if run and known.get(name) == run)
    return await ask_readiness(wanted, fleet=made.fleet, readers=readers, now=now, proved=proved)


def _leaves_it_running(action: Action, done: set[str]) -> bool:
    """Tell whether the sandbox is meant to run after an action: not one that is taken away or merely forgotten."""
    return action.verb is Verb.ADOPT or (action.id in done and not action.verb.ends)


def _leaves_open(action: Action, desired: Desired, *, fleet: str) -> bool:
    """Tell whether an action leaves a part of its sandbox whose readiness it does not wait for."""
    want = desired.sandboxes.get(action.sandbox)
    waited = {step.do.probe.container for step in action.steps if isinstance(step.do, Await)}
    return want is not None and not waited.issuperset(one.key.name for one in want.parts(fleet))


def with_readiness(
    made: Plan,
    ended: PassEnded | None,
    asked: tuple[ActionEnded, ...],
    *,
    desired: Desired,
    asked_at: datetime,
    now: datetime,
) -> PassEnded | None:
    """Add to what became of the plan what the probes of the others said.

    An action that waited for some containers of its sandbox alone has not shown that it is ready.
    """
    if ended is None:
        return PassEnded(pass_id=made.pass_id, started_at=asked_at, finished_at=now, actions=asked) if asked else None
    ready = {item.id: item for item in asked}
    half = {action.id for action in made.actions if _leaves_open(action, desired, fleet=made.fleet)}
    done = tuple(_told(item, ready.pop(item.id, None), is_half=item.id in half) for item in ended.actions)
    return msgspec.structs.replace(ended, actions=(*done, *ready.values()))


def _told(done: ActionEnded, asked: ActionEnded | None, *, is_half: bool) -> ActionEnded:
    """Add to an action what its sandbox's probes said after it."""
    if asked is None:
        return msgspec.structs.replace(done, ready_at=None) if is_half else done
    not_ready = asked.message if asked.end == "failed" else ""
    return msgspec.structs.replace(done, ready_at=asked.ready_at, not_ready=not_ready)


async def know_more(
    observed: Observed, readers: Mapping[str, Reader], *, ended: PassEnded | None, now: Now
) -> Observed:
    """Ask each host that answered for its counters, and one that had no id who it is now: the pass gave it one.

    Counters wait until the changes are done, so that no sandbox waits for them. A host that does not tell any more
    keeps what was known of it: one without an id has to be proved the same machine by the next pass.
    """
    hosts = dict(observed.hosts)

    async def know(name: str, state: Reachable) -> None:
        if state.view.identity.host_id is None:
            with contextlib.suppress(HostError):
                view = msgspec.structs.replace(state.view, identity=await readers[name].identify())
                hosts[name] = state = msgspec.structs.replace(state, view=view)
        counters = state.snapshot
        with contextlib.suppress(HostError):
            counters = counters or await read_counters(readers[name], state.view, now=now, ended=ended)
        hosts[name] = msgspec.structs.replace(state, snapshot=counters)

    heard = {name: state for name, state in hosts.items() if isinstance(state, Reachable)}
    await asyncio.gather(*(know(name, state) for name, state in heard.items()))
    return Observed(hosts=hosts)
