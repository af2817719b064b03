"""Gather what a plan, a look and a pass say about each sandbox, so that the fold has one thing to read."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from reconciler.model.digest import fingerprint
from reconciler.model.observed import Observed, Reachable, SeenContainer, Unreachable
from reconciler.model.outcome import ActionEnded, Instance, PassEnded
from reconciler.model.ownership import Ours, prove_container, trusted_markers
from reconciler.model.plan import Action, Bucket, Held, Matched, Plan

_RANK = {bucket: rank for rank, bucket in enumerate(Bucket)} | {
    # A sandbox that moves is told by the host that it moves to.
    Bucket.MATCHING: -6,
    Bucket.DRIFTED: -5,
    Bucket.MISSING: -4,
    Bucket.UNRECORDED: -3,
    Bucket.ZOMBIE_WANTED: -2,
    Bucket.EXPIRED: -1,
    Bucket.CLASH: 0,
    Bucket.HELD: 0,
    Bucket.UNKNOWN: 1,
}


class Standing(msgspec.Struct, frozen=True):
    """Hold one container of ours that stands on its host, and the key of the resource that it is."""

    resource: str
    seen: SeenContainer


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Hold everything one pass says about one sandbox on one host.

    Attributes:
        said: what the plan says of it.
        ended: what became of the action, or of a probe of a matching sandbox; None when nothing was tried.
        look: what the host answered; None when it was not asked.
        standing: the containers of it that its host showed.
        lock_holder: who held the host's lock, when that stopped the action.
    """

    sandbox: str
    host: str
    said: Action | Held | Matched
    ended: ActionEnded | None
    look: Reachable | Unreachable | None
    lock_holder: str | None = None
    standing: tuple[Standing, ...] = ()

    @property
    def out_of_sight(self) -> bool:
        """Tell whether nothing new is known of the sandbox: its host did not answer, or cannot be asked."""
        return isinstance(self.look, Unreachable) or (self.look is None and self.said.bucket is Bucket.UNKNOWN)


def gather(plan: Plan, observed: Observed, ended: PassEnded | None) -> dict[str, tuple[Account, ...]]:
    """Sort what is known by sandbox; of each, the host that counts comes first."""
    results = {} if ended is None else {action.id: action for action in ended.actions}
    locked = {} if ended is None else ended.locked
    standing = _standing(observed, fleet=plan.fleet)
    found: dict[str, list[Account]] = {}
    everything: tuple[Action | Held | Matched, ...] = (*plan.matched, *plan.actions, *plan.held)
    for said in everything:
        name = said.sandbox
        account = Account(
            sandbox=name,
            host=said.host,
            said=said,
            ended=results.get(f"{said.host}/{name}"),
            look=observed.hosts.get(said.host),
            standing=standing.get((said.host, name), ()),
            lock_holder=locked.get(said.host) if isinstance(said, Action) else None,
        )
        found.setdefault(name, []).append(account)
    return {name: tuple(sorted(items, key=_order)) for name, items in found.items()}


def instances_of(account: Account) -> tuple[Instance, ...]:
    """List the containers that make up a sandbox, as its host showed them."""
    return tuple(
        Instance(
            resource=item.resource,
            name=item.seen.name,
            full_id=item.seen.full_id,
            started_at=item.seen.live.started_at,
        )
        for item in account.standing
    )


def starts_of(instances: Iterable[Instance]) -> str:
    """Digest which containers make up a sandbox and when each started."""
    return fingerprint(sorted((item.full_id, str(item.started_at)) for item in instances))


def _standing(observed: Observed, *, fleet: str) -> dict[tuple[str, str], tuple[Standing, ...]]:
    """Sort the containers that are provably ours by host and sandbox, tombs and replacements left out."""
    found: dict[tuple[str, str], list[Standing]] = {}
    for host, look in observed.hosts.items():
        if isinstance(look, Unreachable):
            continue
        view = look.view
        markers = trusted_markers(view, fleet=fleet)
        for seen in sorted(view.containers, key=lambda item: item.name):
            proof = prove_container(seen, fleet=fleet, images=view.images, markers=markers)
            if isinstance(proof, Ours) and proof.name.settled:
                item = Standing(resource=str(proof.key), seen=seen)
                found.setdefault((host, proof.name.sandbox), []).append(item)
    return {where: tuple(items) for where, items in found.items()}


def _order(account: Account) -> tuple[int, str]:
    return _RANK[account.said.bucket], account.host
