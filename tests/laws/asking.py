"""Say of how many worlds a law is asked: 5,000 plans in every build, and as many more as somebody wants."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

from reconciler.model.effect import (
    Effect,
)
from reconciler.model.plan import Action, Apply

FACTOR = int(os.environ.get("RECONCILER_LAWS", "1"))


def law(worlds: int) -> settings:
    """Ask of so many worlds: always the same ones, so that a build depends on nothing but the code.

    With `RECONCILER_LAWS=N` it is N times as many, other ones each time, and what breaks a law is made small.
    """
    is_quick = FACTOR == 1
    return settings(
        max_examples=worlds * FACTOR,
        derandomize=is_quick,
        database=None,
        # Worlds take long to make on a busy machine, and what a law says does not depend on how long it takes to ask.
        deadline=None,
        suppress_health_check=list(HealthCheck),
        # Shrinking a fleet takes minutes: worth it for a person, not for a build.
        phases=[Phase.explicit, Phase.generate] if is_quick else [*Phase],
        print_blob=True,
    )


def effects_of(action: Action) -> list[Effect]:
    return [step.do.effect for step in action.steps if isinstance(step.do, Apply)]
