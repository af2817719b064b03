"""Write the same containers in everybody's words: our specs, a compose file, a playbook, a loop."""

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.stage import IMAGE
from tests.e2e.driver import Driver
from tests.lab.host import LabHost

PORT = 8080
MEMORY = "64m"


def declare_web(driver: Driver, hosts: Sequence[LabHost], *, each: int) -> None:
    """Declare a fleet with `each` sandboxes on each host, with a published port, a limit, and an HTTP probe."""
    driver.declare_fleet()
    for host in hosts:
        driver.declare_host(host)
        for index in range(each):
            driver.declare_sandbox(f"web-{host.name}-{index}", **web(host.name))


def web(host: str) -> dict[str, Any]:
    """Give the spec of one sandbox."""
    main = {
        "image": IMAGE,
        "env": {"MODE": "fast"},
        "ports": {"web": {"container": PORT}},
        "resources": {"memory": "64MiB"},
    }
    return {
        "host": host,
        "containers": {"main": main},
        "readiness": {"web": {"http": {"container": "main", "port": "web", "path": "/"}}},
    }


def write_compose(path: Path, count: int) -> Path:
    """Write the same for compose, on the engine's own bridge, as ours are; version 2.4 is read by both generations."""
    service = {
        "image": IMAGE,
        "environment": {"MODE": "fast"},
        "ports": [f"127.0.0.1::{PORT}"],
        "mem_limit": MEMORY,
        "network_mode": "bridge",
        "restart": "unless-stopped",
    }
    document = {"version": "2.4", "services": {f"web{index}": service for index in range(count)}}
    path.write_text(json.dumps(document, indent=2))
    return path


def write_playbook(path: Path, count: int) -> Path:
    """Write the same for Ansible."""
    task = {
        "community.docker.docker_container": {
            "name": "web{{ item }}",
            "image": IMAGE,
            "pull": "never",
            "env": {"MODE": "fast"},
            "published_ports": [f"127.0.0.1::{PORT}"],
            "memory": MEMORY,
            "restart_policy": "unless-stopped",
        },
        "loop": list(range(count)),
    }
    path.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}], indent=2))
    return path


def run_loop(count: int) -> str:
    """Write the same for a shell with Docker's command line."""
    run = f"docker run -d -e MODE=fast -p 127.0.0.1::{PORT} --memory {MEMORY} --restart unless-stopped {IMAGE}"
    return f"set -e; for i in $(seq {count}); do {run}; done"


def write_fleet(folder: Path, count: int) -> None:
    """Write specs for the loader alone: one file for each of `count` sandboxes, ten to a host that does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "fleet.yaml", [{"kind": "Fleet", "metadata": {"name": "big"}, "spec": {}}])
    hosts = range(max(1, count // 10))
    _write(folder / "hosts.yaml", [_host(index) for index in hosts])
    for index in range(count):
        (folder / f"web-{index:05d}.yaml").write_text(_SANDBOX.format(index=index, host=index % len(hosts)))


# Written by hand and by profile, as people do; braces are doubled for `format`.
_SANDBOX = """apiVersion: reconciler/v1
kind: Sandbox
metadata: {{name: web-{index:05d}, labels: {{team: blue}}}}
spec:
  profile: service
  inputs: {{image: "registry.example/web:1.4"}}
  host: h{host:04d}
  directories: {{cache: {{path: cache}}}}
  files:
    config:
      path: config
      content: |
        mode = fast
        number = {index}
  containers:
    main:
      env: {{MODE: fast, NUMBER: "{index}"}}
      mounts:
        /cache: {{directory: cache}}
        /etc/web.conf: {{file: config, readOnly: true}}
      resources: {{memory: 64MiB}}
"""


def _host(index: int) -> dict[str, Any]:
    raw = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + hashlib.sha256(str(index).encode()).digest()
    ssh = {"user": "ops", "hostKey": f"ssh-ed25519 {base64.b64encode(raw).decode()}", "identityFile": "/etc/keys/id"}
    spec = {"address": f"10.20.{index // 250}.{index % 250 + 1}", "ssh": ssh}
    return {"kind": "Host", "metadata": {"name": f"h{index:04d}"}, "spec": spec}


def _write(path: Path, documents: Sequence[dict[str, Any]]) -> None:
    whole = [json.dumps({"apiVersion": "reconciler/v1", **document}) for document in documents]
    path.write_text("".join(f"---\n{document}\n" for document in whole))
