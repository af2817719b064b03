"""Start the hosts that every contender works on, and write down the way to them in each one's own words."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path

from reconciler.model.access import HostAccess
from tests.bench.peers import Peers
from tests.lab.config import HostOptions
from tests.lab.host import LabHost
from tests.lab.world import wait_until

IMAGE = "lab/web:1"
# A hundred connections to eight machines are a dozen logins to each at once, which sshd would turn away.
_SSHD = ("MaxStartups 300", "MaxSessions 100")
_STARTING = 4
ASK = "cat /proc/stat /proc/meminfo /proc/loadavg; df -P /; docker ps --all --no-trunc --format '{{json .}}'"
"""What peers ask a host for: counters and containers. POSIX sh; `docker` is on every host's search path."""


class Stage:
    """Hold the hosts, and files that tell ssh, Ansible and pyinfra of `connections` names for them."""

    def __init__(self, folder: Path, hosts: Sequence[LabHost], peers: Peers, stack: ExitStack) -> None:
        self.folder = folder
        self.hosts = tuple(hosts)
        self.peers = peers
        self._stack = stack

    @classmethod
    @contextmanager
    def open(cls, folder: Path, count: int, peers: Peers) -> Iterator["Stage"]:
        """Start hosts `a1`, `a2`, … with the image on each; stop them at the end."""
        folder.mkdir()
        folder.chmod(0o755)
        with ExitStack() as stack:
            with ThreadPoolExecutor(_STARTING) as starters:
                options = HostOptions(sshd=_SSHD)
                starts = [starters.submit(LabHost.start, folder, f"a{at}", options) for at in range(1, count + 1)]
            for start in starts:
                if start.exception() is None:
                    stack.callback(start.result().stop)
            hosts = [start.result() for start in starts]
            for host in hosts:
                host.load_image(IMAGE)
            yield cls(folder, hosts, peers, stack)

    def host(self, index: int) -> LabHost:
        """Give a host; there may be fewer than a row would like."""
        return self.hosts[index % len(self.hosts)]

    # The ways to them ------------------------------------------------------------------------------------------------

    def names(self, count: int) -> list[str]:
        """Name connections: `c000`, `c001`, …; number i leads to host i modulo their count."""
        return [f"c{index:03d}" for index in range(count)]

    def access(self, index: int, *, fleet: str) -> HostAccess:
        """Give one connection in our words."""
        host = self.host(index)
        return HostAccess(
            name=f"c{index:03d}",
            address=host.address,
            port=host.ssh_port,
            user=host.user,
            host_key=" ".join(host.host_key.split()[:2]),
            identity_file=str(host.identity_file),
            docker_socket=str(host.docker_socket),
            base_dir=f"{host.home}/.reconciler/{fleet}",
        )

    def ssh_config(self, count: int, *, shared: bool) -> Path:
        """Write a configuration for OpenSSH; `shared` ones go through the masters of `masters`."""
        known = self.folder / "known_hosts"
        known.write_text(
            "".join(f"[{h.address}]:{h.ssh_port} {' '.join(h.host_key.split()[:2])}\n" for h in self.hosts)
        )
        lines = [
            "Host *",
            f"  UserKnownHostsFile {known}\n  GlobalKnownHostsFile none\n  StrictHostKeyChecking yes",
            "  IdentitiesOnly yes\n  BatchMode yes\n  LogLevel ERROR",
            # The default exchange of newer versions costs six times the CPU; with it, peers would look worse.
            "  KexAlgorithms curve25519-sha256",
            f"  ControlPath {self.folder}/cm-%n" if shared else "  ControlPath none",
            "  ControlMaster no",
        ]
        for index, name in enumerate(self.names(count)):
            host = self.host(index)
            lines.append(f"Host {name}\n  HostName {host.address}\n  Port {host.ssh_port}\n  User {host.user}")
            lines.append(f"  IdentityFile {host.identity_file}")
        path = self.folder / f"ssh_{'shared' if shared else 'own'}.conf"
        path.write_text("\n".join(lines) + "\n")
        return path

    def masters(self, count: int) -> list[int]:
        """Open one master connection per name, which stay until the stage is taken down; return their pids."""
        config = self.ssh_config(count, shared=True)
        pids: list[int] = []
        for name in self.names(count):
            words = [*self.peers.ssh.argv, "-F", str(config), "-M", "-N", name]
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            self._stack.callback(_end, process)
            pids.append(process.pid)
        wait_until(
            lambda: all((self.folder / f"cm-{name}").exists() for name in self.names(count)),
            timeout_s=120,
            what="the master connections",
        )
        return pids

    def pyinfra_inventory(self, count: int) -> Path:
        """Write an inventory for pyinfra."""
        self.ssh_config(count, shared=False)
        hosts = [
            (
                name,
                {
                    "ssh_hostname": self.host(index).address,
                    "ssh_port": self.host(index).ssh_port,
                    "ssh_user": self.host(index).user,
                    "ssh_key": str(self.host(index).identity_file),
                    "ssh_known_hosts_file": str(self.folder / "known_hosts"),
                    "ssh_strict_host_key_checking": "yes",
                },
            )
            for index, name in enumerate(self.names(count))
        ]
        path = self.folder / "pyinfra_inventory.py"
        path.write_text(f"hosts = {hosts!r}\n")
        return path

    def ansible_inventory(self, names: Sequence[str]) -> Path:
        """Write an inventory for Ansible; connections are described in the ssh configuration."""
        path = self.folder / "ansible_inventory.json"
        hosts = {name: {"ansible_python_interpreter": str(self._remote_python)} for name in names}
        path.write_text(json.dumps({"all": {"hosts": hosts}}))
        return path

    def ansible_env(self, *, shared: bool, count: int, forks: int = 32) -> dict[str, str]:
        """Give Ansible its settings: pipelining, which is its fastest way, and our ssh configuration."""
        tools, home = self.peers.ansible, self.folder / "ansible_home"
        home.mkdir(exist_ok=True)
        return {
            "PATH": f"{tools.folder}/bin:{self.ssh_wrapper(shared=shared, count=count)}:/usr/bin:/bin",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(tools.collections),
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_FORKS": str(forks),
            "ANSIBLE_SSH_ARGS": "-o ControlMaster=no",
            "ANSIBLE_LOCALHOST_WARNING": "False",
            "ANSIBLE_DEPRECATION_WARNINGS": "False",
        }

    def ssh_wrapper(self, *, shared: bool, count: int) -> Path:
        """Make a folder with an `ssh` that reads our configuration, whoever starts it."""
        folder = self.folder / f"bin_{'shared' if shared else 'own'}"
        folder.mkdir(exist_ok=True)
        config = self.ssh_config(count, shared=shared)
        program = folder / "ssh"
        program.write_text(f'#!/bin/sh\nexec {self.peers.ssh.argv[0]} -F {config} "$@"\n')
        program.chmod(0o755)
        return folder

    def docker_env(self, index: int) -> dict[str, str]:
        """Give Docker's tools the socket of a host, without SSH."""
        return self._tool_env(f"unix://{self.host(index).docker_socket}", "/usr/bin:/bin")

    def docker_ssh_env(self, name: str, *, count: int) -> dict[str, str]:
        """Give Docker's tools the way to a host over SSH."""
        return self._tool_env(f"ssh://{name}", f"{self.ssh_wrapper(shared=False, count=count)}:/usr/bin:/bin")

    def _tool_env(self, docker_host: str, path: str) -> dict[str, str]:
        home = self.folder / "docker_home"
        home.mkdir(exist_ok=True)
        env = {"DOCKER_HOST": docker_host, "PATH": path, "HOME": str(home), "LANG": "C.UTF-8"}
        return {**env, **self.peers.docker.env}

    @cached_property
    def _remote_python(self) -> Path:
        """Make a Python for Ansible's modules on hosts: the machine's own, with what they need for Docker."""
        modules = self.folder / "modules"
        modules.mkdir()
        for package in self.peers.ansible.remote_modules:
            shutil.copytree(package, modules / package.name)
        program = self.folder / "python"
        program.write_text(f'#!/bin/sh\nPYTHONPATH={modules} exec /usr/bin/python3 "$@"\n')
        program.chmod(0o755)
        return program


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(timeout=10)
