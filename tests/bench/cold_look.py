"""Look at the hosts of a file once and end: `python -m tests.bench.cold_look FLEET WAYS.json`."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from reconciler.cli.clock import SystemClock
from reconciler.host import open_gate, open_reader
from reconciler.host.interface import Reader
from reconciler.model.access import HostAccess
from reconciler.model.desired import Desired, HostDesired
from reconciler.model.observed import Reachable
from reconciler.model.record import Records
from reconciler.observe import Sighting, observe


def desired_of(ways: Sequence[HostAccess], *, fleet: str) -> Desired:
    """Want nothing on these hosts."""
    hosts = {access.name: HostDesired(name=access.name, access=access) for access in ways}
    return Desired(fleet=fleet, digest="0" * 64, hosts=hosts, sandboxes={})


async def look(desired: Desired, readers: Mapping[str, Reader], *, with_facts: bool) -> Sighting:
    """Look at every host: with its counters, as `apply` does, or without, as `plan` does."""
    return await observe(
        desired,
        connect=lambda host: readers[host.name],
        records=Records(),
        now=SystemClock().now,
        with_facts=with_facts,
    )


async def main(fleet: str, ways: Sequence[HostAccess]) -> int:
    """Connect, look, close; return 0 when all answered."""
    desired, gate = desired_of(ways, fleet=fleet), open_gate()
    readers = {name: open_reader(host.access, gate=gate) for name, host in desired.hosts.items()}
    sighting = await look(desired, readers, with_facts=True)
    for reader in readers.values():
        await reader.close()
    lost = [state for state in sighting.observed.hosts.values() if not isinstance(state, Reachable)]
    print(f"{len(readers) - len(lost)} of {len(readers)} answered", *(lost[:1]))
    return 1 if lost else 0


if __name__ == "__main__":
    ways_read = msgspec.json.decode(Path(sys.argv[2]).read_bytes(), type=list[HostAccess])
    sys.exit(asyncio.run(main(sys.argv[1], ways_read)))
