"""Build what is wanted."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from reconciler.model.access import HostAccess
from reconciler.model.desired import Desired, HostDesired, SandboxDesired
from reconciler.model.digest import intent_digest
from reconciler.model.names import sandbox_uid
from reconciler.model.probe import HttpProbe, RunningProbe, TcpProbe
from reconciler.model.resource import Container, Directory, File, Network, Volume
from reconciler.model.source import SourceRef

FLEET = "lab"
HOST = "h1"
SANDBOX = "web-1"
CONTAINER = "main"
IMAGE = "registry.example/web:1.4"
HOST_ID = "5f0c2f6e1d0b4a7c9e8d7f6a5b4c3d2e"
HOME = "/home/ops"
BASE_DIR = "/home/ops/.reconciler/lab"
DOCKER_ROOT = "/var/lib/docker"
REVISION = "4f2c1d9a0b1c2d3e4f5061728394a5b6c7d8e9f0"
RUN = "r-00000001"

ATTEMPT = "a-00000001"
T0 = datetime(2025, 6, 1, 12, 0, 0, tzinfo=UTC)


def later(**units: float) -> datetime:
    """Give a moment after `T0`: `later(hours=2)`."""
    return T0 + timedelta(**units)


def full_id(seed: object) -> str:
    """Give a 64-hex id that is the same for the same seed."""
    return hashlib.sha256(f"id {seed}".encode()).hexdigest()


def image_id(seed: object) -> str:
    """Give a `sha256:…` id that is the same for the same seed."""
    return f"sha256:{full_id(f'image {seed}')}"


def a_ref(**over: Any) -> SourceRef:
    """Point at a place in a spec."""
    return SourceRef(**{"file": "specs/web.yaml", "line": 7, "col": 3, **over})


def an_access(**over: Any) -> HostAccess:
    """Reach `h1` over SSH with a pinned key."""
    return HostAccess(
        **{
            "name": HOST,
            "address": "10.20.0.5",
            "user": "ops",
            "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8nNq3w8Vq0m1b8m8Zf0m0i3mJx6Yk7q4r1s2t3u4v5",
            "docker_socket": "/var/run/docker.sock",
            "base_dir": BASE_DIR,
            **over,
        }
    )


def a_host(name: str = HOST, **over: Any) -> HostDesired:
    """Want one host."""
    return HostDesired(**{"name": name, "access": an_access(name=name), "at": a_ref(line=1), **over})


def a_container(name: str = CONTAINER, **over: Any) -> Container:
    """Want one container: an image and nothing else."""
    return Container(**{"name": name, "image": IMAGE, **over})


def a_directory(name: str = "cache", **over: Any) -> Directory:
    """Want a directory below the sandbox `web-1`'s own folder."""
    return Directory(**{"name": name, "path": f"{BASE_DIR}/{sandbox_uid(FLEET, SANDBOX)}/{name}", **over})


def a_file(name: str = "config", **over: Any) -> File:
    """Want a file below the sandbox `web-1`'s own folder."""
    path = f"{BASE_DIR}/{sandbox_uid(FLEET, SANDBOX)}/{name}"
    return File(**{"name": name, "path": path, "content": "mode = fast\n", **over})


def a_volume(name: str = "data", **over: Any) -> Volume:
    """Want a volume."""
    return Volume(**{"name": name, **over})


def a_network(name: str = "net", **over: Any) -> Network:
    """Want a network."""
    return Network(**{"name": name, **over})


def an_http_probe(**over: Any) -> HttpProbe:
    """Ask `main` for `/` on port 8080."""
    return HttpProbe(**{"name": "web", "container": CONTAINER, "port": 8080, **over})


def a_tcp_probe(**over: Any) -> TcpProbe:
    """Ask `main` to accept on port 8080."""
    return TcpProbe(**{"name": "open", "container": CONTAINER, "port": 8080, **over})


def a_running_probe(**over: Any) -> RunningProbe:
    """Ask whether `main` runs."""
    return RunningProbe(**{"name": "running", "container": CONTAINER, **over})


def a_sandbox(name: str = SANDBOX, *, fleet: str = FLEET, **over: Any) -> SandboxDesired:
    """Want one sandbox on `h1`, with one container unless `resources` says otherwise.

    `uid` and `intent` are derived, `at` is where it was said; each can be overridden.
    """
    given = {"host": HOST, "resources": (a_container(),), "at": a_ref(), **over}
    sandbox = SandboxDesired(**{"name": name, "uid": sandbox_uid(fleet, name), **given})
    return sandbox if "intent" in over else replace(sandbox, intent=intent_digest(sandbox))


def a_desired(*sandboxes: SandboxDesired, **over: Any) -> Desired:
    """Want a fleet of these sandboxes (none if none is given), on the hosts that they name and on `h1`."""
    names = sorted({HOST, *(sandbox.host for sandbox in sandboxes)})
    return Desired(
        **{
            "fleet": FLEET,
            "digest": "0" * 64,
            "hosts": {name: a_host(name) for name in names},
            "sandboxes": {sandbox.name: sandbox for sandbox in sandboxes},
            **over,
        }
    )
