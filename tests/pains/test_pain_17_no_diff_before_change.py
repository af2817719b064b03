"""No diff before a change, asked for over a decade: docker/cli#53, moby/moby#32365, docker/compose#1203 #8551."""

from __future__ import annotations

import msgspec

from reconciler.model.plan import Plan
from reconciler.model.source import SourceRef
from tests import builders as b
from tests.unit.plan.deciding import altered, decide, remembered, standing, the_action, wanted

AT = SourceRef("specs/agents.yaml", 14, 12)
ONE = b.a_sandbox(
    resources=(b.a_container(memory_bytes=6 << 30, user="app"),),
    origins={"containers.main.resources.memory": AT},
)
SEEN = altered(b.a_seen(ONE), memory_bytes=4 << 30, user="root")


def test_it_says_what_changes_from_what_to_what_and_where_that_was_written() -> None:
    action = the_action(decide(wanted(ONE), standing(ONE, containers=(SEEN,)), remembered(ONE)))
    changes = {change.path: change for item in action.resources for change in item.changes}
    memory = changes["containers.main.resources.memory"]
    assert (memory.old, memory.new, memory.at) == ("4GiB", "6GiB", AT)
    assert (memory.remedy, changes["containers.main.user"].remedy) == ("in place", "replace")
    assert [item.irreversible for item in action.resources] == [True]


def test_it_is_plain_data_with_every_count() -> None:
    made = decide(wanted(ONE), standing(ONE, containers=(SEEN,)), remembered(ONE))
    data = msgspec.json.encode(made)
    assert msgspec.json.decode(data, type=Plan) == made
    assert set(msgspec.json.decode(data)["summary"]) == {
        "create",
        "update",
        "replace",
        "destroy",
        "adopt",
        "forget",
        "reap",
        "unknown",
        "held_back",
    }


def test_nothing_to_do_and_held_back_never_look_alike() -> None:
    quiet = decide(wanted(ONE), standing(ONE), remembered(ONE))
    silent = decide(wanted(ONE), b.an_unreachable(), remembered(ONE))
    assert quiet.empty
    assert silent.empty
    assert (quiet.summary.unknown, silent.summary.unknown) == (0, 1)
    assert quiet.matched
    assert silent.held
