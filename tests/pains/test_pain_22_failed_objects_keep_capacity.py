"""Pain 22: what failed long ago keeps the room of what could run. Admission counts what is measured, and failures end.

Elsewhere an object in an error state holds its CPUs, memory or place until somebody deletes it by hand.
"""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.model.desired import Admission
from reconciler.model.plan import Bucket, Verb
from tests import builders as b
from tests.unit.plan.deciding import buried, decide, exited, remembered, standing, wanted

GIB = 1 << 30
NEW = b.a_sandbox("new", resources=(b.a_container(memory_bytes=2 * GIB),))
FAILED = tuple(
    b.a_sandbox(f"failed-{n}", resources=(b.a_container(memory_bytes=8 * GIB),), ttl_s=3600, drift="report")
    for n in range(3)
)


def _crashed(hours: float, *, admission: Admission, ttl_s: int = 3600) -> tuple[list[str], list[str]]:
    """Plan `new` on a host of 12 GiB on which three of 8 GiB each have crashed; name what is made and what is held."""
    failed = tuple(replace(one, ttl_s=ttl_s) for one in FAILED)
    view = standing(*failed)
    view = replace(view, containers=tuple(exited(seen) for seen in view.containers))
    desired = wanted(NEW, *failed, hosts={"h1": b.a_host(admission=admission)})
    made = decide(desired, view, remembered(*failed), now=b.later(hours=hours))
    created = [action.sandbox for action in made.actions if action.verb is Verb.CREATE]
    return created, [held.sandbox for held in made.held if held.reason == "AdmissionRefused"]


def test_memory_that_a_crashed_sandbox_does_not_use_is_free() -> None:
    assert _crashed(0.5, admission=Admission(memory_available_min_bytes=8 * GIB)) == (["new"], [])


def test_a_crashed_sandbox_has_its_place_until_its_ttl_and_no_longer() -> None:
    bounded = Admission(sandboxes_max=3)
    assert _crashed(0.5, admission=bounded) == ([], ["new"])
    gone = wanted(NEW, *FAILED, hosts={"h1": b.a_host(admission=bounded)})
    view = standing(*FAILED)
    ended = decide(gone, view, remembered(*FAILED), now=b.later(hours=2))
    assert {action.sandbox: action.bucket for action in ended.actions} == {
        one.name: Bucket.EXPIRED for one in FAILED
    }, "the ttl ends what failed, and nothing else"

    marks = tuple(b.a_seen_marker(b.a_marker(one, phase="expired")) for one in FAILED)
    after = decide(gone, b.a_view(markers=marks), now=b.later(hours=3))
    assert [(action.sandbox, action.verb) for action in after.actions] == [("new", Verb.CREATE)]
    assert after.held == ()


def test_an_orphan_that_failed_gives_its_place_back_once_it_is_reaped() -> None:
    bounded = {"h1": b.a_host(admission=Admission(sandboxes_max=1))}
    lost = b.a_sandbox("lost")
    stands = b.a_settled_view(lost)
    stands = replace(stands, containers=tuple(exited(seen) for seen in stands.containers))
    assert [held.sandbox for held in decide(wanted(NEW, hosts=bounded), stands).held] == ["lost", "new"]

    reaping = replace(wanted(NEW, hosts=bounded).reap, mode="apply", older_than_s=60, grace_s=60)
    desired = wanted(NEW, hosts=bounded, reap=reaping)
    tombs = tuple(buried(seen, int(b.T0.timestamp())) for seen in stands.containers)
    (reaped,) = decide(desired, replace(stands, containers=tombs)).actions
    assert (reaped.sandbox, reaped.verb) == ("lost", Verb.REAP)
    assert [action.sandbox for action in decide(desired, b.a_view()).actions] == ["new"]
