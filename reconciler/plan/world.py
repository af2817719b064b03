"""Lay out everything one planning looks at, sorted, with what forbids touching a whole host."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec

from reconciler.model.desired import Desired, SandboxDesired
from reconciler.model.names import sandbox_uid
from reconciler.model.observed import Observed, Reachable, Unreachable
from reconciler.model.record import Record, Records
from reconciler.plan.assess import Trouble
from reconciler.plan.holdings import Holding, HostHoldings, sort_view
from reconciler.plan.request import PlanRequest
from reconciler.plan.suspension import suspension


class Place(msgspec.Struct, frozen=True, order=True):
    """Name one object of the decision table: a sandbox on a host."""

    host: str
    sandbox: str

    @property
    def action_id(self) -> str:
        """Give the id of the action that would change it."""
        return f"{self.host}/{self.sandbox}"


class World(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what is wanted, remembered and seen, ready to be looked up by place.

    Attributes:
        holdings: what each answering host holds, sorted by ownership.
        host_troubles: why nothing may be done on a host that did answer.
    """

    desired: Desired
    observed: Observed
    records: Records
    request: PlanRequest
    holdings: dict[str, HostHoldings]
    host_troubles: dict[str, Trouble]

    def wanted(self, place: Place) -> SandboxDesired | None:
        """Give what the specs want at a place; what a person asked to destroy is not wanted."""
        want = self.desired.sandboxes.get(place.sandbox)
        if want is None or want.host != place.host or place.sandbox in self.request.destroying:
            return None
        return want

    def recorded(self, place: Place) -> Record | None:
        """Give what we remember having made at a place."""
        uid = sandbox_uid(self.desired.fleet, place.sandbox)
        found = (item for item in self.records.sandboxes if item.uid == uid and item.host == place.host)
        return next(found, None)

    def held(self, place: Place) -> Holding:
        """Give what an answering host holds of a sandbox; empty when nothing."""
        none = Holding(sandbox=place.sandbox)
        holdings = self.holdings.get(place.host)
        return holdings.sandboxes.get(place.sandbox, none) if holdings is not None else none

    def reachable(self, host: str) -> Reachable | None:
        """Give a host's full answer, or None when there is none."""
        state = self.observed.hosts.get(host)
        return state if isinstance(state, Reachable) else None

    def places(self) -> Iterator[Place]:
        """Give every object there is to decide about, in order. Hosts that were not asked are left out."""
        found = {Place(want.host, name) for name, want in self.desired.sandboxes.items()}
        found |= {Place(record.host, record.sandbox) for record in self.records.sandboxes}
        found |= {Place(host, name) for host, holdings in self.holdings.items() for name in holdings.sandboxes}
        unasked = self.desired.hosts.keys() - self.observed.hosts.keys()
        yield from sorted(place for place in found if place.host not in unasked)

    def bindings(self, host: str) -> dict[str, str]:
        """Give what `${host.…}` means on an answering host."""
        state = self.reachable(host)
        return state.view.identity.bindings if state is not None else {}


def lay_out(desired: Desired, observed: Observed, records: Records, request: PlanRequest) -> World:
    """Sort every answer by ownership and judge every host."""
    answers = {name: state for name, state in sorted(observed.hosts.items()) if isinstance(state, Reachable)}
    holdings = {name: sort_view(state.view, fleet=desired.fleet) for name, state in answers.items()}
    troubles: dict[str, Trouble] = {}
    for name, state in answers.items():
        trouble = _host_trouble(name, state, answers, holdings[name], desired=desired, records=records, now=request.now)
        if trouble is not None:
            troubles[name] = trouble
    return World(
        desired=desired,
        observed=observed,
        records=records,
        request=request,
        holdings=holdings,
        host_troubles=troubles,
    )


def _host_trouble(
    name: str,
    state: Reachable,
    answers: dict[str, Reachable],
    holdings: HostHoldings,
    *,
    desired: Desired,
    records: Records,
    now: datetime,
) -> Trouble | None:
    """Say why nothing may be done on a host that answered: it is suspended, or it may be another machine."""
    spec = desired.hosts.get(name)
    suspended = suspension(spec.suspend, f"host {name}", now=now) if spec is not None else None
    if suspended is not None:
        return suspended
    identity = state.view.identity
    twins = [
        other
        for other, answer in answers.items()
        if other != name and identity.host_id is not None and answer.view.identity.host_id == identity.host_id
    ]
    if twins:
        return Trouble(
            "HostIdentity",
            f"hosts {name} and {', '.join(twins)} are one machine: both read host id {identity.host_id}",
            "keep one of the Host documents, or give each its own baseDir",
        )
    known = records.hosts.get(name)
    expected = known.host_id if known is not None else None
    if expected is not None and identity.host_id is not None and identity.host_id != expected:
        return Trouble(
            "HostIdentity",
            f"host {name} is not the machine it was: host id {identity.host_id}, expected {expected}",
            f"if it was replaced on purpose: reconcile host accept {name}",
        )
    root = known.docker_root if known is not None else None
    if expected is not None and root is not None and root != identity.docker_root:
        return Trouble(
            "HostIdentity",
            f"host {name} keeps Docker's data in {identity.docker_root}, expected {root}: what we made is out of sight",
            f"if that was moved on purpose: reconcile host accept {name}",
        )
    if identity.host_id is None and (expected is not None or _holds_anything(holdings)):
        return Trouble(
            "HostIdentity",
            f"host {name} has lost its host id ({identity.base_dir}/.host-id): it may have been reimaged",
            f"look at it, then: reconcile host accept {name}",
        )
    return None


def _holds_anything(holdings: HostHoldings) -> bool:
    return any(holding.exists for holding in holdings.sandboxes.values())


def unreachable_reason(world: World, host: str) -> Trouble:
    """Say why nothing is known of a host."""
    state = world.observed.hosts.get(host)
    if isinstance(state, Unreachable):
        return Trouble("HostUnreachable", f"{host} did not answer in full: {state.reason}", state.hint)
    return Trouble(
        "HostNotInSpecs",
        f"host {host} is in the records and not in the specs",
        "put the Host document back; if the machine is gone for good, remove its sandboxes' files in status/sandboxes",
    )
