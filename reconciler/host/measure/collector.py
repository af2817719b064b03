"""Look at a host's load, memory, disks, sandboxes and GPUs, and before that at its CPU times, for their rate."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from reconciler.errors import ReadFailed
from reconciler.host.measure.facts import CpuTicks, cpu_ticks, decode_snapshot, decode_ticks
from reconciler.host.measure.groups import Groups, decode_groups
from reconciler.host.scripts import load_script

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from reconciler.host.shell.held import HeldShell
    from reconciler.model.snapshot import HostSnapshot

APART_S = 0.2
"""Time between the two looks, at least: twenty ticks of the kernel's 100 Hz accounting for each CPU."""
RECENT_S = 5.0

_LOOK_S = 10.0


class Earlier(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the CPU times of an earlier look, and when it ended by the event loop's clock."""

    ticks: CpuTicks
    at_s: float

    @property
    def is_recent(self) -> bool:
        """Tell whether it still tells what the CPUs do, and not what they did."""
        return asyncio.get_running_loop().time() - self.at_s <= RECENT_S


def remember_ticks(*, boot_id: str | None, line: str | None) -> Earlier | None:
    """Keep what a look at other things told of the CPU times just now; None where it does not tell them."""
    try:
        ticks = cpu_ticks(boot_id=boot_id or "", line=line or "")
    except ValueError:
        return None
    return Earlier(ticks=ticks, at_s=asyncio.get_running_loop().time())


async def look(
    shell: HeldShell, *, base_dir: str, docker_root: str | None, container_ids: tuple[str, ...] = (), gpus: bool = False
) -> bytes:
    """Run the collector once, and give what it printed, for `reconciler.host.measure.facts` to decode.

    Raises:
        ReadFailed, ConnectFailed: it failed, or did not end in 10 s.
    """
    lines = [f"base {base_dir}"]
    if docker_root is not None:
        lines.append(f"docker {docker_root}")
    lines += [f"id {full_id}" for full_id in container_ids]
    if gpus:
        lines.append("gpu")
    return await _run(shell, "collect", "\n".join([*lines, ""]).encode())


async def look_at_groups(shell: HeldShell, container_ids: tuple[str, ...]) -> Groups:
    """Look at the control groups of these containers alone. Raises as `look`, and as `decode_groups`."""
    if not container_ids:
        return Groups(uses={}, missing={})
    output = await _run(shell, "collect", "".join(f"id {full_id}\n" for full_id in container_ids).encode())
    return decode_groups(shell.host, output, container_ids=container_ids)


async def look_at_ticks(shell: HeldShell) -> Earlier:
    """Look at the CPU times alone, for a later look to tell their rate. Raises as `look`."""
    ticks = decode_ticks(shell.host, await _run(shell, "ticks", b""))
    return Earlier(ticks=ticks, at_s=asyncio.get_running_loop().time())


async def _run(shell: HeldShell, script: str, stdin: bytes) -> bytes:
    done = await shell.run(load_script(script), stdin=stdin, deadline_s=_LOOK_S)
    if done.exit_status != 0:
        raise ReadFailed(
            f"host {shell.host}: the collector ended with status {done.exit_status}", code="E_FACTS_FAILED"
        )
    return done.stdout


async def collect(
    shell: HeldShell,
    *,
    base_dir: str,
    docker_root: str | None,
    now: Callable[[], datetime],
    container_ids: tuple[str, ...] = (),
    gpus: bool = True,
    earlier: Earlier | None = None,
) -> HostSnapshot:
    """Look, at least 0.2 s after an earlier look at the CPU times, and decode both.

    Args:
        shell: the host's kept shell.
        base_dir: absolute; the nearest existing parent is measured where it is not there yet.
        docker_root: the engine's data folder, or None when it is unknown.
        now: the controller's clock.
        container_ids: full ids of the containers to measure.
        gpus: whether to ask for GPUs, which takes a good part of a second where there are any.
        earlier: the earlier look, where there was one; not used when it was more than 5 s ago.

    Raises:
        ReadFailed, ConnectFailed: no whole look came.
    """
    if earlier is None or not earlier.is_recent:
        earlier = await look_at_ticks(shell)
    await asyncio.sleep(max(0.0, earlier.at_s + APART_S - asyncio.get_running_loop().time()))
    output = await look(shell, base_dir=base_dir, docker_root=docker_root, container_ids=container_ids, gpus=gpus)
    return decode_snapshot(shell.host, earlier.ticks, output, collected_at=now(), container_ids=container_ids)
