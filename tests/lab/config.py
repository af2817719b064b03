"""Write down what one host is to be: where it lives, and the configuration of its sshd and dockerd."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.missing import LabError
from tests.lab.network import link_name
from tests.lab.packages import MACHINE_PATH, Generation, Programs
from tests.lab.record import HostRecord

USER, GROUP = "ops", "docker"
UID_BASE = 60500  # Debian gives people 1000 to 59999 and leaves 60000 to 64999 alone

_SOCKET_PATH_MAX = 100  # the kernel takes 107 bytes
_SSH_PORT_BASE = 22300
_ENGINE_PATH = "/run/engine/usr/sbin:/run/engine/usr/bin"  # where a world shows the fetched programs


@dataclass(frozen=True, kw_only=True)
class HostOptions:
    """Choose what kind of host to start.

    `user`: who logs in; `root`, or an unprivileged member of the socket's group. `tied`: the host ends when this
    process does, however it ends. `sshd`, `daemon`: more lines for sshd's, more keys for the engine's configuration.
    """

    generation: Generation | None = None
    own_network: bool = False
    user: str = "ops"
    tied: bool = True
    sshd: Sequence[str] = ()
    daemon: Mapping[str, Any] | None = None


def make_folder(lab: Path, name: str) -> Path:
    """Make the folder of a host; those who log in must be able to reach it."""
    folder = lab / name
    if len(str(folder / "docker.sock")) > _SOCKET_PATH_MAX:
        raise LabError(f"{folder} is too long for a socket's path: choose a shorter folder, such as /tmp/lab")
    if folder.exists():
        raise LabError(f"{folder} exists already: `python -m tests.lab down {lab}` removes what a lab left there")
    closed = [each for each in folder.parents if each.exists() and not each.stat().st_mode & 0o001]
    if closed:
        raise LabError(f"an unprivileged user cannot enter {closed[-1]}: choose a folder such as /tmp/lab")
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    return folder


def host_facts(folder: Path, number: int, options: HostOptions, tools: Programs) -> HostRecord:
    """Return what is settled about a host before it starts; the rest is empty."""
    home = folder / "home"
    return HostRecord(
        name=folder.name,
        generation=tools.generation,
        engine_version="",
        number=number,
        init_pid=0,
        init_start_ticks=0,
        own_network=options.own_network,
        address=f"172.29.{number}.2" if options.own_network else "127.0.0.1",
        ssh_port=22 if options.own_network else _SSH_PORT_BASE + number,
        user=options.user,
        uid=0 if options.user == "root" else UID_BASE + number,
        gid=UID_BASE + number,
        host_key="",
        identity_file=str(folder / "identity"),
        docker_socket=str(folder / "docker.sock"),
        base_dir=str(home / ".reconciler/lab"),
        home=str(home),
        data_root=str(folder / "data"),
        storage_driver="",
        folder=str(folder),
    )


def session_path(generation: str) -> str:
    """Return the search path of those who log in."""
    return MACHINE_PATH if generation == "path" else f"{_ENGINE_PATH}:{MACHINE_PATH}"


def sshd_config(facts: HostRecord, more: Sequence[str]) -> str:
    """Return sshd's configuration: Debian's defaults, an own port and own keys; `more` comes first and wins."""
    lines = [
        *more,
        f"ListenAddress {facts.address}:{facts.ssh_port}",
        f"HostKey {facts.folder}/ssh/host_key",
        f"AuthorizedKeysFile {facts.folder}/ssh/authorized_keys",
        f"SetEnv PATH={session_path(facts.generation)}",
        "PidFile none",
        "PermitRootLogin prohibit-password",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "AllowStreamLocalForwarding yes",
        "AllowTcpForwarding yes",
        "Subsystem sftp internal-sftp",
        "StrictModes no",
        "UsePAM no",
        "UseDNS no",
        "PrintMotd no",
        "PrintLastLog no",
        "LogLevel VERBOSE",
    ]
    return "\n".join(lines) + "\n"


def daemon_config(facts: HostRecord) -> dict[str, Any]:
    """Return dockerd's configuration: nothing of this machine is touched but one bridge and control groups."""
    return {
        "hosts": [f"unix://{facts.docker_socket}", "unix:///run/docker.sock"],
        "group": GROUP,
        "data-root": facts.data_root,
        "storage-driver": facts.storage_driver,
        "bridge": link_name(facts.number),
        "default-address-pools": [{"base": f"172.31.{facts.number}.0/24", "size": 28}],
        "cgroup-parent": f"/{link_name(facts.number)}",
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "iptables": False,
        "ip-masq": False,
        "ip-forward": False,
    }
