"""Accept that another machine answers as a host, or that it has lost its id: a person says so, and it is recorded."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from reconciler.cli import exits, report
from reconciler.cli.ask import ask
from reconciler.cli.ground import Ground, lay_ground, owner
from reconciler.cli.named_host import named_host
from reconciler.cli.options import SPECS, STATUS, LockTimeout, Specs, Status, Yes
from reconciler.errors import GuardRefused, HostError, Locked, ReadFailed, ReconcilerError

if TYPE_CHECKING:
    from reconciler.host.interface import Host
    from reconciler.model.desired import HostDesired
    from reconciler.model.observed import HostIdentity
    from reconciler.model.status import HostStatus, Statuses


def accept(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The host's name in the specs.")],
    specs: Specs = SPECS,
    status: Status = STATUS,
    yes: Yes = False,
    lock_timeout: LockTimeout = 0,
) -> int:
    """Record that the machine that answers as NAME now is the one meant. Touches no container and no data."""
    import asyncio

    ground = lay_ground(specs, status)
    host = named_host(ground.desired, name)
    ground.store.open()
    try:
        return asyncio.run(_hold_and_accept(ground, host, yes=yes, lock_timeout_s=lock_timeout))
    except HostError as error:
        report.complain(error)
        return exits.PARTIAL


async def _hold_and_accept(ground: Ground, host: HostDesired, *, yes: bool, lock_timeout_s: float) -> int:
    from reconciler.passes import hold_status

    with contextlib.ExitStack() as held:
        await hold_status(held, ground.store, owner=owner(), timeout_s=lock_timeout_s, clock=ground.clock)
        loaded = ground.store.load(now=ground.clock.now())
        report.warn(loaded.warnings)
        return await _accept(ground, host, loaded.statuses, yes=yes)


async def _accept(ground: Ground, host: HostDesired, statuses: Statuses, *, yes: bool) -> int:
    from reconciler.host import open_gate, open_host
    from reconciler.record.hosts import accept_host

    opened = open_host(host.access, gate=open_gate(), clock=ground.clock.now)
    try:
        identity = await opened.identify()
        before = statuses.hosts.get(host.name)
        if _is_recorded(before, identity):
            report.say(f"host {host.name} is the machine on record: host id {identity.host_id}; nothing to accept")
            return exits.FINE
        _refuse_twin(host.name, identity, statuses)
        _tell(host.name, before, identity)
        if not yes and not _agreed(host.name):
            report.say("nothing was changed")
            return exits.REFUSED
        # A person took their time: what is recorded must be what they were shown.
        if await opened.identify() != identity:
            raise _another(host.name)
        if identity.host_id is None:
            identity = await _give_id(opened, identity, ground)
        ground.store.save(accept_host(statuses, name=host.name, identity=identity, fleet=ground.desired.fleet))
    finally:
        await opened.close()
    report.say(f"host {host.name} is host id {identity.host_id} from now on; next: reconcile plan")
    return exits.FINE


def _is_recorded(before: HostStatus | None, identity: HostIdentity) -> bool:
    if before is None or identity.host_id is None:
        return False
    return (before.record.host_id, before.record.docker_root) == (identity.host_id, identity.docker_root)


def _refuse_twin(name: str, identity: HostIdentity, statuses: Statuses) -> None:
    """Refuse a machine that is another host already: what stands there would be planned twice."""
    twins = [other for other, known in statuses.hosts.items() if other != name and _is_twin(known, identity)]
    if twins:
        raise ReconcilerError(
            f"hosts {name} and {', '.join(twins)} are one machine: they have one host id or one Docker engine",
            code="E_HOST_IDENTITY",
            hint="keep one of the Host documents",
        )


def _is_twin(known: HostStatus, identity: HostIdentity) -> bool:
    same_id = identity.host_id is not None and known.record.host_id == identity.host_id
    return same_id or (identity.engine is not None and known.record.engine == identity.engine)


def _tell(name: str, before: HostStatus | None, identity: HostIdentity) -> None:
    """Show what is on record and what answers; only the first two lines decide, the rest is evidence."""
    record = None if before is None else before.record
    snapshot = None if before is None else before.snapshot
    lines = [
        ("host id", record and record.host_id, identity.host_id),
        ("Docker's folder", record and record.docker_root, identity.docker_root),
        ("machine id", None, identity.machine_id),
        ("boot id", snapshot and snapshot.boot_id, identity.boot_id),
        ("Docker's own id", None, identity.docker_id),
    ]
    report.say(f"host {name}, base folder {identity.base_dir}:")
    width = max(len(f"{old or '-'}") for _, old, _ in lines)
    for what, old, new in lines:
        report.say(f"  {what:<16} on record: {old or '-':<{width}}   now: {new or 'none'}")


def _agreed(name: str) -> bool:
    if not report.is_interactive():
        raise GuardRefused(
            f"nobody is here to say that this is host {name}: this is no terminal",
            hint="look at the machine, then add --yes",
            code="E_NO_APPROVAL",
        )
    return ask(f"Is the machine that answers now meant to be host {name}?")


async def _give_id(host: Host, before: HostIdentity, ground: Ground) -> HostIdentity:
    """Have the host write an id into our base folder, under its lock, and read it back.

    Raises:
        Locked: another pass works on this host.
        HostError: it could not be written, or another machine answers by now.
    """
    from reconciler.host.interface import Busy, Question
    from reconciler.model.effect import Done, MakeDirectory, NotDone

    base_dir = before.base_dir
    lease = await host.hold(owner())
    if isinstance(lease, Busy):
        raise Locked(f"host {host.name}", lease.holder, lease.since)
    try:
        # Whatever is made in the base folder gives it an id first. The lock made the folder; its mode is kept.
        look = await host.look(Question(fleet=ground.desired.fleet, paths=(base_dir,)), now=ground.clock.now)
        effect = MakeDirectory(path=base_dir, mode=look.paths[base_dir].mode, root=base_dir)
        outcome = await host.effect(effect, secrets={})
    finally:
        await lease.release()
    if not isinstance(outcome, Done):
        why, hint = (outcome.message, outcome.hint) if isinstance(outcome, NotDone) else (outcome.why, "try again")
        raise ReadFailed(f"host {host.name}: its id could not be written: {why}", code="E_HOST_IDENTITY", hint=hint)
    after = await host.identify()
    if after.host_id is None or msgspec.structs.replace(after, host_id=None) != before:
        raise _another(host.name)
    return after


def _another(name: str) -> HostError:
    message = f"host {name}: it does not answer as it did a moment ago"
    return ReadFailed(message, code="E_HOST_IDENTITY", hint="look at it, then try again")
