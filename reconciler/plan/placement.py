"""Choose the host of each sandbox whose spec leaves it open: where it is, there it stays; a new one goes where it fits.

What could be read of the hosts decides, and what is remembered: never a second copy, and nothing moves by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

import msgspec

from reconciler.model.desired import Choice, Desired, SandboxDesired
from reconciler.model.names import sandbox_uid
from reconciler.model.observed import Observed, Unreachable
from reconciler.model.plan import Bucket, Plan
from reconciler.model.record import Record, Records
from reconciler.model.size import round_size
from reconciler.plan.admission import Room, Taken
from reconciler.plan.assessment import Trouble
from reconciler.plan.gpus import needs_gpus
from reconciler.plan.holdings import Holding
from reconciler.plan.request import PlanRequest
from reconciler.plan.suspension import suspension

_SHOWN = 5
"""So many hosts are told of one by one: a pool may have hundreds."""


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """Say where one sandbox is to be.

    Attributes:
        host: where; with a `trouble`, the one that it is told under.
        notes: why, of one that is nowhere yet.
        trouble: why it cannot be told, or is nowhere possible.
    """

    host: str
    notes: tuple[str, ...] = ()
    trouble: Trouble | None = None


class Siting(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what placing looks at.

    Attributes:
        remembered: the records, by uid and host.
        rooms: of each host of the specs that answered, by name.
        troubles: why nothing may be done on a host that answered.
    """

    desired: Desired
    observed: Observed
    remembered: Mapping[str, Mapping[str, Record]]
    rooms: Mapping[str, Room]
    troubles: Mapping[str, Trouble]
    request: PlanRequest

    def unread(self, host: str) -> Trouble | None:
        """Say why nobody knows what a host holds, or None: one that another machine answers for tells nothing."""
        known = self.troubles.get(host)
        if known is not None and known.reason == "HostIdentity":
            return known
        if host in self.rooms:
            return None
        state = self.observed.hosts.get(host)
        if isinstance(state, Unreachable):
            return Trouble("HostUnreachable", f"{host} did not answer in full: {state.reason}", state.hint)
        if host in self.desired.hosts:
            return Trouble("HostUnreachable", f"{host} was not asked", "select it too")
        return Trouble("HostNotInSpecs", f"host {host} is in the records and not in the specs", None)

    def held(self, host: str, sandbox: str) -> Holding:
        """Give what a host holds of a sandbox."""
        none = Holding(sandbox=sandbox)
        return self.rooms[host].holdings.sandboxes.get(sandbox, none) if host in self.rooms else none


def place(siting: Siting) -> dict[str, Placement]:
    """Place every sandbox whose spec leaves its host open, by name. Pure, and independent of any order.

    Those that are somewhere stay there. The others are placed one after the other, each counting what those before it
    will take; what is not selected comes last, so that it takes nothing from what is, and what can do without GPUs
    comes after what cannot.
    """
    choices, request = siting.desired.choices, siting.request
    found: dict[str, Placement] = {}
    for name, choice in choices.items():
        settled = _where_it_is(siting, name, choice)
        if settled is not None:
            found[name] = settled
    coming = _coming(siting, {name: placed.host for name, placed in found.items() if placed.trouble is None})

    def turn(name: str) -> tuple[bool, bool, str]:
        return not _selected(request, name), not needs_gpus(choices[name].forms[0]), name

    for name in sorted(choices.keys() - found.keys(), key=turn):
        placed = found[name] = _choose(siting, name, choices[name], coming)
        if placed.trouble is None and name not in request.destroying:
            want, before = choices[name].on(placed.host), coming[placed.host]
            coming[placed.host] += siting.rooms[placed.host].takes(want, reserved=before)
    return found


def settled(desired: Desired, placed: Mapping[str, str]) -> Desired:
    """Give the specs with sandboxes on the hosts where they were placed; of others nothing changes."""
    if not placed:
        return desired
    chosen = {name: desired.choices[name].on(host) for name, host in placed.items()}
    return msgspec.structs.replace(desired, sandboxes={**desired.sandboxes, **chosen})


def placed_in(made: Plan, desired: Desired) -> dict[str, str]:
    """Tell where a plan has placed those whose host the specs leave open, of all that it names."""
    stays = {item.sandbox: item.host for item in made.matched if item.bucket is Bucket.MATCHING}
    stays |= {action.sandbox: action.host for action in made.actions if not action.verb.ends}
    return {
        name: host for name, host in stays.items() if name in desired.choices and host in desired.choices[name].hosts
    }


def hosts_to_ask(desired: Desired, records: Records, *, only: frozenset[str]) -> frozenset[str]:
    """Name the hosts that were selected, and those without which their sandboxes cannot be judged.

    Those are the hosts of what they depend on, and the new hosts of what moves away from them. One whose host the specs
    leave open may be wherever it was made, or wherever it may be placed.
    """
    places = _places(desired, records)
    here = {name for name, hosts in places.items() if not hosts.isdisjoint(only)}
    needed = here | {name for one in here for name in desired.sandboxes[one].depends_on}
    needed |= {record.sandbox for record in records.sandboxes if record.host in only}
    hosts = {host for name in needed & places.keys() for host in places[name]}
    return only | (hosts & desired.hosts.keys())


