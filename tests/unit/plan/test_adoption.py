"""Take over one container by its full id, without setting a trap for it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from reconciler.errors import UsageError
from reconciler.model.effect import PutMarker
from reconciler.model.observed import Observed, Reachable, Unreachable
from reconciler.model.plan import Plan
from reconciler.plan import plan_adoption
from tests import builders as b
from tests.unit.plan.deciding import decide, effects, remembered, request, the_action, wanted

ONE = b.a_sandbox(ttl_s=60)


def stranger() -> Reachable:
    """Show somebody's container under the wanted name, where our sandbox has expired."""
    seen = replace(b.a_seen(ONE), labels={})
    expired = b.a_seen_marker(b.a_marker(ONE, phase="expired", created_at=b.later(hours=-9)))
    return b.a_reachable(b.a_view(seen, markers=(expired,)))


def adopted(full_id: str, **hosts: Reachable | Unreachable) -> Plan:
    observed = Observed(hosts={b.HOST: stranger(), **hosts})
    return plan_adoption(wanted(ONE), observed, remembered(ONE), request(), full_id=full_id)


def test_what_is_adopted_in_the_place_of_an_expired_sandbox_is_not_removed_for_the_old_ones_time() -> None:
    state = stranger()
    (seen,) = state.view.containers
    (put,) = (effect for effect in effects(the_action(adopted(seen.full_id))) if isinstance(effect, PutMarker))
    assert put.marker.phase == "present"
    assert put.marker.adopted == {"containers/main": seen.full_id}
    then = replace(state.view, markers=(b.a_seen_marker(put.marker),))
    made = decide(wanted(ONE), then, remembered(ONE))
    assert not [action.verb for action in made.actions if action.verb == "destroy"]


def test_an_id_that_nobody_has_names_who_did_not_answer() -> None:
    with pytest.raises(UsageError) as refused:
        adopted("f" * 64, h2=b.an_unreachable())
    assert "h2" in str(refused.value.hint)
