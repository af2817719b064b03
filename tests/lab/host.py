"""Start, use, disturb and stop one real host: an sshd and a dockerd in a world of their own."""

import json
import os
import shutil
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

from tests.lab import network
from tests.lab.command import run
from tests.lab.config import (
    GROUP,
    UID_BASE,
    USER,
    HostOptions,
    daemon_config,
    host_facts,
    make_folder,
    session_path,
    sshd_config,
)
from tests.lab.images import archive
from tests.lab.keys import make_key
from tests.lab.missing import LabError, LabMissing
from tests.lab.packages import GENERATIONS, Generation, Programs, default_generation, programs
from tests.lab.record import HostRecord, forget, record
from tests.lab.world import Process, World, send, wait_until

_NO_WORLD = World(init=Process(0, 0), own_network=False)
_DOCKERD_STARTS = 3  # after a kill -9 the first start has been seen to fail
_UP_S = 60  # after a kill -9 an engine has been seen to need 15 s


class LabHost:
    """A real Docker host reached over SSH.

    Also a context manager, which stops the host at its end.
    """

    def __init__(self, lab: Path, facts: HostRecord, *, world: World, tools: Programs) -> None:
        self.record = facts
        self.name = facts.name
        self.address = facts.address
        self.ssh_port = facts.ssh_port
        self.user = facts.user
        self.uid = facts.uid
        self.host_key = facts.host_key
        self.identity_file = Path(facts.identity_file)
        self.docker_socket = Path(facts.docker_socket)
        self.base_dir = Path(facts.base_dir)
        self.home = Path(facts.home)
        self.data_root = Path(facts.data_root)
        self.engine_version = facts.engine_version
        self.world = world
        self.programs = tools
        self._lab = lab
        self._folder = Path(facts.folder)

    @classmethod
    def start(cls, lab: Path, name: str, options: HostOptions | None = None) -> "LabHost":
        """Start a host called `name`, its files and its record below the folder `lab`; about 1 s.

        Errors: `LabMissing` for what the machine lacks, `LabError` for what went wrong; both leave nothing behind.
        """
        chosen = options or HostOptions()
        if os.geteuid() != 0:
            raise LabMissing("the lab makes users, name spaces and network links: run it as root (sudo)")
        tools = programs(chosen.generation or default_generation())
        lab = lab.absolute()
        folder = make_folder(lab, name)
        try:
            number = network.claim_number(tools, own_network=chosen.own_network)
        except LabError:
            folder.rmdir()
            raise
        host = cls(lab, host_facts(folder, number, chosen, tools), world=_NO_WORLD, tools=tools)
        try:
            host._build(chosen)
            host.start_sshd()
            host.start_dockerd()
        except BaseException:
            host.stop()
            raise
        return host

    @classmethod
    def attach(cls, lab: Path, facts: HostRecord) -> "LabHost":
        """Take hold of a host that another process started, running or not."""
        init = Process(facts.init_pid, facts.init_start_ticks)
        world = World(init=init, own_network=facts.own_network)
        return cls(lab.absolute(), facts, world=world, tools=programs(_generation(facts.generation)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _build(self, options: HostOptions) -> None:
        """Make the host's files, its world and its network."""
        facts, folder = self.record, self._folder
        record(self._lab, facts)  # before anything else starts: a crash from here on can be cleaned up
        public = make_key(folder / "identity")
        (folder / "ssh").mkdir()
        (folder / "ssh/authorized_keys").write_text(f"{public}\n")
        host_key = make_key(folder / "ssh/host_key")
        self.home.mkdir()
        os.chown(self.home, facts.uid, facts.gid)
        own_root = f"root:*:0:0::{self.home}:/bin/sh\n" if facts.uid == 0 else ""
        (folder / "passwd").write_text(
            f"{own_root}{USER}:*:{UID_BASE + facts.number}:{facts.gid}::{self.home}:/bin/sh\n"
            f"sshd:*:{UID_BASE}:65534::/run/sshd:/usr/sbin/nologin\n"
        )
        (folder / "group").write_text(f"{GROUP}:x:{facts.gid}:{USER}\n")
        world, driver = World.start(
            folder,
            name=self.name,
            engine_root=self.programs.root,
            ports=network.ports_of(facts.number),
            own_network=facts.own_network,
            tied=options.tied,
        )
        self.world, self.host_key = world, host_key
        self.record = replace(
            facts,
            init_pid=world.init.pid,
            init_start_ticks=world.init.start_ticks,
            host_key=host_key,
            storage_driver=driver,
        )
        record(self._lab, self.record)
        if facts.own_network:
            network.lay_cable(self.programs, world, facts.number)
        else:
            network.raise_bridge(self.programs, facts.number)
        (folder / "sshd_config").write_text(sshd_config(self.record, options.sshd))
        daemon = {**daemon_config(self.record), **(options.daemon or {})}
        (folder / "daemon.json").write_text(json.dumps(daemon, indent=2))
        self._offer_plugins()

    def _offer_plugins(self) -> None:
        """Tell Docker's command line where compose is, for `docker()` and for those who log in."""
        plugins = "usr/libexec/docker/cli-plugins"
        root = self.programs.root
        has_plugins = root is not None and (root / plugins).is_dir()
        for folder, place in ((self._folder / "cli", root), (self.home / ".docker", Path("/run/engine"))):
            folder.mkdir()
            folders = [f"{place}/{plugins}"] if has_plugins else []
            (folder / "config.json").write_text(json.dumps({"cliPluginsExtraDirs": folders}))
            os.chown(folder, self.home.stat().st_uid, self.home.stat().st_gid)

    def give_compose(self) -> None:
        """Give those who log in compose v2, which Debian packages for the newer engine only. Errors: `LabError`."""
        place = self.home / ".docker/cli-plugins"
        place.mkdir()
        root = programs("trixie").root
        assert root is not None  # a fetched generation has one
        shutil.copy(root / "usr/libexec/docker/cli-plugins/docker-compose", place)

    # Using it.

    def docker(self, *words: str | Path) -> str:
        """Run Docker's command line against this host and return its output. Errors: `LabError`."""
        env = {**self.programs.env, "HOME": str(self.home), "DOCKER_CONFIG": str(self._folder / "cli")}
        return run([self.programs.find("docker"), "-H", f"unix://{self.docker_socket}", *words], env=env)

    def engine(self, method: str, path: str, **query: str) -> Any:
        """Ask the engine itself, a hundred times cheaper than `docker()`, and return its JSON. Errors: `LabError`."""
        connection = _EngineConnection(self.docker_socket)
        try:
            connection.request(method, f"{path}?{urlencode(query)}")
            answer = connection.getresponse()
            said = answer.read()
        finally:
            connection.close()
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise LabError(f"{method} {path}: {answer.status} {said.decode(errors='replace').strip()}")
        return json.loads(said) if said else None

    def containers(self, **query: str) -> list[dict[str, Any]]:
        """Return what the engine says of its containers, whatever their state: `Id`, `Names` with a `/`, `State`, …"""
        listed: list[dict[str, Any]] = self.engine("GET", "/containers/json", all="true", **query)
        return listed

    def run(self, *words: str | Path) -> str:
        """Run a command on the host as root, without SSH, and return its output. Errors: `LabError`."""
        return self.world.run(words, env={"PATH": session_path(self.record.generation), "LANG": "C.UTF-8"})

    def load_image(self, *refs: str) -> None:
        """Bring images of the lab (see `images.IMAGES`) onto this host. Errors: `LabError`."""
        for ref in refs:
            self.docker("load", "--quiet", "--input", archive(ref, self.programs))

    def describe(self) -> dict[str, Any]:
        """Return what is known about the host, and whether its parts run, as plain data."""
        alive = self.world.init.lives()
        return {
            **asdict(self.record),
            "running": alive,
            "dockerd_pids": [each.pid for each in self.world.processes("dockerd")] if alive else [],
            "sshd_pids": [each.pid for each in self.world.processes("sshd")] if alive else [],
        }

    # Disturbing it.

    def start_sshd(self) -> None:
        """Start sshd and wait until it greets. Errors: `LabError` with the end of its log."""
        log = self._folder / "sshd.log"
        sshd = self.programs.find("sshd")
        config = self._folder / "sshd_config"
        self.world.run([sshd, "-t", "-f", config], env=self.programs.env)
        self.world.launch([sshd, "-D", "-e", "-f", config], log=log, env=self.programs.env)
        self._wait(lambda: _greets(self.address, self.ssh_port), program="sshd", log=log, timeout_s=10)

    def stop_sshd(self) -> None:
        """Kill sshd and every session; what the sessions started in the background stays."""
        self._end("sshd", signal.SIGKILL)

    def start_dockerd(self) -> None:
        """Start dockerd and wait until it answers; one that dies at its start is started again, twice at most.

        Errors: `LabError` with the end of its log.
        """
        log = self._folder / "dockerd.log"
        started: list[Process] = []

        def answers() -> bool:
            if not started or not started[-1].lives():
                if len(started) == _DOCKERD_STARTS:
                    raise LabError(f"dockerd on {self.name} died at each of {_DOCKERD_STARTS} starts")
                started.append(self._launch_dockerd(log))
            return _pongs(self.docker_socket)

        self._wait(answers, program="dockerd", log=log, timeout_s=_UP_S)
        if not self.engine_version:
            self.engine_version = self.docker("version", "--format", "{{.Server.Version}}").strip()
            self.record = replace(self.record, engine_version=self.engine_version)
            record(self._lab, self.record)

    def _launch_dockerd(self, log: Path) -> Process:
        # A stale file may name a process id that has been given to another one since.
        self.world.run(["rm", "-f", "/run/docker.pid"])
        words: list[str | Path] = [self.programs.find("dockerd"), "--config-file", self._folder / "daemon.json"]
        return self.world.launch(words, log=log, env=self.programs.env)

    def kill_dockerd(self) -> None:
        """End dockerd with SIGKILL and wait until it is gone; containers may run on."""
        self._end("dockerd", signal.SIGKILL)

    def restart_dockerd(self) -> None:
        """Ask dockerd to end, wait until it has, start it again."""
        self._end("dockerd", signal.SIGTERM)
        self.start_dockerd()

    def pause_dockerd(self) -> None:
        """Stop dockerd with SIGSTOP: its socket takes connections and never answers."""
        for process in self._processes("dockerd"):
            send(process, signal.SIGSTOP)

    def resume_dockerd(self) -> None:
        """Let a paused dockerd go on."""
        for process in self._processes("dockerd"):
            send(process, signal.SIGCONT)

    def cut_link(self) -> None:
        """Cut the network to the host: packets vanish in silence. Needs `own_network`."""
        network.cut_cable(self.programs, self._own_world())

    def mend_link(self) -> None:
        """Mend the network to the host."""
        network.mend_cable(self.programs, self._own_world(), self.record.number)

    def stop(self) -> None:
        """End the host and remove all it left: processes, mounts, control groups, link, files, record.

        A host that has ended is cleaned up all the same.
        """
        self.world.end()
        _remove_cgroups(self.record.number)
        if not self.record.own_network:
            network.remove_engine_bridges(self.programs, self.data_root)
        network.remove_link(self.programs, self.record.number)
        shutil.rmtree(self._folder, ignore_errors=False)
        forget(self._lab, self.name)

    def _own_world(self) -> World:
        if not self.record.own_network:
            raise LabError(f"{self.name} shares this machine's network; start it with own_network=True")
        return self.world

    def _processes(self, program: str) -> list[Process]:
        found = self.world.processes(program)
        if not found:
            raise LabError(f"no {program} runs on {self.name}")
        return found

    def _end(self, program: str, how: signal.Signals) -> None:
        self._processes(program)
        told: set[Process] = set()

        def ended() -> bool:
            left = set(self.world.processes(program))
            for process in left - told:  # one that was forked while we looked comes up in the next look
                send(process, how)
            told.update(left)
            return not left

        wait_until(ended, timeout_s=30, what=f"the end of {program}")

    def _wait(self, done: Callable[[], bool], *, program: str, log: Path, timeout_s: float) -> None:
        try:
            wait_until(done, timeout_s=timeout_s, what=f"{program} on {self.name}")
        except LabError as late:
            said = log.read_text(errors="replace")[-1500:] if log.exists() else "(nothing)"
            raise LabError(f"{late}; the end of its log:\n{said}") from late


class _EngineConnection(HTTPConnection):
    """Reach an engine by its socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("engine", timeout=60)
        self._path = str(path)

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _greets(address: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((address, port), timeout=1) as connection:
        return connection.recv(4) == b"SSH-"
    return False


def _pongs(path: Path) -> bool:
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(2)
        connection.connect(str(path))
        connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        return b" 200 " in connection.recv(64)
    return False


def _remove_cgroups(number: int) -> None:
    """Remove the control groups that the engine made for its containers."""
    mount = Path("/sys/fs/cgroup")
    tops = [mount / network.link_name(number), *mount.glob(f"*/{network.link_name(number)}")]

    def removed() -> bool:
        for top in tops:
            for folder, _, _ in os.walk(top, topdown=False):
                with suppress(OSError):  # the kernel lets go of a group shortly after its last process
                    Path(folder).rmdir()
        return not any(top.exists() for top in tops)

    wait_until(removed, timeout_s=10, what=f"the end of the control groups {network.link_name(number)}")


def _generation(name: str) -> Generation:
    for generation in GENERATIONS:
        if generation == name:
            return generation
    raise LabError(f"unknown engine {name}; one of {', '.join(GENERATIONS)}")
