"""Look at a host's load, memory, disks, sandboxes and GPUs: two looks of one script, for the rates between them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from reconciler.errors import ReadFailed
from reconciler.host.measure.facts import decode_snapshot
from reconciler.host.scripts import load_script

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from reconciler.host.shell.held import HeldShell
    from reconciler.model.snapshot import HostSnapshot

APART_S = 0.2
"""Time between the two looks: twenty ticks of the kernel's 100 Hz accounting for each CPU."""

_LOOK_S = 10.0


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
    done = await shell.run(load_script("collect"), stdin="\n".join([*lines, ""]).encode(), deadline_s=_LOOK_S)
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
) -> HostSnapshot:
    """Look twice, 0.2 s apart, and decode both.

    Args:
        shell: the host's kept shell.
        base_dir: absolute; the nearest existing parent is measured where it is not there yet.
        docker_root: the engine's data folder, or None when it is unknown.
        now: the controller's clock.
        container_ids: full ids of the containers to measure.
        gpus: whether to ask for GPUs, which takes a good part of a second where there are any.

    Raises:
        ReadFailed, ConnectFailed: no whole look came.
    """
    first = await look(shell, base_dir=base_dir, docker_root=docker_root)
    await asyncio.sleep(APART_S)
    second = await look(shell, base_dir=base_dir, docker_root=docker_root, container_ids=container_ids, gpus=gpus)
    return decode_snapshot(shell.host, first, second, collected_at=now(), container_ids=container_ids)
