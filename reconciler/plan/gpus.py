"""Say which GPUs the containers of one sandbox get. They are counted by number: an engine lends one to many.

What other sandboxes of ours have asked for is taken. Those of one sandbox add up, and share with one that has all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

from reconciler.model.desired import SandboxDesired
from reconciler.model.effect import CreateContainer
from reconciler.model.observed import SeenContainer
from reconciler.model.plan import Action, Apply
from reconciler.model.resource import Container, Gpus
from reconciler.model.snapshot import HostSnapshot
from reconciler.plan.holdings import Holding

GPU_HINT = "see what that host has (nvidia-smi), free some, name another host, or ask for fewer"

_VERSION = re.compile(r"([0-9]+)[.]([0-9]+)")


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """Say what one container that asks for GPUs is made with, if it is made now.

    Attributes:
        gpus: what the engine is asked for; unset where it is made without.
        lacking: what its host lacks, or could not tell; empty where nothing.
        is_held: it is not made for that.
    """

    gpus: Gpus | msgspec.UnsetType = msgspec.UNSET
    lacking: str = ""
    is_held: bool = False


class _Lack(msgspec.Struct, frozen=True):
    """Hold what a host lacks; not known is neither there nor missing."""

    words: str
    is_known: bool = True


def grant(want: SandboxDesired, holding: Holding, facts: HostSnapshot | None, *, taken: int) -> dict[str, Grant]:
    """Decide for each container that asks for GPUs, by name, as if all were made now.

    Args:
        want: the sandbox.
        holding: what is there of it.
        facts: what its host told of itself; None where it did not.
        taken: how many other sandboxes have, or are to have.
    """
    asking = [(one.name, one.gpu) for one in want.containers if one.gpu is not msgspec.UNSET]
    found: dict[str, Grant] = {}
    given: list[Gpus | msgspec.UnsetType] = []

    def turn(name: str, asked: Gpus) -> tuple[bool, bool, bool]:
        """Let those that have some come first, then those that cannot do without, and who does without last."""
        there = holding.settled.get(name)
        has = there is not None and there.seen.spec.gpu is not msgspec.UNSET
        return not has, asked.policy == "auto", there is not None

    for name, asked in sorted(asking, key=lambda one: turn(*one)):
        lack = _lack(asked, facts, taken=taken, given=given)
        if lack is None:
            found[name] = Grant(gpus=asked.plain)
            given.append(asked.plain)
            continue
        found[name] = Grant(lacking=lack.words, is_held=asked.policy == "require" or not lack.is_known)
        if name in holding.settled:  # it keeps what it has
            given.append(holding.settled[name].seen.spec.gpu)
    return found


def needs_gpus(want: SandboxDesired) -> bool:
    """Tell whether it cannot be made without GPUs: it then comes before those that can."""
    return any(one.gpu is not msgspec.UNSET and one.gpu.policy == "require" for one in want.containers)


def held_for(grants: Mapping[str, Grant], made: Iterable[Container]) -> str | None:
    """Say what keeps any of these containers from being made; None where nothing does."""
    held = (grants[one.name] for one in made if one.name in grants)
    return next((one.lacking for one in held if one.is_held), None)


def count_of(asked: Iterable[Gpus | msgspec.UnsetType], *, total: int) -> int:
    """Count what containers of one sandbox have asked for together, on a host that has `total`."""
    counts = [one.count for one in asked if one is not msgspec.UNSET]
    return total if None in counts else sum(count or 0 for count in counts)


def held_by(holding: Holding, *, total: int) -> int:
    """Count what a sandbox that is there has."""
    there = (owned.seen for owned in (*holding.settled.values(), *holding.arriving))
    return count_of([seen.spec.gpu for seen in there if not _has_ended(seen)], total=total)


def brought_by(action: Action, holding: Holding, *, total: int) -> int:
    """Count what a sandbox takes more once an action is done."""
    effects = (step.do.effect for step in action.steps if isinstance(step.do, Apply))
    made = {one.container.name: one.container.gpu for one in effects if isinstance(one, CreateContainer)}
    kept = {name: owned.seen.spec.gpu for name, owned in holding.settled.items()}
    return max(0, count_of((kept | made).values(), total=total) - held_by(holding, total=total))


def _has_ended(seen: SeenContainer) -> bool:
    """Tell whether a container did its work and will not run again by itself."""
    return seen.live.state in {"exited", "dead"} and seen.spec.restart == "no"


def _lack(
    asked: Gpus, facts: HostSnapshot | None, *, taken: int, given: list[Gpus | msgspec.UnsetType]
) -> _Lack | None:
    if facts is None:
        return _Lack("did not tell its GPUs, and some are asked for", is_known=False)
    if facts.gpus is None:
        why = facts.missing.get("gpus", "nobody knows why")
        return _Lack(f"could not tell its GPUs: {why}", is_known=False)
    total = len(facts.gpus)
    if not total:
        return _Lack(f"has no GPU: {asked.count or 'at least 1'} missing")
    return _too_old(asked, facts) or _too_few(asked, total=total, taken=taken, given=given)


def _too_old(asked: Gpus, facts: HostSnapshot) -> _Lack | None:
    if asked.cuda is None:
        return None
    offered = [one.cuda for one in facts.gpus or ()]
    versions = [_version(one) for one in offered]
    if None in versions:
        return _Lack(f"could not tell which CUDA it offers, and {asked.cuda} is asked for", is_known=False)
    if all(version >= (_version(asked.cuda) or ()) for version in versions if version is not None):
        return None
    return _Lack(f"offers CUDA {offered[0]}, and {asked.cuda} or newer is asked for")


def _too_few(asked: Gpus, *, total: int, taken: int, given: list[Gpus | msgspec.UnsetType]) -> _Lack | None:
    """Compare counts; who has all shares them with its own sandbox, and with no other."""
    shares = asked.count is None or any(one is not msgspec.UNSET and one.count is None for one in given)
    used = taken if shares else taken + count_of(given, total=total)
    needed = total if asked.count is None else asked.count
    free = max(0, total - used)
    if free >= needed:
        return None
    why = f" ({total} there, {min(used, total)} taken)" if used else ""
    return _Lack(f"has {free} of {needed} GPUs{' free' if used else ''}: {needed - free} missing{why}")


def _version(text: str | None) -> tuple[int, int] | None:
    found = _VERSION.match(text or "")
    return None if found is None else (int(found[1]), int(found[2]))
