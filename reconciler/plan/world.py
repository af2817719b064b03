"""Lay out everything one planning looks at, sorted, with what forbids touching a whole host."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import msgspec

from reconciler.model.desired import Desired, SandboxDesired
from reconciler.model.names import sandbox_uid
from reconciler.model.observed import Observed, Reachable, Unreachable
from reconciler.model.record import Record, Records
from reconciler.plan.admission import Room
from reconciler.plan.assessment import Trouble
from reconciler.plan.holdings import Holding, HostHoldings, sort_view
from reconciler.plan.machine import find_twins, identity_trouble, storage_trouble
from reconciler.plan.placement import Placement, Siting, place, settled
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
        remembered: the records, by uid and host.
        holdings: what each answering host holds, sorted by ownership.
        bound: what `${host.…}` means on each answering host.
        host_troubles: why nothing may be done on a host that did answer.
        rooms: what each answering host of the specs has room for.
        placements: where the sandboxes are to be whose host the specs leave open; `desired` has them there.
    """

    desired: Desired
    observed: Observed
    records: Records
    remembered: dict[str, dict[str, Record]]
    request: PlanRequest
    holdings: dict[str, HostHoldings]
    bound: dict[str, dict[str, str]]
    host_troubles: dict[str, Trouble]
    rooms: dict[str, Room]
    placements: dict[str, Placement]

    def wanted(self, place: Place) -> SandboxDesired | None:
        """Give what the specs want at a place; what a person asked to destroy is not wanted."""
        want = self.desired.sandboxes.get(place.sandbox)
        if want is None or want.host != place.host or place.sandbox in self.request.destroying:
            return None
        return want

    def recorded(self, place: Place) -> Record | None:
        """Give what we remember having made at a place."""
        return self._of(place.sandbox).get(place.host)

    def latest(self, sandbox: str) -> Record | None:
        """Give what we remember last of a sandbox, on whichever host: its generation counts on when it moves."""
        found = self._of(sandbox).values()
        return max(found, key=lambda item: (item.generation, item.host), default=None)

    def _of(self, sandbox: str) -> dict[str, Record]:
        """Give the records of a sandbox by host."""
        return self.remembered.get(sandbox_uid(self.desired.fleet, sandbox), {})

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
        return self.bound.get(host, {})


def lay_out(desired: Desired, observed: Observed, records: Records, request: PlanRequest) -> World:
    """Sort every answer by ownership, judge every host, and place what the specs leave open."""
    answers = {name: state for name, state in sorted(observed.hosts.items()) if isinstance(state, Reachable)}
    holdings = {name: sort_view(state.view, fleet=desired.fleet) for name, state in answers.items()}
    remembered: defaultdict[str, dict[str, Record]] = defaultdict(dict)
    made_on: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records.sandboxes:
        remembered[record.uid].setdefault(record.host, record)
        made_on[record.host].append(record)
    troubles = find_twins(desired, answers, records)
    for name, state in answers.items():
        spec = desired.hosts.get(name)
        suspended = suspension(spec.suspend, f"host {name}", now=request.now) if spec is not None else None
        identity = state.view.identity
        changed = identity_trouble(name, identity, holdings[name], records.hosts.get(name), made_on[name])
        overlap = storage_trouble(spec, identity) if spec is not None else None
        trouble = suspended or troubles.get(name) or changed or overlap
        if trouble is not None:
            troubles[name] = trouble
    rooms = {
        name: Room(host=desired.hosts[name], state=state, holdings=holdings[name])
        for name, state in answers.items()
        if name in desired.hosts
    }
    placements = place(
        Siting(
            desired=desired, observed=observed, remembered=remembered, rooms=rooms, troubles=troubles, request=request
        )
    )
    return World(
        desired=settled(desired, {name: placed.host for name, placed in placements.items()}),
        observed=observed,
        records=records,
        remembered=dict(remembered),
        request=request,
        holdings=holdings,
        bound={name: state.view.identity.bindings for name, state in answers.items()},
        host_troubles=troubles,
        rooms=rooms,
        placements=placements,
    )


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