def _places(desired: Desired, records: Records) -> dict[str, frozenset[str]]:
    """Tell on which hosts each wanted sandbox may be."""
    made_on: defaultdict[str, set[str]] = defaultdict(set)
    for record in records.sandboxes:
        made_on[record.sandbox].add(record.host)
    places = {name: frozenset({want.host}) for name, want in desired.sandboxes.items()}
    for name, choice in desired.choices.items():
        stays = not made_on[name].isdisjoint(choice.hosts)
        places[name] = frozenset(made_on[name] if stays else {*choice.hosts, *made_on[name]})
    return places


# Where it is ---------------------------------------------------------------------------------------------------------


def _where_it_is(siting: Siting, name: str, choice: Choice) -> Placement | None:
    """Say where a sandbox stays, or why that cannot be told; None for one that is nowhere, or has to move."""
    records = siting.remembered.get(sandbox_uid(siting.desired.fleet, name), {})
    standing = [host for host in sorted(choice.hosts) if siting.unread(host) is None and _stands(siting, host, name)]
    if standing:
        return Placement(host=max(standing, key=lambda host: _claim(siting, host, name, records)))
    unread = [(host, why) for host in sorted(records) if (why := siting.unread(host)) is not None]
    if unread:
        return _out_of_sight(unread, choice)
    known = sorted(
        (host for host in records if host in choice.hosts), key=lambda host: (records[host].applied_at, host)
    )
    if known:
        return Placement(host=known[-1])
    silent = [(host, why) for host in sorted(choice.hosts) if (why := siting.unread(host)) is not None]
    if silent and not records:
        return _perhaps_there(silent, choice)
    kept = [host for host in sorted(choice.hosts) if siting.held(host, name).volumes]
    return Placement(host=kept[0], notes=("placed where its volumes are",)) if kept else None


def _stands(siting: Siting, host: str, name: str) -> bool:
    """Tell whether a host holds a sandbox, what may be it, or the mark that it has to stay away."""
    held, holdings = siting.held(host, name), siting.rooms[host].holdings
    is_marked = held.marker is not None
    may_be = held.doubts or name in holdings.renamed or sandbox_uid(siting.desired.fleet, name) in holdings.damaged
    return bool(held.exists or is_marked or may_be)


def _claim(siting: Siting, host: str, name: str, records: Mapping[str, Record]) -> tuple[bool, bool, int]:
    """Rank one of two copies: what is there comes before a mark, what we remember before what we do not."""
    held = siting.held(host, name)
    return held.exists, host in records, held.generation


def _out_of_sight(unread: list[tuple[str, Trouble]], choice: Choice) -> Placement:
    """Leave a sandbox where it was made, although nobody knows whether it is there still."""
    here = [host for host, _ in unread if host in choice.hosts]
    if here:
        return Placement(host=here[0])
    host, why = unread[0]
    message = f"it was made on {host}, which is none of its hosts any more, and it moves once that can be read: "
    hint = why.hint or "put the Host document back; if the machine is gone for good, remove its status file"
    return Placement(host=min(choice.hosts), trouble=Trouble(why.reason, message + why.message, hint))


def _perhaps_there(silent: list[tuple[str, Trouble]], choice: Choice) -> Placement:
    host, why = silent[0]
    message = f"no record tells where it is, and it may be on {host}, of which nothing is known: {why.message}"
    hint = why.hint or f"see what is wrong with it: reconcile doctor {host}"
    apart = (
        f"; to place new ones without it meanwhile, take its label ({_pool(choice)}) away" if choice.selector else ""
    )
    return Placement(host=host, trouble=Trouble(why.reason, message, hint + apart))


# Where there is room -------------------------------------------------------------------------------------------------


