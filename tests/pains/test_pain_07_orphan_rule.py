"""An orphan rule by folder or project name kills somebody else's containers; docker/compose#12015 #12288 #3573.

And the opposite: what left the specs keeps running and cannot be stopped any more, basecamp/kamal#1187.
"""

from __future__ import annotations

import pytest

from reconciler.model.desired import Reap
from reconciler.model.plan import Verb
from tests import builders as b
from tests.unit.plan.deciding import decide, remembered, standing, the_action, wanted

ONE = b.a_sandbox()
REAPING = Reap(mode="apply", older_than_s=0, grace_s=0)


@pytest.mark.parametrize(
    "stranger",
    [
        b.a_foreign(b.docker_name("gone")),
        b.a_foreign("copy", labels=b.labels_for()),
        b.a_foreign("web", labels={"com.docker.compose.project": "sbx-lab-web-1-63681cdc"}),
        b.a_seen(b.a_sandbox("gone", fleet="other"), fleet="other"),
    ],
    ids=["our kind of name", "our labels", "our kind of project", "another fleet's"],
)
def test_what_only_looks_like_ours_is_never_touched(stranger: object) -> None:
    view = standing(ONE, containers=(b.a_seen(), stranger))
    made = decide(wanted(ONE, reap=REAPING), view, remembered(ONE), now=b.later(days=99))
    assert made.actions == ()


def test_what_left_the_specs_is_found_and_ended() -> None:
    keeper = b.a_sandbox("keeper")
    action = the_action(decide(wanted(keeper), standing(ONE, keeper), remembered(ONE, keeper)))
    assert (action.sandbox, action.verb) == (b.SANDBOX, Verb.DESTROY)
