"""Drive the installed command as an operator would: a spec folder, a clean home, and one process for each command."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from tests.e2e.warm import Warm
from tests.lab.host import LabHost
from tests.lab.terminal import run_at_terminal

CHECKOUT = Path(__file__).parents[2]
_SCRIPT = Path(sys.executable).with_name("reconcile")
TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True, kw_only=True)
class Ran:
    """Hold what one command came to."""

    words: tuple[str, ...]
    exit: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Read standard output as one JSON document."""
        return json.loads(self.stdout)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Read standard output as a stream of JSON objects."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    def expect(self, *statuses: int) -> "Ran":
        """Give itself when it ended with one of these statuses and without a traceback; fail with its words if not."""
        said = f"reconcile {' '.join(self.words)} ended with {self.exit}\n{self.stdout}\n{self.stderr}"
        assert self.exit in statuses, said
        assert TRACEBACK not in self.stdout + self.stderr, said
        return self


class Driver:
    """Run `reconcile` in a folder of its own: `specs/`, `status/` and a home that holds nothing else.

    The fleet's name is part of every name on a host and of the base folder: drivers do not meet on shared hosts.
    """

    def __init__(self, folder: Path, *, fleet: str, warm: Warm | None = None) -> None:
        self.folder = folder
        self.fleet = fleet
        self._warm = warm
        self.specs = folder / "specs"
        self.status = folder / "status"
        self.home = folder / "home"
        self.specs.mkdir(parents=True)
        self.home.mkdir(mode=0o700)

    # Writing specs.

    def write(self, name: str, text: str) -> Path:
        """Write one file of specs; `name` may hold folders. Files that are there are replaced."""
        path = self.specs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def declare(self, kind: str, name: str, spec: Mapping[str, Any], **metadata: Any) -> Path:
        """Write one document into a file of its own, `<kind>-<name>.yaml`, in place of the one that is there."""
        document = {
            "apiVersion": "reconciler/v1",
            "kind": kind,
            "metadata": {"name": name, **metadata},
            "spec": dict(spec),
        }
        # JSON is YAML: nothing has to be quoted by hand.
        return self.write(f"{kind.lower()}-{name}.yaml", json.dumps(document, indent=2) + "\n")

    def declare_fleet(self, **spec: Any) -> Path:
        """Write the Fleet; `spec` in the words of the language, e.g. `limits={"removalsPerPlan": "100%"}`."""
        return self.declare("Fleet", self.fleet, spec)

    def declare_host(self, host: LabHost, *, name: str | None = None, **spec: Any) -> Path:
        """Write the Host document of a lab host; `spec` is laid over it field by field, `ssh` too."""
        ssh = {
            "user": host.user,
            "port": host.ssh_port,
            "hostKey": " ".join(host.host_key.split()[:2]),
            "identityFile": str(host.identity_file),
            **spec.pop("ssh", {}),
        }
        whole = {
            "address": host.address,
            "ssh": ssh,
            "dockerSocket": str(host.docker_socket),
            "baseDir": self.base_dir(host),
            **spec,
        }
        return self.declare("Host", name or host.name, whole, labels={"pool": "lab"})

    def declare_sandbox(self, name: str, **spec: Any) -> Path:
        """Write a Sandbox, e.g. `declare_sandbox("web", host="alpha", containers={"main": {"image": "lab/web:1"}})`."""
        return self.declare("Sandbox", name, spec)

    def drop(self, kind: str, name: str) -> None:
        """Take out a document that `declare` wrote."""
        (self.specs / f"{kind.lower()}-{name}.yaml").unlink()

    def base_dir(self, host: LabHost) -> str:
        """Give the base folder of this driver's fleet on a lab host."""
        return f"{host.home}/.reconciler/{self.fleet}"

    # Running.

    def run(
        self,
        *words: str | Path,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
        timeout_s: float = 120,
        fresh: bool = False,
    ) -> Ran:
        """Run one command to its end, without a terminal.

        It is started from nothing when it is to be `fresh` or gets an environment of its own, else in a process that
        has it loaded, where there is one.
        """
        said = [str(word) for word in words]
        if self._warm is not None and env is None and not fresh:
            return self._run_warm(self._warm, said, stdin=stdin or "", timeout_s=timeout_s)
        done = subprocess.run(
            [*command(), *said],
            cwd=self.folder,
            env=self.env(env),
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return Ran(words=tuple(said), exit=done.returncode, stdout=done.stdout, stderr=done.stderr)

    def _run_warm(self, warm: Warm, words: list[str], *, stdin: str, timeout_s: float) -> Ran:
        with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as err:
            given.write(stdin.encode())
            given.seek(0)
            status = warm.run(words, cwd=self.folder, env=self.env(), streams=(given, out, err), timeout_s=timeout_s)
            out.seek(0)
            err.seek(0)
            return Ran(words=tuple(words), exit=status, stdout=out.read().decode(), stderr=err.read().decode())

    def start(self, *words: str | Path, env: Mapping[str, str] | None = None) -> "Running":
        """Start one command and leave it running, in a process group of its own."""
        said = tuple(str(word) for word in words)
        process = subprocess.Popen(
            [*command(), *said],
            cwd=self.folder,
            env=self.env(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # Whoever runs these tests in the background has SIGINT ignored, and a child inherits that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - no threads
        )
        return Running(said, process)

    def run_at_terminal(
        self,
        *words: str | Path,
        question: str | None = None,
        answer: str = "",
        env: Mapping[str, str] | None = None,
        timeout_s: float = 120,
    ) -> Ran:
        """Run one command to its end on a terminal, and give `answer` once it shows `question`; all is in `stdout`."""
        said = tuple(str(word) for word in words)
        shown = run_at_terminal(
            [*command(), *said],
            cwd=self.folder,
            env=self.env(env),
            question=question,
            answer=answer,
            timeout_s=timeout_s,
        )
        return Ran(words=said, exit=shown.status, stdout=shown.text, stderr="")

    def env(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Give the whole environment of a command: nothing of the machine's own but the search path."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(CHECKOUT),
            "COLUMNS": "100",
            **(more or {}),
        }

    # Looking at hosts behind the command's back.

    def containers(self, host: LabHost) -> dict[str, str]:
        """Give the containers with this fleet's label, whatever their state: Docker's name to full id."""
        return {seen["Names"][0].removeprefix("/"): seen["Id"] for seen in host.containers(filters=self._label)}

    def clear(self, host: LabHost) -> None:
        """Remove everything of this fleet from a lab host."""
        for full_id in self.containers(host).values():
            host.engine("DELETE", f"/containers/{full_id}", force="true", v="true")
        for network in host.engine("GET", "/networks", filters=self._label):
            host.engine("DELETE", f"/networks/{network['Id']}")
        for volume in host.engine("GET", "/volumes", filters=self._label)["Volumes"] or ():
            host.engine("DELETE", f"/volumes/{volume['Name']}")
        host.run("rm", "-rf", "--", self.base_dir(host))

    @property
    def _label(self) -> str:
        """Filter by this fleet's label, in the engine's words."""
        return json.dumps({"label": [f"dev.reconciler.fleet={self.fleet}"]})


class Running:
    """Hold one command that runs."""

    def __init__(self, words: Sequence[str], process: subprocess.Popen[str]) -> None:
        self.words = tuple(words)
        self.process = process

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command alone."""
        self.process.send_signal(number)

    def wait(self, *, timeout_s: float = 120) -> Ran:
        """Wait for its end and give what it said; one that does not end in time is killed, and the test fails."""
        try:
            stdout, stderr = self.process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            stdout, stderr = self.process.communicate()
            raise AssertionError(
                f"{' '.join(self.words)} still ran after {timeout_s:g} s:\n{stdout}\n{stderr}"
            ) from None
        return Ran(words=self.words, exit=self.process.returncode, stdout=stdout, stderr=stderr)


def command() -> list[str]:
    """Give the command as installed beside this Python, or the module where nothing is installed."""
    return [str(_SCRIPT)] if _SCRIPT.exists() else [sys.executable, "-m", "reconciler"]