class _Site(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one host that a sandbox may go to.

    Attributes:
        sandboxes: those there and those to come.
        available_bytes: None is not measured.
        refusal: why it cannot go there.
        goes_without: what it lacks of the GPUs that the sandbox would rather have, and can do without.
    """

    host: str
    sandboxes: int
    available_bytes: int | None
    refusal: str | None
    goes_without: str | None = None

    def rank(self, strategy: str) -> tuple[int, bool, int, str]:
        """Order hosts: for `spread` the emptiest comes first, for `pack` the fullest."""
        sign, left = (1 if strategy == "spread" else -1), self.available_bytes
        return sign * self.sandboxes, left is None, -sign * (left or 0), self.host

    def told(self, unit: str = "", *, alike: bool) -> str:
        """Say how full it is; where another is as full, with what decided between them."""
        memory = f" and {round_size(self.available_bytes)} available" if alike and self.available_bytes else ""
        return f"{self.sandboxes}{unit}{memory}"


def _choose(siting: Siting, name: str, choice: Choice, coming: Mapping[str, Taken]) -> Placement:
    sites = sorted(_sites(siting, name, choice, coming), key=lambda site: site.rank(choice.strategy))
    fit = [site for site in sites if site.refusal is None]
    if not fit:
        refused = "; ".join(sorted(site.refusal or "" for site in sites)[:_SHOWN])
        more = f"; and {len(sites) - _SHOWN} more" if len(sites) > _SHOWN else ""
        message = f"none of the {_hosts(choice)} can take it: {refused}{more}"
        hint = "free some, raise spec.admission of a host, or give another host the labels"
        return Placement(host=sites[0].host, trouble=Trouble("NoHostFits", message, hint))
    left_out = [one.refusal for one in sites if one.refusal is not None]
    if whole := [site for site in fit if site.goes_without is None]:
        left_out += [one.goes_without for one in fit if one.goes_without is not None]
        fit = whole
    again = siting.request.placed.get(name)
    site = next((one for one in fit if one.host == again), fit[0])
    left_out.sort()
    notes = [_why(site, fit, choice, all_fit=not left_out)]
    notes += [f"left out: {refusal}" for refusal in left_out[:_SHOWN]]
    notes += [f"left out: {len(left_out) - _SHOWN} more"] if len(left_out) > _SHOWN else []
    return Placement(host=site.host, notes=tuple(notes))


def _sites(siting: Siting, name: str, choice: Choice, coming: Mapping[str, Taken]) -> Iterator[_Site]:
    for host in choice.hosts:
        room = siting.rooms.get(host)
        if room is None:
            why = siting.unread(host)
            refusal = why.message if why is not None else ""
            yield _Site(host=host, sandboxes=0, available_bytes=None, refusal=refusal)
            continue
        want = choice.on(host)
        trouble, lacking = siting.troubles.get(host), room.lacking(want, reserved=coming[host])
        granted = room.grants(want, reserved_gpus=coming[host].gpus_before(want))
        facts = room.state.snapshot
        yield _Site(
            host=host,
            sandboxes=room.owned(without=name) + coming[host].sandboxes,
            available_bytes=None if facts is None else facts.memory_available_bytes - coming[host].memory_bytes,
            refusal=trouble.message if trouble is not None else lacking and f"{host} {lacking}",
            goes_without=next((f"{host} {one.lacking}" for one in granted.values() if one.lacking), None),
        )


def _why(site: _Site, fit: list[_Site], choice: Choice, *, all_fit: bool) -> str:
    """Say why a host was chosen, with the numbers that decided it."""
    room = "" if all_fit else " that can take it"
    if len(fit) == 1:
        only = "the only host" if len(choice.hosts) == 1 else f"the only one of {_hosts(choice)}{room}"
        pool = f" with {_pool(choice)}" if len(choice.hosts) == 1 and choice.selector else ""
        return f"placed on {site.host}: {only}{pool}"
    most = "the emptiest" if choice.strategy == "spread" else "the fullest"
    others = [one for one in fit if one is not site]
    is_tie = any(one.sandboxes == site.sandboxes for one in others)
    listed = [f"{one.host} {one.told(alike=one.sandboxes == site.sandboxes)}" for one in others[:_SHOWN]]
    more = f", and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    told = site.told(" sandbox" if site.sandboxes == 1 else " sandboxes", alike=is_tie)
    return f"placed on {site.host}: {most} of {_hosts(choice)}{room} ({told}; {', '.join(listed)}{more})"


def _hosts(choice: Choice) -> str:
    noun = "host" if len(choice.hosts) == 1 else "hosts"
    return f"{len(choice.hosts)} {noun}{f' with {_pool(choice)}' if choice.selector else ''}"


def _pool(choice: Choice) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(choice.selector.items()))


def _coming(siting: Siting, placed: Mapping[str, str]) -> defaultdict[str, Taken]:
    """Give what hosts are to take besides: sandboxes that are wanted there and not there yet.

    More than this plan may make in the end: what is held back later keeps its room all the same.
    """
    coming: defaultdict[str, Taken] = defaultdict(Taken)
    wanted = settled(siting.desired, placed).sandboxes.values()
    for want in sorted(wanted, key=lambda one: (not needs_gpus(one), one.name)):
        room = siting.rooms.get(want.host)
        if room is None or (want.name in siting.desired.choices and want.name not in placed):
            continue
        if _comes(siting, want):
            coming[want.host] += room.takes(want, reserved=coming[want.host])
    return coming


def _comes(siting: Siting, want: SandboxDesired) -> bool:
    """Tell whether a sandbox that is not there yet may be made by this plan."""
    request, held = siting.request, siting.held(want.host, want.name)
    marker = held.marker
    is_there = bool(held.containers) or (marker is not None and marker.phase == "expired")
    is_left = want.name in request.destroying or suspension(want.suspend, "it", now=request.now) is not None
    is_meant = request.selection.covers(sandbox=want.name, host=want.host)
    return is_meant and not (is_there or is_left or want.host in siting.troubles)


def _selected(request: PlanRequest, name: str) -> bool:
    chosen = request.selection
    return (chosen.names is None or name in chosen.names) and name not in chosen.excluded
