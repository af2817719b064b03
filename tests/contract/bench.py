"""Put hosts on a bench: one way to prepare and disturb a host by hand, for the in-memory one and for real ones.

What a test does through `host` is the contract; what it does through the bench is somebody else at the machine.
"""

from __future__ import annotations

import abc
import asyncio
import shlex
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from msgspec.structs import replace

from reconciler.host import open_gate, open_host
from reconciler.host.interface import Host, Question
from reconciler.host.memory.host import MemoryHost
from reconciler.host.memory.parts import Behaviour, ManualClock
from reconciler.host.memory.world import World
from reconciler.model.access import HostAccess
from reconciler.model.observed import HostView, SeenVolume
from reconciler.model.resource import Container, Published
from tests.builders import FLEET, T0
from tests.lab.host import LabHost

BUSYBOX, RICH, WEB = "lab/busybox:1", "lab/rich:1", "lab/web:1"
SLEEPS = ("sleep", "86400")
EXITS_0 = ("sh", "-c", "exit 0")
EXITS_3 = ("sh", "-c", "exit 3")
TALKS = ("sh", "-c", "echo first; echo second; printf 'bell \\007 end\\n'; exec sleep 86400")
MISSING = ("/no/such/program",)
ONCE = ("sh", "-c", "[ -e /said ] || echo only once; touch /said; exec sleep 86400")
TOUCHES = ("sh", "-c", "sleep 1; touch /ready; exec sleep 86400")
BEHAVIOURS: dict[str | tuple[str, ...], Behaviour] = {
    SLEEPS: Behaviour(listens=()),
    EXITS_0: Behaviour(exit_code=0),
    EXITS_3: Behaviour(exit_code=3),
    TALKS: Behaviour(output=("first", "second", "bell \007 end"), listens=()),
    ONCE: Behaviour(output=("only once",), listens=()),
    MISSING: Behaviour(start_error="exec: no such file or directory"),
    TOUCHES: Behaviour(ready_after=2, listens=()),
    WEB: Behaviour(listens=(8080,)),
}
UNTIL_S = 20.0
ASK_S = 0.05


class Bench(abc.ABC):
    """Hold one host, and what somebody at the machine can do to it."""

    home: str
    base_dir: str

    @abc.abstractmethod
    async def connect(self) -> Host:
        """Open one more connection of ours."""

    @abc.abstractmethod
    def run(
        self,
        name: str,
        *,
        image: str = BUSYBOX,
        command: tuple[str, ...] = SLEEPS,
        labels: dict[str, str] | None = None,
        port: int | None = None,
    ) -> str:
        """Run a container, and give its full id."""

    @abc.abstractmethod
    def stop(self, full_id: str) -> None:
        """Stop a container."""

    @abc.abstractmethod
    def remove(self, full_id: str) -> None:
        """Remove a container, running or not."""

    @abc.abstractmethod
    def rename(self, full_id: str, to: str) -> None:
        """Rename a container."""

    @abc.abstractmethod
    def label_image(self, reference: str, labels: dict[str, str]) -> None:
        """Make an image that has these labels."""

    @abc.abstractmethod
    def add_network(self, name: str, labels: dict[str, str]) -> None:
        """Make a network."""

    @abc.abstractmethod
    def add_volume(self, name: str, labels: dict[str, str]) -> None:
        """Make a volume."""

    @abc.abstractmethod
    def make_directory(self, path: str) -> None:
        """Make a directory with its parents, ours."""

    @abc.abstractmethod
    def write(self, path: str, text: str) -> None:
        """Write a file, ours."""

    @abc.abstractmethod
    def link(self, path: str, target: str) -> None:
        """Make a symbolic link, ours."""

    @abc.abstractmethod
    def set_mode(self, path: str, mode: str) -> None:
        """Give a path another mode."""

    @abc.abstractmethod
    def give_to_root(self, path: str) -> None:
        """Let a path, and all below it, be root's, as what a container makes."""

    @abc.abstractmethod
    def remove_tree(self, path: str) -> None:
        """Remove a path with all below it, as root."""

    @abc.abstractmethod
    def text(self, path: str) -> str | None:
        """Read a file, or None when there is none."""

    @abc.abstractmethod
    def expect_silence(self, name: str) -> None:
        """Tell a host that cannot know it that a container prints nothing in its next run."""

    @abc.abstractmethod
    async def pause(self) -> None:
        """Let a little time pass for the host."""

    @abc.abstractmethod
    def clear(self) -> None:
        """Remove what the test left."""

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        """Ask again and again until something holds; fail after 20 s."""
        for _ in range(int(UNTIL_S / ASK_S)):
            if await holds():
                return
            await self.pause()
        raise AssertionError(f"it did not come to hold within {UNTIL_S} s")


