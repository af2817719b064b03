"""Draw for each seed what may go wrong, and how often: seldom everything at once, now and then one kind alone."""

from __future__ import annotations

import random

EFFECT_KINDS = (
    "lost_request",
    "lost_reply",
    "late",
    "duplicate",
    "partial",
    "slow",
    "refused_404",
    "refused_409",
    "refused_500",
    "host_disk_full",
)
"""What may become of one effect."""

LOOK_KINDS = ("unreachable", "cut", "stale", "hang")
"""What may become of one read."""

STEP_KINDS = (
    "kill",
    "kill_at_point",
    "power_loss",
    "controller_disk",
    "interrupt",
    "swizzle",
    "reboot",
    "controller_clock",
    "host_clock",
    "status_lost",
    "status_corrupt",
    "status_older",
    "two_controllers",
    "lock_broken",
    "host_replaced",
)
"""What may happen to a whole step, or to a machine."""

LATER_KINDS = ("lock_lost", "twins", "orphaned")
"""Drawn after everything else, so that the seeds that were found before these were known still draw the same."""

_FIRST_KINDS = (*EFFECT_KINDS, *LOOK_KINDS, *STEP_KINDS)
KINDS = (*_FIRST_KINDS, *LATER_KINDS)

WORKLOAD = ("edit", "user", "adversary", "labels")
"""What people do: no faults, so a run without faults has them too. `mid_pass` 0 keeps them out of passes.

`labels` says how often the adversary, about to plant something with copied labels, does so: each such thing holds a
sandbox back for the rest of the run, so that with many of them little else is ever tried.
"""

_RATES = {
    **dict.fromkeys(EFFECT_KINDS, (0.01, 0.12)),
    **dict.fromkeys(LOOK_KINDS, (0.01, 0.08)),
    **dict.fromkeys(STEP_KINDS, (0.05, 0.4)),
    "lock_broken": (1.0, 1.0),
    "host_replaced": (0.01, 0.05),
    "lock_lost": (0.02, 0.1),
    "twins": (0.2, 0.6),
    "orphaned": (0.05, 0.4),
}
_ONE_ONLY = 0.2
_LATER = 0.12


class Swarm:
    """Hold the rates of one seed: `rates` by kind, 0 for what is off."""

    def __init__(self, rates: dict[str, float]) -> None:
        self.rates = rates

    def __getitem__(self, kind: str) -> float:
        return self.rates.get(kind, 0.0)

    def hits(self, kind: str, dice: random.Random) -> bool:
        """Throw the dice for one kind; a kind that is off costs no throw."""
        rate = self[kind]
        return rate > 0.0 and dice.random() < rate

    def pick(self, kinds: tuple[str, ...], dice: random.Random) -> str | None:
        """Throw once for several kinds that exclude each other."""
        on = [kind for kind in kinds if self[kind] > 0.0]
        if not on:
            return None
        throw = dice.random()
        for kind in on:
            throw -= self[kind]
            if throw < 0.0:
                return kind
        return None

    @property
    def on(self) -> list[str]:
        """Name what is on."""
        return [kind for kind, rate in self.rates.items() if rate > 0.0]


def draw_swarm(dice: random.Random) -> Swarm:
    """Draw which faults are on, and what people do."""
    if dice.random() < _ONE_ONLY:
        chosen = [dice.choice(_FIRST_KINDS)]
    else:
        share = dice.choice((0.0, 0.15, 0.3, 0.6))
        chosen = [kind for kind in _FIRST_KINDS if dice.random() < share]
    rates = {kind: dice.uniform(*_RATES[kind]) for kind in chosen}
    rates |= {kind: dice.choice((0.0, 0.1, 0.3, 0.8)) for kind in ("edit", "user", "adversary")}
    rates["labels"] = dice.choice((0.0, 0.0, 0.05, 0.25))
    rates |= {kind: dice.uniform(*_RATES[kind]) for kind in LATER_KINDS if dice.random() < _LATER}
    return Swarm(rates)


def calm(swarm: Swarm) -> Swarm:
    """Give the same workload without any fault."""
    return Swarm({kind: rate for kind, rate in swarm.rates.items() if kind in WORKLOAD or kind == "mid_pass"})
