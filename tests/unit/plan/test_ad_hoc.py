"""What a command makes for a while: asked for again, its time begins anew, and nobody has to allow its end."""

from __future__ import annotations

from reconciler.model.effect import PutMarker
from reconciler.model.plan import Bucket, Verb
from tests import builders as b
from tests.laws.asking import effects_of
from tests.unit.plan.deciding import decide, remembered, standing, the_action, wanted

CANARY = b.a_sandbox(ttl_s=3600, origin="adhoc")
MARKER = b.a_marker(CANARY, origin="adhoc", ttl_s=3600, intent=CANARY.intent)
SHOWN = standing(CANARY, markers=(b.a_seen_marker(MARKER),), host_clock_epoch_s=b.later(hours=2).timestamp())


def test_asked_for_again_after_its_ttl_it_lives_anew() -> None:
    action = the_action(decide(wanted(CANARY), SHOWN, remembered(CANARY), now=b.later(hours=2)))
    assert action.verb is Verb.UPDATE
    assert [one.marker.created_at for one in effects_of(action) if isinstance(one, PutMarker)] == [b.later(hours=2)]


def test_asked_for_again_before_that_nothing_is_to_be_done() -> None:
    made = decide(wanted(CANARY), SHOWN, remembered(CANARY), now=b.later(minutes=30))
    assert made.actions == ()


def test_its_end_is_no_removal_that_anybody_has_to_allow() -> None:
    made = decide(b.a_desired(), SHOWN, remembered(CANARY), now=b.later(hours=2))
    assert (the_action(made).bucket, the_action(made).verb) == (Bucket.AD_HOC, Verb.REAP)
    assert made.refused == ()