class MemoryBench(Bench):
    """Hold an in-memory host."""

    def __init__(self) -> None:
        self.clock = ManualClock(T0.timestamp())
        self.world = World(seed="contract", clock=self.clock)
        self.home, self.base_dir = self.world.home, self.world.base_dir
        self.world.behaviours.update(BEHAVIOURS)
        self.world.add_image(BUSYBOX, env={"PATH": "/bin"}, command=("sh",))
        web = ("httpd", "-f", "-p", "8080", "-h", "/www")
        self.world.add_image(WEB, env={"PATH": "/bin"}, command=web)
        self.world.add_image(
            RICH,
            env={"PATH": "/bin", "LAB_MODE": "rich", "LAB_EMPTY": ""},
            labels={"lab.image": "rich", "lab.spaced": "two words"},
            user="1000:1000",
            working_dir="/work",
            entrypoint=("/bin/sh", "/entry.sh"),
            command=SLEEPS,
            healthcheck={
                "test": ("CMD", "true"),
                "interval_ms": 2000,
                "timeout_ms": 1000,
                "start_period_ms": 1000,
                "retries": 2,
            },
            stop_signal="SIGKILL",
        )

    async def connect(self) -> Host:
        return MemoryHost("memory", self.world)

    def run(
        self,
        name: str,
        *,
        image: str = BUSYBOX,
        command: tuple[str, ...] = SLEEPS,
        labels: dict[str, str] | None = None,
        port: int | None = None,
    ) -> str:
        spec = Container(name=name, image=image, command=command)
        if port is not None:
            spec = replace(spec, ports={"8080/tcp": Published("127.0.0.1", port)})
        return self.world.add_foreign_container(name, image=image, labels=labels, spec=spec).full_id

    def stop(self, full_id: str) -> None:
        self.world.end(full_id, exit_code=143)

    def remove(self, full_id: str) -> None:
        self.world.drop(full_id)

    def rename(self, full_id: str, to: str) -> None:
        self.world.rename(full_id, to)

    def label_image(self, reference: str, labels: dict[str, str]) -> None:
        self.world.add_image(reference, labels=labels, command=SLEEPS)

    def add_network(self, name: str, labels: dict[str, str]) -> None:
        self.world.add_network(name, labels)

    def add_volume(self, name: str, labels: dict[str, str]) -> None:
        self.world.volumes[name] = SeenVolume(name=name, labels=labels)

    def make_directory(self, path: str) -> None:
        parts = path.split("/")
        for length in range(2, len(parts) + 1):
            parent = "/".join(parts[:length])
            if parent not in self.world.paths:
                self.world.add_path(parent, kind="directory", mode="0755")

    def write(self, path: str, text: str) -> None:
        self.world.add_path(path, content=text.encode())

    def link(self, path: str, target: str) -> None:
        self.world.add_path(path, kind="symlink", mode="0777", target=target)

    def set_mode(self, path: str, mode: str) -> None:
        self.world.paths[path] = replace(self.world.paths[path], mode=mode)

    def give_to_root(self, path: str) -> None:
        for below, node in self.world.paths.items():
            if below == path or below.startswith(f"{path}/"):
                self.world.paths[below] = replace(node, uid=0, gid=0)

    def remove_tree(self, path: str) -> None:
        for below in [item for item in self.world.paths if item == path or item.startswith(f"{path}/")]:
            del self.world.paths[below]

    def text(self, path: str) -> str | None:
        node = self.world.paths.get(path)
        return None if node is None else node.content.decode()

    def expect_silence(self, name: str) -> None:
        self.world.behaviours[name] = Behaviour(listens=())

    async def pause(self) -> None:
        await self.clock.sleep(ASK_S)

    def clear(self) -> None:
        """Leave it to be forgotten."""


