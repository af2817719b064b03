"""Tell whether a host that answered is the machine it is taken for: no other one, and no other Host's as well."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from reconciler.model.desired import Desired, HostDesired
from reconciler.model.observed import HostIdentity, Reachable
from reconciler.model.record import HostRecord, Record, Records
from reconciler.plan.assessment import Trouble
from reconciler.plan.holdings import HostHoldings


def find_twins(desired: Desired, answers: Mapping[str, Reachable], records: Records) -> dict[str, Trouble]:
    """Hold every answering host that is one machine, or one engine, with another Host of the specs.

    Each of the two would take what the other has for orphans. A host that was not asked is known by its record.
    """
    seen_as: defaultdict[str, set[str]] = defaultdict(set)
    evidence: dict[str, str] = {}
    for name, state in answers.items():
        for token, text in _traits(state):
            seen_as[token].add(name)
            evidence[token] = text
    for name in desired.hosts.keys() - answers.keys():
        for token in _remembered_traits(records.hosts.get(name)):
            seen_as[token].add(name)
    troubles: dict[str, Trouble] = {}
    for token, names in sorted(seen_as.items()):
        for name in names & answers.keys() if len(names) > 1 else ():
            others = ", ".join(sorted(names - {name}))
            what = f"hosts {name} and {others} are one machine: {evidence[token]}"
            troubles.setdefault(name, Trouble("HostIdentity", what, "keep one of the Host documents"))
    return troubles


def identity_trouble(
    name: str, identity: HostIdentity, holdings: HostHoldings, known: HostRecord | None, made_on_it: Iterable[Record]
) -> Trouble | None:
    """Say why a host that answered may be another machine than the one that was recorded, or None."""
    expected = known.host_id if known is not None else None
    # What was begun and never finished may not be there on the right machine either.
    made_here = [record.sandbox for record in made_on_it if record.phase == "present" and record.complete]
    there = {sandbox for sandbox, holding in holdings.sandboxes.items() if holding.exists}
    if expected is not None and identity.host_id is not None and identity.host_id != expected:
        return Trouble(
            "HostIdentity",
            f"host {name} is not the machine it was: host id {identity.host_id}, expected {expected}",
            f"if it was replaced on purpose: reconcile host accept {name}",
        )
    root = known.docker_root if known is not None else None
    if root is not None and root != identity.docker_root and (expected is not None or made_here):
        return Trouble(
            "HostIdentity",
            f"host {name} keeps Docker's data in {identity.docker_root}, expected {root}: what we made is out of sight",
            f"if that was moved on purpose: reconcile host accept {name}",
        )
    if identity.host_id is None and (expected is not None or there):
        return Trouble(
            "HostIdentity",
            f"host {name} has lost its host id ({identity.base_dir}/.host-id): it may have been reimaged",
            f"look at it, then: reconcile host accept {name}",
        )
    if expected is None and made_here and not there.intersection(made_here):
        return Trouble(
            "HostIdentity",
            f"host {name} holds nothing of what was made on it ({', '.join(sorted(made_here)[:3])}), and its host id "
            "was never recorded: it may be another machine",
            f"look at it, then: reconcile host accept {name}",
        )
    return None


def storage_trouble(spec: HostDesired, identity: HostIdentity) -> Trouble | None:
    """Hold a host whose storage holds our own folder, or lies in it; below a home, only the host can tell."""
    kept = {
        "baseDir": (identity.base_dir, "a file of a sandbox could replace the marker of another"),
        "Docker's data": (identity.docker_root, "a file of a sandbox could replace what Docker keeps"),
        "the SSH user's keys": (f"{identity.home}/.ssh", "a file of a sandbox could let somebody log in"),
    }
    for name, root in sorted(spec.storage.items()):
        for what, (path, why) in kept.items():
            if f"{path}/".startswith(f"{root}/") or f"{root}/".startswith(f"{path}/"):
                return Trouble(
                    "StorageOverlap",
                    f"storage root {name} ({root}) and {what} ({path}) hold one another: {why}",
                    "name a folder that holds data and nothing else",
                )
    return None


def _traits(state: Reachable) -> Iterator[tuple[str, str]]:
    """Give what no two machines share, each with how it is said."""
    identity = state.view.identity
    if identity.host_id is not None:
        yield f"host id {identity.host_id}", f"both read host id {identity.host_id}"
    if identity.engine is not None:
        yield f"engine {identity.engine}", "the same Docker engine answers for both"
    containers = [(seen.full_id, seen.name) for seen in state.view.containers]
    for full_id, name in containers + [(other.full_id, other.name) for other in state.view.neighbours]:
        yield f"container {full_id}", f"both have the container {full_id[:12]} ({name})"


def _remembered_traits(known: HostRecord | None) -> Iterator[str]:
    if known is not None and known.host_id is not None:
        yield f"host id {known.host_id}"
    if known is not None and known.engine is not None:
        yield f"engine {known.engine}"
