"""Ask of fleets that want GPUs, while cards come and go, that none is given twice and that a second pass is empty."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.desired import Desired, SandboxDesired
from reconciler.model.effect import CreateContainer
from reconciler.model.plan import Plan
from reconciler.model.resource import Gpus
from tests import builders as b
from tests.laws.asking import effects_of, law
from tests.laws.machines import Cut, Machines

Asked = Gpus | msgspec.UnsetType

HOSTS = ("h1", "h2")
NAMES = ("box-a", "box-b", "box-c")
ASKED: tuple[Asked, ...] = (
    msgspec.UNSET,
    Gpus(count=1),
    Gpus(count=2),
    Gpus(),
    Gpus(count=1, policy="auto"),
    Gpus(policy="auto"),
    Gpus(count=1, policy="auto", cuda="12.9"),
)
CARDS = (None, (0, "12.9"), (1, "12.9"), (2, "12.4"), (3, "12.9"))

asked = st.lists(st.sampled_from(ASKED), min_size=1, max_size=2).map(tuple)
wishes = st.fixed_dictionaries(dict.fromkeys(NAMES, asked))
cards = st.fixed_dictionaries(dict.fromkeys(HOSTS, st.sampled_from(CARDS)))
moments = st.lists(st.tuples(wishes, cards, st.none() | st.integers(0, 25)), min_size=1, max_size=4)


def _fleet(wanted: dict[str, tuple[Asked, ...]]) -> Desired:
    def one(name: str, gpus: tuple[Asked, ...]) -> SandboxDesired:
        containers = tuple(b.a_container(f"c{at}", gpu=gpu) for at, gpu in enumerate(gpus))
        return b.a_sandbox(name, host="h2" if name == "box-c" else "h1", resources=containers)

    boxes = [one(name, gpus) for name, gpus in wanted.items()]
    return b.a_desired(*boxes, hosts={name: b.a_host(name) for name in HOSTS})


def _count(gpus: Iterable[Asked], *, total: int) -> int:
    """Count what one sandbox has; who has all shares them with its own."""
    counts = [one.count for one in gpus if one is not msgspec.UNSET]
    return total if None in counts else sum(count or 0 for count in counts)


def _lent_on(machines: Machines, host: str, *, total: int) -> int:
    seen = machines.worlds[host].containers.values()
    lent = {name: [one.spec.gpu for one in seen if f".{name}." in one.name] for name in NAMES}
    return sum(_count(gpus, total=total) for gpus in lent.values())


def _lends(made: Plan, host: str) -> bool:
    created = [
        effect
        for action in made.actions
        if action.host == host
        for effect in effects_of(action)
        if isinstance(effect, CreateContainer)
    ]
    return any(effect.container.gpu is not msgspec.UNSET for effect in created)


@law(150)
@given(moments)
def test_no_gpu_is_given_twice_and_what_was_decided_stays(
    done: list[tuple[dict[str, tuple[Asked, ...]], dict[str, tuple[int, str] | None], int | None]],
) -> None:
    machines = Machines(*HOSTS)
    for wanted, there, cut_after in done:
        desired = _fleet(wanted)
        for host, world in machines.worlds.items():
            has = there[host]
            world.lends_gpus, world.gpus = True, None if has is None else b.some_gpus(has[0], cuda=has[1])
        machines.steps_left = cut_after
        with suppress(Cut):
            machines.carry_out(desired, machines.plan(desired))
        machines.steps_left = None
        for _ in range(2):
            made = machines.apply(desired)
            for host, world in machines.worlds.items():
                if _lends(made, host):
                    assert world.gpus is not None
                    assert _lent_on(machines, host, total=len(world.gpus)) <= len(world.gpus)
        # What was held back may have found room meanwhile, and then it stands: the third look finds nothing.
        assert machines.plan(desired).actions == ()
        for world in machines.worlds.values():
            world.gpus = None
        assert machines.plan(desired).actions == ()
