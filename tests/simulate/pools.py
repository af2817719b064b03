"""Leave the hosts of sandboxes open, draw what decides about them, and judge where they were placed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from msgspec.structs import replace

from reconciler.model import labels as label
from reconciler.model.desired import Choice, Desired
from reconciler.model.effect import CreateContainer
from reconciler.model.observed import RUNNING_STATES, Observed, Reachable
from reconciler.model.plan import Action, Apply, Bucket, Plan
from reconciler.model.record import Records
from reconciler.plan import PlanRequest
from reconciler.plan.placement import placed_in, settled

if TYPE_CHECKING:
    from tests.simulate.controller import Controller
    from tests.simulate.editor import Revision
    from tests.simulate.machine import Machine
    from tests.simulate.play import Play

LABELS = ("fast", "near")
_FORGETFUL = frozenset({"status", "twins", "host_replaced", "copied", "rename", "damage_marker"})
"""Deeds after which a plan may honestly not know, or not be able to prove, what stands on a host."""


def draw_labels(dice: random.Random) -> frozenset[str]:
    """Draw which labels a host has."""
    return frozenset(one for one in LABELS if dice.random() < 0.6)


def with_all(labels: dict[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Let the first host have what no other has: a spec that no host fits is refused when it is read."""
    if not labels:
        return labels
    first = min(labels)
    return {**labels, first: labels[first] | (frozenset(LABELS) - frozenset().union(*labels.values()))}


def draw_pool(dice: random.Random) -> tuple[str, str] | None:
    """Draw whether a spec leaves the host open: how it is chosen then, and which label it must have."""
    if dice.random() < 0.3:
        return None
    return dice.choice(("spread", "pack")), dice.choice(("", "", *LABELS))


def left_open(desired: Desired, revision: Revision) -> Desired:
    """Give what is desired with hosts that have labels, and with the sandboxes whose host is left open, as loaded."""
    hosts = {
        name: replace(host, labels=dict.fromkeys(sorted(revision.labels[name]), "yes"))
        for name, host in desired.hosts.items()
    }
    choices = {}
    for name, wish in revision.wishes.items():
        if wish.pool is not None:
            strategy, wanted = wish.pool
            fit = [host for host in sorted(hosts) if not wanted or wanted in revision.labels[host]]
            choices[name] = Choice(
                strategy="spread" if strategy == "spread" else "pack",
                selector={wanted: "yes"} if wanted else {},
                forms=(replace(desired.sandboxes[name], host=fit[0]),),
                hosts=dict.fromkeys(fit, 0),
            )
    return settled(
        replace(desired, hosts=hosts, choices=choices), {name: min(one.hosts) for name, one in choices.items()}
    )


def as_placed(desired: Desired, made: Plan) -> Desired:
    """Give the specs with every sandbox on the host where a plan has it."""
    if not desired.choices:
        return desired
    over = {
        one.sandbox: one.host
        for one in made.actions
        if one.bucket is Bucket.EXPIRED
        and one.sandbox in desired.choices
        and one.host in desired.choices[one.sandbox].hosts
    }
    return settled(desired, over | placed_in(made, desired))


def standing_on(play: Play, sandbox: str, *, before_s: float | None = None) -> list[Machine]:
    """List the machines on which something of a sandbox truly lives, and did at that time already."""
    return [machine for machine in play.machines.values() if _lives(machine, sandbox, before_s)]


def _lives(machine: Machine, sandbox: str, before_s: float | None) -> bool:
    return any(
        seen.labels.get(label.PREFIX + "sandbox") == sandbox
        and seen.live.state in RUNNING_STATES
        and (before_s is None or machine.made_s.get(seen.full_id, 0.0) < before_s)
        for seen in machine.ours()
    )


def i26_stays_where_it_is(
    play: Play, controller: Controller, made: Plan, inputs: tuple[Desired, Observed, Records, PlanRequest]
) -> None:
    """I26: what the specs leave open is made on one of its hosts, and nowhere while it lives on another one of them.

    Nor while it may: on a host that did not answer and is known to have it, or on one of its hosts that did not answer
    while no record tells where it is.
    """
    desired, observed, records, _ = inputs
    for action in made.actions:
        choice = desired.choices.get(action.sandbox)
        if choice is None or action.verb.ends or not _creates(action):
            continue
        allowed = action.host in choice.hosts
        play.demand("I26", allowed, f"{action.id} is made there, and its hosts are {sorted(choice.hosts)}")
        here = play.machine_of(action.host)
        elsewhere = [
            one
            for one in standing_on(play, action.sandbox, before_s=controller.began_s)
            if one is not here and (one.name in choice.hosts or not _heard(observed, one.name))
        ]
        if here in standing_on(play, action.sandbox, before_s=controller.began_s):
            continue
        is_known = any(record.sandbox == action.sandbox for record in records.sandboxes)
        for machine in elsewhere:
            must_ask = not is_known and machine.name in choice.hosts and not _heard(observed, machine.name)
            play.demand(
                "I26",
                not must_ask and _may_be_unknown(play, controller, machine),
                f"{action.id} is made, and {action.sandbox} lives on {machine.name}, which it may stay on",
            )


def _heard(observed: Observed, host: str) -> bool:
    return isinstance(observed.hosts.get(host), Reachable)


def _may_be_unknown(play: Play, controller: Controller, machine: Machine) -> bool:
    """Tell whether a pass may honestly not know what lives on a machine."""
    apart = len({one.folder for one in play.controllers}) > 1
    blurred = controller.has_been_blurred or bool(play.routes)
    return apart or blurred or bool(machine.deeds & _FORGETFUL)


def _creates(action: Action) -> bool:
    return any(isinstance(step.do, Apply) and isinstance(step.do.effect, CreateContainer) for step in action.steps)
