"""Serve images to one host from a real registry: Debian's `docker-registry`, inside the host's own network."""

import signal
import socket
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.lab.host import LabHost
from tests.lab.missing import LabError
from tests.lab.packages import registry
from tests.lab.world import Process, send, wait_until

USER, PASSWORD = "puller", "Pa55-of-the-lab"
_SALT = "$2b$05$abcdefghijklmnopqrstuv"  # of bcrypt, the one kind that the registry takes
_UP_S = 20


class Registry:
    """A registry on a port of a host that has a network of its own; it ends with the host at the latest.

    `address` is what references to its images begin with, on this host. Registries of one host serve the same images.
    A `locked` one lets in nobody but `USER` with `PASSWORD`.
    """

    def __init__(self, host: LabHost, *, port: int, locked: bool = False) -> None:
        if not host.record.own_network:
            raise LabError(f"{host.name} shares this machine's network; start it with own_network=True")
        self.host = host
        self.port = port
        self.address = f"127.0.0.1:{port}"
        self._folder = Path(host.record.folder) / f"registry-{port}"
        self._log = self._folder / "log"
        self._process: Process | None = None
        self._folder.mkdir()
        auth = ""
        if locked:
            (self._folder / "users").write_text(f"{USER}:{_hashed(PASSWORD)}\n")
            auth = f"auth: {{htpasswd: {{realm: lab, path: {self._folder}/users}}}}\n"
        (self._folder / "config.yml").write_text(
            f"version: 0.1\n{auth}"
            "log: {level: info, formatter: text}\n"
            f"storage: {{filesystem: {{rootdirectory: {host.record.folder}/images}}}}\n"
            f"http: {{addr: '0.0.0.0:{port}'}}\n"
        )

    def start(self) -> None:
        """Start it and wait until it listens; one that runs is left as it is. Errors: `LabError`."""
        if self._process is not None:
            return
        words: list[str | Path] = [registry(), "serve", self._folder / "config.yml"]
        self._process = self.host.world.launch(words, log=self._log, env=self.host.programs.env)
        wait_until(self._listens, timeout_s=_UP_S, what=f"a registry on {self.host.name}:{self.port}")

    def kill(self) -> None:
        """End it with SIGKILL and wait until it is gone."""
        process = self._process
        if process is None:
            raise LabError(f"no registry runs on {self.host.name}:{self.port}")
        send(process, signal.SIGKILL)
        wait_until(lambda: not process.lives(), timeout_s=_UP_S, what="the end of a registry")
        self._process = None

    @property
    def requests(self) -> int:
        """Count what was asked of it so far, by its own log."""
        return self._log.read_text(errors="replace").count("http.request.method")

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection((self.host.address, self.port), timeout=1):
            return True
        return False


def publish(host: LabHost, ref: str, *, files: Mapping[str, bytes]) -> None:
    """Make an image of `lab/web:1` with one more layer for each file, push it, and leave nothing of it on the host.

    `ref` begins with the address of a registry that is not locked; files are named by their paths in the image.
    """
    host.load_image("lab/web:1")
    made = "lab/web:1"
    blob = host.home / "blob"
    for path, content in files.items():
        blob.write_bytes(content)
        container = host.docker("create", made).strip()
        host.docker("cp", blob, f"{container}:{path}")
        made = host.docker("commit", container, ref).strip()
        host.docker("rm", container)
    blob.unlink()
    host.docker("push", "--quiet", ref)
    host.docker("image", "prune", "--all", "--force")


def _hashed(password: str) -> str:
    # Python's own crypt goes away, and every Debian has perl.
    return subprocess.run(
        ["perl", "-e", "print crypt($ARGV[0], $ARGV[1])", password, _SALT], capture_output=True, text=True, check=True
    ).stdout
