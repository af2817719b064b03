"""Write down what a lab has started, so that it can be stopped after a crash.

`lab.json` in the lab's folder holds one entry per host. Everything else of a host (users, mounts, processes)
is inside its world and ends with the world's init.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.lab.missing import LabError

_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class HostRecord:
    """Describe one started host; enough to use it and to stop it.

    `init_pid` and `init_start_ticks` name the process that holds it, `link_number` its `rlabN` link.
    """

    name: str
    generation: str
    engine_version: str
    number: int
    init_pid: int
    init_start_ticks: int
    own_network: bool
    address: str
    ssh_port: int
    user: str
    uid: int
    gid: int
    host_key: str
    identity_file: str
    docker_socket: str
    base_dir: str
    home: str
    data_root: str
    storage_driver: str
    folder: str


def recorded(lab: Path) -> list[HostRecord]:
    """Return the hosts that a lab's folder knows. Raises `LabError` when the folder is no lab's."""
    try:
        document = json.loads((lab / "lab.json").read_text())
    except FileNotFoundError as gone:
        raise LabError(f"{lab} holds no lab (no lab.json); `python -m tests.lab up {lab}` starts one") from gone
    if document.get("format") != _FORMAT:
        raise LabError(f"{lab}/lab.json has format {document.get('format')}; expected {_FORMAT}")
    return [HostRecord(**entry) for entry in document["hosts"]]


def record(lab: Path, host: HostRecord) -> None:
    """Add a host to a lab's file, or replace the entry of its name."""
    with _changing(lab) as hosts:
        hosts[host.name] = asdict(host)


def forget(lab: Path, name: str) -> None:
    """Take a host out of a lab's file."""
    with _changing(lab) as hosts:
        hosts.pop(name, None)


@contextmanager
def _changing(lab: Path) -> Iterator[dict[str, Any]]:
    lab.mkdir(parents=True, exist_ok=True)
    with (lab / "lab.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = lab / "lab.json"
        hosts = {host.name: asdict(host) for host in recorded(lab)} if path.exists() else {}
        yield hosts
        partial = lab / "lab.json.partial"
        partial.write_text(json.dumps({"format": _FORMAT, "hosts": list(hosts.values())}, indent=2) + "\n")
        partial.rename(path)
