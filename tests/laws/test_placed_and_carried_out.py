"""Ask of placed fleets, through silence, lost records and controllers that die, that nothing is ever there twice."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.desired import Choice, Desired
from reconciler.model.plan import Verb
from reconciler.model.status import Statuses
from tests import builders as b
from tests.laws.asking import law
from tests.laws.machines import Cut, Machines

HOSTS = ("h1", "h2", "h3")
PLACED = ("box-a", "box-b", "box-c")
DEEDS = ("silence", "heal", "forget", "remove", "crowd", "cut", "nothing")

deeds = st.lists(st.tuples(st.sampled_from(DEEDS), st.integers(0, 40)), min_size=1, max_size=8)
pools = st.lists(st.sampled_from(HOSTS), min_size=1, unique=True).map(lambda hosts: tuple(sorted(hosts)))


def _fleet(candidates: dict[str, tuple[str, ...]], *, pinned: int, strategy: str) -> Desired:
    """Want three sandboxes anywhere on their hosts, and others that make hosts fuller."""
    choices = {
        name: Choice(strategy=strategy, forms=(b.a_sandbox(name),), hosts=dict.fromkeys(hosts, 0))  # type: ignore[arg-type]
        for name, hosts in candidates.items()
    }
    first = [choice.on(min(choice.hosts)) for choice in choices.values()]
    others = [b.a_sandbox(f"other-{n}", host=HOSTS[n % len(HOSTS)]) for n in range(pinned)]
    return b.a_desired(*first, *others, hosts={name: b.a_host(name) for name in HOSTS}, choices=choices)


def _there(machines: Machines, name: str) -> list[str]:
    """Tell on which machines a sandbox has containers, whether they answer or not."""
    prefix = f"sbx-{b.FLEET}.{name}."
    return [
        host
        for host, world in machines.worlds.items()
        if any(seen.name.startswith(prefix) for seen in world.containers.values())
    ]


def _do(machines: Machines, deed: str, pick: int) -> None:
    host = HOSTS[pick % len(HOSTS)]
    world = machines.worlds[host]
    match deed:
        case "silence":
            machines.silent.add(host)
        case "heal":
            machines.silent.clear()
        case "forget":
            machines.statuses = Statuses()
        case "remove":
            for key in [key for key, seen in world.containers.items() if ".box-" in seen.name][:1]:
                world.drop(key)
        case "cut":
            machines.steps_left = pick


@law(150)
@given(st.fixed_dictionaries(dict.fromkeys(PLACED, pools)), deeds, st.sampled_from(["spread", "pack"]))
def test_nothing_placed_is_ever_there_twice(
    candidates: dict[str, tuple[str, ...]], done: list[tuple[str, int]], strategy: str
) -> None:
    machines = Machines(*HOSTS)
    pinned = 0
    for deed, pick in done:
        pinned += 2 if deed == "crowd" else 0
        desired = _fleet(candidates, pinned=pinned, strategy=strategy)
        _do(machines, deed, pick)
        with suppress(Cut):
            machines.carry_out(desired, machines.plan(desired))
        machines.steps_left = None
        for name, hosts in candidates.items():
            assert len(_there(machines, name)) <= 1, f"{name} is on {_there(machines, name)} after {deed}"
            assert set(_there(machines, name)) <= set(hosts)

    machines.silent.clear()
    desired = _fleet(candidates, pinned=pinned, strategy=strategy)
    machines.settle(desired)
    before = {name: _there(machines, name) for name in PLACED}
    assert all(len(hosts) == 1 for hosts in before.values())
    machines.statuses = Statuses()
    again = machines.apply(_fleet(candidates, pinned=pinned, strategy="spread"))
    assert {action.verb for action in again.actions} == {Verb.ADOPT}
    assert {name: _there(machines, name) for name in PLACED} == before