class LabBench(Bench):
    """Hold a real host of the lab; by hand means Docker's own command line, and commands as root on the machine."""

    def __init__(self, lab: LabHost) -> None:
        self.lab = lab
        self.home, self.base_dir = str(lab.home), str(lab.base_dir)

    async def connect(self) -> Host:
        lab = self.lab
        return open_host(
            HostAccess(
                name=lab.name,
                address=lab.address,
                port=lab.ssh_port,
                user=lab.user,
                host_key=lab.host_key,
                identity_file=str(lab.identity_file),
                docker_socket=str(lab.docker_socket),
                base_dir=self.base_dir,
            ),
            gate=open_gate(),
            clock=lambda: T0,
        )

    def run(
        self,
        name: str,
        *,
        image: str = BUSYBOX,
        command: tuple[str, ...] = SLEEPS,
        labels: dict[str, str] | None = None,
        port: int | None = None,
    ) -> str:
        flags = [word for key, value in (labels or {}).items() for word in ("--label", f"{key}={value}")]
        if port is not None:
            flags += ["--publish", f"127.0.0.1:{port}:8080"]
        return self.lab.docker("run", "--detach", "--init", "--name", name, *flags, image, *command).strip()

    def stop(self, full_id: str) -> None:
        self.lab.docker("stop", "--time", "1", full_id)

    def remove(self, full_id: str) -> None:
        self.lab.docker("rm", "--force", full_id)

    def rename(self, full_id: str, to: str) -> None:
        self.lab.docker("rename", full_id, to)

    def label_image(self, reference: str, labels: dict[str, str]) -> None:
        made = self.lab.docker("create", BUSYBOX, *SLEEPS).strip()
        changes = [word for key, value in labels.items() for word in ("--change", f'LABEL {key}="{value}"')]
        self.lab.docker("commit", *changes, made, reference)
        self.lab.docker("rm", made)

    def add_network(self, name: str, labels: dict[str, str]) -> None:
        flags = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
        self.lab.docker("network", "create", *flags, name)

    def add_volume(self, name: str, labels: dict[str, str]) -> None:
        flags = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
        self.lab.docker("volume", "create", *flags, name)

    def make_directory(self, path: str) -> None:
        self._as_user(f"mkdir -p -- {shlex.quote(path)}")

    def write(self, path: str, text: str) -> None:
        self._as_user(f"printf %s {shlex.quote(text)} >{shlex.quote(path)}")

    def link(self, path: str, target: str) -> None:
        self._as_user(f"ln -s -- {shlex.quote(target)} {shlex.quote(path)}")

    def set_mode(self, path: str, mode: str) -> None:
        self.lab.run("chmod", mode, path)

    def give_to_root(self, path: str) -> None:
        self.lab.run("chown", "--recursive", "--no-dereference", "0:0", path)

    def remove_tree(self, path: str) -> None:
        self.lab.run("rm", "-r", "--one-file-system", "--", path)

    def text(self, path: str) -> str | None:
        quoted = shlex.quote(path)
        said = self.lab.run("sh", "-c", f"if [ -e {quoted} ]; then echo yes; cat -- {quoted}; fi")
        there, _, text = said.partition("\n")
        return text if there == "yes" else None

    def expect_silence(self, name: str) -> None:
        """Leave it to the container, which is a real one."""

    async def pause(self) -> None:
        await asyncio.sleep(ASK_S)

    def clear(self) -> None:
        # By full id: one test names a container like another's short id.
        for seen in self.lab.containers():
            self.lab.engine("DELETE", f"/containers/{seen['Id']}", force="true", v="true")
        for network in self.lab.engine("GET", "/networks", filters='{"type": ["custom"]}'):
            self.lab.engine("DELETE", f"/networks/{network['Id']}")

    def _as_user(self, script: str) -> None:
        uid = str(self.lab.uid)
        self.lab.run("setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", "sh", "-c", script)


async def look(host: Host, *, fleet: str = FLEET, **asked: tuple[str, ...]) -> HostView:
    """Look once, by a clock that stands still."""
    return await host.look(Question(fleet=fleet, **asked), now=lambda: datetime(2025, 6, 1, tzinfo=UTC))
