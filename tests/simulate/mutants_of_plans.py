"""Break how a plan tells what is ours, what is there, what may go and in which order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec.structs import replace

from reconciler.model import labels as label
from reconciler.model.effect import Made, RemoveContainer, StartContainer, StopContainer
from reconciler.model.names import DerivedName, parse_derived
from reconciler.model.observed import HostIdentity, HostView, ImageFact, Observed, Reachable, SeenContainer, Unreachable
from reconciler.model.ownership import Ours, Proof, Theirs
from reconciler.model.record import Records
from reconciler.observe import Sighting
from reconciler.plan import steps as lowering
from reconciler.plan.case import Case, Verdict
from reconciler.plan.world import World
from tests.simulate.mutant import Mutant

# Whose it is ---------------------------------------------------------------------------------------------------------


def _by_label_alone(_: object) -> object:
    def prove_labels(_name: str, labels: Mapping[str, str], *, fleet: str) -> Proof:
        ours = label.from_docker(labels)
        if ours is None or ours.fleet != fleet:
            return Theirs(owner="somebody else")
        return Ours(name=DerivedName(fleet, ours.sandbox, ours.resource), labels=ours)

    return prove_labels


def _by_name_alone(old: Callable[..., Proof]) -> object:
    def prove_container(seen: SeenContainer, *, fleet: str, images: Any, markers: Any) -> Proof:
        name = parse_derived(seen.name)
        if name is not None and name.fleet == fleet and label.from_docker(seen.labels) is None:
            return Ours(name=name, labels=None)
        return old(seen, fleet=fleet, images=images, markers=markers)

    return prove_container


def _images_without_labels(old: Callable[..., Proof]) -> object:
    def prove_container(seen: SeenContainer, *, fleet: str, images: Mapping[str, Any], markers: Any) -> Proof:
        bare = {name: replace(one, labels={}) if isinstance(one, ImageFact) else one for name, one in images.items()}
        return old(seen, fleet=fleet, images=bare, markers=markers)

    return prove_container


def _image_without_labels(old: Callable[..., str | None]) -> object:
    def doubt_container(seen: SeenContainer, image: ImageFact | None, *, uid: str) -> str | None:
        return old(seen, None if image is None else replace(image, labels={}), uid=uid)

    return doubt_container


# What is there -------------------------------------------------------------------------------------------------------


def _nothing_from(*, cut: bool) -> Callable[[Any], object]:
    """Take hosts that did not answer (or not to the end, where `cut`) for ones that hold nothing."""

    def make(old: Callable[..., Awaitable[Sighting]]) -> object:
        async def observe(desired: Any, *, records: Records, now: Any, **named: Any) -> Sighting:
            sighting = await old(desired, records=records, now=now, **named)
            seen: dict[str, Reachable | Unreachable] = {
                name: _empty(records, name, now())
                if isinstance(state, Unreachable) and (state.code == "E_READ_CUT") == cut
                else state
                for name, state in sighting.observed.hosts.items()
            }
            return replace(sighting, observed=Observed(hosts=seen))

        return observe

    return make


def _empty(records: Records, name: str, moment: Any) -> Reachable:
    known = records.hosts.get(name)
    identity = HostIdentity(
        host_id=None if known is None else known.host_id,
        home="/home/ops",
        uid=1000,
        gid=1000,
        base_dir="/home/ops/.reconciler/lab",
        docker_root=(None if known is None else known.docker_root) or "/var/lib/docker",
        docker_id=None,
        machine_id=None,
        boot_id="",
        engine_version="",
        api_version="",
    )
    return Reachable(view=HostView(identity=identity, observed_at=moment, host_clock_epoch_s=moment.timestamp()))


def _no_trouble(_: object) -> object:
    return lambda *_given: None


def _no_twins(_: object) -> object:
    return lambda *_given: {}


# What may go ---------------------------------------------------------------------------------------------------------


def _everything_counts(old: Callable[..., tuple[Any, ...]]) -> object:
    def refusals(world: World, actions: Any, *, owned: Counter[str]) -> tuple[Any, ...]:
        others = Counter({host: len(holdings.others) for host, holdings in world.holdings.items()})
        return old(world, actions, owned=owned + others)

    return refusals


def _empty_is_fine(old: Callable[..., tuple[Any, ...]]) -> object:
    def refusals(*given: Any, **named: Any) -> tuple[Any, ...]:
        found = [cause for cause in old(*given, **named) if "want no sandbox at all" not in cause.text]
        return tuple(found) if any(not cause.text.startswith("it would remove") for cause in found) else ()

    return refusals


def _nothing_kept(old: Callable[[Case], Verdict]) -> object:
    def classify_unwanted(case: Case) -> Verdict:
        marker = case.holding.marker
        if marker is None:
            return old(case)
        freed = replace(marker, protected=False, deletion="Delete")
        return old(replace(case, holding=replace(case.holding, marker=freed)))

    return classify_unwanted


def _nothing_stale(_: object) -> object:
    return lambda *_given, **_named: ()


# In which order ------------------------------------------------------------------------------------------------------


def _old_one_first(_: object) -> object:
    def replace_(work: Any, raw: Any, name: str, old: Any, steps: Any) -> bool:
        steps.effect(StopContainer(old, raw.stop_grace_s), "stop the old one")
        steps.effect(RemoveContainer(old), "remove the old one")
        lowering._create(work, raw, name, steps)
        steps.effect(StartContainer(Made(name, work.want.uid)), "start the new one")
        return False

    return replace_


def _ready_unasked(old: Callable[..., None]) -> object:
    def wait_for(steps: Any, part: Any, *, named: str = "") -> None:
        if not named:
            old(steps, part)

    return wait_for


def _with_secrets(old: Callable[[World, str], dict[str, str]]) -> object:
    return lambda world, host: {**old(world, host), **world.request.secrets}


MUTANTS = (
    Mutant(
        name="label-without-name",
        breaks="takes for ours what carries our labels, under whatever name",
        parts={"reconciler.model.ownership:prove_labels": _by_label_alone},
        seed=2,
    ),
    Mutant(
        name="name-without-label",
        breaks="adopts a look-alike: what has a name that we derive, without a label of ours",
        parts={"reconciler.model.ownership:prove_container": _by_name_alone},
        seed=5,
    ),
    Mutant(
        name="labels-of-the-image",
        breaks="takes labels that a container has from its image for its own",
        parts={
            "reconciler.model.ownership:prove_container": _images_without_labels,
            "reconciler.model.ownership:doubt_container": _image_without_labels,
        },
        seed=191,
    ),
    Mutant(
        name="half-a-read-is-empty",
        breaks="takes a look that was cut short for a host that holds nothing",
        parts={"reconciler.observe:observe": _nothing_from(cut=True)},
        seed=2,
    ),
    Mutant(
        name="silence-is-empty",
        breaks="takes a host that cannot be reached for one that holds nothing",
        parts={"reconciler.observe:observe": _nothing_from(cut=False)},
        seed=2,
    ),
    Mutant(
        name="host-identity-ignored",
        breaks="works on whatever machine answers under a host's address",
        parts={"reconciler.plan.machine:identity_trouble": _no_trouble},
        seed=12,
    ),
    Mutant(
        name="young-orphans-reaped",
        breaks="an orphan is taken for old enough, however young it is",
        parts={"reconciler.plan.case:Case.age_s": lambda _: property(lambda _case: 1e9)},
        seed=47,
    ),
    Mutant(
        name="twins-ignored",
        breaks="works on one machine as if it were two hosts",
        parts={"reconciler.plan.machine:find_twins": _no_twins},
        seed=31,
    ),
    Mutant(
        name="budget-diluted",
        breaks="counts other people's containers as owned, so that more may be removed",
        parts={"reconciler.plan.guard:refusals": _everything_counts},
        seed=143,
    ),
    Mutant(
        name="empty-specs-allowed",
        breaks="removes what is there when the specs want nothing at all",
        parts={"reconciler.plan.guard:refusals": _empty_is_fine},
        seed=50,
    ),
    Mutant(
        name="marker-does-not-protect",
        breaks="ends what its marker protects or retains once its spec is gone",
        parts={"reconciler.plan.unwanted:classify_unwanted": _nothing_kept},
        seed=12,
    ),
    Mutant(
        name="older-checkout-wins",
        breaks="changes what was made from a commit that this checkout does not contain",
        parts={"reconciler.plan.classify:_strange_revision": _no_trouble},
        seed=86,
    ),
    Mutant(
        name="stale-plan-obeyed",
        breaks="applies a saved plan although what it read has changed",
        parts={"reconciler.plan.basis:stale_reads": _nothing_stale},
        seed=88,
    ),
    Mutant(
        name="old-one-first",
        breaks="removes the old container before its replacement was made",
        parts={"reconciler.plan.steps:_replace": _old_one_first},
        seed=11,
    ),
    Mutant(
        name="ready-unasked",
        breaks="ends the old container of a start-first replacement without asking whether the new one is ready",
        parts={"reconciler.plan.step_list:StepList.wait_for": _ready_unasked},
        seed=176,
    ),
    Mutant(
        name="secret-in-the-plan",
        breaks="fills secrets in where a plan is made, so that it is written down with them",
        parts={"reconciler.plan.world:World.bindings": _with_secrets},
        seed=4,
    ),
)
