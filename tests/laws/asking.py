"""Say of how many worlds a law is asked. `RECONCILER_LAWS=5000` asks of more than the quick 100."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

from reconciler.model.effect import (
    Effect,
)
from reconciler.model.plan import Action, Apply

LAWS = int(os.environ.get("RECONCILER_LAWS", "100"))
# Worlds take long to make on a busy machine, and what a law says does not depend on how long it takes to ask.
# Shrinking a fleet takes minutes: worth it for a person, not for a build.
PHASES = [*Phase] if LAWS > 100 else [Phase.explicit, Phase.reuse, Phase.generate]
law = settings(max_examples=LAWS, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)


def effects_of(action: Action) -> list[Effect]:
    return [step.do.effect for step in action.steps if isinstance(step.do, Apply)]
