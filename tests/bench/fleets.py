"""Make fleets in memory on which everything is as it is wanted."""

import hashlib
from dataclasses import dataclass

from reconciler.model.desired import Desired, SandboxDesired
from reconciler.model.names import sandbox_uid
from reconciler.model.observed import Observed, Reachable
from reconciler.model.record import Records
from reconciler.plan import PlanRequest
from tests.builders import (
    BASE_DIR,
    FLEET,
    REVISION,
    a_container,
    a_directory,
    a_file,
    a_host,
    a_record,
    a_records,
    a_sandbox,
    a_settled_view,
    an_identity,
    later,
)

_ON_A_HOST = 10


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """Hold what a plan is made from."""

    desired: Desired
    observed: Observed
    records: Records
    request: PlanRequest


def settled_fleet(sandboxes: int) -> Fleet:
    """Give a fleet of so many sandboxes, ten on each host, all recorded and running as wanted."""
    wanted = [_sandbox(index) for index in range(sandboxes)]
    by_host: dict[str, list[SandboxDesired]] = {}
    for sandbox in wanted:
        by_host.setdefault(sandbox.host, []).append(sandbox)
    ids = {host: hashlib.sha256(host.encode()).hexdigest()[:32] for host in by_host}
    views = {
        host: a_settled_view(*held, identity=an_identity(host_id=ids[host], docker_id=None))
        for host, held in by_host.items()
    }
    return Fleet(
        desired=Desired(
            fleet=FLEET,
            digest="0" * 64,
            hosts={host: a_host(host) for host in by_host},
            sandboxes={sandbox.name: sandbox for sandbox in wanted},
        ),
        observed=Observed(hosts={host: Reachable(view=view) for host, view in views.items()}),
        records=a_records(*(a_record(sandbox, host_id=ids[sandbox.host]) for sandbox in wanted)),
        request=PlanRequest(
            now=later(hours=1), pass_id="p-bench", tool="bench", revision=REVISION, ancestors=frozenset({REVISION})
        ),
    )


def _sandbox(index: int) -> SandboxDesired:
    name = f"web-{index:05d}"
    own = f"{BASE_DIR}/{sandbox_uid(FLEET, name)}"
    return a_sandbox(
        name,
        host=f"h{index // _ON_A_HOST:04d}",
        resources=(
            a_container(env={"MODE": "fast"}, memory_bytes=512 << 20),
            a_directory(path=f"{own}/cache"),
            a_file(path=f"{own}/config"),
        ),
    )
