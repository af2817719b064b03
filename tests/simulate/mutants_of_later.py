"""Break how hosts are chosen, how trees are brought, and how services are asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec.structs import replace

from reconciler.plan import steps as lowering
from tests.simulate.groves import Bed
from tests.simulate.mutant import Mutant

# Where it is ---------------------------------------------------------------------------------------------------------


def _nowhere(_: object) -> object:
    return lambda *_given, **_named: None


def _always(_: object) -> object:
    return lambda *_given, **_named: True


# Trees ---------------------------------------------------------------------------------------------------------------


def _whole_before_it_is(_: object) -> object:
    return lambda work, _assessment: lowering._marker_with_files(work)


def _all_below(_: object) -> object:
    def weed(bed: Bed, _names: list[str]) -> None:
        brought = set(bed.names(bed.fresh_list))
        bed.clear(*(f"{bed.place}/{name}" for name in bed.below(bed.place) if name not in brought))

    return weed


# Services ------------------------------------------------------------------------------------------------------------


def _ready_without_services(old: Callable[..., Awaitable[Any]]) -> object:
    async def ask(sandbox: Any, **named: Any) -> Any:
        bare = tuple(item for item in sandbox.resources if item.key.kind != "compose")
        return await old(replace(sandbox, resources=bare), **named)

    return ask


def _services_stay(old: Callable[..., list[Any]]) -> object:
    return lambda scene, items: [one for one in old(scene, items) if one.proof.key.kind != "services"]


MUTANTS = (
    Mutant(
        name="silent-host-forgotten",
        breaks="places a sandbox anew whose host does not answer",
        parts={"reconciler.plan.placement:_out_of_sight": _nowhere},
        seed=217,
    ),
    Mutant(
        name="placed-anew-each-time",
        breaks="chooses among hosts without seeing where a sandbox stands, nor remembering it",
        parts={
            "reconciler.plan.placement:_where_it_is": _nowhere,
        },
        seed=46,
    ),
    Mutant(
        name="silent-pool-is-empty",
        breaks="takes hosts that did not answer, and of which nothing is remembered, for ones that hold nothing",
        parts={"reconciler.plan.placement:_perhaps_there": _nowhere},
        seed=397,
    ),
    Mutant(
        name="tree-not-proved",
        breaks="puts a staged tree into its place without proving its digest",
        parts={"tests.simulate.groves:proved": _always},
        seed=391,
    ),
    Mutant(
        name="tree-takes-all",
        breaks="removes with a tree's files those that containers made beside them",
        parts={"tests.simulate.groves:Bed.weed": _all_below},
        seed=106,
    ),
    Mutant(
        name="tree-known-before-it-is-there",
        breaks="remembers a tree as placed before it was sent",
        parts={"reconciler.plan.steps:_marker_until_done": _whole_before_it_is},
        seed=241,
    ),
    Mutant(
        name="services-not-asked",
        breaks="calls a sandbox ready without asking the services of its compose file",
        parts={"reconciler.observe.readiness:_ask": _ready_without_services},
        seed=88,
    ),
    Mutant(
        name="services-stay",
        breaks="leaves services that the compose file does not name any more",
        parts={"reconciler.plan.assess:_extra": _services_stay},
        seed=145,
    ),
)
